"""Prints a gigabyte."""
import os
line = (b"0123456789" * 10)[:99] + b"\n"
block = line * 10_000
for _ in range(1000):
    written = 0
    while written < len(block):
        written += os.write(1, block[written:])
print("did print all of it")
