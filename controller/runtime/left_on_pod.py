"""Outputs that podctl cannot download: their names, and the command that fetches them.

Such an output is a link that leads out of the work folder, or a file that cannot be read, or one
of too many. It keeps the pod until it is here or given up. What a user fetched is compared with
what is on the pod, and then counts as every other artifact.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ConnectionLost
from controller.locks.artifacts import hash_file
from controller.planner.unpulled_files import UnpulledFiles
from controller.terminal.sanitize import clean_line
from controller.transfer.upload import files_argv
from remote.contract import MAX_FILES, FileEntry, Layout, Left, Manifest
from remote.names import decode, encode, raw, wrong

if TYPE_CHECKING:
    from controller.ssh.session import Session

SHOWN = 5  # names in a message
AT_ONCE = 20  # paths in one command; the next message names the rest
LONGEST = 300  # characters of one name or reason
MEASURE_SECONDS = 3600.0


def unpulled_files(
    manifest: Manifest, stage: str, files: Path, outputs: Sequence[str]
) -> UnpulledFiles:
    """The outputs for which the pod is kept, and the command that fetches them."""
    named = [f"{_short(encode(left.path))} ({_short(left.why)})" for left in manifest.left[:SHOWN]]
    named += list(map(_short, manifest.unfit[:SHOWN]))
    more = len(manifest.left) + len(manifest.unfit) + manifest.beyond - len(named)
    if manifest.beyond and not named:
        summary = f"{manifest.beyond} outputs beyond the {MAX_FILES:,} that can be listed"
    else:
        summary = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return UnpulledFiles(
        f"only on the pod: {summary}",
        fetch_command(stage, [left.path for left in manifest.left[:AT_ONCE]], files, outputs),
        by_word=bool(manifest.beyond or manifest.unfit),
    )


def fetch_command(stage: str, paths: Sequence[str], files: Path, outputs: Sequence[str]) -> str:
    """A line for a shell that has the files at `paths` come below `files`, links followed."""
    wanted = " ".join(quoted(path) for path in paths if not wrong(path)) or " ".join(
        quoted(folder)
        for folder in sorted({glob.split("/")[0] for glob in outputs} - {"**", "*"}) or "."
    )
    into = quoted(str(files))
    return f"podctl exec {stage} -- tar -chf - -- {wanted} | tar -xf - -C {into}"


def _short(text: str) -> str:
    """Text of the pod, sanitised, on one line."""
    return clean_line(text)[:LONGEST]


def quoted(path: str) -> str:
    """`path` quoted as one shell word, whatever characters it has."""
    if encode(path) == path:
        return shlex.quote(path)
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}"
        for byte in raw(path)
    )
    return f"$'{''.join(plain)}'"


def with_fetched(
    session: Session, layout: Layout, code: str, manifest: Manifest, files: Path
) -> Manifest:
    """The manifest with what was fetched by hand among its files, where it is the same there.

    One that is missing or differs stays `left`.
    """
    wanted = [left for left in manifest.left if not wrong(left.path) and _stands(files, left)]
    if not wanted:
        return manifest
    measured = _measured(session, layout, code, manifest.run, [left.path for left in wanted])
    left, files_now = [], list(manifest.files)
    for missed in manifest.left:
        entries = [m for m in measured if _belongs(m.path, missed.path)]
        if missed in wanted and entries and all(_same(files, m) for m in entries):
            files_now += [m for m in entries if m not in files_now]
        else:
            left.append(missed)
    return replace(manifest, files=tuple(sorted(files_now, key=_path)), left=tuple(left))


def _path(entry: FileEntry) -> str:
    return entry.path


def _stands(files: Path, left: Left) -> bool:
    try:
        return (files / left.path).exists()
    except OSError:
        return False


def _belongs(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}/")


def _same(files: Path, entry: FileEntry) -> bool:
    try:
        return hash_file(files / entry.path) == (entry.size, entry.sha256)
    except OSError:
        return False


def _measured(
    session: Session, layout: Layout, code: str, run: str, paths: Iterable[str]
) -> list[FileEntry]:
    """The pod's files at these paths. Raises ConnectionLost for an invalid response."""
    asked = json.dumps([encode(path) for path in paths]).encode() + b"\n"
    argv = files_argv(layout, "measure", "--run", run)
    cwd = layout.code(code)
    answer = session.run(argv, stdin=asked, cwd=cwd, deadline_seconds=MEASURE_SECONDS)
    try:
        measured = [FileEntry(decode(p), int(n), str(h)) for p, n, h in json.loads(answer.stdout)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ConnectionLost("could not parse the pod's response", where="measure") from error
    return [entry for entry in measured if not wrong(entry.path)]
