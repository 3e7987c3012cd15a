"""Celery and its Redis, both killed while a task is worked on, until that one runs again.

It does once its visibility timeout has passed since it was handed out and a worker has looked, by default after an hour and every
hundred seconds. Here it is 5 s and every second: as short as is usable for anybody, and every task that takes longer than that is
handed out again while it runs."""

import contextlib
import time

from .. import processes
from ..beacons import Beacons
from ..framework import Contender
from ..site import ROOT, Site
from . import queues

VISIBILITY, PATIENCE = 5, 60.0


def contender(site: Site) -> Contender:
    celery = queues.QUEUES[0]

    def measure() -> dict:
        # Anew each time: one that has run for longer than the timeout has been handed out again already. And it is the only one,
        # as the worker would rather begin with the next in the queue.
        store, dir = site.new_dir("redis"), site.new_dir(celery.name)
        command = [part.format(n=1) for part in celery.workers]
        command[0] = site.find(command[0])

        @contextlib.contextmanager
        def both():
            with queues.redis(site, store) as (socket, redis), open(dir / "log", "ab") as log:
                env = queues.environment_of(socket, dir)
                env |= {"BENCH_BEACONS": str(beacons.path), "BENCH_VISIBILITY": str(VISIBILITY), "BENCH_TASK": "beacon"}
                with processes.running(command, env=env, cwd=ROOT, stdout=log, stderr=log) as worker:
                    yield redis, worker, env

        with Beacons(site) as beacons:
            with both() as (redis, worker, env):
                site.python("peers.celery_app", "submit", 1, env=env)
                beacons.next()
                processes.kill(redis, worker)
            begun = time.perf_counter()
            with both():
                try:
                    return {"ready": (beacons.next(PATIENCE)[1] - begun) * 1e3}
                except TimeoutError:
                    raise RuntimeError(f"the task did not run again within {PATIENCE:.0f} s") from None

    @contextlib.contextmanager
    def opened():
        site.find("celery"), site.find("redis-server")
        yield measure

    return Contender(f"celery, 1 queued, visibility timeout {VISIBILITY} s", "peer", opened, queues.SYNC)
