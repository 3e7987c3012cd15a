"""A nats-server of the benchmark's own: the same program with the same settings that matter, and no company."""

import contextlib
import json
import socket
from pathlib import Path

from . import processes
from .company import Company, Department
from .site import Site

_program: list[Path] = []


def program(site: Site) -> Path:
    """The server that companies run, as a company's own process tells."""
    if not _program:
        with Company(site, {"bench": Department()}) as running:
            _program.append(Path(f"/proc/{running.server}/exe").readlink())
    return _program[0]


@contextlib.contextmanager
def running(site: Site, store: Path | None = None):
    """Yields its process and its addresses (`nats`, `monitoring`) when it answers clients."""
    server = program(site)
    dir = site.new_dir("nats")
    conf = dir / "conf"
    conf.write_text(
        f'listen: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\nports_file_dir: "{dir}"\nlog_file: "{dir}/log"\n'
        f'jetstream: {{ store_dir: "{store or dir / "store"}", max_file_store: 1125899906842624, sync_interval: "1s" }}\n'
    )
    with processes.running([server, "-c", conf]) as child:

        def ports():
            for file in dir.glob("*.ports"):
                with contextlib.suppress(ValueError):
                    return json.loads(file.read_text())
            return child.poll() is not None and None

        found = processes.until(ports, pause=0.001, what="the ports of nats-server")
        host, _, port = found["nats"][0].rpartition("/")[2].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            if not connection.recv(64).startswith(b"INFO "):
                raise RuntimeError("nats-server says something else than INFO")
        yield child, {"nats": found["nats"][0], "monitoring": found["monitoring"][0]}
