"""An agent's lines, from its standard output to a follower; nexus stores them on the way."""

import contextlib

from .. import company
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import asyncio_logs

NAME = "logs"
TITLE = "an agent's lines of 100 bytes, followed"
FLOOR = "cat through a pipe"
FAST, STEADY = "as many as are taken", "1,000 lines/s"
AIMS = [
    Aim(FAST, "rate", "400,000 lines/s stored and followed", at_least=400_000),
    Aim(FAST, "lost", "none lost", at_most=0),
    Aim(STEADY, "p50", "delay under 5 ms", at_most=5000),
]


def cases(site, results):
    agents = {"lines": [site.floor("lines")]}
    with Company(site, {"bench": Department(agent="lines")}, agents) as running:
        for name, count, rate in ((FAST, site.sized(200_000, 1_000_000), 0), (STEADY, site.sized(1000, 5000), 1000)):

            def floor(count=count, rate=rate):
                pipe = f'"$0" {count}@{rate} | cat | "$1" {count}'
                return site.json(["/bin/sh", "-c", pipe, site.floor("lines"), site.floor("sink")])

            def nexus(count=count, rate=rate):
                return running.load("logs", department="bench", count=count, rate=rate)

            contenders = [
                Contender(FLOOR, "floor", lambda measure=floor: contextlib.nullcontext(measure), "nothing is stored"),
                Contender("nexus", "nexus", lambda measure=nexus: contextlib.nullcontext(measure), company.SYNC),
            ]
            # They take one line at a time, and would take minutes for as many.
            contenders += asyncio_logs.contenders(site, count if rate else count // 10, rate)
            yield Case(name, contenders)
