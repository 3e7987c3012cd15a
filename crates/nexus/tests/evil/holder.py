"""Ends, and leaves a grandchild that holds its pipe."""
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("end", flush=True)
os._exit(0)
