"""Nexus under test: a company with a data directory, a configuration and a private broker of its own."""

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass

from . import processes
from .site import Site

SYNC = "NATS file store, sync_interval 1s"


@dataclass
class Department:
    workers: int = 1
    agent: str = "true"
    sandbox: str | None = "none"
    """None: the default of this machine."""
    more: str = ""

    def toml(self) -> str:
        text = f'workers = {self.workers}\nagents = ["{self.agent}"]\n{self.more}\n'
        return text + (f'[sandbox]\nlevel = "{self.sandbox}"\n' if self.sandbox else "")


class Company:
    def __init__(
        self,
        site: Site,
        departments: dict[str, Department],
        agents: dict[str, list] | None = None,
        more="",
        nats=None,
        faults=False,
    ):
        """`faults`: it can be made to fail as only a company for tests can, and its log, in JSON, tells of what is restarted."""
        self.site, self.dir = site, site.new_dir("company")
        self.data_dir, self.config_dir = self.dir / "data", self.dir / "config"
        self.project = self.dir / "project"
        for dir in (self.config_dir / "departments", self.project):
            dir.mkdir(parents=True)
        for name, department in departments.items():
            (self.config_dir / "departments" / f"{name}.toml").write_text(department.toml())
        # As SYNC says, whatever the default becomes.
        text = f'default_department = "{next(iter(departments))}"\n{more}\n[bus]\nsync = "interval"\n'
        for name, command in {"true": ["/bin/true"], **(agents or {})}.items():
            text += f'[agents.{name}]\nkind = "command"\ncommand = {json.dumps([str(part) for part in command])}\n'
            if name == "true":
                # The very command line that floors and peers run: given an argument, /bin/true sets up its language first.
                text += 'prompt = "none"\n'
        # What is asked for here is a command, whether it names its agent or not.
        text += "[agents.shell]\ncommands = false\n"
        (self.config_dir / "nexus.toml").write_text(text)
        self.options = ["--nats", nats] if nats else []
        self.env = {}
        if faults:
            self.options += ["--log", "json"]
            self.env = {"NEXUS_FAULTS": "1", "NEXUS_LOG": "warn,nexus_runtime=debug"}
        self.child = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> str:
        """Starts it and returns the line that says that it is ready."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUS_", "RUST_LOG"))}
        with open(self.dir / "log", "ab") as log:
            self.child = processes.start(
                [self.site.nexus, "up", "--config", self.config_dir, "--data-dir", self.data_dir]
                + ["--listen", "127.0.0.1:0", *self.options],
                env=env | self.env,
                cwd=self.dir,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return processes.first_line(self.child, b"nexus ready")

    def stop(self):
        if self.child:
            processes.end(self.child, grace=30.0)
            self.child.stdout.close()
            self.child = None

    def kill(self):
        """SIGKILL for all of it at once: runtime, broker, wardens, agents."""
        processes.kill(self.child)
        self.child.stdout.close()
        self.child = None

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def address(self) -> dict:
        """How it is reached, as the command line finds it."""
        return json.loads((self.data_dir / "company.json").read_text())

    @property
    def server(self) -> int:
        """The broker's process id."""
        for pid in processes.descendants(self.pid):
            if processes.name(pid).startswith("nats-server"):
                return pid
        raise RuntimeError("the company has no broker")

    def load(self, do: str, **order) -> dict:
        if do in ("submit", "run", "logs"):
            order["project"] = str(self.project)
        return self.site.load(do=do, data_dir=str(self.data_dir), **order)

    @contextlib.contextmanager
    def answering(self, do: str = "respond", **order):
        """Somebody answers on a subject of its broker meanwhile who is not the company: a floor."""
        order = {"do": do, "data_dir": str(self.data_dir), **order}
        with processes.running(self.site.load_command(order), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            processes.first_line(child, b"answering")
            yield
