"""Celery's tasks and client. Results are kept, as most do."""

import os
import socket
import time

from celery import Celery

from bench.peers import client

URL = f"redis+socket://{os.environ['BENCH_REDIS']}"
app = Celery("bench", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
if "BENCH_VISIBILITY" in os.environ:
    # Whoever has passed it is looked for every second, and not, as by default, every hundred.
    often = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    app.conf.broker_transport_options = {"visibility_timeout": int(os.environ["BENCH_VISIBILITY"]), **often}


@app.task(name="bench.work")
def work(number):
    client.work(number)


@app.task(name="bench.beacon", acks_late=True, reject_on_worker_lost=True)
def beacon(_):
    """Says that it works, until it is killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.sendto(str(os.getpid()).encode(), os.environ["BENCH_BEACONS"])
    time.sleep(1000)


if __name__ == "__main__":
    client.main((beacon if os.environ.get("BENCH_TASK") == "beacon" else work).delay)
