"""Every benchmark, one after the other; what `make bench` runs.

    python tests/bench/all.py [PART …] [--record]

`--record` puts what was printed, with the command and the machine, into docs/benchmarks.md between
the marks of that benchmark; without it nothing is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from tests.bench.output import say  # noqa: E402 (needs the path)

PAGE = ROOT / "docs" / "benchmarks.md"
PARTS = ("start", "look", "weight", "overhead", "again", "tail", "transfer", "ledger", "many")
SCRIPTS = {part: f"tests/bench/{part}.py" for part in PARTS} | {
    "tail": "tests/bench/shutdown_latency.py"
}


def main() -> None:
    parser = argparse.ArgumentParser(description="run the benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--record", action="store_true", help=f"into docs/{PAGE.name}")
    chosen = parser.parse_args()
    for part in chosen.parts or PARTS:
        if part not in PARTS:
            parser.error(f"no benchmark {part!r}; there are {', '.join(PARTS)}")
        say(SCRIPTS[part])
        printed = run(part)
        if chosen.record:
            record(part, printed)


def run(part: str) -> str:
    """Run one, showing what it prints as it comes; returns it."""
    command = [sys.executable, str(ROOT / SCRIPTS[part])]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            say(line.rstrip("\n"))
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"{SCRIPTS[part]} ended with {process.returncode}")
    return "\n".join(lines).strip("\n")


def record(part: str, printed: str) -> None:
    """Replace what stands between the marks of `part`."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    text = f"```\n$ python {SCRIPTS[part]}\n{printed}\n```\n\n{machine()}"
    page = PAGE.read_text(encoding="utf-8")
    marks = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not marks.search(page):
        raise SystemExit(f"{PAGE.name} has no marks for {part}")
    fresh = marks.sub(lambda _: f"{begin}\n{text}\n{end}", page)
    beside = PAGE.with_suffix(".new")
    beside.write_text(fresh, encoding="utf-8")
    os.replace(beside, PAGE)


def machine() -> str:
    """What the figures were measured on, and how busy it was with other things."""
    load = f"{os.getloadavg()[2]:.1f}"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {ssh_version()}; "
        f"load of the last 15 minutes {load}."
    )


def ssh_version() -> str:
    ssh = shutil.which("ssh")
    if ssh is None:
        return "no OpenSSH"
    told = subprocess.run([ssh, "-V"], capture_output=True, text=True, check=False).stderr
    return told.split(" ")[0].split(",")[0].replace("_", " ")


if __name__ == "__main__":
    main()
