"""Processes that the benchmark starts: each is ended by its id, whatever happens, and looked at through /proc."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
LIVE: set[subprocess.Popen] = set()


class Unavailable(Exception):
    """A contender can't take part on this machine; the message says why."""


def start(args, **options) -> subprocess.Popen:
    """Starts a program in a session of its own, so that a Ctrl-C reaches the benchmark alone, which then ends it."""
    options.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen([str(arg) for arg in args], start_new_session=True, **options)
    LIVE.add(child)
    return child


def end(child: subprocess.Popen, grace=10.0):
    """Asks it to end, then ends it and what is left of its group and of what descended from it."""
    # Some give their children groups of their own (Erlang its ports); known by when they began, too, as ids come again.
    below = [(pid, began(pid)) for pid in descendants(child.pid)[1:]]
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    # Its group bears its id for as long as one process of it is there.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pid, since in below:
        if since and began(pid) == since:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    LIVE.discard(child)


def kill(*children: subprocess.Popen):
    """SIGKILL for these and all that descends from them at once."""
    for pid in [pid for child in children for pid in descendants(child.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for child in children:
        end(child)


def end_all():
    for child in list(LIVE):
        end(child, grace=2.0)


@contextlib.contextmanager
def running(args, **options):
    child = start(args, **options)
    try:
        yield child
    finally:
        end(child)


def first_line(child: subprocess.Popen, starts_with: bytes, patience=60.0) -> str:
    """Reads a child's standard output up to the line that says it is ready."""
    timer = threading.Timer(patience, child.kill)
    timer.start()
    try:
        for line in child.stdout:
            if line.startswith(starts_with):
                return line.decode()
    finally:
        timer.cancel()
    raise RuntimeError(f"{child.args[0]} ended, or said nothing like {starts_with.decode()!r} in {patience:.0f} s")


def until(true, patience=30.0, pause=0.005, what="it"):
    """Looks again and again until something holds, and returns it."""
    deadline = time.monotonic() + patience
    while not (held := true()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come to be in {patience:.0f} s")
        time.sleep(pause)
    return held


def descendants(pid: int) -> list[int]:
    """A process and all that descends from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def memory(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def memory_of_all(pids) -> float:
    """Memory of several processes in MB; what they share, as forks of one program do, counts once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total / 1e6


def cpu(pid: int, children=False) -> float:
    """Seconds of processor time used so far; with `children`, by those too that have ended and been waited for."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11 : 15 if children else 13])) / TICKS
    return 0.0


def busy(pid: int) -> float:
    """Seconds of processor time of its threads that live, to the nanosecond."""
    total = 0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(stat.read_text().split()[0])
    return total / 1e9


def machine_busy(seconds=0.5) -> float:
    """Percent of all processors that something uses at the moment."""

    def times() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields)

    before = times()
    time.sleep(seconds)
    after = times()
    return (after[0] - before[0]) / max(after[1] - before[1], 1) * 100


def switches(pid: int) -> int:
    """Context switches of all its threads so far."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            total += sum(int(line.split()[1]) for line in status.read_text().splitlines() if "ctxt_switches" in line)
    return total


def began(pid: int) -> int:
    """When a process began, in the kernel's ticks; 0 when there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and wasn't waited for doesn't."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def named(pid: int, wanted: str) -> set[int]:
    """All that descend from a process and have this name."""
    return {found for found in descendants(pid) if name(found) == wanted}
