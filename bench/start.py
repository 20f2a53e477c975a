"""How long the command line takes to start, against `python -c pass`.

    python bench/start.py [--rounds 9]

Every command runs in a process of its own in an empty project; the best round counts, because on
a busy machine everything else only adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 0.25  # seconds, on an idle machine
COMMANDS = (("--help",), ("cost",), ("status", "--cached"))


def main() -> int:
    parser = argparse.ArgumentParser(description="time podctl's start")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "podctl.toml").write_text("[budget]\nproject_usd = 10\n")
        bare = best([sys.executable, "-c", "pass"], folder, rounds)
        print(f"{'python -c pass':<24}{bare * 1000:7.0f} ms")
        for words in COMMANDS:
            took = best([sys.executable, "-m", "controller", *words], folder, rounds)
            verdict = "ok" if took < LIMIT else f"over {LIMIT * 1000:.0f} ms"
            name = f"podctl {' '.join(words)}"
            print(f"{name:<24}{took * 1000:7.0f} ms  {took / bare:5.1f} x  {verdict}")
    return 0


def best(argv: list[str], folder: str, rounds: int) -> float:
    """Seconds of the fastest of `rounds` runs, after one that may compile."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed podctl is compiled
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        subprocess.run(
            argv,
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        times.append(time.perf_counter() - started)
    return min(times[1:])


if __name__ == "__main__":
    sys.exit(main())
