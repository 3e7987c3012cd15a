"""HTTP as a stranger would use it: health, other sites' pages, and requests that are too large or no requests."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from company import Company

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def ask(company, method, path, body=None, **headers):
    address = urlsplit(company.web)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        names = {name: value for name, value in {**company.shown(), **names}.items() if value}
        connection.request(method, path, body, names)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def post(company, body, **headers):
    defaults = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream"}
    return ask(company, "POST", "/mcp", body, **{**defaults, **headers})


def test_health(company):
    assert ask(company, "GET", "/healthz") == (200, "ok")
    assert ask(company, "GET", "/readyz") == (200, '{"status":"ready"}')
    status, page = ask(company, "GET", "/")
    assert status == 200 and company.mcp in page
    assert ask(company, "GET", "/nothing")[0] == 404


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/mcp"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1"])
def test_another_sites_name_gets_nothing(company, path, host):
    method = "POST" if path == "/mcp" else "GET"
    assert ask(company, method, path, Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example", "http://localhost:1", "null"])
def test_another_sites_page_may_not_call_tools(company, origin):
    assert post(company, json.dumps(INITIALIZE), Origin=origin)[0] == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machines_names_may(company, name):
    authority = f"{name}:{urlsplit(company.web).port}"
    status, text = post(company, json.dumps(INITIALIZE), Host=authority, Origin=f"http://{authority}")
    assert status == 200 and '"nexus"' in text


@pytest.mark.parametrize("shown", ["", "Bearer", f"Bearer {'0' * 64}", "Basic bWU6"])
def test_without_the_token_no_tool_is_called(company, shown):
    status, text = post(company, json.dumps(INITIALIZE), Authorization=shown)
    assert status == 401 and "nexus token show" in json.loads(text)["message"]


def test_any_address_of_the_loopback_can_be_listened_on(tmp_path):
    company = Company(tmp_path)
    company.listen = "127.0.0.2:0"
    company.start()
    try:
        assert company.mcp.startswith("http://127.0.0.2:")
        status, text = post(company, json.dumps(INITIALIZE))
        assert status == 200 and '"nexus"' in text
    finally:
        company.stop()


def test_no_session_is_kept(company):
    # In the handshake era a server may have none: then there is nothing to open and nothing to delete.
    assert ask(company, "GET", "/mcp", Accept="text/event-stream")[0] == 405
    assert ask(company, "DELETE", "/mcp")[0] == 405


def test_what_is_no_request(company):
    assert post(company, "{")[0] == 400
    assert post(company, "{}", Content_Type="text/plain")[0] == 415
    # One byte more than is taken: of a longer one the rest is not read, and whether its client sees the answer before it
    # sees that is a race.
    assert post(company, "x" * ((1 << 20) + (1 << 18) + 1))[0] == 413
