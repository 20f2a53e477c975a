"""The file of a program: can a pod start it, and can its interpreter read it? Pure."""

from __future__ import annotations

import ast
import shlex
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from controller.preflight.command_line import Words

HEAD = 64 * 1024  # bytes of a program that are looked at
_X86_64 = 0x3E  # in the head of an ELF file
_FOREIGN = {
    b"\xcf\xfa\xed\xfe": "macOS",
    b"\xce\xfa\xed\xfe": "macOS",
    b"\xca\xfe\xba\xbe": "macOS",
    b"MZ": "Windows",
}


@dataclass(frozen=True)
class Complaint:
    """What is wrong with a command. `certain`: no pod can run it."""

    what: str
    mend: str = ""
    certain: bool = True


def startable(path: str, head: bytes) -> Iterator[Complaint]:
    """A file that is started itself: a #! line that can be read, or a program for the pod."""
    first = head.split(b"\n", 1)[0]
    if head.startswith(b"\xef\xbb\xbf"):
        mend = _resave(path, "1s/^\\xef\\xbb\\xbf//")
        yield Complaint(f"{path} begins with a byte order mark", mend)
    elif system := next((name for start, name in _FOREIGN.items() if head.startswith(start)), ""):
        mend = "build it for Linux"
        yield Complaint(f"{path} is a program for {system}, and pods are Linux", mend)
    elif head.startswith(b"\x7fELF"):
        if struct.unpack_from("<H", head.ljust(20, b"\0"), 18)[0] != _X86_64:
            what = f"{path} is for another processor than RunPod's, which are x86-64"
            yield Complaint(what, "build it for that", certain=False)
    elif not head.startswith(b"#!"):
        by = "python" if path.endswith(".py") else "bash"
        mend = f'command = ["{by}", "{path}", …], or a first line #!/usr/bin/env {by}'
        yield Complaint(f"{path} has no #! line that says what runs it", mend)
    elif first.endswith(b"\r"):
        what = "has Windows line ends: its #! line asks for a program whose name ends in CR"
        yield Complaint(f"{path} {what}", _resave(path, "s/\\r$//"))
    elif not first[2:].strip():
        yield Complaint(f"{path} has an empty #! line", "#!/usr/bin/env bash")


def _resave(path: str, change: str) -> str:
    return f"sed -i '{change}' {shlex.quote(path)}"


def readable(found: Words, path: str, head: bytes) -> Iterator[Complaint]:
    """A script for the interpreter that the command names."""
    whole = len(head) < HEAD
    if found.interpreter and b"\r\n" in head:
        lines = [one for one in head.split(b"\n")[:-1] if one.strip()]
        yield Complaint(
            f"{path} has Windows line ends, which {found.interpreter} takes for parts of words",
            _resave(path, "s/\\r$//"),
            certain=all(one.endswith(b"\r") for one in lines),
        )
    if found.python and whole and path.endswith(".py"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(head)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            where = f"{path}, line {line}" if line else path
            told = getattr(error, "msg", str(error))
            yield Complaint(f"{where}: this Python cannot read it: {told}", certain=False)
