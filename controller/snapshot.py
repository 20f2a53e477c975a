"""What travels to the pod: the declared inputs as a list of files with their hashes.

An input that is declared by name is sent although .gitignore hides it (data usually is hidden);
below a folder that is not hidden, .gitignore holds. .podctlignore always holds. Likely secrets end
the whole thing before anything is sent.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.errors import NotFound, UsageError
from controller.ignoring import Ignores

SECRET_NAMES = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "credentials*",
    ".netrc",
    ".git-credentials",
    ".pypirc",
)
HARMLESS_NAMES = (".env.example", ".env.sample", ".env.template")
SECRET_TEXT = re.compile(
    rb"(?<![A-Za-z0-9_])(?:rpa_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{32,})"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
SMALL = 256 * 1024  # bytes; texts up to here are searched for secrets
GLOB = re.compile(r"[*?\[]")


class LikelySecret(UsageError):
    """A file looks like a secret; it is sent only when its path is allowed by name."""

    code = "likely-secret"


@dataclass(frozen=True)
class Caps:
    """What one upload may be at most."""

    files: int = 20_000
    total_bytes: int = 64 * 10**9


@dataclass(frozen=True)
class SnapshotFile:
    """One regular file as it was read; `path` is relative to the project, with `/`."""

    path: str
    size: int  # bytes
    sha256: str
    mode: int  # 0o755 when executable, else 0o644
    source: Path


@dataclass(frozen=True)
class Snapshot:
    """Every file that travels, by path, and `tree`: the sha256 of the whole list."""

    files: tuple[SnapshotFile, ...]
    tree: str

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)


def tree_digest(files: Iterable[tuple[str, int, str, int]]) -> str:
    """sha256 of the canonical list of (path, size, sha256, mode)."""
    text = json.dumps(sorted(files), separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def take(
    project: Path, inputs: Sequence[str], *, allow: Sequence[str] = (), caps: Caps | None = None
) -> Snapshot:
    """Read and hash the `inputs`: files, folders or globs, relative to `project`.

    `allow` lists paths or globs that travel although they look like secrets. Raises NotFound for
    an input that is not there, LikelySecret, and UsageError for links that lead outside and for
    more than `caps`.
    """
    caps = caps or Caps()
    found: dict[str, Path] = {}
    for path, source in _walk_inputs(project, inputs):
        found[path] = source
        if len(found) > caps.files:
            raise UsageError(
                f"the inputs are more than {caps.files} files",
                hint="name the inputs more narrowly, or list what is not needed in .podctlignore",
            )
    _refuse_names(found, allow)
    files = tuple(_read(path, found[path], allow) for path in sorted(found))
    total = sum(one.size for one in files)
    if total > caps.total_bytes:
        raise UsageError(f"the inputs are {total} bytes, over the cap of {caps.total_bytes}")
    return Snapshot(files, tree_digest((f.path, f.size, f.sha256, f.mode) for f in files))


def names(project: Path, inputs: Sequence[str]) -> dict[str, Path]:
    """Path to file of everything that `take` would read; nothing is read. Raises as `take`."""
    return dict(_walk_inputs(project, inputs))


def _walk_inputs(project: Path, inputs: Sequence[str]) -> Iterator[tuple[str, Path]]:
    ignores = Ignores(project)
    for declared in inputs:
        names = _expand(project, declared)
        if not names:
            raise NotFound(f"the input {declared!r} is not there", where=str(project / declared))
        for name in names:
            yield from _walk_input(project, name, ignores)


def _expand(project: Path, declared: str) -> list[str]:
    if declared.startswith("/") or ".." in declared.split("/"):
        raise UsageError(f"the input {declared!r} is not inside the project")
    if (project / declared).exists() or not GLOB.search(declared):
        plain = "/".join(part for part in declared.split("/") if part not in ("", "."))
        return [plain] if os.path.lexists(project / declared) else []
    return sorted(one.relative_to(project).as_posix() for one in project.glob(declared))


def _walk_input(project: Path, name: str, ignores: Ignores) -> Iterator[tuple[str, Path]]:
    source = project / name
    if not source.is_dir():
        yield _inside(project, name)
        return
    if source.is_symlink():
        raise UsageError(f"the input {name!r} is a link to a folder", hint="name the folder itself")
    git = not (name and ignores.anywhere_ignored(name, folder=True))
    yield from _walk_folder(project, name, ignores, git)


def _walk_folder(
    project: Path, folder: str, ignores: Ignores, git: bool
) -> Iterator[tuple[str, Path]]:
    with os.scandir(project / folder) as entries:
        children = sorted(entries, key=lambda one: one.name)
    for child in children:
        path = f"{folder}/{child.name}" if folder else child.name
        is_folder = child.is_dir(follow_symlinks=False)
        if ignores.ignored(path, folder=is_folder, git=git):
            continue
        if is_folder:
            yield from _walk_folder(project, path, ignores, git)
        else:
            yield _inside(project, path)


def _inside(project: Path, path: str) -> tuple[str, Path]:
    """`path` and the regular file it stands for, which must be inside the project."""
    source = (project / path).resolve()
    if not source.is_relative_to(project.resolve()):
        raise UsageError(
            f"{path} is a link that leads out of the project",
            where=str(source),
            hint="copy the file, or list the link in .podctlignore",
        )
    if not source.is_file():
        what = "a link to nothing" if not source.exists() else "no regular file"
        raise UsageError(f"{path} is {what}", hint="list it in .podctlignore")
    return path, source


def _refuse_names(paths: Iterable[str], allow: Sequence[str]) -> None:
    """All suspicious names in one message, before the first file is read."""
    suspects = [path for path in sorted(paths) if _secret_name(path) and not _allowed(path, allow)]
    if suspects:
        raise _likely_secret(suspects, "its name")


def _secret_name(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    if name in HARMLESS_NAMES:
        return False
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in SECRET_NAMES)


def _allowed(path: str, allow: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in allow)


def _likely_secret(paths: Sequence[str], why: str) -> LikelySecret:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return LikelySecret(
        f"{paths[0]}{more}: looks like a secret, nothing was sent",
        where=", ".join(paths[:20]),
        cause=why,
        hint="list it in .podctlignore, or allow it by name if the pod may have it",
    )


def _read(path: str, source: Path, allow: Sequence[str]) -> SnapshotFile:
    found = hashlib.sha256()
    head = b""
    size = 0
    with source.open("rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise UsageError(f"{path} is no regular file")
        while data := file.read(1024 * 1024):
            head = head or data
            found.update(data)
            size += len(data)
    if size <= SMALL and SECRET_TEXT.search(head) and not _allowed(path, allow):
        raise _likely_secret([path], "its content")
    mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
    return SnapshotFile(path, size, found.hexdigest(), mode, source)
