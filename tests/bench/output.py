"""What the benchmarks print: figures to standard output, nothing else anywhere."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
