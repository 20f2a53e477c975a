"""A locked stage's artifacts: what was hashed on arrival is not read again, anything else is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from controller.locks.certificate import Artifact
from controller.runtime.background_call import BackgroundCall
from controller.runtime.verify_run import was_hashed_on_arrival
from controller.transfer.staging_area import StagingArea
from controller.transfer.verified_files import verified_files
from remote.contract import FileEntry, digest

CONTENT = b"x" * 100


def test_only_the_very_file_that_was_hashed_needs_no_other_hash(tmp_path: Path) -> None:
    """One more name of it is the same file; a copy, another content or another time is not."""
    files, root = tmp_path / "files", tmp_path / "project"
    root.mkdir()
    entry = FileEntry("a", len(CONTENT), digest(CONTENT))
    with StagingArea(files) as staging:
        (files / "a").write_bytes(CONTENT)
        assert staging.has(entry)
    artifact = Artifact.of("a", entry.size, entry.sha256, "a")
    other = Artifact.of("a", entry.size, digest(b"other"), "a")
    verified = verified_files(files)

    os.link(files / "a", root / "a")
    os.chmod(root / "a", 0o444)
    assert was_hashed_on_arrival(root, files, verified, artifact)
    assert not was_hashed_on_arrival(root, files, verified, other)
    assert not was_hashed_on_arrival(root, files, {}, artifact)

    (root / "a").unlink()
    assert not was_hashed_on_arrival(root, files, verified, artifact)
    shutil.copy2(files / "a", root / "a")
    assert not was_hashed_on_arrival(root, files, verified, artifact)

    (root / "a").unlink()
    os.link(files / "a", root / "a")
    os.chmod(root / "a", 0o644)
    (root / "a").write_bytes(b"y" * len(CONTENT))
    os.utime(root / "a", ns=(1, 1))
    assert not was_hashed_on_arrival(root, files, verified, artifact)


def test_a_background_call_hides_no_error() -> None:
    """What it raises is raised at the end of the block, unless the block raised before."""

    def fail() -> None:
        raise OSError("in the thread")

    with pytest.raises(OSError, match="in the thread"), BackgroundCall(fail):
        pass
    with pytest.raises(ValueError, match="in the block"), BackgroundCall(fail):
        raise ValueError("in the block")
