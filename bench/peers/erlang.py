"""Erlang/OTP: its supervisor, whose child has a beacon behind a port; and calls to a gen_server."""

import contextlib
import subprocess
from pathlib import Path

from .. import processes
from ..framework import Contender
from ..site import ROOT, Site


def compiled(site: Site, module: str) -> Path:
    dir = site.new_dir("erlang")
    source = ROOT / "bench" / "peers" / f"{module}.erl"
    subprocess.run([site.find("erlc"), "-o", dir, source], check=True, capture_output=True)
    return dir


@contextlib.contextmanager
def supervising(site: Site, beacons):
    dir = compiled(site, "beacons")
    start = f'{{ok, _}} = beacons:start_link("{site.floor("beacon")}", "{beacons.path}"), receive stop -> ok end.'
    with open(dir / "log", "wb") as log:
        command = [site.find("erl"), "-noshell", "-pa", dir, "-eval", start]
        with processes.running(command, stdout=log, stderr=log):
            yield


def asked(site: Site, count: int, in_flight: int) -> Contender:
    @contextlib.contextmanager
    def opened():
        dir = compiled(site, "asks")
        command = [site.find("erl"), "-noshell", "-pa", dir, "-eval", f"asks:main({count}, {in_flight}), halt()."]
        yield lambda: site.json(command)

    return Contender("erlang, in memory", "peer", opened, "nothing is stored")
