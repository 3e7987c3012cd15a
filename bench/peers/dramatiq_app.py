"""Dramatiq's task and client."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers import client

dramatiq.set_broker(RedisBroker(url=f"unix://{os.environ['BENCH_REDIS']}"))


@dramatiq.actor
def work(number):
    client.work(number)


if __name__ == "__main__":
    client.main(work.send)
