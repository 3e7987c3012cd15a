"""Erlang/OTP's supervisor, whose child has a beacon behind a port."""

import contextlib
import subprocess

from .. import processes
from ..site import ROOT, Site


@contextlib.contextmanager
def supervising(site: Site, beacons):
    dir = site.new_dir("erlang")
    erl, erlc = site.find("erl"), site.find("erlc")
    subprocess.run([erlc, "-o", dir, ROOT / "bench" / "peers" / "beacons.erl"], check=True, capture_output=True)
    start = f'{{ok, _}} = beacons:start_link("{site.floor("beacon")}", "{beacons.path}"), receive stop -> ok end.'
    with open(dir / "log", "wb") as log:
        with processes.running([erl, "-noshell", "-pa", dir, "-eval", start], stdout=log, stderr=log):
            yield
