"""The artifacts of a locked stage: hash, verify, protect, release, archive."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.errors import NotFound
from controller.locks.certificate import (
    FOLDER,
    SCHEMA,
    Artifact,
    Certificate,
    lock_path,
    read,
    readable,
)
from controller.project import move_file as relocate
from controller.project.output_paths import LinkOutOfProject, OutputPaths
from remote.globs import Globs, normal, reaches
from remote.names import encode
from state.atomic_files import sync_folder, write_atomically

ARCHIVE = "archive"
LONGEST = 3800  # bytes of a path of what is set aside


@dataclass(frozen=True)
class Problem:
    """One file that is not what the certificate says. `path`, in the project, as it is shown."""

    path: str
    what: str


def check_recorded(certificate: Certificate, recorded_sha256: str | None) -> tuple[Problem, ...]:
    """Compare with the database's row (`Locks.current(stage).certificate`)."""
    path = f"{FOLDER}/{certificate.stage}.json"
    if recorded_sha256 is None:  # a fresh clone has the file and no database
        return ()
    if recorded_sha256 == certificate.sha256:
        return ()
    return (Problem(path, "it is another certificate than the one that was recorded"),)


def hash_file(path: Path) -> tuple[int, str]:
    """Size and sha256 of a regular file. Raises OSError, also for a link or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        return status.st_size, hashlib.file_digest(file, "sha256").hexdigest()


def artifacts_of(root: Path, paths: Iterable[str]) -> tuple[Artifact, ...]:
    """The files at `paths`, measured. Raises NotFound."""
    artifacts = []
    for path in sorted(set(paths)):
        try:
            size, sha256 = hash_file(root / path)
        except OSError as error:
            shown = encode(path)
            raise NotFound(f"{shown} cannot be read", where=str(root), cause=str(error)) from error
        artifacts.append(Artifact.of(path, size, sha256))
    return tuple(artifacts)


def verify_artifacts(
    root: Path,
    certificate: Certificate,
    was_hashed: Callable[[Artifact], bool] = lambda _: False,
) -> tuple[Problem, ...]:
    """Re-hash every artifact; also name what was added to the stage's own folders.

    An artifact for which `was_hashed` is true was hashed by this podctl and not written since.
    """
    problems = []
    for artifact in certificate.artifacts:
        if was_hashed(artifact):
            continue
        if difference := _difference(root / artifact.path, artifact):
            problems.append(Problem(encode(artifact.path), difference))
    problems += [
        Problem(encode(path), "it is not in the certificate")
        for path in unexpected_files(root, certificate)
    ]
    return tuple(sorted(problems, key=lambda problem: problem.path))


def _difference(path: Path, artifact: Artifact) -> str:
    try:
        size, sha256 = hash_file(path)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if size != artifact.size:
        return f"{size} bytes, was {artifact.size}"
    return "" if sha256 == artifact.sha256 else "its content changed"


def unexpected_files(root: Path, certificate: Certificate) -> tuple[str, ...]:
    """Files in the stage's own folders that are not its artifacts, such as an earlier run's.

    Its inputs and what its outputs exclude belong to other stages, and may be there.
    """
    known = {artifact.path for artifact in (*certificate.artifacts, *certificate.inputs)}
    globs, output_paths = Globs(certificate.outputs), OutputPaths.of(root)
    unexpected = {
        path.relative_to(root).as_posix()
        for folder in own_folders(certificate)
        if not output_paths.leads_out(folder)  # what is behind such a link is not the stage's
        for path in _files_below(root / folder)
    }
    return tuple(sorted(path for path in unexpected - known if not globs.leaves_out(path)))


def set_aside(root: Path, certificate: Certificate, archive: Path) -> tuple[str, ...]:
    """Move unexpected files below `archive`, with the same relative paths; nothing is deleted.

    For the moment before a stage is locked: files of an earlier run or of
    the user would count as a change of the locked artifacts.
    """
    moved = unexpected_files(root, certificate)
    for path in moved:
        relocate.move_path(root / path, relocate.free_name(_place_aside(archive, path)))
    return moved


def _place_aside(archive: Path, path: str) -> Path:
    """Under the same path, or a short one where that would be too long for the system."""
    place = archive / path
    if len(os.fsencode(place)) < LONGEST:
        return place
    return archive / "long" / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _files_below(folder: Path) -> Iterable[Path]:
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            yield Path(place, name)


def own_folders(certificate: Certificate) -> tuple[str, ...]:
    """Folders that nobody else writes to: `a/b` of an output `a/b/**`.

    A folder at the top of the project, such as `data`, is never one stage's own.
    """
    folders = set()
    for pattern in Globs(map(normal, certificate.outputs)).wanted:
        match = re.fullmatch(r"([^*?\[]+/[^*?\[/]+)/\*\*(/.*)?", pattern)
        if match:
            folders.add(match[1])
    return tuple(sorted(folders))


def protect(root: Path, certificate: Certificate, others: Iterable[str] = ()) -> None:
    """Make the artifacts read-only (0444), and the stage's own folders (0555).

    `others` are the output globs of other stages: a folder that one of them leads into stays
    writable. Idempotent; a missing file is left to `verify_artifacts`.
    """
    elsewhere = Globs(others).wanted
    globs, output_paths = Globs(certificate.outputs), OutputPaths.of(root)
    for artifact in certificate.artifacts:
        _chmod(output_paths, artifact.path, 0o444)
    for folder in own_folders(certificate):
        if not any(reaches(pattern, folder) for pattern in elsewhere):
            for place in _folders_below(root, folder):
                if not globs.leaves_out(place):
                    _chmod(output_paths, place, 0o555)


def release(root: Path, certificate: Certificate) -> None:
    """Undo `protect`: everything is its owner's to write again."""
    output_paths = OutputPaths.of(root)
    for folder in own_folders(certificate):
        for place in _folders_below(root, folder):
            _chmod(output_paths, place, 0o755)
    for artifact in certificate.artifacts:
        _chmod(output_paths, artifact.path, 0o644)


def _folders_below(root: Path, folder: str) -> list[str]:
    """From the top down, as paths in the project."""
    places = os.walk(root / folder, followlinks=False)
    return [os.path.relpath(place, root) for place, _, _ in places]


def _chmod(output_paths: OutputPaths, path: str, mode: int) -> None:
    """Never through a link that nobody allowed: what is behind it is not an artifact."""
    try:
        with output_paths.opened(path) as (folder, name):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISLNK(info.st_mode):
                os.chmod(name, mode, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError, LinkOutOfProject):
        return


@dataclass(frozen=True)
class Archived:
    """A lock that was ended by `unlock`."""

    stage: str
    run: str
    sha256: str  # of its certificate
    reason: str


def archived(root: Path) -> tuple[Archived, ...]:
    """Every lock that was ended, as far as its file can be read."""
    archives = []
    for path in sorted((root / FOLDER / ARCHIVE).glob("*.json")):
        try:
            document = json.loads(path.read_bytes())
            lock = document["certificate"]
            named = (lock["stage"], lock["run"], lock["sha256"], document["reason"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        archives.append(Archived(*map(str, named)))
    return tuple(archives)


def made_before(root: Path, stage: str) -> frozenset[str]:
    """Paths that passed runs of `stage` wrote anew here, its lock ended since or not."""
    made: set[str] = set()
    paths = [lock_path(root, stage), *(root / FOLDER / ARCHIVE).glob(f"{stage}-*.json")]
    for path in paths:
        try:
            document = json.loads(path.read_bytes())
            lock = document.get("certificate", document)
            if lock["stage"] == stage:
                given = {entry["path"] for entry in lock["inputs"]}
                made |= {str(entry["path"]) for entry in lock["artifacts"]} - given
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return frozenset(made)


def archive(root: Path, stage: str, reason: str, now: float) -> Path:
    """Unlock: move the lock to locks/archive/<stage>-<n>.json with the reason, free the artifacts.

    Raises NotFound when the stage is not locked, VerificationFailed when its lock is spoilt.
    """
    certificate = read(root, stage)
    if certificate is None:
        raise NotFound(f"{stage} is not locked", where=str(lock_path(root, stage)))
    folder = root / FOLDER / ARCHIVE
    folder.mkdir(exist_ok=True)
    numbers = [0]
    for path in folder.glob(f"{stage}-*.json"):
        number = path.stem.removeprefix(f"{stage}-")
        numbers += [int(number)] if number.isdecimal() else []
    target = folder / f"{stage}-{max(numbers) + 1}.json"
    document = {
        "schema": SCHEMA,
        "archived_at": now,
        "reason": reason,
        "certificate": certificate.document() | {"sha256": certificate.sha256},
    }
    write_atomically(target, readable(document), 0o444)
    release(root, certificate)
    lock_path(root, stage).unlink()
    sync_folder(root / FOLDER)
    return target
