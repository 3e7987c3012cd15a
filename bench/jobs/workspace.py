"""Tasks in workspaces of small and big repositories: from delegate to the agent's first instruction, and from its last one until
the task is completed and its workspace gone."""

import contextlib
import itertools
import os
import shutil
import subprocess
import time

from .. import company
from ..company import Company, Department
from ..framework import Aim, Case, Contender

NAME = "workspace"
TITLE = "a workspace: ready, and given back"
WORKTREE, MOUNT = "git worktree add, remove", "overlay mount"
SIZES = (100, 10_000, 100_000)
BIGGEST, SMALLEST = "100,000 files", "100 files"
PRINT = "echo $EPOCHREALTIME"
CHANGE = "echo changed >>d0/f0.txt"
AGENTS = {
    "true": f"{PRINT}; {PRINT}",
    "one commit": f"{PRINT}; {CHANGE} && git commit --quiet --all --message changed && {PRINT}",
    "one file not committed": f"{PRINT}; {CHANGE} && {PRINT}",
}
"""What agents do, as bash does it, which knows the time by itself."""
AIMS = [
    Aim(f"{BIGGEST}, true", "start", "starts within 100 ms", at_most=100.0),
    Aim(f"{BIGGEST}, true", "start", "starts within 50 ms", at_most=50.0),
    Aim(
        f"{BIGGEST}, true",
        "start",
        "starts within 2x of 100 files",
        at_most=2.0,
        against="nexus",
        against_case=f"{SMALLEST}, true",
    ),
    Aim(f"{BIGGEST}, one commit", "end", "ends within 300 ms", at_most=300.0),
    Aim(f"{BIGGEST}, a new base commit", "start", "starts within 1 s", at_most=1000.0),
]


def command(name):
    return ["bash", "-c", f"export LC_ALL=C; {AGENTS[name]}"]


def git(place, *args):
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *identity, *args], cwd=place, check=True, stdout=subprocess.DEVNULL)


def repository(site, files):
    """Files of 4 KB, each with other contents, in at most 1,000 directories."""
    place = site.new_dir("project")
    directories = min(1000, max(1, files // 100))
    for number in range(directories):
        (place / f"d{number}").mkdir()
    for number in range(files):
        path = place / f"d{number % directories}" / f"f{number // directories}.txt"
        path.write_text(f"{number:015}\n" * 256)
    git(place, "init", "--quiet", "--initial-branch", "main")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "files")
    set_up(place)
    return place


def checkout(project, place):
    """The lower layer of the floor: a repository of its own, whose index holds where it is mounted too."""
    git(project, "clone", "--quiet", "--shared", project, place)
    set_up(place, **{"core.checkStat": "minimal", "core.trustctime": "false"})
    # Else the index is as new as the files, which git would all read again.
    os.utime(place / ".git" / "index", (time.time() + 10,) * 2)


def set_up(place, **more):
    for key, value in {"user.name": "Bench", "user.email": "bench@localhost", **more}.items():
        git(place, "config", key, value)


def worktree(site, project, agent):
    @contextlib.contextmanager
    def opened():
        dir = site.new_dir("worktrees")
        yield lambda: site.load(do="worktrees", project=project, dir=dir, command=command(agent), count=1)
        shutil.rmtree(dir)

    return Contender(WORKTREE, "floor", opened, "nothing is stored")


def mount(site, lower, agent, count, at_once=1):
    @contextlib.contextmanager
    def opened():
        dir = site.new_dir("mounts")
        order = {"lower": lower, "dir": dir, "command": command(agent), "count": count, "at_once": at_once}
        yield lambda: site.load(do="mounts", **order)
        shutil.rmtree(dir)

    return Contender(MOUNT, "floor", opened, "nothing is stored")


def departments():
    """Confined as agents are, but where the machine can't."""
    more = '[workspace]\nmode = "clone"\n'
    return {name.replace(" ", "-"): Department(8, agent=name.replace(" ", "-"), sandbox=None, more=more) for name in AGENTS}


def opened_company(site, project):
    running = Company(site, departments(), {name.replace(" ", "-"): command(name) for name in AGENTS})
    running.project = project
    return running


def nexus(running, agent, count, at_once=1):
    @contextlib.contextmanager
    def opened():
        order = {"project": running.project, "department": agent.replace(" ", "-")}
        running.load("workspaces", count=1, at_once=1, **order)
        yield lambda: running.load("workspaces", count=count, at_once=at_once, **order)

    return Contender("nexus", "nexus", opened, company.SYNC)


def the_first_time(site, project):
    def measure():
        with opened_company(site, project) as running:
            return running.load("workspaces", department="true", project=project, count=1, at_once=1)

    return Contender("nexus", "nexus", lambda: contextlib.nullcontext(measure), company.SYNC)


def new_base(running, project):
    """Ten changed files in a commit that no task has started from."""
    numbers = itertools.count()

    def measure():
        for number in range(10):
            with open(project / "d0" / f"f{number + 1}.txt", "a") as file:
                file.write(f"{next(numbers)}\n")
        git(project, "commit", "--quiet", "--all", "--message", "ten files")
        return running.load("workspaces", department="true", project=project, count=1, at_once=1)

    return Contender("nexus", "nexus", lambda: contextlib.nullcontext(measure), company.SYNC)


def cases(site, results):
    count = site.sized(5, 20)
    for files in SIZES[:2] if site.short else SIZES:
        project, lower = repository(site, files), site.new_dir("lower") / "tree"
        checkout(project, lower)
        rounds = None if files < 100_000 else min(site.rounds, 3)
        name = f"{files:,} files"
        yield Case(f"{name}, the first time", [worktree(site, project, "true"), the_first_time(site, project)], rounds)
        with opened_company(site, project) as running:
            for agent in AGENTS:
                contenders = [worktree(site, project, agent), mount(site, lower, agent, count), nexus(running, agent, count)]
                yield Case(f"{name}, {agent}", contenders, rounds)
            eight = [mount(site, lower, "true", 2 * count, 8), nexus(running, "true", 2 * count, 8)]
            yield Case(f"{name}, true, 8 at once", eight)
            yield Case(f"{name}, a new base commit", [new_base(running, project)])
        for place in (project, lower.parent):
            shutil.rmtree(place)
