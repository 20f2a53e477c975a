"""A pod's wall clock may be wrong by days, or jump: nothing that decides reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from remote.contract import GuardLimits
from tests.support.guard_api import Bench
from tests.support.pod_side import until

DAY = 86400.0
CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
  int rc = syscall(SYS_clock_gettime, clock, at);
  FILE *dial = clock == CLOCK_REALTIME ? fopen(DIAL, "r") : 0;
  long seconds = 0;
  if (dial) { if (fscanf(dial, "%ld", &seconds) == 1) at->tv_sec += seconds; fclose(dial); }
  return rc;
}
"""


@pytest.fixture
def dial(bench: Bench) -> Path:
    """A file that says by how many seconds every process of the pod sees the date wrong.

    Only the date: the clocks that count seconds are as they are, which libfaketime cannot do for
    a sleeping Python.
    """
    compiler, folder = shutil.which("cc"), bench.pod.folder
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library, path = folder / "clock.c", folder / "clock.so", folder / "dial"
    source.write_text(CLOCK)
    words = ["-shared", "-fPIC", f'-DDIAL="{path}"', "-o", str(library), str(source)]
    subprocess.run([compiler, *words], check=True, timeout=60)
    turn(path, 0.0)
    bench.pod.env["LD_PRELOAD"] = str(library)
    return path


def turn(dial: Path, days: float) -> None:
    beside = dial.with_suffix(".new")
    beside.write_text(f"{days * DAY:.0f}\n")
    os.replace(beside, dial)


@pytest.mark.parametrize("days", [400.0, -400.0])
def test_row_67_a_clock_that_jumps_by_days_ends_nothing(
    bench: Bench, dial: Path, days: float
) -> None:
    """Budget, stall, heartbeat and guard go on counting seconds; the next visit is still seen."""
    pod = bench.pod
    limits = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=120.0)
    guard = bench.start(limits, PODCTL_BOOT=uuid.uuid4().hex)  # whose the job is, on this machine
    bench.reports(armed=True)
    job = (
        "said = open('said', 'w')\nwhile True:\n"
        "  print(f'{time.time():.0f}', file=said, flush=True); time.sleep(0.05)\n"
    )
    spec = pod.spec(job, outputs=("said",), max_seconds=60.0, stall_seconds=20.0)
    pod.start(spec)
    pod.file("said")
    turn(dial, days)
    until(lambda: abs(int(_last(pod.file("said"))) - time.time()) > DAY, "the jump")
    before = bench.report().stops_in_seconds
    until(lambda: bench.report().stops_in_seconds != before, "the guard to count on")
    status = pod.status()
    pod.stop("--wait", "30")
    end = pod.ended()

    assert (status.state, status.attempt) == ("running", 1)
    assert status.heartbeat_age is not None
    assert status.heartbeat_age < 20
    assert status.guard is not None
    assert (status.guard.armed, status.guard.phase) == (True, "job")
    assert status.guard.stops_in_seconds is not None
    assert 0 < status.guard.stops_in_seconds < 120
    assert end.reason == "stopped"
    assert abs(end.ended_at - time.time()) > DAY  # it is told, and nobody reckons with it
    assert guard.poll() is None
    assert not bench.api.of("/v2/pods/pod1/action")


def _last(text: str) -> str:
    return text.split()[-1]
