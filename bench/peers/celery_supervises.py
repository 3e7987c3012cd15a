"""Celery's pool, one of whose processes is killed while it works; its task is taken up again by the next."""

import contextlib

from .. import processes
from ..site import ROOT, Site
from . import queues


@contextlib.contextmanager
def supervising(site: Site, beacons):
    celery = queues.QUEUES[0]
    with queues.environment(site, celery) as (dir, env), open(dir / "log", "wb") as log:
        env["BENCH_BEACONS"] = str(beacons.path)
        command = [part.format(n=1) for part in celery.workers]
        command[0] = site.find(command[0])
        with processes.running(command, env=env, cwd=ROOT, stdout=log, stderr=log):
            site.python("peers.celery_app", "submit", 1, env={**env, "BENCH_TASK": "beacon"})
            yield
