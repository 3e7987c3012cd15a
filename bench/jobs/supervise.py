"""SIGKILL of an agent, until its replacement does work."""

import contextlib

from .. import company, processes
from ..beacons import Beacons
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import celery_supervises, erlang, queues, runit

NAME = "supervise"
TITLE = "SIGKILL of an agent until its replacement works (p99 is the slowest)"
FLOOR = "respawn in C"
CASE = "no backoff"
AIMS = [Aim(CASE, "p50", "at most Erlang's", at_most=1.0, against="erlang")]


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

    @contextlib.contextmanager
    def nexus(beacons):
        retry = '[retry]\nmax_attempts = 100000\nbackoff = { initial = "0s", max = "0s", jitter = 0.0 }\n'
        agents = {"beacon": [site.floor("beacon"), beacons.path]}
        with Company(site, {"bench": Department(agent="beacon", more=retry)}, agents) as running:
            running.load("submit", department="bench", count=1, in_flight=1)
            yield

    yield Case(
        CASE,
        [
            contender(site, FLOOR, "floor", floor, "nothing is stored"),
            contender(site, "nexus", "nexus", nexus, company.SYNC),
            contender(site, "erlang", "peer", lambda beacons: erlang.supervising(site, beacons), "nothing is stored"),
            # It waits for a second before it starts what has not run for one.
            contender(site, "runit", "peer", lambda beacons: runit.supervising(site, beacons), "nothing is stored", 1.1, 3),
            contender(site, "celery", "peer", lambda beacons: celery_supervises.supervising(site, beacons), queues.SYNC, times=site.sized(1, 3)),
        ],
    )
