"""Criteria on files as a whole: presence, format, number of records, weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import weights
from .file_formats import opens
from .format_check import InvalidFile
from .globs import below, file_at, is_folder, is_glob, matches, near
from .records import records
from .stage import Criterion
from .verdict import Outcome, Verdict, verdict


def exists(path: Path, _: Criterion, root: Path) -> Outcome:
    """Of a folder: that a file in it has content. Of a file: that it opens as well."""
    if path.is_dir():
        full = sum(1 for file in below(path) if file.stat().st_size)
        text = counted(full, "file") if full else f"{shown(path, root)} holds nothing"
        return verdict(full > 0), full, text
    size = path.stat().st_size
    if size == 0:
        return Verdict.FAIL, 0, f"{shown(path, root)} is empty"
    if reason := opens(path):
        return Verdict.FAIL, size, f"{shown(path, root)} is there and does not open: {reason}"
    return Verdict.PASS, size, f"{size} bytes"


def all_open(paths: Sequence[Path], _: Criterion, root: Path) -> Outcome:
    for path in paths:
        if reason := opens(path):
            return Verdict.FAIL, len(paths), f"{shown(path, root)}: {reason}"
    return Verdict.PASS, len(paths), f"{counted(len(paths), 'file')} open"


def are_weights(paths: Sequence[Path], _: Criterion, __: Path) -> Outcome:
    tensors = [file for file in paths if file.suffix.lower() == weights.SUFFIX]
    if not tensors:
        pickles = [file.name for file in paths if file.suffix.lower() in weights.PICKLES]
        if pickles:
            text = f"{pickles[0]} is a pickle, and those are never opened: save as safetensors"
            return Verdict.INCONCLUSIVE, len(pickles), text
        return Verdict.FAIL, 0, "no safetensors file among them"
    indices = [file for file in paths if file.name.endswith(weights.INDEX)]
    return Verdict.PASS, len(tensors), weights.check([*indices, *tensors])


def lines(path: Path, criterion: Criterion, _: Path) -> Outcome:
    count = sum(1 for _record in records(path)) if path.stat().st_size else 0
    need = criterion.at_least if criterion.at_least is not None else 1
    if criterion.at_most is None:
        return verdict(count >= need), count, f"{counted(count, 'record')}, need at least {need:g}"
    need = criterion.at_least if criterion.at_least is not None else 0
    holds = need <= count <= criterion.at_most
    return (
        verdict(holds),
        count,
        f"{counted(count, 'record')}, need {need:g} to {criterion.at_most:g}",
    )


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def required_files(criterion: Criterion, root: Path) -> list[Path]:
    """The files that a criterion on a glob judges; of a folder every file below it.

    Raises InvalidFile when there is none.
    """
    path = criterion.path
    if is_folder(path, root):
        return list(below(root / path))
    paths = matches(path, root)
    if not paths:
        raise InvalidFile(f"no file matches{near(path, root)}")
    return paths


def singles(criterion: Criterion, root: Path) -> list[Path]:
    """The file, the folder where one may be meant, or every match of a glob.

    Raises InvalidFile when there is none.
    """
    path = criterion.path
    if not is_glob(path):
        if criterion.kind == "exists" and is_folder(path, root):
            return [root / path]
        return [file_at(path, root)]
    paths = matches(path, root)
    if not paths:
        raise InvalidFile(f"no file matches{near(path, root)}")
    return paths


def shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
