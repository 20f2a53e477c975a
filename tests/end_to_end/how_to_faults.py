"""A how-to's project on an emulator, interrupted once, and a user who does what podctl says."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.end_to_end.how_to import HowTo, change, text
from tests.support.emulated_cloud import EmulatedCloud

COMMAND_SECONDS = 900.0
WORK_SECONDS = 300.0  # until a step is seen
MOST_COMMANDS = 6
PARKED = re.compile(r"podctl (stop [a-z0-9_-]+ --terminate) ends it")
NEXT = re.compile(r"podctl (sync|run [a-z0-9_-]+)")
TIME_IS_UP = 11


@dataclass
class Play:
    """One project, one fault, one seed; `told` is what every command said on stderr."""

    how_to: HowTo
    cloud: EmulatedCloud
    project: Path
    chance: random.Random
    told: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    struck_at: int = 0
    number: int = 1  # of the run that is looked at

    # -- podctl ----------------------------------------------------------------------------

    def start(self, *words: str) -> subprocess.Popen[str]:
        self.commands.append("podctl " + " ".join(words))
        environment = {
            **os.environ,
            "PODCTL_EMULATOR_URL": self.cloud.base_url,
            "NO_COLOR": "1",
            "HF_HUB_OFFLINE": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> int:
        try:
            said, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            said += f"\nnot at its end after {COMMAND_SECONDS:.0f} s\n"
        self.told.append(f"$ {' '.join(process.args[2:])}\n{said}")
        return process.returncode

    def podctl(self, *words: str) -> int:
        return self.ended(self.start(*words))

    # -- the job ---------------------------------------------------------------------------

    @property
    def run(self) -> str:
        return f"{self.how_to.stage}-{self.number:04}"

    @property
    def locked(self) -> bool:
        return (self.project / "locks" / f"{self.how_to.stage}.json").exists()

    def step(self) -> int:
        """How many steps the run's job has done, by its log on the pod."""
        pattern = re.compile(self.how_to.step, re.MULTILINE)
        found = [0]
        for pod in self.pods():
            log = self.cloud.state_dir / "pods" / pod / "volume/podctl/runs" / self.run / "job.log"
            with contextlib.suppress(FileNotFoundError):
                found.append(len(pattern.findall(text(log))))
        return max(found)

    def await_step(self, process: subprocess.Popen[str] | None, wanted: int) -> None:
        """Until so many steps are done, and no checkpoint is due: what strikes while the job saves
        costs an interval whoever it is that starts it again. AssertionError when it ends first.
        """
        deadline = time.monotonic() + WORK_SECONDS
        while (now := self.step()) < wanted or self._saves(now):
            assert time.monotonic() < deadline, f"only {now} steps within {WORK_SECONDS:.0f} s"
            assert process is None or process.poll() is None, f"podctl ended at step {now}"
            time.sleep(0.05)
        self.struck_at = now

    def _saves(self, step: int) -> bool:
        """Whether the job may be at a checkpoint, or will be before anything can strike."""
        interval = self.how_to.interval
        return bool(interval) and not 0 < step % interval <= max(1, interval * 0.7)

    def log(self) -> str:
        """The copy here of the run's log."""
        return text(self.project / ".podctl" / "runs" / self.run / "job.log")

    def pods(self) -> list[str]:
        """Every pod that the account has, stopped ones too."""
        answer = self.cloud.api("GET", "/v2/pods")
        while answer.status == 429:  # this process asks more often than a client may
            time.sleep(1.0)
            answer = self.cloud.api("GET", "/v2/pods")
        return [str(pod["id"]) for pod in answer.body["pods"]]

    def pod(self) -> str:
        return self.pods()[0]

    def trainers(self) -> list[psutil.Process]:
        """The processes of the job that train, the highest rank last."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("PODCTL_RUN") == self.run
                words = process.cmdline()
                if ours and self.how_to.program in " ".join(words):
                    found[process.pid] = process
            except psutil.Error:
                continue
        ranked = [one for one in found.values() if _rank(one) is not None]
        return sorted(ranked, key=lambda one: _rank(one) or 0) or list(found.values())[-1:]

    # -- the user --------------------------------------------------------------------------

    def follow(self, code: int) -> None:
        """Type what each message says comes next, until the stage is locked."""
        while not self.locked and len(self.commands) < MOST_COMMANDS:
            if code == TIME_IS_UP:
                self.more_hours()
            said = NEXT.findall(self.told[-1].partition("next:")[2].partition("warning:")[0])
            words = (said[0] if said else f"run {self.how_to.stage}").split()
            code = self.podctl(*words, "-y") if words[0] == "run" else self.podctl(*words)

    def end_parked(self) -> None:
        """The pods of earlier attempts, whose files are here: as each run that saw one has said."""
        found = dict.fromkeys(PARKED.findall("".join(self.told)))
        for words in found if self.pods() else ():
            self.podctl(*words.split(), "-y")

    def fewer_hours(self, hours: float) -> None:
        self._hours(f"hours = {hours / 2:.5f}", f"max_hours = {hours:.5f}")

    def more_hours(self) -> None:
        self._hours("hours = 0.05", "max_hours = 0.5")

    def _hours(self, expected: str, most: str) -> None:
        path = self.project / "podctl.toml"
        now = path.read_text()
        change(path, now, re.sub(r"(?m)^hours = .*$", expected, now))
        now = path.read_text()
        change(path, now, re.sub(r"(?m)^max_hours = .*$", most, now))


def _rank(process: psutil.Process) -> int | None:
    try:
        rank = process.environ().get("RANK")
    except psutil.Error:
        return None
    return int(rank) if rank is not None else None


# -- what strikes: each leaves the first command's exit code ------------------------------------


def _begun(play: Play) -> subprocess.Popen[str]:
    """A run at a random step, past its first checkpoint."""
    process = play.start("run", play.how_to.stage, "-y")
    low = min(play.how_to.interval + 1, play.how_to.steps)
    high = max(low, int(play.how_to.steps * 0.7))
    play.await_step(process, play.chance.randint(low, high))
    return process


def none(play: Play) -> int:
    """Nothing: how long it takes undisturbed."""
    return play.podctl("run", play.how_to.stage, "-y")


def kill(play: Play) -> int:
    """SIGKILL of podctl, and after a while `podctl sync`."""
    process = _begun(play)
    process.kill()
    play.ended(process)
    time.sleep(play.chance.uniform(0, 2))
    return play.podctl("sync")


def kill_reboot(play: Play) -> int:
    """SIGKILL of podctl; its pod reboots while nobody is there; then `podctl sync`."""
    process = _begun(play)
    process.kill()
    play.ended(process)
    play.cloud.reboot_pod(play.pod())
    return play.podctl("sync")


def reboot(play: Play) -> int:
    """The container starts anew, on a new port."""
    process = _begun(play)
    play.cloud.reboot_pod(play.pod())
    return play.ended(process)


def evict(play: Play) -> int:
    """SIGTERM, seconds, SIGKILL; the volume is kept."""
    process = _begun(play)
    play.cloud.evict_pod(play.pod())
    return play.ended(process)


def rank(play: Play) -> int:
    """SIGKILL of one process that trains: of the last rank where there are several."""
    process = _begun(play)
    play.trainers()[-1].kill()
    return play.ended(process)


def stop(play: Play) -> int:
    """Ctrl-C, `podctl stop`, then `podctl run`."""
    process = _begun(play)
    os.killpg(process.pid, signal.SIGINT)
    play.ended(process)
    play.podctl("stop", play.how_to.stage, "-y")
    return play.podctl("run", play.how_to.stage, "-y")


def hours(play: Play) -> int:
    """max_hours is spent; the user gives more and runs again."""
    play.fewer_hours(play.how_to.budget * play.chance.uniform(0.9, 1.2) / 3600)
    code = play.podctl("run", play.how_to.stage, "-y")
    play.struck_at = play.how_to.done(play.project)
    return code


FAULTS: dict[str, Callable[[Play], int]] = {
    "none": none,
    "kill": kill,
    "kill+reboot": kill_reboot,
    "reboot": reboot,
    "evict": evict,
    "rank": rank,
    "stop+run": stop,
    "hours": hours,
}


@dataclass(frozen=True)
class Ending:
    """How one play came out; `wrong` is empty when it is as its user would wish."""

    how_to: HowTo
    fault: str
    seconds: float
    twice: int
    struck_at: int
    commands: tuple[str, ...]
    wrong: str
    said: str


def play(
    how_to: HowTo, fault: str, seed: int, assets: Path, project: Path, cloud: EmulatedCloud
) -> Ending:
    """One play from an empty account to its end, in a copy of the project."""
    chance = random.Random(f"{seed} {how_to.title} {fault}")
    it = Play(how_to, cloud, how_to.copy(assets, project), chance)
    began = time.monotonic()
    wrong = ""
    try:
        for stage in how_to.before:
            assert it.podctl("run", stage, "-y") == 0, f"{stage} did not pass"
        it.commands.clear()
        it.follow(FAULTS[fault](it))
        it.end_parked()
        wrong = "; ".join(_wrong(it))
    except AssertionError as error:
        wrong = str(error)
    seconds = time.monotonic() - began
    twice = how_to.done(it.project) - how_to.steps
    cloud.reset()
    said = "\n".join(it.told)
    return Ending(how_to, fault, seconds, twice, it.struck_at, tuple(it.commands), wrong, said)


def _wrong(it: Play) -> Iterator[str]:
    if "Traceback (most recent call last)" in "".join(it.told):
        yield "a traceback"
    if not it.locked:
        yield "it is not locked"
    elif left := it.pods():
        yield f"{len(left)} pods are left"
    twice = it.how_to.done(it.project) - it.how_to.steps
    if it.how_to.interval and not 0 <= twice < it.how_to.interval:
        yield f"{twice} steps done twice, {it.how_to.interval} lie between two checkpoints"
