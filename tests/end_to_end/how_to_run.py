"""Interrupt the projects of docs/how-to at random: `make examples`.

Each is run on an emulator of this command's own, struck once at a random step (`--seed`), and then
carried on as podctl's messages say. Printed are the end, the steps that were done twice, and the
interval between two checkpoints. Exit code 1 when a play does not end locked, or does as many
steps twice as lie between two checkpoints; what was said is kept in build/examples.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from controller.providers.emulator.settings import EmulatorSettings
from tests.end_to_end.how_to import ALL, ROOT, make_assets
from tests.end_to_end.how_to_faults import FAULTS, Ending, play
from tests.support.emulated_cloud import start_cloud

SETTINGS = EmulatorSettings(
    boot_seconds=0.2, runtime_seconds=0.0, restart_seconds=0.1, evict_seconds=5.0
)
HEAD = (
    "| how-to | fault | at step | commands | end | steps twice | interval | seconds |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def row(end: Ending) -> str:
    """One line of the table."""
    one = end.how_to
    cells = (
        one.title,
        end.fault,
        end.struck_at or "",
        len(end.commands),
        end.wrong or "locked",
        end.twice if one.interval else "",
        one.interval or "none",
        f"{end.seconds:.0f}",
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main(words: Sequence[str] | None = None) -> int:
    """0 when every play ends as its user would wish, 1 when one does not, 3 without any."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.end_to_end.how_to_run", description=__doc__
    )
    parser.add_argument("names", nargs="*", help="only how-tos whose title begins so")
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "examples")
    chosen = parser.parse_args(words)
    plays = [one for one in ALL if one.title.startswith(tuple(chosen.names) or "")]
    shutil.rmtree(chosen.output, ignore_errors=True)
    print(HEAD, flush=True)
    bad = played = 0
    with tempfile.TemporaryDirectory(prefix="podctl-examples-") as scratch:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = str(Path(scratch, "user"))
        assets = make_assets(Path(scratch, "assets"))
        cloud = start_cloud(Path(scratch, "cloud"), SETTINGS)
        try:
            for how_to in plays:
                if missing := how_to.missing():
                    print(f"| {how_to.title} | | | | not played: no {missing} here | | | |")
                    continue
                for fault in chosen.faults:
                    project = Path(scratch, "plays", f"{how_to.name}-{how_to.stage}-{fault}")
                    end = play(how_to, fault, chosen.seed, assets, project, cloud)
                    _keep(end, project, chosen.output / project.name)
                    print(row(end), flush=True)
                    played, bad = played + 1, bad + bool(end.wrong)
        finally:
            cloud.process.stop()
    print(f"\nexamples: {played} plays, {bad} not as they should be; seed {chosen.seed}")
    return 1 if bad else 0 if played else 3


def _keep(end: Ending, project: Path, place: Path) -> None:
    """What was said, and of a play that went wrong everything that is here."""
    place.mkdir(parents=True)
    (place / "said.txt").write_text(end.said)
    if end.wrong:
        shutil.move(project, place / "project")


if __name__ == "__main__":
    sys.exit(main())
