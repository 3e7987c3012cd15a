"""Huey's task and client, on SQLite."""

import os

from huey import SqliteHuey

from bench.peers import client

app = SqliteHuey("bench", filename=os.path.join(os.environ["BENCH_DIR"], "huey.db"), fsync=False)


@app.task()
def work(number):
    client.work(number)


if __name__ == "__main__":
    # The consumer knows the task by its module's name, which this isn't when it is run.
    from bench.peers import huey_sqlite_app

    client.main(huey_sqlite_app.work)
