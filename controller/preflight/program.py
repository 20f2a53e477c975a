"""The program that a stage's command starts: is it in the upload, and can a pod start it?

Told before anything is rented. What is certain is an obstacle; what only the pod can know, its
image's programs and modules, is at most a remark.
"""

from __future__ import annotations

import contextlib
import difflib
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from controller.preflight.command_line import Words, is_python, parse
from controller.preflight.program_file import Complaint, readable, startable

# Words of a shell that are no programs; some systems have files of these names, to no effect.
_BUILTINS = frozenset({".", "source", "exec", "eval", "export", "set", "unset", "cd", "alias"})
_KEYWORDS = frozenset(
    {"for", "while", "until", "if", "case", "function", "time", "!", "[[", "select"}
)
_OPERATOR = re.compile(r"&&|\|\||[;|&\n]")
_OPERATORS = frozenset({"&&", "||", "|", ";", ">", ">>", "<", "2>&1", "&"})
# What images have; a name near to one of these may be a slip of the finger.
_KNOWN = (
    *("awk", "cat", "cp", "curl", "echo", "false", "find", "git", "ls", "mkdir", "mv", "perl"),
    *("sed", "sleep", "tar", "tee", "test", "true", "wget", "node", "Rscript", "ruby"),
    *("accelerate", "bash", "conda", "deepspeed", "env", "huggingface-cli", "jupyter", "make"),
    *("mpirun", "nohup", "nvidia-smi", "pip", "poetry", "python", "python3", "rsync", "sh"),
    *("torchrun", "uv", "wandb", "xvfb-run"),
)
# Folders of a project that have no __init__.py give way to an installed package of the name.
_INSTALLED = frozenset(
    [
        *("accelerate", "datasets", "deepspeed", "evaluate", "numpy", "peft", "tokenizers"),
        *("torch", "transformers", "trl"),
    ]
)
_SHELL_SUFFIXES = (".sh", ".bash", ".py", ".pl", ".rb", ".R", ".js")
_SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh"})


@dataclass(frozen=True)
class Upload:
    """What a pod would get: paths with the reader of their first bytes; `here`: what stays."""

    files: Mapping[str, Callable[[], bytes]]
    here: Callable[[str], bool]  # whether the project has such a file or folder
    root: str = ""  # of the project, on this machine
    awaited: Sequence[str] = ()  # inputs that an earlier stage is still to make
    installed: frozenset[str] = frozenset()  # programs of the project that is installed there

    def folder(self, path: str) -> bool:
        return any(one.startswith(f"{path}/") for one in self.files)

    def comes(self, path: str) -> bool:
        """Whether an earlier stage may make it."""
        return any(path == one or path.startswith(f"{one}/") for one in self.awaited)


def command_text(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """A command as one would type it, its own variables before it."""
    given = [f"{name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    return " ".join((*given, shlex.join(command)))


def started(command: Sequence[str]) -> frozenset[str]:
    """Paths in the work folder of files that are started themselves: they need their run bit."""
    programs = [parse(words).program for words in _commands(command)]
    return frozenset(
        _normal(one) for one in programs if "/" in one and not one.startswith(("/", "~"))
    )


def _commands(command: Sequence[str]) -> Iterator[Sequence[str]]:
    """The command itself; of a text for a shell each simple command, as far as it can be read."""
    if not _is_text(command):
        yield command
        return
    for part in _OPERATOR.split(command[2]):
        with contextlib.suppress(ValueError):
            if words := list(_after_assignments(shlex.split(part))):
                yield words


def _is_text(command: Sequence[str]) -> bool:
    """Whether a shell is given a text to run."""
    return len(command) == 3 and command[0] in _SHELLS and command[1] in ("-c", "-lc", "-ec")


def complaints(command: Sequence[str], upload: Upload) -> Iterator[Complaint]:
    """Everything that can be known here to be wrong with `command`."""
    if _is_text(command):
        yield from _shell_text(command[2], upload)
        return
    if not command[0].strip():
        yield Complaint("the command's first word is empty", 'command = ["python", "train.py"]')
        return
    if len(command) == 1 and re.search(r"\s", command[0].strip()) and not upload.here(command[0]):
        yield Complaint(
            f"{command[0]!r} is one word: no program is called so",
            "write the command as one string, without the brackets, or as a list of words",
        )
        return
    if operators := [one for one in command[1:] if one in _OPERATORS]:
        yield Complaint(
            f"the word {operators[0]} is for a shell, and none reads a list of words",
            "write the command as one string: a shell runs that",
            certain=command[0] in _BUILTINS,
        )
    yield from _words(command, upload)


def _shell_text(text: str, upload: Upload) -> Iterator[Complaint]:
    """Of a text for a shell only what is plain: a first simple command, before any `cd`."""
    simple = _OPERATOR.split(text, maxsplit=1)
    plain = len(simple) == 1 and not re.search(r"[$`(){}<>*?~#]|\[", text)
    try:
        words = shlex.split(simple[0])
    except ValueError:
        return
    words = list(_after_assignments(words))
    if not words or words[0] in _BUILTINS | _KEYWORDS or re.search(r"[$`(){}<>*?~\[]", simple[0]):
        return
    for one in _words(words, upload):
        yield one if plain else Complaint(one.what, one.mend, certain=False)


def _after_assignments(words: Sequence[str]) -> Iterator[str]:
    begun = False
    for word in words:
        begun = begun or not re.match(r"[A-Za-z_]\w*=", word)
        if begun:
            yield word


def _words(command: Sequence[str], upload: Upload) -> Iterator[Complaint]:
    """Of a program and its arguments."""
    found = parse(command)
    yield from _program(found.program, upload)
    if found.module:
        yield from _module(found, upload)
    if found.script:
        yield from _script(found, upload)


def _program(name: str, upload: Upload) -> Iterator[Complaint]:
    """What the operating system is asked to start."""
    if name.startswith("~"):
        yield Complaint(f"{name}: no shell reads the ~", "name a path of the project")
    elif name.startswith("/"):
        if upload.root and name.startswith(f"{upload.root}/"):
            mine = name[len(upload.root) + 1 :]
            yield Complaint(f"{name} is a path of this machine", f"name it as the pod will: {mine}")
    elif "/" in name:
        path = _normal(name)
        if path in upload.files:
            yield from startable(path, upload.files[path]())
        elif upload.folder(path):
            yield Complaint(f"{name} is a folder", "name the program in it")
        elif not upload.comes(path):
            yield _absent(name, upload)
    elif name in _BUILTINS:
        yield Complaint(
            f"{name} is a word of the shell, and no program",
            "write the command as one string: a shell runs that",
        )
    elif name in upload.files and (name.endswith(_SHELL_SUFFIXES) or name not in _KNOWN):
        yield Complaint(f"{name} is looked for in PATH, where it is not", f"write ./{name}")
    elif name not in (*_KNOWN, *upload.installed) and not is_python(name):
        yield from _unknown(name)


def _unknown(name: str) -> Iterator[Complaint]:
    stem = name.split("-")[0]
    near = stem if stem in _KNOWN and stem != name else ""
    near = near or next(iter(difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.75)), "")
    yield Complaint(
        f"the program {name} is not in the upload: the pod's image must have it",
        f"did you mean {near}?" if near else "",
        certain=False,
    )


def _script(found: Words, upload: Upload) -> Iterator[Complaint]:
    """The file that an interpreter or a launcher is given."""
    if found.script.startswith(("/", "~", "-")) or "://" in found.script:
        if upload.root and found.script.startswith(f"{upload.root}/"):
            mine = found.script[len(upload.root) + 1 :]
            yield Complaint(f"{found.script} is a path of this machine", f"name it as {mine}")
        return
    path = _normal(found.script)
    if path in upload.files:
        yield from readable(found, path, upload.files[path]())
    elif found.python and f"{path}/__main__.py".removeprefix("./") in upload.files:
        return
    elif upload.folder(path):
        yield Complaint(f"{found.script} is a folder", "name the script in it")
    elif not upload.comes(path):
        yield _absent(found.script, upload, certain=found.certain)


def _module(found: Words, upload: Upload) -> Iterator[Complaint]:
    """`python -m a.b`: where `a` is a folder of the upload, `b` must be in it."""
    parts = found.module.split(".")
    top, path = parts[0], "/".join(parts)
    if not all(part.isidentifier() for part in parts):
        mend = "without .py and with dots: python -m src.train"
        yield Complaint(f"{found.module} is no module's name", mend, certain="/" in found.module)
        return
    if found.module.startswith("remote.stages."):
        if upload.folder("remote") or "remote.py" in upload.files:
            yield Complaint(
                "a folder `remote` of yours would stand in for podctl's own", "give it another name"
            )
        return
    places = (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py")
    if any(place in upload.files for place in places):
        if places[0] not in upload.files and places[1] not in upload.files:
            yield Complaint(f"{found.module} is a package without __main__.py", f"add {places[1]}")
        return
    python = any(one.startswith(f"{top}/") and one.endswith(".py") for one in upload.files)
    if python and len(parts) > 1:
        firm = f"{top}/__init__.py" in upload.files or top not in _INSTALLED
        yield Complaint(
            f"the module {found.module} is not in the upload, which has {top}/",
            _near(places[0], upload),
            certain=firm and found.certain,
        )
    elif any(upload.here(place) for place in places[:2]):
        yield Complaint(
            f"the module {found.module} is here and not sent",
            f'include = ["{top}"] below [upload] in podctl.toml',
            certain=False,
        )


def _absent(name: str, upload: Upload, *, certain: bool = True) -> Complaint:
    """A path that is to be in the work folder and would not be."""
    path = _normal(name)
    if upload.here(path):
        top = path.split("/")[0]
        mend = f'include = ["{top}"] below [upload] in podctl.toml, unless an ignore file hides it'
        return Complaint(f"{name} is here and would not be sent", mend, certain)
    return Complaint(f"{name} is not in the upload", _near(path, upload), certain)


def _near(path: str, upload: Upload) -> str:
    straight = path.replace("\\", "/")
    if straight != path and straight in upload.files:
        return f"write {straight}, with slashes"
    by_name = [one for one in upload.files if PurePosixPath(one).name == PurePosixPath(path).name]
    near = by_name or difflib.get_close_matches(path, list(upload.files), n=1)
    return f"did you mean {near[0]}?" if near else "inputs and [upload] include say what is sent"


def _normal(path: str) -> str:
    return posixpath.normpath(path)
