"""Writes outside of its workspace: by path, by links, by /proc, by a directory that it renames."""
import json, os
context = json.loads(os.environ["NEXUS_CONTEXT"])
def attempt(what, do):
    try:
        do()
    except OSError:
        return
    # What it has written may be its own, under the same name: the files of the machine say which.
def write(path):
    with open(path, "w") as file:
        file.write("evil")
for path in context["files"]:
    attempt("by path", lambda: write(path))
    attempt("by /proc/self/root", lambda: write("/proc/self/root" + path))
    attempt("by /proc/1/root", lambda: write("/proc/1/root" + path))
    def by_link():
        os.symlink(path, "link")
        write("link")
    attempt("by a symlink", by_link)
    def by_hard_link():
        os.link(path, "hard")
        write("hard")
    attempt("by a hard link", by_hard_link)
    for name in ("link", "hard"):
        if os.path.lexists(name):
            os.remove(name)
    def by_rename():
        os.makedirs("a/b", exist_ok=True)
        os.chdir("a/b")
        os.rename("../../a", os.path.dirname(path) + "/a")
    here = os.getcwd()
    attempt("by a renamed directory", by_rename)
    os.chdir(here)
    attempt("by removing it", lambda: os.remove(path))
for path in ("/etc/passwd", "/usr/bin/evil", "/usr/local/bin/evil", "/etc/cron.d/evil", "/boot/evil"):
    try:
        with open(path, "a"):
            print("did open", path)
    except OSError:
        pass
print("end")
