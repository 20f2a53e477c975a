"""`make demo`: the whole plan from an empty folder to five locked stages, on the emulator.

    python -m controller.demo [FOLDER] [--seed N] [--stage stage1c]

Runs podctl's own commands as a user would type them, each printed first, and ends with the report's
verdict and a summary of what is here, what it cost, and what the emulator reports. With --stage it
is that stage alone, on instruction data as stage1b would leave it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.credentials.secret import for_children
from controller.errors import PodctlError, UsageError
from controller.package_extras import install_hint
from controller.terminal import formatting
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.providers.emulator.server import EmulatorProcess

PLAN = ("stage1a", "stage1b", "stage1c", "stage1d", "stage1e")
REPORT = "artifacts/stage1_report"
COMMAND_SECONDS = 3600.0  # deadline of any one command
TRAINING_STACK = ("torch", "transformers", "trl", "peft", "safetensors")


def main() -> int:
    """Exit code 0 only when every stage is locked, no pod is left, and ledger and bill agree."""
    asked = _arguments()
    folder = Path(asked.folder).absolute()
    terminal = Terminal()
    started = time.monotonic()
    from controller.providers.emulator.requirements import check_installed
    from controller.providers.emulator.server import start_process

    try:
        check_installed()
        check_training_stack()
    except UsageError as error:
        terminal.error(error)
        return error.exit_code
    if folder.exists() and any(folder.iterdir()):
        terminal.say(f"{folder} holds an earlier demo: remove it for a fresh one")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    cloud = start_process(folder.parent / f".{folder.name}-cloud")
    try:
        terminal.say(f"the emulator serves RunPod's API at {cloud.base_url}")
        Demo(folder, cloud, terminal, asked.stage, asked.seed).play()
    except PodctlError as error:
        terminal.error(error)
        return error.exit_code
    finally:
        cloud.stop()
    terminal.say(f"done in {time.monotonic() - started:.0f} s")
    return 0


def check_training_stack() -> None:
    """Raises UsageError with the command that installs what the stages need on this machine."""
    missing = [name for name in TRAINING_STACK if find_spec(name) is None]
    if missing:
        raise UsageError(
            "the demo trains on this machine, and the training stack is not installed",
            cause=f"missing: {', '.join(missing)}",
            hint=install_hint("demo"),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="controller.demo", description="podctl's plan, small")
    parser.add_argument("folder", nargs="?", default="demo-project")
    parser.add_argument("--stage", choices=("stage1c",), help="this stage alone, on ready data")
    parser.add_argument("--seed", type=int, default=0, help="of every stage")
    return parser.parse_args()


class Demo:
    """One walk through the plan, or through one stage of it."""

    def __init__(
        self,
        folder: Path,
        cloud: EmulatorProcess,
        terminal: Terminal,
        stage: str | None,
        seed: int,
    ) -> None:
        self._folder = folder
        self._terminal = terminal
        self._names = (stage,) if stage else PLAN
        self._words = self._names if stage else ("all",)
        self._seed = seed
        self._environment = for_children() | {
            "PODCTL_EMULATOR_URL": cloud.base_url,
            "PODCTL_EMULATOR_KEY": cloud.api_key,
        }

    def play(self) -> None:
        self._podctl("init", "--demo")
        self._prepare()
        self._podctl("doctor", "--register")
        self._podctl("plan", *self._words)
        self._podctl("run", *self._words, "-y")
        again = self._podctl("run", self._names[-1], "-y", may_fail=True)
        if again != 4:
            raise PodctlError(f"a locked stage did not refuse to run: exit code {again}")
        self._podctl("verify", "--all")
        self._podctl("cost")
        self._summary()

    def _prepare(self) -> None:
        """The seed, and for one stage alone what an earlier one would have left."""
        from controller.demo import sample_project as sample
        from controller.project.project import FILE

        path = self._folder / FILE
        path.write_text(path.read_text().replace("\nseed = 0", f"\nseed = {self._seed}"))
        if self._names != PLAN:
            sample.write_inputs(self._folder)

    def _podctl(self, *words: str, may_fail: bool = False) -> int:
        self._terminal.say(f"\n$ podctl {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "controller", *words],
            cwd=self._folder,
            env=self._environment,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode and not may_fail:
            raise PodctlError(f"podctl {words[0]} ended with exit code {done.returncode}")
        return done.returncode

    def _read(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "controller", *words, "--json"],
            cwd=self._folder,
            env=self._environment,
            timeout=COMMAND_SECONDS,
            check=True,
            capture_output=True,
        )
        return json.loads(done.stdout)

    # -- the end -----------------------------------------------------------------------------

    def _summary(self) -> None:
        """What a user would want to be sure of; each line is measured, none is assumed."""
        from controller.locks import certificate

        locks = certificate.read_all(self._folder)
        say = self._terminal.say
        if self._names == PLAN:
            self._report()
        say("\nlocks")
        for name in self._names:
            lock = locks[name]
            say(
                f"  {name}: {formatting.count(len(lock.criteria), 'criterion', 'criteria')} PASS, "
                f"{formatting.count(len(lock.artifacts), 'file')}, "
                f"{lock.cost.hours * 60:.1f} min, ${lock.cost.usd:.4f}, {lock.sha256[:12]}"
            )
        if self._names == PLAN:
            self._statement()
        say("\nsummary")
        say(f"  the adapter opens with peft: {_open_adapter(self._folder, self._names)}")
        self._compare_bill()

    def _report(self) -> None:
        """The verdict of stage 1, with the numbers that it is made of."""
        report = json.loads((self._folder / f"{REPORT}.json").read_bytes())
        say = self._terminal.say
        say(f"\nstage 1: {report['verdict']}")
        say(f"  {report['finding']}")
        for why in report["why"]:
            say(f"  {why}")
        for ending in ("md", "html"):
            say(f"  {self._folder / REPORT}.{ending}")

    def _statement(self) -> None:
        from controller.locks import statement

        path = statement.statement_path(self._folder, "stage1")
        document = json.loads(path.read_bytes())
        if len(document["predicate"]["locks"]) != len(PLAN):
            raise PodctlError("the statement does not hold every lock", where=str(path))
        self._terminal.say(
            f"  {path.relative_to(self._folder)}: {len(document['subject'])} artifacts, "
            f"chain {document['predicate']['chain'][:12]}"
        )

    def _compare_bill(self) -> None:
        """No pod is left, and what podctl wrote down is what the cloud bills."""
        pods = self._read("gc")["pods"]
        comparison = self._read("cost", "--reconcile")
        booked, billed = (
            sum(row[key] for row in comparison["pods"]) for key in ("ledger_usd", "billed_usd")
        )
        self._terminal.say(f"  pods left at the provider: {len(pods)}")
        self._terminal.say(f"  ledger ${booked:.4f}, the cloud's bill ${billed:.4f}")
        if pods:
            raise PodctlError("a pod is left at the provider", hint="podctl gc")
        if not comparison["agrees"]:
            raise PodctlError("the ledger and the bill differ", hint="podctl cost --reconcile")


def _open_adapter(folder: Path, names: tuple[str, ...]) -> str:
    """Load base and adapter in a process of its own; the controller imports no torch."""
    adapter = "checkpoints/stage1_dpo" if "stage1d" in names else "checkpoints/stage1_sft"
    done = subprocess.run(
        [sys.executable, "-m", "remote.stages.open_adapter", adapter],
        cwd=folder,
        env=for_children(),
        timeout=600,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PodctlError("the adapter does not open", cause=done.stderr[-2000:])
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
