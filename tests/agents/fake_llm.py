#!/usr/bin/env python3
"""A scripted stand-in for the model APIs, on loopback only, standard library only.

Speaks (streaming SSE and plain): OpenAI chat completions (/v1/chat/completions), OpenAI responses
(/v1/responses), Anthropic messages (/v1/messages), Gemini (:generateContent, :streamGenerateContent).

The reply is decided by directives in the last user text that holds any; the n-th model turn after it carries out the
n-th directive (one tool call a turn), and when they run out the reply is the plain text "FAKE-DONE n":
  [[text:WORDS]]             say WORDS
  [[write:PATH|CONTENT]]     call the agent's own file-writing tool (falls back to its shell tool)
  [[shell:COMMAND]]          call the agent's own shell tool
  [[loop:N|COMMAND]]         N such turns; each command ends in "# n", since some agents stop at repeats
  [[tool:NAME|{"json":1}]]   call the first offered tool whose name ends with NAME
  [[slow:SECONDS]]           stream one word every 0.25 s for SECONDS (to test cancellation)
  [[hang:SECONDS]]           accept the request and say nothing for SECONDS
  [[refuse:WORDS]]           decline, the way the dialect says it
  [[error:WHAT]]             answer with an HTTP error: a status, or model (unknown), context (too long), overloaded,
                             quota (spent, no reset); [[error:WHAT*TIMES]] answers so TIMES times and then goes on
These take no turn of their own:
  [[think:WORDS]]            reasoning before the first directive's turn
  [[usage:IN,OUT,CACHED]]    the figures of each turn from here on (CACHED, which is part of IN, may be left out)
  [[limit:SECONDS]]          429 with Retry-After: closes the account (the request's key) for SECONDS from the first
                             request that says so, then goes on; [[limit:SECONDS|plan]] says it as a subscription does
No directive: the text "FAKE-OK". A key that begins with "bad" (any auth header or ?key=) is answered 401.
Directives may stand in a directive's JSON (for a child's task). {{FIELD}} in a directive, but not in those within it,
is the newest value of "FIELD" in a tool's result. Without [[usage]], a turn's input is its request's size / 4, which
grows, and its output a few tokens.

GET /requests tells how many requests each key has made, and how many of them were answered by an error; GET /open opens
every account that is closed.
usage: fake_llm.py [--port 0] [--log FILE.jsonl]     prints "PORT <n>" on standard output
"""

import argparse
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dialects import Speaks, failure, norm

LOG = None
LOCK = threading.Lock()
COUNTS = {}  # key -> {"requests", "errors"}
CLOSED = {}  # key -> when the account opens again, and how it says so
SEEN = {}  # (key, directives, turn, directive) -> how often it was answered
NAMES = "text|write|shell|loop|tool|slow|hang|refuse|error|think|usage|limit"
OPENING = re.compile(r"\[\[(" + NAMES + r"):")
WRITE = ["Write", "write_file", "write", "create", "create_file", "edit_file"]
SHELL = [
    "Bash",
    "bash",
    "run_shell_command",
    "shell_command",
    "exec_command",
    "shell",
    "local_shell",
    "developer__shell",
    "run_terminal_cmd",
    "execute",
    "terminal",
]


def directives(text):
    """The outermost directives of a text, in order; those within one are part of its value."""
    found, at = [], 0
    while m := OPENING.search(text, at):
        depth, at = 1, m.end()
        while depth:
            begin, end = text.find("[[", at), text.find("]]", at)
            if end < 0:
                return found
            # "]]]" closes an array of JSON and then the directive.
            while text[end + 2 : end + 3] == "]":
                end += 1
            if 0 <= begin < end:
                depth, at = depth + 1, begin + 2
            else:
                depth, at = depth - 1, end + 2
        found.append((m.group(1), text[m.end() : at - 2]))
    return found


def fill(schema, want):
    """Arguments for a tool: known parameters from `want`, other required ones by type."""
    props, req, out = schema.get("properties") or {}, schema.get("required") or [], {}
    for k, p in props.items():
        ty = p.get("type")
        ty = (ty[0] if isinstance(ty, list) else ty or "string").lower()
        v = None
        if "path" in want and k in ("path", "file_path", "filePath", "absolute_path", "filename"):
            v = want["path"]
        elif "content" in want and k in ("content", "file_text", "contents", "text"):
            v = want["content"]
        elif "command" in want and k in ("command", "cmd", "script"):
            v = ["bash", "-lc", want["command"]] if ty == "array" else want["command"]
        elif k in req:
            v = (
                p["enum"][0]
                if p.get("enum")
                else {"boolean": False, "number": 1, "integer": 1, "array": [], "object": {}}.get(ty, "fake")
            )
        if v is not None:
            out[k] = v
    return out


def pick(tools, names):
    for n in names:
        for t in tools:
            if t["name"] == n:
                return t
    return None


class Reply:
    """What one request is answered with: acts ('text'|'think'|'call'|'slow'|'refuse', ...), and the turn's figures."""

    def __init__(self, acts, usage=None, error=None, hang=0):
        self.acts, self.usage, self.error, self.hang = acts, usage, error, hang


def plan(kind, b, key):
    msgs, tools = norm(kind, b)
    at = max((i for i, (r, x) in enumerate(msgs) if r == "user" and directives(x)), default=None)
    if at is None:
        return Reply([("text", "FAKE-OK")])
    asked = directives(msgs[at][1])  # whatever words are around them
    results = [x for r, x in msgs[at + 1 :] if r == "tool"]  # one call a turn, so one result each
    n, turns, usage, first = len(results), 0, None, []
    for name, value in asked:
        value = filled(value, results)
        here = turns == n
        if name == "usage" and turns <= n:
            usage = [int(x) for x in value.split(",")]
        elif name == "think" and n == 0:
            first.append(("think", value))
        elif name == "limit" and here:
            seconds, _, how = value.partition("|")
            if once((key, str(asked), turns, value), 1):
                CLOSED[key] = (time.time() + float(seconds), how)
                return Reply([], error="limit")
        elif name == "error" and here:
            what, _, times = value.partition("*")
            if not times or once((key, str(asked), turns, value), int(times)):
                return Reply([], error=what)
        elif name == "loop":
            times, _, command = value.partition("|")
            if turns <= n < turns + int(times):
                return Reply(first + step(tools, "shell", f"{command} # {n + 1}"), usage)
            turns += int(times)
        elif name not in ("usage", "think", "limit", "error"):
            if here:
                hang = float(value) if name == "hang" else 0
                return Reply(first + step(tools, name, value), usage, hang=hang)
            turns += 1
    return Reply(first + [("text", f"FAKE-DONE {n}")], usage)


def once(what, times):
    with LOCK:
        SEEN[what] = SEEN.get(what, 0) + 1
        return SEEN[what] <= times


def filled(value, results):
    """The value with its {{FIELD}}s filled in, but those of the directives within it, which are for somebody else."""
    inner = directives(value)
    for i, (name, text) in enumerate(inner):
        value = value.replace(f"[[{name}:{text}]]", f"[[{i}]]", 1)
    value = re.sub(r"\{\{(\w+)\}\}", lambda m: newest(m.group(1), results), value)
    for i, (name, text) in enumerate(inner):
        value = value.replace(f"[[{i}]]", f"[[{name}:{text}]]", 1)
    return value


def newest(field, results):
    for text in reversed(results):
        found = re.findall(r'\\*"' + field + r'\\*"\s*:\s*\\*"?([^"\\,}\s]+)', text)
        if found:
            return found[-1]
    return "NO-" + field


def step(tools, k, v):
    if not tools and k in ("write", "shell", "tool"):
        return [("text", "Fake title")]
    if k in ("text", "refuse"):
        return [(k, v)]
    if k == "slow":
        return [(k, float(v))]
    if k == "hang":
        return [("text", "late")]
    if k == "tool":
        nm, _, a = v.partition("|")
        t = next((t for t in tools if t["name"] and t["name"].endswith(nm)), None)
        if not t:
            return [("text", "NO-SUCH-TOOL " + nm + " in " + ",".join(str(t["name"]) for t in tools))]
        return [("call", t, json.loads(a or "{}"))]
    if k == "write":
        p, _, c = v.partition("|")
        t = pick(tools, WRITE)
        if t:
            return [("text", "Writing " + p + ". "), ("call", t, fill(t["schema"], dict(path=p, content=c)))]
        t = pick(tools, ["apply_patch"])
        if t and t["custom"]:
            return [
                (
                    "call",
                    t,
                    "*** Begin Patch\n*** Add File: "
                    + p
                    + "\n"
                    + "".join("+" + l + "\n" for l in c.split("\n"))
                    + "*** End Patch\n",
                )
            ]
        v = "printf %s '" + c.replace("'", "'\\''") + "' > '" + p + "'"
    t = pick(tools, SHELL)
    if not t:
        return [("text", "NO-SHELL-TOOL in " + ",".join(str(t["name"]) for t in tools))]
    return [("call", t, fill(t["schema"], dict(command=v)))]


class Handler(Speaks, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def log_line(self, **k):
        if LOG:
            with LOCK:
                LOG.write(json.dumps(dict(t=round(time.time(), 3), **k)) + "\n")
                LOG.flush()

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        self.log_line(get=self.path)
        p = self.path.split("?")[0]
        if p.rstrip("/").endswith("/models"):
            if "/v1beta" in p:
                return self.js(
                    {"models": [{"name": "models/fake-model", "supportedGenerationMethods": ["generateContent"]}]}
                )
            return self.js(
                {
                    "object": "list",
                    "data": [
                        {
                            "id": "fake-model",
                            "object": "model",
                            "created": 0,
                            "owned_by": "fake",
                            "type": "model",
                            "display_name": "Fake",
                            "created_at": "2026-01-01T00:00:00Z",
                        }
                    ],
                    "has_more": False,
                }
            )
        if p == "/health":
            return self.js({"ok": True})
        if p == "/requests":
            with LOCK:
                return self.js(COUNTS)
        if p == "/open":
            CLOSED.clear()
            return self.js({})
        self.js({"error": {"message": "no such path " + p, "type": "not_found_error"}}, 404)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        enc = self.headers.get("content-encoding")
        try:
            if enc == "gzip":
                import gzip

                raw = gzip.decompress(raw)
            b = json.loads(raw or b"{}")
        except Exception as e:
            self.log_line(path=self.path, bad_body=str(e), enc=enc)
            return self.js({"error": {"message": "bad body"}}, 400)
        p = self.path.split("?")[0]
        key = (
            (self.headers.get("authorization") or "").replace("Bearer ", "")
            or self.headers.get("x-api-key")
            or self.headers.get("x-goog-api-key")
            or ""
        )
        if not isinstance(b, dict):
            return self.js({})
        with LOCK:
            count = COUNTS.setdefault(key, dict(requests=0, errors=0))
            count["requests"] += 1
            n = count["requests"]
        self.log_line(
            path=self.path, n=n, ua=self.headers.get("user-agent"), model=b.get("model"), stream=b.get("stream"), body=b
        )
        if p.endswith("/count_tokens") or p.endswith(":countTokens"):
            n = len(raw) // 4
            return self.js({"input_tokens": n, "totalTokens": n})
        kind = (
            "chat"
            if p.endswith("/chat/completions")
            else "responses"
            if p.endswith("/responses")
            else "anthropic"
            if p.endswith("/messages")
            else "gemini"
            if "enerateContent" in p
            else None
        )
        if not kind:
            return self.js({"error": {"message": "no such path " + p, "type": "not_found_error"}}, 404)
        model = b.get("model") or p.rsplit("/", 1)[-1].partition(":")[0]
        stream = p.endswith(":streamGenerateContent") if kind == "gemini" else bool(b.get("stream"))
        if key.startswith("bad") or "key=bad" in self.path:
            reply = Reply([], error="401")
        elif time.time() < CLOSED.get(key, (0,))[0]:
            reply = Reply([], error="limit")
        else:
            reply = plan(kind, b, key)
        if reply.error:
            with LOCK:
                count["errors"] += 1
            status, headers, said = failure(kind, reply.error, model, CLOSED.get(key))
            self.log_line(answered=status, n=n)
            return self.js(said, status, headers)
        time.sleep(reply.hang)
        figures = (reply.usage or [len(raw) // 4, None]) + [0]
        try:
            getattr(self, "say_" + kind)(b, reply.acts, stream, figures[0], figures[1], figures[2])
        except (BrokenPipeError, ConnectionResetError):
            self.log_line(path=self.path, n=n, client_gone=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--log")
    a = ap.parse_args()
    LOG = open(a.log, "a") if a.log else None
    s = ThreadingHTTPServer(("127.0.0.1", a.port), Handler)
    s.daemon_threads = True
    print("PORT", s.server_address[1], flush=True)
    s.serve_forever()
