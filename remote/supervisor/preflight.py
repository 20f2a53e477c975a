"""Checks whether this host is fit for the job, before the job starts.

Every check is a process of its own with its own deadline, because what is wrong with a bad host
often hangs. All run at once. A finding names its check: the controller then takes another host.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ..contract import JobSpec, Preflight
from ..light_dataclasses import dataclass
from ..pod.command import Command, Result, wait_all
from ..pod.paths import PodPaths

PROBE = Path(__file__).with_name("probe.py")
MIB, GB = 1024 * 1024, 1e9
TOLERANCE = 0.98  # a "24 GB" card reports a little less or more


@dataclass(frozen=True)
class Check:
    """`judge` turns a result into what is wrong, or None."""

    name: str
    argv: list[str]
    judge: Callable[[Result], str | None]
    need: str = ""  # what `judge` compares with, where argv does not say it


def finding(
    spec: JobSpec,
    paths: PodPaths,
    python: Path,
    env: Mapping[str, str],
    tick: Callable[[], None],
    *,
    imports: tuple[str, ...],
) -> str | None:
    """The first problem, as "check: text"; None on a good host.

    Checks that passed are not repeated until the container restarts.
    """
    checks = [c for c in plan(spec, paths, python, imports) if not _passed(paths, c).exists()]
    folder = paths.local / "checks"
    folder.mkdir(exist_ok=True)
    started: list[Command] = []
    for index, check in enumerate(checks):
        output = folder / f"output-{index}"
        output.write_bytes(b"")
        try:
            started.append(_start(check, env, paths, output, spec.preflight.deadline_seconds))
        except OSError as error:
            for command in started:
                command.kill()
            return f"{check.name}: {check.argv[0]}: {error.strerror}"
    for check, result in zip(checks, wait_all(started, tick), strict=True):
        wrong = _judge(check, result, spec.preflight.deadline_seconds)
        if wrong:
            return f"{check.name}: {wrong}"
        if check.name != "disk":
            _passed(paths, check).touch()
    return None


def plan(spec: JobSpec, paths: PodPaths, python: Path, imports: tuple[str, ...]) -> list[Check]:
    """The checks that `spec` asks for."""
    need = spec.preflight
    probe = [str(python), str(PROBE)]
    checks = [Check("disk", [*probe, "disk", str(paths.root), str(need.min_free_gb)], last_line)]
    if need.needs_gpu:
        query = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        smi = ["nvidia-smi", *query]
        asked = f"{need.gpu_count} {need.gpus} {need.min_gpu_memory_gb}"
        checks.append(Check("gpu", smi, lambda r: gpu_wrong(r, need), need=asked))
        if "torch" in imports:
            checks.append(Check("cuda", [*probe, "cuda"], last_line))
    if imports:
        checks.append(Check("imports", [*probe, "imports", *imports], last_line))
    return checks


def _start(
    check: Check, env: Mapping[str, str], paths: PodPaths, output: Path, seconds: float
) -> Command:
    return Command(check.argv, env=env, cwd=paths.root, output=output, seconds=seconds)


def _judge(check: Check, result: Result, seconds: float) -> str | None:
    if result.rc is None:
        doing = result.output.splitlines()[-1] if result.output else "no output"
        return f"no answer within {seconds:g} s ({doing})"
    return check.judge(result)


def last_line(result: Result) -> str | None:
    """A probe's own finding."""
    if result.rc == 0:
        return None
    lines = result.output.splitlines()
    return lines[-1] if lines else f"ended with {result.rc}"


def gpu_wrong(result: Result, need: Preflight) -> str | None:
    """Judge `name, MiB` lines of nvidia-smi: how many, of which type, with how much memory."""
    if result.rc != 0:
        return last_line(result)
    rows = [line.rpartition(",") for line in result.output.splitlines() if "," in line]
    if not rows:
        return "nvidia-smi lists no GPU"
    if len(rows) < need.gpu_count:
        return f"{len(rows)} x {rows[0][0].strip()}, need {need.gpu_count}"
    wrong = (_one_wrong(name.strip(), mib.strip(), need) for name, _, mib in rows)
    return next((text for text in wrong if text), None)


def _one_wrong(name: str, mib: str, need: Preflight) -> str | None:
    if need.gpus and not any(same_type(name, gpu) for gpu in need.gpus):
        return f"{name} was delivered, need {' or '.join(need.gpus)}"
    try:
        have = float(mib) * MIB / GB
    except ValueError:
        return f"{name} does not say its memory: {mib}"
    if have < need.min_gpu_memory_gb * TOLERANCE:
        return f"{name} has {have:.1f} GB, need {need.min_gpu_memory_gb:g} GB"
    return None


def same_type(name: str, other: str) -> bool:
    """Whether two names mean one type: `H100 SXM` and `NVIDIA H100 80GB HBM3` do, A40 and L40 not.

    Only words with a digit tell types apart, and the longer name may say more. Variants of one
    type pass: a good host must not be refused for how a catalog spells it.
    """
    first, second = _words(name), _words(other)
    return first <= second or second <= first


def _words(name: str) -> set[str]:
    tokens = re.findall(r"[a-z0-9]+", name.lower())
    return {token for token in tokens if any(letter.isdigit() for letter in token)}


def _passed(paths: PodPaths, check: Check) -> Path:
    key = hashlib.sha256("\0".join([*check.argv, check.need]).encode()).hexdigest()[:16]
    return paths.local / "checks" / f"passed-{check.name}-{key}"
