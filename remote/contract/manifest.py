"""What files a job wrote: `Manifest`."""

from ..light_dataclasses import dataclass, field
from .codec import MAX_DOCUMENT, SCHEMA, Name


@dataclass(frozen=True)
class FileEntry:
    """One regular file: path relative to the work folder, with `/`."""

    path: Name
    size: int  # bytes
    sha256: str  # 64 lower-case hex digits


@dataclass(frozen=True)
class Left:
    """A declared output that is not transferred, and why."""

    path: Name
    why: str


@dataclass(frozen=True)
class Manifest:
    """What a job wrote. `final` only after the job ended."""

    run: str
    attempt: int
    final: bool
    files: tuple[FileEntry, ...]
    left: tuple[Left, ...] = ()  # their content is only on the pod
    notes: tuple[Left, ...] = ()  # links to nothing, pipes …: nothing of them is lost
    beyond: int = 0  # more of them, which are not even named here
    seen: int = 0  # declared outputs while the job runs, once they come near MAX_FILES
    untouched: tuple[Name, ...] = ()  # of `files`: as they were sent, and nobody wrote them since
    unfit: tuple[str, ...] = ()  # of an older agent: `left`, as ASCII text
    # The receiver's own: path → path under which the file is here, where that is another one.
    here: dict[Name, Name] = field(default_factory=dict)
    schema: int = SCHEMA

    max_bytes = MAX_DOCUMENT  # not a field

    def local(self, path: str) -> str:
        """Where a file of this manifest is, below the folder that it was received in."""
        return self.here.get(path, path)
