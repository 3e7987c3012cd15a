"""A big company: thousands of workers, and a thousand agents that live and do nothing."""

import contextlib
import time

from .. import company, processes
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from .start import idle

NAME = "many"
TITLE = "50 departments, 5,000 workers, 1,000 agents asleep"
CASE = "1,000 agents asleep"
AIMS = [
    Aim(CASE, "cpu", "steady state under 5 % of a core", at_most=5.0),
    Aim(CASE, "kib", "under 32 KiB an idle worker", at_most=32.0),
    Aim(CASE, "list_cancel", "list and cancel of all within 10 s", at_most=10.0),
]
DEPARTMENTS, WORKERS, AGENTS = 50, 100, 1000


def cases(site, results):
    names = [f"d{number:02}" for number in range(DEPARTMENTS)]
    agents = {"sleeper": ["/bin/sleep"]}
    seconds = site.sized(5, 20)

    def company_of(workers: int) -> Company:
        return Company(site, {name: Department(workers, agent="sleeper") for name in names}, agents)

    def nexus():
        with company_of(1) as small:
            time.sleep(1)
            least = processes.memory(small.pid)
        with company_of(WORKERS) as running:
            time.sleep(1)
            each = (processes.memory(running.pid) - least) * 1e6 / 1024 / (DEPARTMENTS * (WORKERS - 1))
            begun = time.perf_counter()
            for name in names:
                share = AGENTS // DEPARTMENTS
                running.load("submit", department=name, description="100000", count=share, in_flight=share)
            live = lambda: len(processes.named(running.pid, "sleep")) >= AGENTS
            processes.until(live, patience=180, pause=0.5, what=f"{AGENTS} agents")
            results.extra["1,000 agents"] = {"seconds until all live": time.perf_counter() - begun}
            # All but the agents, which cost what they cost.
            agents_alive = processes.named(running.pid, "sleep")
            runtime = [pid for pid in processes.descendants(running.pid) if pid not in agents_alive]
            figures = {"kib": each, "memory": processes.memory(running.pid), "cpu": idle(runtime, seconds)}
            figures["list_cancel"] = running.load("cancel", in_flight=64)["list_cancel"]
            return figures

    yield Case(CASE, [Contender("nexus", "nexus", lambda: contextlib.nullcontext(nexus), company.SYNC)], rounds=1)
