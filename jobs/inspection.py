"""Inspects artifacts that no criterion judges; findings are warnings, never failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from . import weights
from .file_formats import check_of, opens
from .format_check import InvalidFile
from .globs import globbed
from .verdict import plain

MAX_WARNINGS = 50
MAX_WEIGHTS = 4 * 1024**3  # bytes of weights that are read through for a warning
MAX_UNPACKED = 64 * 1024**2  # bytes of a compressed file that is
MAY_BE_EMPTY = (".jsonl", ".ndjson", ".gz")  # a list of records may have none


def warnings(
    root: Path,
    paths: Iterable[str],
    judged: Collection[Path] = (),
    weighed: Collection[Path] = (),
    unchecked: Iterable[str] = (),
) -> tuple[str, ...]:
    """What looks broken or hollow among the files at `paths`, each with its path.

    `judged` are those that criteria judged, `weighed` those whose weights they did; `unchecked`
    has globs of files that are left alone.
    """
    texts: list[str] = []
    folders: dict[Path, list[Path]] = defaultdict(list)
    for relative in _left(paths, unchecked):
        path = root / relative
        reason = None if path in judged else _problem_of(path)
        if reason:
            texts.append(f"{relative}: {reason}")
        elif path.suffix.lower() == weights.SUFFIX and path not in weighed:
            folders[path.parent].append(path)
    texts += [text for some in folders.values() if (text := _hollow(root, some))]
    shown = [plain(text) for text in texts[:MAX_WARNINGS]]
    more = len(texts) - len(shown)
    return (*shown, f"and {more} more files") if more else tuple(shown)


def inspected(paths: Iterable[str], unchecked: Iterable[str] = ()) -> list[str]:
    """The paths whose content is inspected, not only their size."""
    return [path for path in _left(paths, unchecked) if check_of(Path(path)) is not None]


def _left(paths: Iterable[str], unchecked: Iterable[str]) -> list[str]:
    out = [path.removesuffix("/").split("/") for path in unchecked]
    return [
        path
        for path in paths
        if not any(globbed(path.split("/"), p) or globbed(path.split("/"), [*p, "**"]) for p in out)
    ]


def _problem_of(path: Path) -> str | None:
    if check_of(path) is None:
        return None
    try:
        size = path.stat().st_size
    except OSError:
        return None  # for the pull's own check
    suffix = path.suffix.lower()
    if not size and suffix in MAY_BE_EMPTY:
        return None
    return None if suffix == ".gz" and size > MAX_UNPACKED else opens(path)


def _hollow(root: Path, paths: list[Path]) -> str:
    try:
        if sum(path.stat().st_size for path in paths) > MAX_WEIGHTS:
            return ""
        weights.check(paths)
    except OSError:
        return ""
    except InvalidFile as error:
        return f"{paths[0].parent.relative_to(root).as_posix()}: {error}"
    return ""
