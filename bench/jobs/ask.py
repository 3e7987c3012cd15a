"""A question to the CEO that it answers from memory, against a process that only answers."""

import contextlib

from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import autogen, erlang

NAME = "ask"
TITLE = "request and reply"
RAW = "NATS request-reply"
ONE, MANY = "one at a time", "64 in flight"
AIMS = [Aim(ONE, "p50", "within 1.3x of raw NATS", at_most=1.3, against=RAW)]
SUBJECT = "bench.ask"


def cases(site, results):
    with Company(site, {"bench": Department()}) as running:
        with running.answering(subject=SUBJECT):
            for name, count, in_flight in ((ONE, site.sized(1000, 5000), 1), (MANY, site.sized(10000, 50000), 64)):

                def contender(title, role, subject):
                    @contextlib.contextmanager
                    def opened(order=dict(subject=subject, count=count, in_flight=in_flight)):
                        ready = lambda: running.load("ask", **{**order, "count": 50})
                        ready()
                        yield lambda: running.load("ask", **order)

                    return Contender(title, role, opened, "nothing is stored")

                contenders = [contender(RAW, "floor", SUBJECT), contender("nexus", "nexus", "nexus.ceo.ping")]
                contenders.append(erlang.asked(site, count, in_flight))
                contenders += autogen.contenders(site, count // 10, in_flight)
                yield Case(name, contenders, calm=in_flight == 1)
