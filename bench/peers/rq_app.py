"""RQ's task and client."""

import os

from redis import Redis
from rq import Queue

from bench.peers import client

if __name__ == "__main__":
    queue = Queue("bench", connection=Redis(unix_socket_path=os.environ["BENCH_REDIS"]))
    client.main(lambda number: queue.enqueue("bench.peers.client.work", number))
