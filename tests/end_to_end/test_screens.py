"""What a newcomer sees in a terminal of 80 columns and 24 rows, as recorded screens.

`PODCTL_UPDATE_SNAPSHOTS=1` writes them again. Numbers, pods and hashes are masked.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.laptop import Laptop
from tests.support.tmux import Tmux, masked, tmux

SCREENS = Path(__file__).parent / "screens"
UPDATE = "PODCTL_UPDATE_SNAPSHOTS"

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")

STEPS = """\
mkdir -p out
for i in 1 2 3 4 5 6 7 8; do
  echo "step $i/8 loss 0.$((9 - i))"
  sleep 1.5
done
until [ -e go ]; do sleep 0.05; done
echo '{"ok": true}' > out/result.json
"""


def compare(name: str, screen: str) -> None:
    path = SCREENS / f"{name}.txt"
    text = masked(screen)
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"if this is meant: run with {UPDATE}=1"


def show(session: Tmux, name: str, command: str) -> None:
    """Compare the screen of a command, none of whose lines the terminal had to wrap."""
    compare(name, session.run(command))
    assert session.screen(joined=True) == session.screen(), f"{name} is wider than the terminal"


def test_the_newcomers_screens_fit_80_columns(laptop: Laptop) -> None:
    """Tables, the plan, the live view with the job's log above it, the end, and the status."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(STEPS)
    environment = {
        "PODCTL_EMULATOR_URL": laptop.cloud.base_url,
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHON": sys.executable,
    }
    with tmux(laptop.folder, environment) as session:
        session.type('podctl() { "$PYTHON" -m controller "$@"; }')
        show(session, "gpus", "podctl gpus --available")
        session.run("podctl plan hello")  # says what it says at the first use
        show(session, "plan", "podctl plan hello")
        session.type("clear; podctl run hello -y")
        live = session.until(lambda screen: "step 5/8" in screen and "━" in screen)
        session.keys("C-z")
        session.until(lambda screen: "Stopped" in screen)
        session.type("fg")
        again = session.until(lambda screen: "last look" in screen.rpartition("Stopped")[2])
        for work in laptop.cloud.state_dir.rglob("runs/*/work"):
            (work / "go").touch()
        ended = session.until(lambda screen: "next: podctl locks hello" in screen)
        show(session, "status", "podctl status hello")
        show(session, "locks", "podctl locks; podctl cost; podctl gc")

    assert "loss 0." in live
    assert "worst case" in live
    assert "step 1/8 loss 0.8" in live  # the job's own line, above the view
    assert "hello-0001" in again
    assert "hello passed:" in ended
    assert "lock:  locks/hello.json" in ended
