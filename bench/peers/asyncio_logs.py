"""What one writes without much thought: asyncio reads an agent's lines, and publishes each to NATS or Redis, where another
process follows them. Run with `follow` or `publish` as its first argument, it is one of these processes."""

import asyncio
import contextlib
import json
import sys
import time

from .. import broker, processes
from ..framework import Contender
from ..site import Site
from . import queues

SUBJECT = "bench.lines"


def contenders(site: Site, count: int, rate: int) -> list[Contender]:
    def contender(kind: str, opened_server, sync: str) -> Contender:
        @contextlib.contextmanager
        def opened():
            with opened_server() as address:
                # Both ends in one Python would share its lock: each has a process of its own.
                def measure() -> dict:
                    lines = str(site.floor("lines"))
                    return site.python("peers.asyncio_logs", "follow", kind, address, lines, count, rate)

                yield measure

        return Contender(f"asyncio + {kind}", "peer", opened, sync)

    @contextlib.contextmanager
    def nats():
        with broker.running(site) as (_, addresses):
            yield addresses["nats"]

    @contextlib.contextmanager
    def redis():
        with queues.redis(site) as (socket, _):
            yield str(socket)

    return [
        contender("nats", nats, "NATS, not stored"),
        contender("redis", redis, queues.SYNC + ", a stream"),
    ]


async def publish(kind: str, address: str, lines: str, count: int, rate: int):
    child = await asyncio.create_subprocess_exec(lines, f"{count}@{rate}", stdout=asyncio.subprocess.PIPE)
    if kind == "nats":
        import nats

        connection = await nats.connect(address)
        async for line in child.stdout:
            await connection.publish(SUBJECT, line)
        await connection.drain()
    else:
        from redis.asyncio import Redis

        connection = Redis(unix_socket_path=address)
        async for line in child.stdout:
            await connection.xadd(SUBJECT, {"line": line})
        await connection.aclose()
    await child.wait()


async def follow(kind: str, address: str, lines: str, count: int, rate: int):
    late, first, last = [], 0, 0

    def take(line: bytes):
        nonlocal first, last
        last, written = time.time_ns(), int(line[:19])
        first = first or written
        late.append((last - written) / 1e3)

    async def publisher():
        args = ["-m", "bench.peers.asyncio_logs", "publish", kind, address, lines, str(count), str(rate)]
        return await asyncio.create_subprocess_exec(sys.executable, *args)

    if kind == "nats":
        import nats

        connection = await nats.connect(address)
        subscription = await connection.subscribe(SUBJECT)
        await connection.flush()
        child = await publisher()
        with contextlib.suppress(nats.errors.TimeoutError):
            while len(late) < count:
                take((await subscription.next_msg(timeout=20)).data)
        await connection.close()
    else:
        from redis.asyncio import Redis

        connection, at = Redis(unix_socket_path=address), "0"
        await connection.delete(SUBJECT)
        child = await publisher()
        while len(late) < count:
            read = await connection.xread({SUBJECT: at}, count=1000, block=20_000)
            if not read:
                break
            # A list of pairs, or a mapping, by the version of the protocol.
            entries = next(iter(read.values())) if isinstance(read, dict) else read[0][1]
            if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], (list, tuple)):
                entries = entries[0]
            for at, fields in entries:
                take(fields[b"line"])
        await connection.aclose()
    await child.wait()
    late.sort()
    at = lambda percent: late[(len(late) - 1) * percent // 100]
    figures = {"rate": len(late) / ((last - first) / 1e9), "p50": at(50), "p99": at(99), "lost": count - len(late)}
    print(json.dumps(figures))


if __name__ == "__main__":
    what, kind, address, lines, count, rate = sys.argv[1:]
    asyncio.run((publish if what == "publish" else follow)(kind, address, lines, int(count), int(rate)))
