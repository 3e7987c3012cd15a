"""SIGKILL of an agent, until its replacement does work."""

import contextlib
import datetime
import json
import statistics

from .. import company, processes
from ..beacons import Beacons
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import celery_supervises, erlang, queues, runit

NAME = "supervise"
TITLE = "SIGKILL of an agent until its replacement works (p99 is the slowest)"
FLOOR, LEDGER = "respawn in C", "respawn, ledger"
QUEUED = "respawn, ledger, queue, kept warden"
"""All that a replacement by nexus needs, by whoever does that and nothing else."""
CASE, PANIC = "no backoff", "a panic that is heard of"
AIMS = [
    Aim(CASE, "p50", "at most Erlang's", at_most=1.0, against="erlang"),
    Aim(PANIC, "p50", "replaced within 1 ms", at_most=1000.0),
]


def contender(site, name, role, running, sync="-", pause=0.05, times=None):
    """`running` starts, given beacons, something that keeps one of them alive."""

    @contextlib.contextmanager
    def opened():
        with Beacons(site) as beacons, running(beacons):
            alive = [beacons.next()[0]]

            def measure():
                figures, alive[0] = beacons.kill(alive[0], times or site.sized(5, 30), pause)
                return figures

            yield measure

    return Contender(name, role, opened, sync)


def cases(site, results):
    def floor(beacons):
        return processes.running([site.floor("respawn"), site.floor("beacon"), beacons.path])

    def retry(attempts: int) -> str:
        return f'[retry]\nmax_attempts = {attempts}\nbackoff = {{ initial = "0s", max = "0s", jitter = 0.0 }}\n'

    @contextlib.contextmanager
    def ledger(beacons, queued=False):
        # What the floor writes of an end is like what this company has written of one.
        department = Department(agent="false", more=retry(2))
        with Company(site, {"bench": department}, {"false": ["/bin/false"]}) as running:
            with contextlib.suppress(RuntimeError):
                # It says that the task has failed, as it should.
                running.load("run", department="bench", count=1)
            command = [site.floor("beacon"), beacons.path]
            order = {"do": "respawn", "data_dir": running.data_dir, "command": [*map(str, command)], "queued": queued}
            with processes.running(site.load_command(order)):
                yield

    @contextlib.contextmanager
    def nexus(beacons):
        agents = {"beacon": [site.floor("beacon"), beacons.path]}
        with Company(site, {"bench": Department(agent="beacon", more=retry(100_000))}, agents) as running:
            running.load("submit", department="bench", count=1, in_flight=1)
            yield

    yield Case(
        CASE,
        [
            contender(site, FLOOR, "floor", floor, "nothing is stored"),
            contender(site, LEDGER, "floor", ledger, company.SYNC),
            contender(site, QUEUED, "floor", lambda beacons: ledger(beacons, True), company.SYNC),
            contender(site, "nexus", "nexus", nexus, company.SYNC),
            contender(site, "erlang", "peer", lambda beacons: erlang.supervising(site, beacons), "nothing is stored"),
            # It waits for a second before it starts what has not run for one.
            contender(site, "runit", "peer", lambda beacons: runit.supervising(site, beacons), "nothing is stored", 1.1, 3),
            contender(site, "celery", "peer", lambda beacons: celery_supervises.supervising(site, beacons), queues.SYNC, times=site.sized(1, 3)),
        ],
    )
    panics = lambda: contextlib.nullcontext(lambda: replacements(site))
    yield Case(PANIC, [Contender("nexus", "nexus", panics, "nothing is stored")])


def replacements(site) -> dict:
    """Microseconds from a department's hearing of its worker's panic to the replacement's start, as the company's log tells.

    Of many departments, a panic each: only the first restart within a minute waits for nothing, on purpose."""
    names = [f"d{number:02}" for number in range(site.sized(5, 20))]
    departments = {name: Department(agent="sleeper") for name in names}
    took = []
    with Company(site, departments, {"sleeper": ["/bin/sleep"]}, faults=True) as running:
        for name in names:
            running.load("submit", department=name, description="100000", count=1, in_flight=1)
        asleep = lambda: len(processes.named(running.pid, "sleep")) == len(names)
        processes.until(asleep, what=f"{len(names)} agents")
        for name in names:
            running.load("panic", department=name)
            took.append(processes.until(lambda: replaced(running, name), what=f"the replacement of {name}'s worker"))
        # It would wait for its agents to end by themselves.
        running.kill()
    return {"p50": statistics.median(took), "p99": max(took)}


def replaced(running: Company, department: str) -> float | None:
    failed = None
    for line in (running.dir / "log").read_text().splitlines(keepends=True):
        # A panic has a line of its own there, which isn't JSON; and the last line may be half written.
        if not (line.startswith("{") and line.endswith("\n")):
            continue
        event = json.loads(line)
        if event.get("department") != department:
            continue
        at = datetime.datetime.fromisoformat(event["timestamp"])
        if "failed and is replaced" in event["message"]:
            failed = at
        elif failed and event["message"] == "started":
            return (at - failed) / datetime.timedelta(microseconds=1)
    return None
