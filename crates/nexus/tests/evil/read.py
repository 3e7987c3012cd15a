"""Reads what is not its own: the user's keys, other workspaces, the company's data and its broker's password."""
import json, os
context = json.loads(os.environ["NEXUS_CONTEXT"])
for path in context["files"]:
    for way in ("", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../../.."):
        try:
            with open(way + path) as file:
                if context["canary"] in file.read():
                    print("did read", way + path)
        except OSError:
            pass
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) != os.getpid():
        try:
            with open(f"/proc/{pid}/environ") as file:
                if context["canary"] in file.read():
                    print("did read the environment of", pid)
        except OSError:
            pass
print("end")
