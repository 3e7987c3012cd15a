"""autogen-core: messages to an agent, in the same process and through its gRPC host. Run as a module, it is the client (and the
agent); the host is another process.

    python -m bench.peers.autogen memory|HOST COUNT IN_FLIGHT
    python -m bench.peers.autogen host ADDRESS"""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..framework import Contender
from ..site import ROOT, Site
from .client import figures


def contenders(site: Site, count: int, in_flight: int) -> list[Contender]:
    def need(package: str):
        if not list(Path(sys.prefix).glob(f"lib/python*/site-packages/{package}")):
            raise processes.Unavailable(f"there is no {package.replace('_', '-')}")

    @contextlib.contextmanager
    def memory():
        need("autogen_core")
        yield lambda: site.python("peers.autogen", "memory", count, in_flight)

    @contextlib.contextmanager
    def grpc():
        need("autogen_ext"), need("grpc")
        # The host can't say which port it was given: it is told one that was free a moment ago.
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        dir = site.new_dir("autogen")
        with open(dir / "log", "wb") as log:
            command = [sys.executable, "-m", "bench.peers.autogen", "host", address]
            with processes.running(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log) as host:
                processes.first_line(host, b"ready")
                yield lambda: site.python("peers.autogen", address, count, in_flight)

    return [
        Contender("autogen-core, in memory", "peer", memory, "nothing is stored"),
        Contender("autogen-core, gRPC", "peer", grpc, "nothing is stored"),
    ]


@dataclass
class Ping:
    text: str


async def host(address: str):
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

    serving = GrpcWorkerAgentRuntimeHost(address=address)
    serving.start()
    print("ready", flush=True)
    await serving.stop_when_signal()


async def client(where: str, count: int, in_flight: int):
    from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, rpc

    class Answering(RoutedAgent):
        @rpc
        async def answer(self, message: Ping, ctx: MessageContext) -> Ping:
            return message

    async def runtime():
        if where == "memory":
            local = SingleThreadedAgentRuntime()
            local.start()
            return local
        from autogen_core import try_get_known_serializers_for_type
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

        remote = GrpcWorkerAgentRuntime(host_address=where)
        remote.add_message_serializer(try_get_known_serializers_for_type(Ping))
        await remote.start()
        return remote

    answering = await runtime()
    await Answering.register(answering, "answering", lambda: Answering("answers"))
    # By gRPC whoever asks is another worker, so that the host is in between.
    asking = answering if where == "memory" else await runtime()
    took, left = [], iter(range(count))

    async def ask():
        for _ in left:
            before = time.perf_counter()
            await asking.send_message(Ping("ping"), recipient=AgentId("answering", "default"))
            took.append(time.perf_counter() - before)

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(in_flight)))
    print(json.dumps(figures(took, time.perf_counter() - begun)))
    for one in {id(one): one for one in (asking, answering)}.values():
        await one.stop()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    asyncio.run(host(rest[0]) if what == "host" else client(what, *map(int, rest)))
