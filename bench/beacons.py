"""Words from `bench/floors/beacon.c`: an agent that says that it works."""

import os
import signal
import socket
import statistics
import time

from .site import Site


class Beacons:
    def __init__(self, site: Site):
        self.path = site.new_dir("beacon") / "socket"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self, patience=60.0) -> tuple[int, float]:
        """The next one's process id, and when it was heard."""
        self.socket.settimeout(patience)
        pid = int(self.socket.recv(32))
        return pid, time.perf_counter()

    def kill(self, pid: int, times: int, pause: float) -> tuple[dict, int]:
        """Kills whoever works, again and again; microseconds until the next one does, and who that is."""
        took = []
        for _ in range(times):
            time.sleep(pause)
            killed = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            pid, heard = self.next()
            took.append((heard - killed) * 1e6)
        return {"p50": statistics.median(took), "p99": max(took)}, pid
