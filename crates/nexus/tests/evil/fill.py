"""Writes a file that fills the disk, as a program does that doesn't look at signals."""
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
block = b"x" * (1 << 20)
with open("big", "wb") as file:
    for _ in range(4000):
        file.write(block)
print("did write 4 GB")
