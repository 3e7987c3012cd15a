"""Messages that are none of JSON-RPC's, or none of MCP's, get the errors that JSON-RPC has for them, over both transports."""

import json
import subprocess
import threading
from contextlib import contextmanager

import pytest
from company import BINARY, PATIENCE
from test_http import INITIALIZE, post

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
PING = {"jsonrpc": "2.0", "id": 7, "method": "ping"}

WRONG = [
    ("{", -32700, None),
    ("hello", -32700, None),
    (json.dumps([PING]), -32600, None),
    ("{}", -32600, None),
    (json.dumps({**PING, "jsonrpc": "1.0"}), -32600, 7),
    (json.dumps({**PING, "id": None}), -32600, None),
    (json.dumps({**PING, "id": [1]}), -32600, None),
    (json.dumps({"jsonrpc": "2.0", "id": 7}), -32600, 7),
    (json.dumps({**PING, "method": 5}), -32600, 7),
]
WRONG_PARAMS = [
    ({"name": "cde_listTasks", "arguments": "x"}, -32602),
    ({"name": "cde_listTasks", "arguments": [1]}, -32602),
    ({"arguments": {}}, -32602),
    ({"name": 5}, -32602),
]


@contextmanager
def stdio(company):
    """`nexus mcp`, which is ended when it is waited for in vain."""
    command = [BINARY, "mcp", "--data-dir", company.data]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watch = threading.Timer(PATIENCE, server.kill)
    watch.start()
    try:
        yield server
    finally:
        watch.cancel()
        if server.poll() is None:
            server.kill()
            server.communicate()


def wrong(answer, code, of):
    assert answer["jsonrpc"] == "2.0" and answer.get("id") == of, answer
    assert answer["error"]["code"] == code and answer["error"]["message"], answer


@pytest.mark.parametrize(("message", "code", "of"), WRONG)
def test_over_http(company, message, code, of):
    status, text = post(company, message)
    assert status == 400
    wrong(json.loads(text), code, of)


def test_parameters_over_http(company):
    for params, code in WRONG_PARAMS:
        _, text = post(company, json.dumps({**CALL, "params": params}))
        wrong(json.loads(text.split("data: ")[-1]), code, 7)
    _, text = post(company, json.dumps({**PING, "method": "tools/nope"}))
    wrong(json.loads(text.split("data: ")[-1]), -32601, 7)


def test_over_stdio(company):
    said = [json.dumps(INITIALIZE), json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})]
    said += [message for message, _, _ in WRONG]
    # Each has an id of its own: of two requests with the same one, one may get no answer.
    said += [json.dumps({**CALL, "id": 10 + n, "params": params}) for n, (params, _) in enumerate(WRONG_PARAMS)]
    with stdio(company) as server:
        server.stdin.write("".join(f"{line}\n" for line in said).encode())
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(len(said) - 1)]
        rest, _ = server.communicate()
        assert (server.returncode, rest) == (0, b"")
    assert answers[0]["result"]["serverInfo"]["name"] == "nexus"
    found = sorted((answer["error"]["code"], answer.get("id") or 0) for answer in answers[1:])
    expected = [(code, of or 0) for _, code, of in WRONG] + [(code, 10 + n) for n, (_, code) in enumerate(WRONG_PARAMS)]
    assert found == sorted(expected)


def test_a_line_that_is_too_long_is_answered(company):
    with stdio(company) as server:
        server.stdin.write(b"x" * ((16 << 20) + 1) + b"\n")
        server.stdin.flush()
        wrong(json.loads(server.stdout.readline()), -32600, None)
