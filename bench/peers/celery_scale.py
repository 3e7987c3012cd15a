"""Celery and Redis with so much queued: memory, submission, and what eight processes take. Run as a module, it puts copies of
the newest task on the queue.

    python -m bench.peers.celery_scale SOCKET COPIES"""

import contextlib
import sys

from ..framework import Contender
from ..processes import descendants, memory, memory_of_all, running
from ..site import ROOT, Site
from . import queues


def contender(site: Site, queued: int, count: int, workers: int, seconds: float) -> Contender:
    celery = queues.QUEUES[0]

    @contextlib.contextmanager
    def opened():
        site.find("celery")
        with queues.redis(site) as (socket, server):
            dir = site.new_dir("celery")
            env = queues.environment_of(socket, dir)

            def measure() -> dict:
                figures = site.python("peers.celery_app", "submit", count, env=env)
                # Its client would take a thousandth of a second for each: copies of one are as big, and as good.
                site.python("peers.celery_scale", socket, queued, env=env)
                whole = memory(server.pid)
                with open(dir / "log", "wb") as log:
                    command = [part.format(n=workers) for part in celery.workers]
                    command[0] = site.find(command[0])
                    with running(command, env=env, cwd=ROOT, stdout=log, stderr=log) as child:
                        taken = site.python("peers.client", "drain", seconds, env=env)
                        whole += memory_of_all(descendants(child.pid))
                return {"p50": figures["p50"], "p99": figures["p99"], "taken": taken["rate"], "memory_server": whole}

            yield measure

    return Contender("celery", "peer", opened, celery.sync)


def fill(socket: str, copies: int):
    from redis import Redis

    connection, left = Redis(unix_socket_path=socket), copies
    task = connection.lindex("celery", 0)
    while left > 0:
        # So many at a time that neither end holds much.
        some = min(left, 1000)
        connection.lpush("celery", *[task] * some)
        left -= some


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
    print("{}")
