"""Calls of one MCP tool over HTTP, with nothing of a client library in between: the same for every server.

    python -m bench.mcp_client URL TOOL ARGUMENTS COUNT [TOKEN]"""

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

from .peers.client import figures

VERSION = "2025-06-18"


class Connection:
    """One session of a server that speaks streamable HTTP."""

    def __init__(self, url: str, token: str | None):
        parts = urlsplit(url)
        self.path = parts.path or "/"
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        self.connection.connect()
        self.headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
        }
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.number = 0
        client = {"name": "bench", "version": "1"}
        self.ask("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message: dict) -> bytes:
        self.connection.request("POST", self.path, json.dumps(message), self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"HTTP {answer.status}: {body[:200]!r}")
        if session := answer.headers.get("Mcp-Session-Id"):
            self.headers["Mcp-Session-Id"] = session
        return body

    def ask(self, method: str, params: dict) -> dict:
        self.number += 1
        body = self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        # Plain JSON, or a stream of events of which one carries it.
        lines = [line[5:] for line in body.splitlines() if line.startswith(b"data:")] or [body]
        for line in lines:
            if line.strip() and "id" in (answer := json.loads(line)):
                if "error" in answer or answer["result"].get("isError"):
                    raise RuntimeError(f"{method}: {answer}")
                return answer["result"]
        raise RuntimeError(f"{method}: no answer in {body[:200]!r}")


def main():
    url, tool, arguments, count = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
    token = sys.argv[5] if len(sys.argv) > 5 else None
    connection, took = Connection(url, token), []
    begun = time.perf_counter()
    for _ in range(count):
        before = time.perf_counter()
        connection.ask("tools/call", {"name": tool, "arguments": arguments})
        took.append(time.perf_counter() - before)
    print(json.dumps(figures(took, time.perf_counter() - begun)))


if __name__ == "__main__":
    main()
