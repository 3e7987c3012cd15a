"""Takes what the company keeps beside its home: with Landlock alone the home lies in the directory that is private to the task."""
import json, os
context = json.loads(os.environ["NEXUS_CONTEXT"])
home = os.environ["HOME"]
holder = os.path.dirname(home)
def attempt(what, do):
    try:
        do()
    except OSError:
        return
    print("did", what)
def write(name):
    with open(os.path.join(holder, name), "w") as file:
        file.write("evil")
# In namespaces its home has the name of the user's, and what is beside that is nobody's.
if os.path.basename(os.path.dirname(holder)) == "private":
    keys = os.path.dirname(context["files"][1])
    attempt("put a link in the place of its settings", lambda: os.symlink(keys, os.path.join(holder, "agent")))
    attempt("write beside its home", lambda: write("settings"))
    attempt("make a directory there", lambda: os.mkdir(os.path.join(holder, "proxy")))
    attempt("move its home", lambda: os.rename(home, os.path.join(holder, "moved")))
    attempt("remove its temporary files", lambda: os.rmdir(os.path.join(holder, "tmp")))
print("end")
