"""Huey's task and client, on Redis."""

import os

from huey import RedisHuey

from bench.peers import client

app = RedisHuey("bench", url=f"unix://{os.environ['BENCH_REDIS']}")


@app.task()
def work(number):
    client.work(number)


if __name__ == "__main__":
    # The consumer knows the task by its module's name, which this isn't when it is run.
    from bench.peers import huey_app

    client.main(huey_app.work)
