"""Where a run happens: a temporary directory, the programs that were built for it, and how they are called."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import processes

ROOT = Path(__file__).parent.parent


@dataclass
class Site:
    dir: Path
    target: Path
    short: bool
    peers: bool
    rounds: int

    @property
    def nexus(self) -> Path:
        return self.target / "release" / "nexus"

    def floor(self, name: str) -> Path:
        """A program of bench/floors."""
        return self.target / "bench" / "floors" / name

    def sized(self, short: int, full: int) -> int:
        return short if self.short else full

    def new_dir(self, name: str) -> Path:
        number = 0
        while (path := self.dir / f"{name}.{number}").exists():
            number += 1
        path.mkdir()
        return path

    def load(self, **order) -> dict:
        """Has the load generator do one order."""
        return self.json(self.load_command(order))

    def load_command(self, order: dict) -> list:
        return [self.target / "release" / "nexus-bench", json.dumps(order, default=str)]

    def json(self, args, patience=600.0, **options) -> dict:
        """What a program prints as JSON."""
        child = processes.start(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            out, err = child.communicate(timeout=patience)
        finally:
            processes.end(child)
        if child.returncode:
            raise RuntimeError(f"{Path(str(args[0])).name} failed: {err.decode(errors='replace').strip()[-2000:]}")
        return json.loads(out.strip().splitlines()[-1])

    def python(self, module: str, *args, **options) -> dict:
        """What a module of the benchmark prints as JSON, run by a Python of its own."""
        return self.json([sys.executable, "-m", f"bench.{module}", *map(str, args)], cwd=ROOT, **options)

    def find(self, program: str) -> Path:
        """A program of this machine or of the benchmark's Python."""
        for dir in [Path(sys.executable).parent, *map(Path, os.environ["PATH"].split(":")), Path("/usr/sbin")]:
            if os.access(dir / program, os.X_OK):
                return dir / program
        raise processes.Unavailable(f"there is no {program}")
