"""Publishes by nats-py, acknowledged by JetStream, one at a time.

    python -m bench.nats_client URL USER PASSWORD SUBJECT PAYLOAD COUNT"""

import asyncio
import json
import sys
import time

import nats

from .peers.client import figures


async def main():
    url, user, password, subject, payload, count = sys.argv[1:]
    connection = await nats.connect(url, user=user, password=password)
    jetstream, took = connection.jetstream(), []
    if subject.startswith("bench."):
        # The floor: a stream like the inboxes', of which nobody takes anything.
        await jetstream.add_stream(name="BENCH_INBOX", subjects=["bench.inbox.*"], storage="file", duplicate_window=120)
    begun = time.perf_counter()
    for number in range(int(count)):
        headers = {"Nats-Msg-Id": f"{begun}-{number}"}
        before = time.perf_counter()
        await jetstream.publish(subject, payload.encode(), headers=headers)
        took.append(time.perf_counter() - before)
    print(json.dumps(figures(took, time.perf_counter() - begun)))
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
