"""A conversation by the Agent Client Protocol with a real agent, as the client: what tests/agents/record records."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time

import clis


class Conversation:
    """One conversation to the end of its prompt, or to `limit` seconds: all messages of both sides, in their order.

    `allow` is what it answers when it is asked for a permission. `stop` cancels the prompt when the
    stand-in has begun to speak slowly.
    """

    def __init__(self, agent, place, base, prompt, key="k", allow=True, mcp=False, resume=None, stop=False, limit=60):
        settings, program, args = clis.ACP[agent]
        _, env = clis.CLIS[settings](place, base, key, False, None, False)
        program = clis.program(program)
        path = os.path.dirname(program) + os.pathsep + os.environ["PATH"]
        env = {"PATH": path, "HOME": str(place.home), "LANG": "C.UTF-8"} | env | clis.ACP_ENV.get(agent, {})
        self.messages, self.errors, self.over = [], [], threading.Event()
        self.step, self.asked = None, 0
        self.prompt, self.allow, self.stop, self.resume, self.session = prompt, allow, stop, resume, None
        self.where = {"cwd": str(place.workspace), "mcpServers": [self.server()] if mcp else []}
        self.can, self.late, self.begun = {}, False, time.time()
        self.process = subprocess.Popen(
            [program, *args], env=env, cwd=place.workspace, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        readers = [threading.Thread(target=work) for work in (self.hear, self.read_errors)]
        for reader in readers:
            reader.start()
        client = {"name": "nexus", "version": "0"}
        can = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        hello = {"protocolVersion": 1, "clientCapabilities": can, "clientInfo": client}
        self.ask("initialize", hello, self.greeted)
        self.ended = self.over.wait(limit)
        self.seconds = time.time() - self.begun
        self.process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(5)
        for reader in readers:
            reader.join()

    @staticmethod
    def server():
        return {"name": "nexus", "env": []} | clis.echo_server()

    def send(self, message):
        message = {"jsonrpc": "2.0"} | message
        self.messages.append((">", message))
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params, then):
        self.asked, self.step = self.asked + 1, then
        self.send({"id": self.asked, "method": method, "params": params})

    def hear(self):
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            # What comes after the end, as it is ended, is chance.
            if self.over.is_set():
                continue
            self.messages.append(("<", message))
            if "id" not in message:
                self.told(message)
            elif "method" in message:
                self.asked_by_agent(message)
            elif message["id"] == self.asked:
                self.step(message)
        self.over.set()

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip("\n"))

    def greeted(self, message):
        self.can = message["result"]["agentCapabilities"]
        self.late = message["result"].get("agentInfo", {}).get("name") == "gemini-cli"
        if not self.resume:
            self.ask("session/new", self.where, self.opened)
            return
        resumes = "resume" in (self.can.get("sessionCapabilities") or {})
        params = {"sessionId": self.resume} | self.where
        self.ask("session/resume" if resumes else "session/load", params, self.opened)

    def opened(self, message):
        if "error" in message and self.resume:
            self.resume = None
            self.ask("session/new", self.where, self.opened)
            return
        if "error" in message:
            self.over.set()
            return
        result = message["result"]
        self.session = result.get("sessionId", self.resume)
        mode = (result.get("modes") or {}).get("currentModeId")
        if self.late and self.resume and mode:
            # Its answer comes when all that was said in the session has been repeated.
            self.ask("session/set_mode", {"sessionId": self.session, "modeId": mode}, self.begin)
            return
        self.begin(message)

    def begin(self, _):
        prompt = {"sessionId": self.session, "prompt": [{"type": "text", "text": self.prompt}]}
        self.ask("session/prompt", prompt, lambda _: self.over.set())

    def told(self, message):
        update = message.get("params", {}).get("update", {})
        begun = update.get("sessionUpdate") == "agent_message_chunk" and update["content"].get("text", "").startswith("w0")
        if self.stop and begun:
            self.stop = False
            self.send({"method": "session/cancel", "params": {"sessionId": self.session}})

    def asked_by_agent(self, message):
        if message["method"] != "session/request_permission":
            error = {"code": -32601, "message": "Method not found"}
            self.send({"id": message["id"], "error": error})
            return
        wanted = "allow_once" if self.allow else "reject_once"
        options = message["params"]["options"]
        option = next(option["optionId"] for option in options if option["kind"] == wanted)
        outcome = {"outcome": "selected", "optionId": option}
        self.send({"id": message["id"], "result": {"outcome": outcome}})
