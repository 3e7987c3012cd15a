"""xargs -P: as many processes at once, and nothing is kept of any of them."""

import contextlib
import subprocess
import time

from ..framework import Contender
from ..processes import end, start
from ..site import Site


def contender(site: Site, count: int, at_once: int) -> Contender:
    def measure() -> dict:
        begun = time.perf_counter()
        child = start(["xargs", "-I", "{}", "-P", at_once, "/bin/true"], stdin=subprocess.PIPE)
        try:
            child.communicate(b"x\n" * count)
        finally:
            end(child)
        return {"rate": count / (time.perf_counter() - begun)}

    @contextlib.contextmanager
    def opened():
        site.find("xargs")
        yield measure

    return Contender("xargs -P", "peer", opened, "nothing is stored")
