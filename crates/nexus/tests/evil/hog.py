"""Takes memory, and keeps it."""
import time
kept = []
for _ in range(4000):
    kept.append(b"x" * (1 << 20))
print("did get 4 GB")
time.sleep(600)
