"""A cold start until work is taken, and what doing nothing costs after that."""

import contextlib
import time

from .. import broker, company, processes
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import celery_start

NAME = "start"
TITLE = "cold start to ready; idle"
CASE = "nothing stored"
SERVER = "nats-server alone"
AIMS = [
    Aim(CASE, "ready", "within 100 ms of 2x nats-server's own", at_most=100.0, against=SERVER, beyond=2.0),
    Aim(CASE, "memory", "nexus idle under 40 MB", at_most=40.0),
    Aim(CASE, "cpu", "idle under 0.5 % of a core", at_most=0.5),
]


def idle(pids: list[int], seconds: float) -> float:
    """Percent of a core that processes use together while nothing is asked of them."""
    # What a start leaves to be done is not idling.
    time.sleep(1)
    before = sum(map(processes.busy, pids))
    time.sleep(seconds)
    return (sum(map(processes.busy, pids)) - before) / seconds * 100


def cases(site, results):
    seconds = site.sized(3, 20)
    broker.program(site)

    def server():
        begun = time.perf_counter()
        with broker.running(site) as (child, _):
            ready = (time.perf_counter() - begun) * 1e3
            return {"ready": ready, "cpu": idle([child.pid], seconds), "memory_server": processes.memory(child.pid)}

    def nexus():
        begun = time.perf_counter()
        with Company(site, {"bench": Department(3)}) as running:
            ready = (time.perf_counter() - begun) * 1e3
            cpu = idle([running.pid], seconds)
            memory = processes.memory(running.pid)
            with_server = memory + processes.memory(running.server)
            return {"ready": ready, "cpu": cpu, "memory": memory, "memory_server": with_server}

    contenders = [
        Contender(SERVER, "floor", lambda: contextlib.nullcontext(server), company.SYNC),
        Contender("nexus", "nexus", lambda: contextlib.nullcontext(nexus), company.SYNC),
        celery_start.contender(site, lambda pids: idle(pids, seconds)),
    ]
    yield Case(CASE, contenders)
