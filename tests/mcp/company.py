"""A real company for a test: its configuration, its process, and the ways to ask it."""

import json
import os
import re
import select
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

BINARY = os.environ["NEXUS_BIN"]
# Generous: these machines are shared, and a limit is only there to end a test that would never end.
PATIENCE = 60.0
READY = re.compile(r"^nexus ready mcp=(\S+) web=(\S+) nats=(\S+)$")
# The two eras of the protocol: with `initialize`, and stateless.
ERAS = {"handshake": "legacy", "stateless": "2026-07-28"}

DEPARTMENT = """
description = "{name} of the tests"
workers     = {workers}
task_types  = ["{task_type}"]
agents      = ["shell"]

[retry]
max_attempts = 1

[workspace]
mode = "scratch"

[sandbox]
write = ["{meeting}"]   # where the tests and their agents meet; nothing else is in the agents' reach
"""


def told(result) -> dict:
    """The object that an error's text holds."""
    return json.loads(result.content[0].text)


class Company:
    """`nexus up` on a data directory of its own."""

    def __init__(self, root: Path):
        self.config = root / "config"
        self.data = root / "data"
        self.story = root / "story.log"
        self.meeting = root / "meeting"
        self.meeting.mkdir()
        departments = self.config / "departments"
        departments.mkdir(parents=True)
        (self.config / "nexus.toml").write_text('shutdown_grace = "1s"\n')
        for name, workers, task_type in [
            ("engineering", 3, "code_generation"),
            ("qa", 2, "testing"),
            ("product", 1, "planning"),
        ]:
            text = DEPARTMENT.format(name=name, workers=workers, task_type=task_type, meeting=self.meeting)
            (departments / f"{name}.toml").write_text(text)
        self.process = None
        self.listen = "127.0.0.1:0"

    def start(self) -> "Company":
        command = [BINARY, "up", "--config", self.config, "--data-dir", self.data, "--listen", self.listen]
        with self.story.open("ab") as story:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=story)
        try:
            self.mcp, self.web, self.nats = self._ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _ready(self) -> tuple[str, str, str]:
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode().rstrip("\n") if readable else ""
        match = READY.match(line)
        assert match, f"no ready line, but {line!r}; stderr:\n{self.story.read_text()}"
        return match.groups()

    def stop(self) -> int:
        """Asks it to stop, as an init system would, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def server(self, transport: str, cwd: Path | None = None):
        """What the MCP client connects to."""
        if transport == "http":
            return streamable_http_client(self.mcp, http_client=create_mcp_http_client(headers=self.shown()))
        arguments = ["mcp", "--data-dir", str(self.data)]
        return StdioServerParameters(command=BINARY, args=arguments, cwd=cwd, env=dict(os.environ))

    @asynccontextmanager
    async def client(self, transport: str = "http", era: str = "stateless", cwd: Path | None = None):
        async with Client(self.server(transport, cwd), mode=ERAS[era], read_timeout_seconds=PATIENCE) as client:
            yield Asked(client)

    def shown(self) -> dict:
        """The headers that show the company's token."""
        return {"Authorization": f"Bearer {(self.data / 'token').read_text().strip()}"}

    def broker(self) -> dict:
        """How another program reaches the company's private NATS server."""
        identity = json.loads((self.data / "broker" / "identity.json").read_text())
        return {"servers": self.nats, "user": identity["user"], "password": identity["password"]}


class Asked:
    """Tools by their short names. Every answer must say the same in both of its forms."""

    def __init__(self, client: Client):
        self.client = client

    async def call(self, tool: str, progress=None, **arguments):
        result = await self.client.call_tool(f"cde_{tool}", arguments, progress_callback=progress)
        assert len(result.content) == 1
        # An error is text alone: clients would hold its structured content against the schema of a success.
        expected = None if result.is_error else json.loads(result.content[0].text)
        assert result.structured_content == expected
        return result

    async def ok(self, tool: str, **arguments) -> dict:
        result = await self.call(tool, **arguments)
        assert not result.is_error, result.content[0].text
        return result.structured_content

    async def refused(self, tool: str, **arguments) -> dict:
        result = await self.call(tool, **arguments)
        assert result.is_error, result.structured_content
        return told(result)

    async def delegate(self, command: str, **arguments) -> str:
        arguments = {"task_description": command, "preferred_agent": "shell", **arguments}
        return (await self.ok("delegateTask", **arguments))["task_id"]

    async def until(self, task: str, *states: str) -> dict:
        """Asks until the task is in one of these states."""

        async def there():
            status = await self.ok("getTaskStatus", task_id=task)
            assert status["status"] in states or not is_final(status), status
            return status if status["status"] in states else None

        return await eventually(there, f"{task} never became {' or '.join(states)}")

    async def ended(self, task: str) -> dict:
        return await self.until(task, "completed", "failed", "cancelled")

    async def log(self, task: str, **arguments) -> list[str]:
        """What the task itself has printed so far, by pages."""
        lines, cursor = [], None
        while True:
            page = await self.ok("getTaskLog", task_id=task, cursor=cursor, **arguments)
            lines += page["lines"]
            if page["complete"] or not page["lines"]:
                break
            cursor = page["next_cursor"]
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        return [line["text"] for line in lines if line["stream"] != "system"]


def is_final(status: dict) -> bool:
    return status["status"] in ("completed", "failed", "cancelled")


async def eventually(ask, complaint: str):
    """Asks again and again, until the answer is one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, complaint
        await anyio.sleep(0.02)


def moment(text: str) -> datetime:
    """A time as the tools give it: RFC 3339, UTC."""
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text)
