"""The same at any depth of the queue: submitting, taking, and memory."""

import contextlib

from .. import company, processes
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import celery_scale

NAME = "scale"
TITLE = "with so many queued: submission, 8 workers' rate, memory"
RAW = "async-nats publish"
WORKERS = 8


def name_of(queued: int) -> str:
    return f"{queued:,} queued"


def aims(queued: int, most_mb: float) -> list[Aim]:
    case, empty = name_of(queued), name_of(0)
    return [
        Aim(case, "p50", "submission within 1.3x of the empty queue's", at_most=1.3, against="nexus", against_case=empty),
        Aim(case, "taken", "rate within 0.8x of the empty queue's", at_least=0.8, against="nexus", against_case=empty),
        Aim(case, "memory_server", "with its server, under Celery's and Redis's", at_most=1.0, against="celery"),
        Aim(case, "memory", f"nexus under {most_mb:.0f} MB", at_most=most_mb),
    ]


AIMS = aims(10_000, 300) + aims(1_000_000, 300)


def cases(site, results):
    for queued in (0, 10_000) if site.short else (0, 10_000, 100_000, 1_000_000):
        yield from at_depth(site, queued)


def at_depth(site, queued: int):
    # `sleep` gets the description as its argument: 0 is over at once, and the others hold their worker.
    department = Department(WORKERS, agent="sleep", more="[queue]\nmax_waiting = 10000000\n")
    seconds = site.sized(3, 10)
    with Company(site, {"bench": department}, {"sleep": ["/bin/sleep"]}) as running:
        running.load("submit", department="bench", description="100000", count=WORKERS, in_flight=1)
        busy = lambda: len(processes.named(running.pid, "sleep")) >= WORKERS
        processes.until(busy, what="all workers being busy")
        if queued:
            running.load("submit", department="bench", description="0", count=queued, in_flight=64)
        count = site.sized(300, 1000)

        def raw():
            figures = running.load("publish", count=count, in_flight=1)
            return {"p50": figures["p50"], "p99": figures["p99"]}

        def nexus():
            figures = running.load("submit", department="bench", description="0", count=count, in_flight=1)
            return {"p50": figures["p50"], "p99": figures["p99"]}

        def drained():
            memory = processes.memory(running.pid)
            whole = memory + processes.memory(running.server)
            # Enough to be taken for a while, where nothing was queued.
            running.load("submit", department="bench", description="0", count=2000 * seconds // 3, in_flight=64)
            running.load("cancel", in_flight=WORKERS)
            rate = running.load("drain", department="bench", seconds=seconds)["rate"]
            return {"taken": rate, "memory": memory, "memory_server": whole}

        def contender(name, role, measure):
            return Contender(name, role, lambda: contextlib.nullcontext(measure), company.SYNC)

        yield Case(name_of(queued), [contender(RAW, "floor", raw), contender("nexus", "nexus", nexus)])
        peer = celery_scale.contender(site, queued or 2000 * seconds // 3, count, WORKERS, seconds)
        yield Case(name_of(queued), [contender("nexus", "nexus", drained), peer], rounds=1)
