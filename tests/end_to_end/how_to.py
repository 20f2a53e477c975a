"""The projects of docs/how-to: which of their stages are played, how long, and how steps show.

What a stage really did is counted in its job's logs, of all of its runs: each step prints one
line. More lines than steps are steps that were done twice.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SHARD = 2_000_000  # bytes
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "how-to"

WORD = r"\bstep \d+/\d+\b"
LOGGED = r"\{'loss': "  # one line of a Trainer with logging_steps = 1


@dataclass(frozen=True)
class HowTo:
    """One stage of one project. `interval` is how many steps lie between two checkpoints; 0 where
    there are none, and what is begun again begins at the beginning.

    `program` is a word of the command line of what trains. `before` are stages that it needs.
    """

    name: str
    stage: str
    steps: int
    interval: int
    step: str = WORD
    modules: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    program: str = "train.py"
    index: str = ""  # an address that its environment is fetched from
    budget: float = 4.0  # seconds of max_hours after which about half is done

    @property
    def title(self) -> str:
        return f"{self.name} {self.stage}"

    def missing(self) -> str:
        """What this machine lacks; empty when it can be played."""
        if self.index and not reachable(self.index):
            return self.index
        return next((one for one in self.modules if find_spec(one) is None), "")

    def copy(self, assets: Path, target: Path) -> Path:
        """The project in a folder of its own, with the tiny model and data."""
        shutil.copytree(FOLDER / self.name, target)
        for shard in range(4 if self.name == "data" else 0):
            path = target / "data" / "shards" / f"{shard}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes([shard]) * SHARD)
        for path in sorted(assets.rglob("*")):
            to = target / path.relative_to(assets)
            if path.is_file() and not to.exists():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
        return target

    def done(self, project: Path) -> int:
        """How many steps every run of the stage did, by their logs."""
        pattern = re.compile(self.step, re.MULTILINE)
        logs = project.glob(f".podctl/runs/{self.stage}-*/job.log*")
        return sum(len(pattern.findall(text(one))) for one in logs)


def reachable(address: str) -> bool:
    """Whether somebody answers there."""
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except OSError:
        return False


def text(path: Path) -> str:
    """A log; a progress bar that is drawn again is a line each time."""
    return path.read_text(errors="replace").replace("\r", "\n")


def change(path: Path, old: str, new: str) -> None:
    """Replace what must be there."""
    before = path.read_text()
    assert old in before, f"{path} has no {old!r}"
    path.write_text(before.replace(old, new))


def make_assets(folder: Path) -> Path:
    """The tiny model and its data, as docs/how-to/tiny.py makes them."""
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, str(FOLDER / "tiny.py"), str(folder)], check=True)
    return folder


_STACK = ("torch", "transformers", "datasets", "accelerate")
_TRL = (*_STACK, "trl")
ALL = (
    HowTo("own-script", "train", 60, 10, budget=3),
    HowTo("trl", "sft", 200, 20, LOGGED, _TRL, program="sft.yaml", budget=22),
    HowTo("trl", "dpo", 60, 10, LOGGED, _TRL, ("sft",), "dpo.yaml", budget=22),
    HowTo("trl", "grpo", 60, 10, LOGGED, _TRL, program="grpo.yaml", budget=22),
    HowTo("transformers", "train", 120, 20, modules=_STACK, budget=14),
    HowTo("ddp", "torchrun", 200, 20, modules=("torch",), budget=14),
    HowTo("ddp", "accelerate", 200, 20, modules=("torch", "accelerate"), budget=20),
    HowTo("notebook", "train", 60, 10, modules=("papermill", "ipykernel"), program="papermill"),
    HowTo("make", "train", 60, 10, program="part.sh"),
    HowTo("hydra", "sweep", 60, 10, modules=("hydra",)),
    HowTo("data", "train", 60, 15),
    HowTo("uv", "train", 60, 10, program="fruit", index="https://pypi.org/simple/iniconfig/"),
    HowTo("lm-eval", "evaluate", 1, 0, r"Selected Tasks", ("lm_eval",), program="lm_eval"),
)
