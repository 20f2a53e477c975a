"""A stage's program as a process that is signalled in the middle of its work.

It is forked from a server that has imported the training stack, so that the seconds of that are
paid once and not by every test.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

DEADLINE = 400.0  # seconds until the moment comes, and from the signal to the end
_STACK = ["torch", "transformers", "peft", "trl.trainer.sft_trainer", "trl.trainer.dpo_trainer"]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(_STACK)


def interrupted(
    stage: str,
    folder: Path,
    parameters: Mapping[str, Any],
    number: int,
    condition: Callable[[], bool],
) -> tuple[int, float]:
    """(exit status, seconds that it took to end) of `remote.stages.<stage>`, started in `folder`
    and sent signal `number` once `condition` holds.

    Its output is in `folder`/job.log, its metrics in metrics.jsonl, what it announced in announced.
    """
    (folder / "parameters.json").write_text(json.dumps(parameters))
    job = _SERVER.Process(target=_be_stage, args=(stage, str(folder)))
    job.start()
    deadline = time.monotonic() + DEADLINE
    while not condition() and job.is_alive():
        assert time.monotonic() < deadline, told(folder)
        time.sleep(0.01)
    began = time.monotonic()
    if job.is_alive() and job.pid is not None:
        os.kill(job.pid, number)
    job.join(DEADLINE)
    assert job.exitcode is not None, told(folder)
    return job.exitcode, time.monotonic() - began


def told(folder: Path) -> str:
    """The last characters that the process wrote."""
    return (folder / "job.log").read_text()[-2000:]


def _be_stage(stage: str, folder: str) -> None:
    os.chdir(folder)
    log = os.open("job.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.environ |= {
        "PODCTL_PARAMETERS": f"{folder}/parameters.json",
        "PODCTL_METRICS": f"{folder}/metrics.jsonl",
        "PODCTL_RUN_DIR": folder,
        "HF_HUB_OFFLINE": "1",
    }
    sys.exit(import_module(f"remote.stages.{stage}").main())
