"""Tasks that do nothing but run /bin/true: how many a second, and how long one takes from delegate to completed."""

import contextlib

from .. import company, counts
from ..company import Company, Department
from ..framework import Aim, Case, Contender
from ..peers import queues, xargs

NAME = "run"
TITLE = "/bin/true, from delegate to completed"
FLOOR, WARDEN, LEDGER = "posix_spawn", "posix_spawn, warden", "posix_spawn, ledger"
ASKED = "posix_spawn, asked, ledger, kept warden"
"""All that a task of nexus needs, by whoever does that and nothing else."""
UNCONFINED, CONFINED = "nexus, scratch", "nexus, scratch, confined"
BEST_PEERS = ("huey", "huey-sqlite", "dramatiq", "celery", "rq")
AIMS = [
    Aim(f"{n} at once", "rate", f"{share} of posix_spawn's rate", at_least=share, against=FLOOR)
    for n, share in ((8, 0.5), (32, 0.5), (8, 0.6), (32, 0.6))
] + [
    Aim(f"{n} at once", "rate", f"ahead of {peer}", at_least=1.0, against=peer)
    for n in (8, 2, 32)
    for peer in BEST_PEERS
]
AIMS.append(Aim("8 at once", "rate", "0.5 of the unconfined rate", at_least=0.5, against=UNCONFINED, of=CONFINED))


def floor(site, name, count, at_once, *command):
    @contextlib.contextmanager
    def opened():
        yield lambda: site.json([site.floor("spawn"), count, at_once, *command, "/bin/true"])

    return Contender(name, "floor", opened, "nothing is stored")


def ledger(running, name, count, at_once, *command):
    """The least for whoever writes down on NATS what becomes of each."""

    @contextlib.contextmanager
    def opened():
        yield lambda: running.load("errand", command=[*map(str, command), "/bin/true"], count=count, at_once=at_once)

    return Contender(name, "floor", opened, company.SYNC)


def asked(running, count, at_once):
    """Asked for by a process of its own and told to it, as tasks of nexus are, and kept by the same wardens."""

    @contextlib.contextmanager
    def opened():
        with running.answering("errand", command=["/bin/true"], at_once=at_once, asked=True, kept=True):
            # The first ones find their wardens started, as nexus's do.
            running.load("ask-errands", count=at_once, at_once=at_once)
            yield lambda: {
                **running.load("ask-errands", count=count // 4, at_once=at_once),
                "rate": running.load("ask-errands", count=count)["rate"],
            }

    return Contender(ASKED, "floor", opened, company.SYNC)


def nexus(running, name, department, count, at_once):
    @contextlib.contextmanager
    def opened():
        running.load("run", department=department, count=at_once, at_once=at_once)
        yield lambda: {
            **running.load("run", department=department, count=count // 4, at_once=at_once),
            "rate": running.load("run", department=department, count=count)["rate"],
        }

    return Contender(name, "nexus", opened, company.SYNC)


def cases(site, results):
    count = site.sized(400, 3000)
    departments = {f"plain-{n}": Department(n) for n in (2, 8, 32)}
    # Warnings of an unconfined department and a confined one on the same host don't concern the figures.
    for name, sandbox in (("confined", None), ("scratch", "none")):
        departments[name] = Department(8, sandbox=sandbox, more='[workspace]\nmode = "scratch"')
    departments["shell"] = Department(8, agent="shell")
    with Company(site, departments) as running:
        # What the ledger's floor writes is like what the company has written.
        running.load("run", department="plain-2", count=2)
        for at_once in (2, 8, 32):
            contenders = [
                floor(site, FLOOR, count, at_once),
                floor(site, WARDEN, count, at_once, site.floor("warden")),
                ledger(running, LEDGER, count, at_once),
                ledger(running, f"{LEDGER}, warden", count, at_once, site.floor("warden")),
                asked(running, count, at_once),
                nexus(running, "nexus", f"plain-{at_once}", count, at_once),
            ]
            if at_once == 8:
                contenders += [
                    nexus(running, UNCONFINED, "scratch", count, at_once),
                    nexus(running, CONFINED, "confined", count // 4, at_once),
                    nexus(running, "nexus, shell", "shell", count, at_once),
                ]
            contenders.append(xargs.contender(site, count, at_once))
            if at_once == 8 or not site.short:
                # They take seconds to start, which is most of what a short run has.
                contenders += queues.runners(site, count, at_once)
            yield Case(f"{at_once} at once", contenders)
    results.extra["Per task of nexus (8 at once)"] = counts.per_task(site, count)
