"""Prints what is no text, and what turns a terminal upside down."""
import os
os.write(1, b"\xff\xfe\xc3( \x00 \x1b]0;title\x07\x1b[2J\x1b[31mred\x9b1m\r over\nend\n")
