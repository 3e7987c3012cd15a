"""Durable submissions: how long one takes to be acknowledged, and how many a second are."""

import contextlib

from .. import company
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import queues

NAME = "delegate"
TITLE = "a durable submission"
ONE, MANY = "one at a time", "64 in flight"
RAW = "async-nats publish"
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
                contender("nexus", "nexus", "submit", department="bench"),
            ]
            if in_flight == 1:
                # Their clients wait for each answer, so there is no other way to ask them.
                contenders += queues.submitters(site, site.sized(300, 1000))
            yield Case(name, contenders)
