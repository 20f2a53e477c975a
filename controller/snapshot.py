"""What travels to the pod: the selected files with their hashes.

Likely secrets end the whole thing before anything is sent.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.belonging import walk
from controller.errors import UsageError
from controller.selection import LeftOut, Selection, select

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
CHUNK = 1024 * 1024  # bytes


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
    left_out: tuple[LeftOut, ...] = ()
    told: str = ""  # how it was found out what belongs, where that is worth telling

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)


def tree_digest(files: Iterable[tuple[str, int, str, int]]) -> str:
    """sha256 of the canonical list of (path, size, sha256, mode)."""
    text = json.dumps(sorted(files), separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def take(
    project: Path,
    inputs: Sequence[str],
    include: Sequence[str] = (),
    *,
    made: Collection[str] = (),
    allow: Sequence[str] = (),
    caps: Caps | None = None,
) -> Snapshot:
    """Read and hash what `inputs` and `include` select of `project`.

    `allow` lists paths or globs that travel although they look like secrets. Raises NotFound for
    an input that is not there, LikelySecret, and UsageError for links that lead outside and for
    more than `caps`.
    """
    found = select(project, inputs, include, made)
    found.check()
    return read(found, allow=allow, caps=caps)


def take_all(folder: Path) -> Snapshot:
    """Read and hash every file below a folder of podctl's own, whatever it is called."""
    files = {path: folder / path for path in walk(folder, "", lambda _: False)}
    return read(Selection({path: one for path, one in files.items() if not one.is_symlink()}))


def read(found: Selection, *, allow: Sequence[str] = ("**",), caps: Caps | None = None) -> Snapshot:
    """Read and hash what was selected. Raises as `take`."""
    caps = caps or Caps()
    check_count(found, caps)
    check_names(found, allow)
    read = (_read(path, found.files[path], allow) for path in sorted(found.files))
    files = tuple(one for one in read if one is not None)
    total = sum(one.size for one in files)
    if total > caps.total_bytes:
        raise UsageError(f"the inputs are {total} bytes, over the cap of {caps.total_bytes}")
    left_out = tuple(found.left_out[path] for path in sorted(found.left_out))
    tree = tree_digest((f.path, f.size, f.sha256, f.mode) for f in files)
    return Snapshot(files, tree, left_out, found.told)


def check(found: Selection, allow: Sequence[str], caps: Caps | None = None) -> None:
    """That everything may be sent and can be read, as `read` would find; big files are not read.

    Raises LikelySecret and UsageError.
    """
    check_count(found, caps)
    check_names(found, allow)
    for path in sorted(found.files):
        _read(path, found.files[path], allow, most=SMALL)


def check_count(found: Selection, caps: Caps | None = None) -> None:
    most = (caps or Caps()).files
    if len(found.files) > most:
        raise UsageError(
            f"the inputs are more than {most} files",
            hint="name the inputs more narrowly, or list what is not needed in .podctlignore",
        )


def check_names(found: Selection, allow: Sequence[str]) -> None:
    """All suspicious names in one message, before the first file is read. Raises LikelySecret."""
    odd = (path for path in sorted(found.files) if _secret_name(path))
    suspects = [path for path in odd if not _allowed(path, allow)]
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


def _read(
    path: str, source: Path, allow: Sequence[str], *, most: int | None = None
) -> SnapshotFile | None:
    """What there is, of `most` bytes if that is less; None for a file that went away since it was
    listed, as temporary ones do.

    At most so many bytes as it had when it was opened: what grows meanwhile is read as it was.
    """
    found = hashlib.sha256()
    head = b""
    try:
        with source.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UsageError(f"{path} is no regular file")
            size, end = 0, about.st_size if most is None else min(about.st_size, most)
            while data := file.read(min(CHUNK, end - size)):
                head = head or data
                found.update(data)
                size += len(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read",
            where=str(source),
            cause=error.strerror or str(error),
            hint="list it in .podctlignore if no job needs it",
        ) from error
    if about.st_size <= SMALL and SECRET_TEXT.search(head) and not _allowed(path, allow):
        raise _likely_secret([path], "its content")
    mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
    return SnapshotFile(path, size, found.hexdigest(), mode, source)
