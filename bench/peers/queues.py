"""Task queues on Redis, as contenders: who they are, how their workers are started, and how they are measured.

Each has a module of its own here with `submit(number)`, which a client calls, and a task that runs /bin/true and tells the
client so by a datagram. That is less than waiting for a stored result costs, and the same for all."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..framework import Contender
from ..processes import end, running, start, until
from ..site import ROOT, Site

SYNC = "Redis, appendonly everysec"


@dataclass
class Queue:
    name: str
    module: str
    workers: list[str]
    """The command of its workers; {n} is how many, {half} half as many."""
    sync: str = SYNC


QUEUES = [
    Queue(
        "celery",
        "celery_app",
        ["celery", "-A", "bench.peers.celery_app", "worker", "-c", "{n}", "-O", "fair", "--loglevel", "ERROR"]
        + ["--without-gossip", "--without-mingle", "--without-heartbeat"],
    ),
    Queue("huey", "huey_app", ["huey_consumer", "bench.peers.huey_app.app", "-w", "{n}", "-k", "thread", "-q"]),
    Queue(
        "huey-sqlite",
        "huey_sqlite_app",
        ["huey_consumer", "bench.peers.huey_sqlite_app.app", "-w", "{n}", "-k", "thread", "-q"],
        sync="SQLite, WAL, synchronous off",
    ),
    Queue("dramatiq", "dramatiq_app", ["dramatiq", "bench.peers.dramatiq_app", "-p", "2", "-t", "{half}"]),
    Queue("rq", "rq_app", ["rq", "worker-pool", "-n", "{n}", "-q", "bench"]),
]


@contextlib.contextmanager
def redis(site: Site, dir: Path | None = None):
    """A Redis of its own, on a Unix socket; yields its socket and its process. `dir` has what an earlier one has stored."""
    dir = dir or site.new_dir("redis")
    socket = dir / "socket"
    # One that was killed has left it.
    socket.unlink(missing_ok=True)
    options = ["--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--daemonize", "no"]
    options += ["--appendonly", "yes", "--appendfsync", "everysec"]
    with open(dir / "log", "wb") as log, running([site.find("redis-server"), *options], stdout=log, stderr=log) as child:
        until(lambda: socket.exists() or child.poll() is not None, what="the socket of Redis")
        yield socket, child


@contextlib.contextmanager
def environment(site: Site, queue: Queue):
    with redis(site) as (socket, _):
        dir = site.new_dir(queue.name)
        yield dir, environment_of(socket, dir)


def environment_of(socket, dir) -> dict:
    """What a queue's processes are told by: its Redis, and where they find each other."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "BENCH_REDIS": str(socket), "BENCH_DIR": str(dir), "PYTHONPATH": str(ROOT)}


def submitters(site: Site, count: int) -> list[Contender]:
    """The queues, measured as what takes submissions, one at a time. Nobody works on them."""

    def contender(queue: Queue) -> Contender:
        @contextlib.contextmanager
        def opened():
            with environment(site, queue) as (_, env):
                yield lambda: site.python(f"peers.{queue.module}", "submit", count, env=env)

        return Contender(queue.name, "peer", opened, queue.sync)

    return [contender(queue) for queue in QUEUES]


def runners(site: Site, count: int, workers: int) -> list[Contender]:
    """The queues with workers, measured by what is done."""

    def contender(queue: Queue) -> Contender:
        @contextlib.contextmanager
        def opened():
            with environment(site, queue) as (dir, env), open(dir / "log", "wb") as log:
                command = [part.format(n=workers, half=max(1, workers // 2)) for part in queue.workers]
                if queue.name == "rq":
                    command += ["-u", f"unix://{env['BENCH_REDIS']}"]
                # RQ forks for each task, and is slow enough to be believed after fewer.
                size = count // 10 if queue.name == "rq" else count
                command[0] = site.find(command[0])
                child = start(command, env=env, cwd=ROOT, stdout=log, stderr=log)
                try:
                    # The first ones find out whether there are workers.
                    site.python(f"peers.{queue.module}", "run", workers, 0, env=env, patience=60)
                    yield lambda: {
                        **site.python(f"peers.{queue.module}", "run", size // 4, workers, env=env),
                        "rate": site.python(f"peers.{queue.module}", "run", size, 0, env=env)["rate"],
                    }
                finally:
                    end(child)

        return Contender(queue.name, "peer", opened, queue.sync)

    return [contender(queue) for queue in QUEUES]
