"""Both ends of a task of a queue: what a worker does, and how a client measures it."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

DONE = Path(os.environ.get("BENCH_DIR", ".")) / "done"


def work(number: int):
    """The task."""
    subprocess.run(["/bin/true"], check=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.sendto(str(number).encode(), str(DONE))


def figures(took: list[float], whole: float) -> dict:
    took.sort()
    at = lambda percent: took[(len(took) - 1) * percent // 100] * 1e6
    return {"count": len(took), "rate": len(took) / whole, "p50": at(50), "p99": at(99)}


def submitting(submit, count: int) -> dict:
    took, begun = [], time.perf_counter()
    for number in range(count):
        before = time.perf_counter()
        submit(number)
        took.append(time.perf_counter() - before)
    return figures(took, time.perf_counter() - begun)


def running(submit, count: int, at_once: int) -> dict:
    """All at once (0), or so many at a time; until each has told of its end."""
    DONE.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(DONE))
        told.settimeout(60)
        since, took, begun = {}, [], time.perf_counter()
        asked = 0
        while len(took) < count:
            while asked < count and (not at_once or len(since) < at_once):
                since[asked] = time.perf_counter()
                submit(asked)
                asked += 1
            number = int(told.recv(32))
            took.append(time.perf_counter() - since.pop(number))
        return figures(took, time.perf_counter() - begun)


def main(submit):
    what, count, *rest = sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:])
    submit_once = submitting(submit, count) if what == "submit" else running(submit, count, rest[0])
    print(json.dumps(submit_once))


def drained(seconds: float) -> dict:
    """How many are done a second, from the first one that is heard of to the last, which may be before the time is over."""
    DONE.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(DONE))
        told.settimeout(60)
        told.recv(32)
        count, begun = 0, time.perf_counter()
        last = begun
        while (left := begun + seconds - time.perf_counter()) > 0:
            told.settimeout(left)
            try:
                told.recv(32)
            except TimeoutError:
                break
            count, last = count + 1, time.perf_counter()
        if not count:
            raise TimeoutError("one was done, and no more")
        return {"count": count, "rate": count / (last - begun)}


if __name__ == "__main__":
    print(json.dumps(drained(float(sys.argv[2]))))
