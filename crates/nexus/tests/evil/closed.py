"""Closes what it could be heard by, and lives on."""
import os, time
for fd in range(3):
    os.close(fd)
time.sleep(600)
