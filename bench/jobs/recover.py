"""SIGKILL of everything, until the first interrupted task runs again."""

import contextlib
import shutil
import time

from .. import broker, company, processes
from ..beacons import Beacons
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import celery_recovers

NAME = "recover"
TITLE = "SIGKILL of everything until the first interrupted task runs again"
FLOOR = "nats-server's own restart"


def name_of(queued: int) -> str:
    return f"{queued:,} queued"


AIMS = [
    Aim(name_of(n), "ready", "within 1 s of the server's restart", at_most=1000.0, against=FLOOR, beyond=1.0)
    for n in (2_000, 10_000)
]


def cases(site, results):
    queued = site.sized(2_000, 10_000)
    with contextlib.ExitStack() as stack:
        beacons = stack.enter_context(Beacons(site))
        agents = {"beacon": [site.floor("beacon"), beacons.path]}
        running = stack.enter_context(Company(site, {"bench": Department(agent="beacon")}, agents))
        running.load("submit", department="bench", count=queued, in_flight=64)
        task = task_of(beacons.next()[0])
        # The server's store lies in its own directory of the company's; what it holds is copied at each kill.
        store, copy = store_of(running), site.dir / "store"

        def again() -> float:
            pid, heard = beacons.next()
            if (found := task_of(pid)) != task:
                raise RuntimeError(f"task {task} was interrupted, and {found} ran instead of it")
            return heard

        def floor():
            if not copy.exists():
                killed(running, store, copy)
                running.start()
                again()
            begun = time.perf_counter()
            with broker.running(site, copy):
                return {"ready": (time.perf_counter() - begun) * 1e3}

        def nexus():
            killed(running, store, copy)
            begun = time.perf_counter()
            running.start()
            return {"ready": (again() - begun) * 1e3}

        broker.program(site)
        contenders = [
            Contender(FLOOR, "floor", lambda: contextlib.nullcontext(floor), company.SYNC),
            Contender("nexus", "nexus", lambda: contextlib.nullcontext(nexus), company.SYNC),
            celery_recovers.contender(site),
        ]
        yield Case(name_of(queued), contenders)


def task_of(pid: int) -> str:
    return processes.environment(pid)["NEXUS_TASK_ID"]


def store_of(running: Company):
    """Where the broker keeps its streams: the directory above `jetstream`."""
    return next(running.data_dir.rglob("jetstream")).parent


def killed(running: Company, store, copy):
    pids = processes.descendants(running.pid)
    running.kill()
    processes.until(lambda: not any(map(processes.is_alive, pids)), what="the end of all that was killed")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy)
