"""Run folders of small projects against an emulator.

`python -m tests.end_to_end.cases FOLDER [NAME …]`, or `make cases`.

Each folder below FOLDER that has a run.sh is one case: a script that copies its project and calls
`$PODCTL` there, with RUNPOD_API_BASE_URL and RUNPOD_API_KEY set to an emulator of this command's
own. Whatever a case does, three things hold after it: no traceback was printed, it came to its
end, and every lease that it left open can be abandoned, after which no pod is left. What else a
case has to print is in tests/end_to_end/cases.toml: `says` and `never` are regular expressions.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.providers.emulator.settings import EmulatorSettings
from tests.support.emulated_cloud import EmulatedCloud, start_cloud

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).with_name("cases.toml")
CASE_SECONDS = 900.0
COMMAND_SECONDS = 120.0
SETTINGS = EmulatorSettings(boot_seconds=0.2, runtime_seconds=0.0, restart_seconds=0.1)


@dataclass(frozen=True)
class Case:
    """One script, and what it has to print."""

    name: str
    script: Path
    environment: Mapping[str, str]
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """How one case went; `faults` is empty when all is well."""

    case: Case
    seconds: float
    faults: tuple[str, ...]


def cases(folder: Path, expected: Mapping[str, Any]) -> Iterator[Case]:
    """Every case of `folder`, and its variants: other scripts, or values of the variable V."""
    for place in sorted(folder.resolve().iterdir()):
        for script in sorted(place.glob("run*.sh")):
            name = place.name + script.stem.removeprefix("run")
            yield _case(name, script, {}, expected)
            for variant in expected.get(name, {}).get("variants", ()):
                yield _case(f"{name}:{variant}", script, {"V": variant}, expected)


def _case(
    name: str, script: Path, environment: Mapping[str, str], expected: Mapping[str, Any]
) -> Case:
    wanted = expected.get(name, {})
    says, never = tuple(wanted.get("says", ())), tuple(wanted.get("never", ()))
    return Case(name, script, environment, says, never)


def run(case: Case, cloud: EmulatedCloud, work: Path, output: Path) -> Result:
    """Play one case to its end, write down what it printed, and end what it left."""
    began = time.monotonic()
    environment = _environment(case, cloud, work)
    text, faults = _play(case, environment)
    output.write_text(text)
    if "Traceback (most recent call last)" in text:
        faults.append("a traceback")
    faults += [f"does not say {one!r}" for one in case.says if not re.search(one, text)]
    faults += [f"says {one!r}" for one in case.never if re.search(one, text)]
    faults += _end(cloud, environment, work / case.script.parent.name)
    cloud.reset()
    return Result(case, time.monotonic() - began, tuple(faults))


def _environment(case: Case, cloud: EmulatedCloud, work: Path) -> dict[str, str]:
    return {
        **os.environ,
        **case.environment,
        "PODCTL": str(Path(sys.executable).with_name("podctl")),
        "PODCTL_REPO": str(ROOT),
        "PY": sys.executable,
        "RUNPOD_API_BASE_URL": cloud.base_url,
        "RUNPOD_API_KEY": cloud.api_key,
        "W": str(work),
        "XDG_CONFIG_HOME": str(work / "config"),
        "XDG_STATE_HOME": str(work / "state"),
        "NO_COLOR": "1",
        "COLUMNS": "80",
    }


def _play(case: Case, environment: Mapping[str, str]) -> tuple[str, list[str]]:
    with tempfile.TemporaryFile("w+b") as sink:
        process = subprocess.Popen(
            ["bash", str(case.script)],
            cwd=case.script.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(CASE_SECONDS)
            faults = ["its script cannot be run"] if status in (126, 127) else []
        except subprocess.TimeoutExpired:
            faults = [f"not at its end after {CASE_SECONDS:.0f} s"]
        with contextlib.suppress(ProcessLookupError):  # what it left in the background
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sink.seek(0)
        return sink.read().decode(errors="backslashreplace"), faults


def _end(cloud: EmulatedCloud, environment: Mapping[str, str], project: Path) -> list[str]:
    """Abandon what the case left open; what is wrong with that."""
    if (project / ".podctl" / "state.db").exists():
        words = ["stop", "--terminate", "--abandon", "the case is over", "-y"]
        ended = subprocess.run(
            [environment["PODCTL"], *words],
            cwd=project,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if "Traceback" in ended.stderr:
            return ["a traceback when its lease is abandoned"]
    left = [pod["id"] for pod in cloud.api("GET", "/v2/pods").body["pods"]]
    return [f"pods that nothing ended: {', '.join(left)}"] if left else []


def main() -> int:
    """Exit code 0 when every case is as it should be, 1 when one is not, 3 without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.cases", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only cases whose name begins so")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "cases")
    chosen = parser.parse_args()
    if not chosen.folder.is_dir():
        print(f"cases: there is no folder {chosen.folder}")
        return 3
    expected = tomllib.loads(EXPECTED.read_text())
    shutil.rmtree(chosen.output, ignore_errors=True)
    chosen.output.mkdir(parents=True)
    found = [
        one
        for one in cases(chosen.folder, expected)
        if not chosen.names or one.name.startswith(tuple(chosen.names))
    ]
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        cloud = start_cloud(Path(place, "cloud"), SETTINGS)
        try:
            for case in found:
                result = run(case, cloud, Path(place, "work"), chosen.output / f"{case.name}.txt")
                bad += bool(result.faults)
                word = "; ".join(result.faults) or "ok"
                print(f"{case.name:<34} {result.seconds:6.1f} s  {word}", flush=True)
        finally:
            cloud.process.stop()
    print(f"cases: {len(found)} played, {bad} not as they should be; output in {chosen.output}")
    return 1 if bad else 0 if found else 3


if __name__ == "__main__":
    sys.exit(main())
