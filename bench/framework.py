"""What a job is made of, and how it is run: all contenders of a case measured in turns, round after round."""

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from .processes import Unavailable, machine_busy
from .site import Site

Measure = Callable[[], dict[str, float]]


@dataclass
class Metric:
    title: str
    unit: str
    more_is_better: bool = False


METRICS = {
    "rate": Metric("rate", "/s", more_is_better=True),
    "p50": Metric("p50", "µs"),
    "p99": Metric("p99", "µs"),
    "taken": Metric("taken", "/s", more_is_better=True),
    "ready": Metric("ready", "ms"),
    "start": Metric("to the first instruction, p50", "ms"),
    "end": Metric("from the last one to the end, p50", "ms"),
    "memory": Metric("memory", "MB"),
    "memory_server": Metric("memory with its server", "MB"),
    "cpu": Metric("processor, idle", "% of a core"),
    "lost": Metric("lost", "lines"),
    "kib": Metric("memory each", "KiB"),
    "list_cancel": Metric("list and cancel of all", "s"),
}


@dataclass
class Contender:
    """One that is measured. `opened` sets it up, yields what measures it once, and clears it away."""

    name: str
    role: str
    """"floor", "nexus" or "peer"."""
    opened: Callable[[], AbstractContextManager[Measure]]
    sync: str = "-"


CALM = 0.4
"""Seconds in which Linux forgets how busy a processor was."""


@dataclass
class Case:
    name: str
    contenders: list[Contender]
    rounds: int | None = None
    """Rounds, where it takes another number than the run's."""
    calm: bool = False
    """Each begins on a machine that has done nothing for a moment, and there are twice as many rounds: whether two who talk share a
    processor, which makes a round trip three times as quick, goes by how busy it was just before, and by luck."""


@dataclass
class Aim:
    """What the last column of the benchmark's table asks for."""

    case: str
    metric: str
    text: str
    at_least: float | None = None
    at_most: float | None = None
    against: str | None = None
    """Whose figure it is a ratio to, in the same round; None: the figure itself."""
    of: str = "nexus"
    against_case: str | None = None
    """The case of `against`, if it is another one: then medians are compared."""
    beyond: float | None = None
    """So many times the figure of `against` is taken off, and what is left is judged, in place of the ratio."""

    def judge(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass
class Results:
    """Samples by case, contender and metric, each list in the order of rounds."""

    job: str
    samples: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    contenders: dict[str, dict[str, Contender]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    """Percent of the machine that others used before each case: ratios don't cancel that out, since whoever has more
    processes gets more of what is left."""
    extra: dict = field(default_factory=dict)

    def median(self, case: str, name: str, metric: str) -> float | None:
        values = self.samples.get(case, {}).get(name, {}).get(metric)
        return statistics.median(values) if values else None

    def ratio(self, case: str, name: str, metric: str, to: str) -> float | None:
        """The median of the ratios within each round."""
        ours, theirs = (self.samples.get(case, {}).get(who, {}).get(metric, []) for who in (name, to))
        ratios = [one / other for one, other in zip(ours, theirs) if other]
        return statistics.median(ratios) if ratios else None

    def floor(self, case: str) -> str | None:
        return next((name for name, who in self.contenders.get(case, {}).items() if who.role == "floor"), None)

    def value_of(self, aim: Aim) -> float | None:
        if aim.against is None:
            return self.median(aim.case, aim.of, aim.metric)
        if aim.beyond is not None:
            ours, theirs = (self.samples.get(aim.case, {}).get(who, {}).get(aim.metric, []) for who in (aim.of, aim.against))
            left = [one - aim.beyond * other for one, other in zip(ours, theirs)]
            return statistics.median(left) if left else None
        if aim.against_case is None:
            return self.ratio(aim.case, aim.of, aim.metric, aim.against)
        ours = self.median(aim.case, aim.of, aim.metric)
        theirs = self.median(aim.against_case, aim.against, aim.metric)
        return ours / theirs if ours is not None and theirs else None


def say(text: str):
    print(text, file=sys.stderr, flush=True)


def run(job, site: Site) -> Results:
    """Runs a job: a module with NAME, TITLE, AIMS, and cases(site, results)."""
    results = Results(job.NAME)
    begun = time.monotonic()
    say(f"\n== {job.NAME}: {job.TITLE}")
    cases: Iterator[Case] = job.cases(site, results)
    with contextlib.closing(cases):
        for case in cases:
            run_case(case, site, results)
    say(f"   {time.monotonic() - begun:.0f} s")
    return results


def run_case(case: Case, site: Site, results: Results):
    samples = results.samples.setdefault(case.name, {})
    known = results.contenders.setdefault(case.name, {})
    results.busy.append(machine_busy())
    with contextlib.ExitStack() as stack:
        measures: dict[str, Measure] = {}
        for who in case.contenders:
            if who.role == "peer" and not site.peers:
                continue
            try:
                measures[who.name] = stack.enter_context(who.opened())
                known[who.name] = who
            except Unavailable as why:
                skip(results, f"{case.name}: {who.name}: {why}")
        order = list(measures)
        for number in range(case.rounds or site.rounds * (2 if case.calm else 1)):
            # Another one begins each time, so that being first or last isn't always the same one's luck.
            turn = order[number % len(order) :] + order[: number % len(order)]
            for name in turn:
                if name not in measures:
                    continue
                if case.calm:
                    time.sleep(CALM)
                try:
                    figures = measures[name]()
                except (RuntimeError, OSError, TimeoutError) as error:
                    if known[name].role != "peer":
                        raise
                    skip(results, f"{case.name}: {name} failed: {error}")
                    del measures[name]
                    continue
                for metric, value in figures.items():
                    if metric in METRICS:
                        samples.setdefault(name, {}).setdefault(metric, []).append(float(value))
        for name in measures:
            figures = ", ".join(f"{m} {statistics.median(v):.4g}" for m, v in samples.get(name, {}).items())
            say(f"   {case.name:<28} {name:<22} {figures}")


def skip(results: Results, text: str):
    results.skipped.append(text)
    say(f"   skipped: {text}")
