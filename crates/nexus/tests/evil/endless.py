"""Prints a gigabyte in one line."""
import os
block = b"x" * 1_000_000
for _ in range(1000):
    written = 0
    while written < len(block):
        written += os.write(1, block[written:])
print("did print all of it")
