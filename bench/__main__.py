"""Runs jobs and reports. `bench/run` sets up what this needs, and calls it."""

import argparse
import contextlib
import importlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import framework, plot, processes, report
from .site import ROOT, Site

JOBS = ["delegate", "run", "logs", "supervise", "recover", "scale", "start", "ask", "many", "workspace"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Floor, Nexus and peers, measured in turns.")
    parser.add_argument("--short", action="store_true", help="fewer rounds, smaller counts: under 5 minutes")
    parser.add_argument("--job", default=",".join(JOBS), help="some of: " + ",".join(JOBS))
    parser.add_argument("--rounds", type=int, help="rounds of each case (default 5; 2 when short)")
    parser.add_argument("--no-peers", action="store_true", help="floor and Nexus alone")
    parser.add_argument("--target", type=Path, default=ROOT / "target", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.job = given.job.split(",")
    for name in given.job:
        if name not in JOBS:
            parser.error(f"there is no job {name}; there are {', '.join(JOBS)}")
    return given


def main() -> int:
    given = arguments()
    # An end from outside unwinds as Ctrl-C does, so that nothing is left running.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    jobs = [importlib.import_module(f".jobs.{name}", __package__) for name in given.job]
    out = given.target / "bench"
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    runs, failed = [], []
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as name:
        rounds = given.rounds or (2 if given.short else 5)
        site = Site(Path(name), given.target, given.short, not given.no_peers, rounds)
        try:
            for job in jobs:
                try:
                    runs.append((job, framework.run(job, site)))
                except (RuntimeError, OSError) as error:
                    failed.append(job.NAME)
                    framework.say(f"   failed: {error}")
        finally:
            processes.end_all()
            keep_logs(site.dir, out / "logs")
    facts = {"short": given.short, "rounds": rounds, "seconds": time.monotonic() - begun}
    document = report.as_json(runs, facts)
    report.write(out / "results.json", document)
    (out / "results.svg").write_text(plot.svg(document))
    print(report.markdown(runs))
    framework.say(f"\n{out / 'results.json'}, {out / 'results.svg'}: {facts['seconds']:.0f} s")
    if failed:
        framework.say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def keep_logs(dir: Path, to: Path):
    """What the contenders said stays, for looking up what went wrong."""
    shutil.rmtree(to, ignore_errors=True)
    for log in dir.glob("*/log"):
        to.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            shutil.copy(log, to / f"{log.parent.name}.log")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        framework.say("interrupted")
        sys.exit(130)
