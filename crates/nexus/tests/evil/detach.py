"""Leaves its session twice, forgets who it was, is deaf to signals, and lives on after its parent has ended."""
import os, signal, sys, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for fd in range(3):
            os.close(fd)
        os.environ.clear()
        while True:
            time.sleep(60)
print("end")
