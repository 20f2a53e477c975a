"""`launch = "torchrun"`: the same command as one process a GPU, by a launcher that exists. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import filled

if TYPE_CHECKING:
    from .stage import Stage

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
LAUNCHERS = {
    "torchrun": ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "{count}"),
    # --multi_gpu starts that many processes also where there is no GPU; port 0 is any free one.
    "accelerate": (
        "-m", "accelerate.commands.launch", "--num_processes", "{count}", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
    ),
}  # fmt: skip
OWN_LAUNCHERS = re.compile(r"torchrun|torch\.distributed|accelerate|deepspeed|horovod|vllm|ray\b")


def command_line(stage: Stage) -> tuple[str, ...]:
    """The argv of the stage's job, with its parameters, below its launcher."""
    words = filled(stage.command, stage.parameters)
    return words if stage.launch is None else launched(words, stage.launch, processes(stage))


def processes(stage: Stage) -> int:
    """How many processes the launcher starts: one a GPU."""
    return 1 if stage.hardware.cpu is not None else stage.hardware.gpu_count


def launched(words: Sequence[str], launcher: str, count: int) -> tuple[str, ...]:
    """`python train.py …` below a launcher of `count` processes on this machine."""
    interpreter, rest = words[0], words[1:]
    options = tuple(word.format(count=count) for word in LAUNCHERS[launcher])
    several = ("--multi_gpu",) if launcher == "accelerate" and count > 1 else ()
    return (interpreter, *options, *several, *rest)


def problem(stage: Stage) -> str:
    """Why the stage cannot be launched so; empty where it can."""
    if stage.launch is None:
        return ""
    command = stage.command
    if len(command) < 2 or not _PYTHON.fullmatch(posixpath.basename(command[0])):
        return f'launch = "{stage.launch}" needs a Python program: ["python", "train.py", …]'
    if command[1].startswith("-") and command[1] != "-m":
        return f"launch cannot pass {command[1]} to Python: name the program first"
    program = command[2] if command[1] == "-m" and len(command) > 2 else command[1]
    if OWN_LAUNCHERS.match(posixpath.basename(program)):
        return "the command has a launcher of its own: take one of the two out"
    return ""


def idle_gpus(stage: Stage) -> bool:
    """Whether nothing in the stage says that its command uses more than one of its GPUs."""
    several = processes(stage) > 1 and stage.launch is None
    return several and not any(OWN_LAUNCHERS.search(word) for word in stage.command)
