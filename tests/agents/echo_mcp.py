#!/usr/bin/env python3
"""The least MCP server over stdio: one tool, `echo`, that answers what it was told. For recordings."""

import json
import sys

TOOL = {
    "name": "echo",
    "description": "Answers what it was told.",
    "inputSchema": {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]},
}


def answer(method, params):
    if method == "initialize":
        info = {"name": "echo", "version": "1"}
        version = params.get("protocolVersion", "2025-06-18")
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        said = params.get("arguments", {}).get("words", "")
        return {"content": [{"type": "text", "text": json.dumps({"said": said})}]}
    return {} if method == "ping" else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    result = answer(message["method"], message.get("params") or {})
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    reply |= {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
    print(json.dumps(reply), flush=True)
