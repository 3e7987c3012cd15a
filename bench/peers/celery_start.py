"""A start of Redis and Celery's worker with three processes, and what they use when idle."""

import contextlib
import time

from ..framework import Contender
from ..processes import descendants, end, memory_of_all, start, until
from ..site import ROOT, Site
from . import queues


def contender(site: Site, idle) -> Contender:
    celery = queues.QUEUES[0]

    def measure() -> dict:
        begun = time.perf_counter()
        with queues.environment(site, celery) as (dir, env), open(dir / "log", "wb") as log:
            command = [part.format(n=3) for part in celery.workers if part not in ("--loglevel", "ERROR")]
            command[0] = site.find(command[0])
            child = start([*command, "--loglevel", "INFO"], env=env, cwd=ROOT, stdout=log, stderr=log)
            try:
                said = lambda: b" ready." in (dir / "log").read_bytes()
                until(said, what="Celery's worker")
                ready = (time.perf_counter() - begun) * 1e3
                pids = descendants(child.pid)
                return {"ready": ready, "memory": memory_of_all(pids), "cpu": idle(pids)}
            finally:
                end(child)

    @contextlib.contextmanager
    def opened():
        site.find("celery"), site.find("redis-server")
        yield measure

    return Contender("celery", "peer", opened, celery.sync)
