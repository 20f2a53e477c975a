"""What a command's words mean: the program, and the script or module that it is given. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
_SHELL = re.compile(r"(?:.*/)?(?:bash|sh|dash|zsh|ksh)")
_PLAIN = re.compile(r"(?:.*/)?(?:perl|ruby|Rscript|node|julia)")  # the first word is the script
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_LAUNCHERS = ("torchrun", "deepspeed", "composer", "horovodrun", "mpirun")
_LAUNCHING_MODULES = ("torch.distributed.run", "torch.distributed.launch")
# Options of launchers that take no value: what follows is a word of its own.
_SWITCHES = frozenset(
    [
        *("--standalone", "--no-python", "--no_python", "--multi_gpu", "--multi-gpu", "--cpu"),
        *("--tpu", "--mps", "--quiet", "-q", "--use_deepspeed", "--use_fsdp", "--debug"),
        *("--use_megatron_lm", "--no_local_rank", "--force_multi"),
    ]
)
_PYTHON_SWITCHES = re.compile(r"-[bBdEhiIOPqsSuvVx?]+")


@dataclass(frozen=True)
class Words:
    """`certain`: the words leave no doubt that this is the script or module."""

    program: str  # what the system starts, beyond env, nohup and the like
    script: str = ""
    module: str = ""
    certain: bool = True
    python: bool = False  # reads the script
    interpreter: str = ""  # the shell that reads the script


def parse(command: Sequence[str]) -> Words:
    """The meaning of an argv."""
    words = _unwrapped(list(command))
    program, rest = words[0], words[1:]
    if is_python(program):
        return _python(program, rest)
    if _SHELL.fullmatch(program):
        return _shell(program, rest)
    if _PLAIN.fullmatch(program):
        bare = rest and not rest[0].startswith("-")
        return Words(program, script=rest[0]) if bare else Words(program)
    if program in _LAUNCHERS:
        return _launched(program, rest)
    if program == "accelerate" and rest[:1] == ["launch"]:
        return _launched(program, rest[1:])
    return Words(program)


def is_python(program: str) -> bool:
    return bool(_PYTHON.fullmatch(program))


def _unwrapped(words: list[str]) -> list[str]:
    """Without the programs that only start another; with them where their options are not plain."""
    left = words
    while len(left) > 1:
        rest = left[1:]
        if left[0] in ("nohup", "setsid", "time", "xvfb-run"):
            pass
        elif left[0] == "env":
            while rest and _ASSIGNMENT.match(rest[0]):
                rest = rest[1:]
        elif left[0] == "nice":
            rest = rest[2:] if rest[0] == "-n" else rest
        elif left[0] == "stdbuf":
            while rest and re.fullmatch(r"-[ioe][0L]", rest[0]):
                rest = rest[1:]
        elif left[0] == "timeout" and re.fullmatch(r"[0-9.]+[smhd]?", rest[0]):
            rest = rest[1:]
        elif left[0] in ("uv", "poetry", "pipenv") and rest[0] == "run":
            return left if len(rest) < 2 or rest[1].startswith("-") else _kept(left, rest[1:])
        else:
            return left
        if not rest or rest[0].startswith("-"):
            return left
        left = rest
    return left


def _kept(left: list[str], inner: list[str]) -> list[str]:
    """`uv run X`: X may also be a script, which it runs by itself."""
    return ["python", *inner] if inner[0].endswith(".py") else inner if inner else left


def _python(program: str, rest: list[str]) -> Words:
    while rest and rest[0].startswith("-"):
        word = rest[0]
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            rest = rest[2:]
        elif word == "-m" or (word.endswith("m") and _PYTHON_SWITCHES.fullmatch(word[:-1])):
            return _of_module(program, rest[1:])
        elif _PYTHON_SWITCHES.fullmatch(word) or word.startswith(("-W", "-X")):
            rest = rest[1:]
        else:
            return Words(program)
    return Words(program, script=rest[0], python=True) if rest else Words(program)


def _of_module(program: str, rest: list[str]) -> Words:
    if not rest:
        return Words(program)
    if rest[0] in _LAUNCHING_MODULES:
        return _launched(program, rest[1:])
    if rest[0] in ("accelerate.commands.launch",):
        return _launched(program, rest[1:])
    return Words(program, module=rest[0])


def _shell(program: str, rest: list[str]) -> Words:
    name = program.rsplit("/", 1)[-1]
    while rest and rest[0].startswith(("-", "+")):
        if rest[0] in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
            rest = rest[2:]
        elif rest[0] in ("-s", "-") or ("c" in rest[0] and not rest[0].startswith("--")):
            return Words(program)
        else:
            rest = rest[1:]
    return Words(program, script=rest[0], interpreter=name) if rest else Words(program)


def _launched(program: str, rest: list[str]) -> Words:
    """The first word that looks like a script, or follows `-m`; sure where nothing takes it."""
    for place, word in enumerate(rest):
        if word in ("-m", "--module") and place + 1 < len(rest):
            return Words(program, module=rest[place + 1], certain=False)
        if word.endswith(".py") and not word.startswith("-"):
            before = rest[place - 1] if place else ""
            sure = not before.startswith("-") or "=" in before or before in _SWITCHES
            return Words(program, script=word, certain=sure, python=True)
    return Words(program)
