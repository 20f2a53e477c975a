"""The contract's paths on the volume."""

from __future__ import annotations

from pathlib import PurePosixPath

from ..light_dataclasses import dataclass

ENVIRONMENT = "environment.sh"  # in a run's folder


@dataclass(frozen=True)
class Layout:
    """The contract's paths on the volume, from the one root `<mount>/podctl`."""

    root: PurePosixPath

    def code(self, sha256: str) -> PurePosixPath:
        return self.root / "code" / sha256

    def blob(self, sha256: str) -> PurePosixPath:
        return self.root / "blobs" / sha256[:2] / sha256

    def run(self, run: str) -> PurePosixPath:
        return self.root / "runs" / run

    def work(self, run: str) -> PurePosixPath:
        return self.run(run) / "work"

    def environment(self, run: str) -> PurePosixPath:
        """The job's variables, without secrets, as a shell script that sets them."""
        return self.run(run) / ENVIRONMENT
