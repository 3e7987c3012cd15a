"""What one task costs in things that don't depend on the machine's speed: messages, system calls, context switches."""

import contextlib
import json
import shutil
import signal
import subprocess
import urllib.request

from . import broker, processes
from .company import Company, Department
from .site import Site


def per_task(site: Site, count: int, workers=8) -> dict[str, float]:
    """Runs tasks in a company whose broker can be asked, and divides by their number."""
    with broker.running(site) as (server, addresses):
        with Company(site, {"bench": Department(workers)}, nats=addresses["nats"]) as running:
            running.load("run", department="bench", count=workers * 2)
            before = snapshot(running.pid, server.pid, addresses["monitoring"])
            with syscalls([running.pid], inherit=False) as own, syscalls([server.pid], inherit=False) as servers:
                with syscalls([running.pid], inherit=True) as all_of_it:
                    running.load("run", department="bench", count=count)
            after = snapshot(running.pid, server.pid, addresses["monitoring"])
    figures = {name: (after[name] - before[name]) / count for name in after}
    for name, counted in (("syscalls of nexus", own), ("with wardens and agents", all_of_it), ("of nats-server", servers)):
        if counted:
            figures[name] = counted[0] / count
    return figures


def snapshot(nexus: int, server: int, monitoring: str) -> dict[str, float]:
    def ask(path: str) -> dict:
        with urllib.request.urlopen(f"{monitoring}/{path}", timeout=10) as answer:
            return json.load(answer)

    load, streams = ask("varz"), ask("jsz?streams=true")
    details = [stream for account in streams["account_details"] for stream in account["stream_detail"]]
    figures = {
        "messages to NATS": load["in_msgs"],
        "messages from NATS": load["out_msgs"],
        "stored": sum(stream["state"]["last_seq"] for stream in details),
        "context switches of nexus": processes.switches(nexus),
        "of nats-server ": processes.switches(server),
        "CPU µs of nexus": processes.cpu(nexus) * 1e6,
        "CPU µs of its wardens and agents that have ended": (processes.cpu(nexus, True) - processes.cpu(nexus)) * 1e6,
        "CPU µs of nats-server": processes.cpu(server) * 1e6,
    }
    # Wardens that live on, of which none of the above knows.
    wardens = [pid for pid in processes.descendants(nexus) if pid != nexus]
    figures["CPU µs of its wardens that live"] = sum(processes.cpu(pid, True) for pid in wardens) * 1e6
    return figures


@contextlib.contextmanager
def syscalls(pids: list[int], inherit: bool):
    """Counts system calls by perf while the block runs; yields a list that is empty where perf can't."""
    counted: list[float] = []
    perf = shutil.which("perf")
    if not perf:
        yield counted
        return
    command = [perf, "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, pids))]
    child = processes.start(command + ([] if inherit else ["-i"]), stderr=subprocess.PIPE)
    try:
        # It counts from here on; what it has to say it says at its end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.3)
        yield counted
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        text = child.communicate(timeout=10)[1].decode()
        counted += [float(line.split(",")[0]) for line in text.splitlines() if line.split(",")[0].isdigit()]
    finally:
        processes.end(child)
