"""How the tests start each real coding agent against the stand-in: its command line, environment and settings."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = ROOT / "target" / "agents"
MODEL = "fake-model"


class StandIn:
    """The stand-in for the model APIs, as a process of its own."""

    def __init__(self, log=None):
        command = [sys.executable, str(HERE / "fake_llm.py")] + (["--log", str(log)] if log else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = "http://127.0.0.1:" + self.process.stdout.readline().split()[1]

    def requests(self):
        with urllib.request.urlopen(self.url + "/requests") as answer:
            return json.load(answer)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Place:
    """A home and a workspace of one run; resumed runs share one."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.home, self.workspace = self.folder / "home", self.folder / "workspace"
        self.home.mkdir(parents=True, exist_ok=True)
        self.workspace.mkdir(parents=True, exist_ok=True)

    def settings(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(path)


def echo_server():
    return {"command": sys.executable, "args": [str(HERE / "echo_mcp.py")]}


def claude(place, base, key, mcp, resume, edits_only):
    argv = ["claude", "-p", "--output-format", "stream-json", "--verbose", "--model", MODEL]
    argv += ["--permission-mode", "acceptEdits"] if edits_only else ["--dangerously-skip-permissions"]
    if mcp:
        config = {"mcpServers": {"nexus": echo_server()}}
        argv += ["--strict-mcp-config", "--mcp-config", place.settings("mcp.json", config)]
    env = {
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_API_KEY": key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }
    return argv + (["--resume", resume] if resume else []), env


def codex(place, base, key, mcp, resume, edits_only):
    config = (
        f'model = "{MODEL}"\nmodel_provider = "fake"\n[model_providers.fake]\nname = "fake"\n'
        f'base_url = "{base}/v1"\nenv_key = "FAKE_KEY"\nwire_api = "responses"\n'
    )
    place.settings(".codex/config.toml", config)
    argv = ["codex", "exec", "--json", "--skip-git-repo-check"]
    argv += ["-s", "workspace-write" if edits_only else "danger-full-access"]
    if mcp:
        server = echo_server()
        argv += ["-c", "mcp_servers.nexus.command=" + json.dumps(server["command"])]
        argv += ["-c", "mcp_servers.nexus.args=" + json.dumps(server["args"])]
    argv += ["resume", resume, "-"] if resume else ["-"]
    return argv, {"FAKE_KEY": key, "CODEX_HOME": str(place.home / ".codex")}


def gemini(place, base, key, mcp, resume, edits_only):
    place.settings(".gemini/settings.json", {"security": {"auth": {"selectedType": "gemini-api-key"}}})
    argv = ["gemini", "-o", "stream-json", "-m", MODEL, "--approval-mode", "auto_edit" if edits_only else "yolo"]
    env = {
        "GOOGLE_GEMINI_BASE_URL": base,
        "GEMINI_API_KEY": key,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    if mcp:
        config = {"mcpServers": {"nexus": echo_server() | {"trust": True}}}
        env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"] = place.settings("mcp.json", config)
    return argv + (["--resume", resume] if resume else []), env


def qwen(place, base, key, mcp, resume, edits_only):
    argv = ["qwen", "-o", "stream-json", "--auth-type", "openai"]
    argv += ["--approval-mode", "auto-edit" if edits_only else "yolo"]
    if mcp:
        argv += ["--mcp-config", place.settings("mcp.json", {"mcpServers": {"nexus": echo_server()}})]
    env = {"OPENAI_BASE_URL": base + "/v1", "OPENAI_API_KEY": key, "OPENAI_MODEL": MODEL}
    return argv + (["--resume", resume] if resume else []), env


def copilot(place, base, key, mcp, resume, edits_only):
    argv = ["copilot", "--output-format", "json"]
    argv += ["--allow-tool", "write"] if edits_only else ["--allow-all-tools"]
    if mcp:
        config = {"mcpServers": {"nexus": echo_server() | {"type": "local", "tools": ["*"]}}}
        argv += ["--additional-mcp-config", "@" + place.settings("mcp.json", config)]
    env = {
        "COPILOT_PROVIDER_BASE_URL": base + "/v1",
        "COPILOT_PROVIDER_API_KEY": key,
        "COPILOT_MODEL": MODEL,
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    }
    return argv + ([f"--resume={resume}"] if resume else []), env


def opencode(place, base, key, mcp, resume, edits_only):
    models = {MODEL: {"name": "Fake", "cost": {"input": 1, "output": 2}, "limit": {"context": 200000, "output": 8000}}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": base + "/v1", "apiKey": key},
        "models": models,
    }
    config = {
        "provider": {"fake": provider},
        "model": "fake/" + MODEL,
        "small_model": "fake/" + MODEL,
        "autoupdate": False,
    }
    if mcp:
        server = echo_server()
        config["mcp"] = {"nexus": {"type": "local", "command": [server["command"], *server["args"]]}}
    env = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }
    return ["opencode", "run", "--format", "json"] + (["--session", resume] if resume else []), env


CLIS = {"claude": claude, "codex": codex, "gemini": gemini, "qwen": qwen, "copilot": copilot, "opencode": opencode}
# Agents that speak ACP: whose settings each takes, its program, its arguments.
ACP = {
    "acp-gemini": ("gemini", "gemini", ["--acp", "-m", MODEL]),
    "acp-qwen": ("qwen", "qwen", ["--acp", "--auth-type", "openai"]),
    "acp-copilot": ("copilot", "copilot", ["--acp"]),
    "acp-opencode": ("opencode", "opencode", ["acp"]),
    "acp-codex": ("codex", "codex-acp", []),
    "acp-claude": ("claude", "claude-agent-acp", []),
}
# By itself it asks ten times with a refused key, which takes minutes, and waits out a limit without a word.
ACP_ENV = {"acp-claude": {"CLAUDE_CODE_MAX_RETRIES": "0"}}


def program(name):
    """The CLI's program as tests/agents/install puts it, or None."""
    for path in (KEPT / "clis" / name / "bin" / name, Path(os.environ.get("AGENTS_BIN", "/nonexistent")) / name):
        if path.exists():
            return str(path)
    return None


class Run:
    """One run of a CLI to its end: timed lines of its output, its exit code, and what its tree left behind."""

    def __init__(self, argv, env, cwd, prompt=None, ending=None, limit=120, on_line=None):
        self.lines, self.errors, self.begun = [], [], time.time()
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, start_new_session=True,
            stdin=subprocess.PIPE if prompt is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.on_line, self.ending = on_line, False
        readers = [
            threading.Thread(target=self.read, args=(self.process.stdout, self.lines, True)),
            threading.Thread(target=self.read, args=(self.process.stderr, self.errors, False)),
        ]
        for reader in readers:
            reader.start()
        if prompt is not None:
            self.process.stdin.write(prompt.encode())
            self.process.stdin.close()
        killer = threading.Timer(limit, self.signal, (signal.SIGKILL,))
        killer.start()
        if ending:
            seconds, number, whole_group = ending
            threading.Timer(seconds, self.signal, (number, whole_group)).start()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.rc = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_mib = usage.ru_maxrss // 1024
        self.seconds = time.time() - self.begun
        self.left = self.group()
        self.signal(signal.SIGKILL)
        killer.cancel()
        for reader in readers:
            reader.join()

    def read(self, stream, into, told):
        for line in stream:
            into.append((time.time() - self.begun, line.decode(errors="replace").rstrip("\n")))
            if told and self.on_line:
                self.on_line(self, into[-1][1])

    def signal(self, number, whole_group=True):
        try:
            (os.killpg if whole_group else os.kill)(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end_later(self, seconds, number, whole_group):
        """Signals once, some time after the first call: what an agent printed until then is the same each time."""
        if not self.ending:
            self.ending = True
            threading.Timer(seconds, self.signal, (number, whole_group)).start()

    def group(self):
        """Names of the processes that are left of the run's session."""
        left = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = stat.read_text().rsplit(")", 1)
            except OSError:
                continue
            fields = rest.split()
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                left.append(name.split("(", 1)[1])
        return left

    def events(self):
        found = []
        for _, line in self.lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found


def run(
    name, place, base, prompt, key="k", mcp=False, resume=None, edits_only=False, more_env=None, more_argv=(), **options
):
    argv, env = CLIS[name](place, base, key, mcp, resume, edits_only)
    argv[0] = program(name)
    at = len(argv) - 1 if argv[-1] == "-" else len(argv)
    argv[at:at] = more_argv
    path = os.path.dirname(argv[0]) + os.pathsep + os.environ["PATH"]
    base_env = {"PATH": path, "HOME": str(place.home), "LANG": "C.UTF-8"}
    return Run(argv, base_env | env | (more_env or {}), place.workspace, prompt, **options)


def session(name, events):
    """The session's id by its first event that holds one."""
    for event in events:
        for field in ("session_id", "thread_id", "sessionID", "sessionId"):
            for holder in (event, event.get("data") or {}):
                if isinstance(holder, dict) and holder.get(field):
                    return holder[field]
    return None
