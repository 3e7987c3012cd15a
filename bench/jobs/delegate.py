"""Durable submissions: how long one takes to be acknowledged, and how many a second are."""

import contextlib
import json
import socket
import sys
from pathlib import Path

from .. import company, processes
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import queues
from ..site import ROOT

NAME = "delegate"
TITLE = "a durable submission"
ONE, MANY = "one at a time", "64 in flight"
RAW = "async-nats publish"
STORED = "async-nats, asked, publishes, answers"
"""What a submission is to whoever takes it by NATS and stores it there, without anything that makes it a task."""
SUBJECT = "bench.store"
AIMS = [
    Aim(ONE, "p50", "within 2x of the raw publish", at_most=2.0, against=RAW),
    Aim(MANY, "rate", "0.6 of the raw rate", at_least=0.6, against=RAW),
    Aim(MANY, "rate", "over 10x Celery", at_least=10.0, against="celery", against_case=ONE),
]


def cases(site, results):
    # Its one worker is kept busy: what is asked for waits, as it does at the peers.
    sleeper = Department(1, agent="sleeper")
    with Company(site, {"bench": sleeper}, {"sleeper": ["/bin/sh", "-c", "exec sleep 100000"]}) as running:
        running.load("submit", department="bench", count=10, in_flight=1)
        for name, count, in_flight in ((ONE, site.sized(500, 2000), 1), (MANY, site.sized(5000, 20000), 64)):

            def contender(title, role, do, **order):
                @contextlib.contextmanager
                def opened(order=dict(order, count=count, in_flight=in_flight)):
                    running.load(do, **{**order, "count": 50})
                    yield lambda: running.load(do, **order)

                return Contender(title, role, opened, company.SYNC)

            contenders = [
                contender(RAW, "floor", "publish"),
                contender(RAW + ", compare-and-set", "floor", "publish", compare_and_set=True),
                stored(running, count, in_flight),
                contender("nexus", "nexus", "submit", department="bench"),
            ]
            if in_flight == 1:
                # Their clients wait for each answer, so there is no other way to ask them.
                contenders += queues.submitters(site, site.sized(300, 1000))
            yield Case(name, contenders, calm=in_flight == 1)
        yield tool_calls(site, running)
        yield publishes(site, running)


def stored(running, count, in_flight) -> Contender:
    order = {"subject": SUBJECT, "in_flight": in_flight}

    @contextlib.contextmanager
    def opened():
        with running.answering(subject=SUBJECT, stores=True):
            running.load("ask", count=50, **order)
            yield lambda: running.load("ask", count=count, **order)

    return Contender(STORED, "floor", opened, company.SYNC)


def tool_calls(site, running) -> Case:
    count = site.sized(200, 1000)
    arguments = {"task_description": "/bin/true", "department": "bench", "project_path": str(running.project)}

    def call(url, tool, *token):
        return site.python("mcp_client", url, tool, json.dumps(arguments), count, *token)

    @contextlib.contextmanager
    def floor():
        # It can't say which port it was given, so it is told one that was free a moment ago.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        dir = site.new_dir("fastmcp")
        if not list(Path(sys.prefix).glob("lib/python*/site-packages/fastmcp")):
            raise processes.Unavailable("there is no fastmcp")
        with open(dir / "log", "wb") as log:
            command = [sys.executable, "-m", "bench.peers.fastmcp_app", port]
            with processes.running(command, cwd=ROOT, stdout=log, stderr=log) as child:
                processes.until(lambda: listens(port) or child.poll() is not None, what="FastMCP's port")
                yield lambda: call(f"http://127.0.0.1:{port}/mcp", "noop")

    @contextlib.contextmanager
    def nexus():
        token = (running.data_dir / "token").read_text().strip()
        yield lambda: call(running.address["mcp"], "cde_delegateTask", token)

    sync = "nothing is stored"
    return Case(
        "MCP call",
        [Contender("FastMCP, does nothing", "floor", floor, sync), Contender("nexus", "nexus", nexus, company.SYNC)],
    )


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def publishes(site, running) -> Case:
    count = site.sized(300, 2000)
    submission = {"description": "/bin/true", "project_path": str(running.project)}

    def contender(name, role, subject):
        def measure():
            to = running.address
            address = [to["nats"], to["user"], to["password"]]
            return site.python("nats_client", *address, subject, json.dumps(submission), count)

        @contextlib.contextmanager
        def opened():
            if not list(Path(sys.prefix).glob("lib/python*/site-packages/nats")):
                raise processes.Unavailable("there is no nats-py")
            yield measure

        return Contender(name, role, opened, company.SYNC)

    return Case(
        "nats-py publish",
        [contender("nats-py to a stream", "floor", "bench.inbox.bench"), contender("nexus", "nexus", "nexus.inbox.bench")],
    )
