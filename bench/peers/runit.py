"""runit's runsv, which keeps one service alive."""

import contextlib

from .. import processes
from ..site import Site


@contextlib.contextmanager
def supervising(site: Site, beacons):
    runsv, dir = site.find("runsv"), site.new_dir("runit")
    script = dir / "run"
    script.write_text(f'#!/bin/sh\nexec "{site.floor("beacon")}" "{beacons.path}"\n')
    script.chmod(0o755)
    with processes.running([runsv, dir]):
        yield
