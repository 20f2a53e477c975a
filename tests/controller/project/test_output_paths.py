"""No link leads a pod's output out of the project, unless the user said so."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.locks.artifacts import protect, release, set_aside, unexpected_files
from controller.locks.certificate import Artifact, Certificate, CriterionMet, Price
from controller.project import move_file as relocate
from controller.project.move_file import Destination
from controller.project.output_paths import LinkOutOfProject, OutputPaths, allow, allowed_file
from tests.support.laptop import Laptop


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project; the user's own configuration lies elsewhere, and so does a folder of theirs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "authorized_keys").write_text("mine")
    (tmp_path / "project" / "big").mkdir(parents=True)
    (tmp_path / "project" / ".podctl").mkdir()
    return tmp_path / "project"


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder on another file system than the tests'."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or folder.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Path(place)


def lock(*paths: str, outputs: tuple[str, ...] = ("out/sub/**",)) -> Certificate:
    return Certificate(
        stage="job", title="", run="job-0001",
        criteria=(CriterionMet(criterion="", status="PASS"),),
        artifacts=tuple(Artifact.of(path, 0, "0" * 64) for path in paths), outputs=outputs,
        cost=Price(usd=0, hours=0), started_at=0, ended_at=0, locked_at=0,
    )  # fmt: skip


def put(root: Path, path: str, moved: list[str]) -> None:
    """Install one file as a lock does."""
    (source := root / ".podctl" / "file").write_text("the pod's")

    def aside(fd: int, name: str, there: str) -> None:
        moved.append(there)
        relocate.move(Destination(fd, name), relocate.free_name(root / ".podctl" / "aside" / there))

    with OutputPaths.of(root).opened(path, aside) as (fd, name):
        relocate.place(source, Destination(fd, name))


@pytest.mark.parametrize(
    ("link", "target", "glob"),
    [
        ("out", "../home/.ssh", "out/**"),
        ("out", "../home/.ssh", "out/authorized_keys"),
        ("a/b", "../../home/.ssh", "a/b/*.pt"),
        ("out", "/no/such/folder", "out/**"),
        ("out", ".podctl", "out/**"),
        ("out", "..", "out/project/**"),
    ],
)
def test_a_link_that_leads_out_is_refused_until_it_is_allowed(
    root: Path, link: str, target: str, glob: str
) -> None:
    """To another folder, to nothing, to podctl's own; the word holds for that target alone."""
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(target)
    with pytest.raises(LinkOutOfProject, match="leads out"):
        OutputPaths.of(root).check([glob])
    if target == ".podctl":
        return
    allow(root, link)
    OutputPaths.of(root).check([glob])
    (root / link).unlink()
    (root / link).symlink_to(root.parent / "home")
    with pytest.raises(LinkOutOfProject):
        OutputPaths.of(root).check([glob])


def test_a_link_inside_the_project_needs_no_word(root: Path) -> None:
    """It is the project's own affair, and files go where it leads."""
    (root / "out").symlink_to("big")
    moved: list[str] = []
    OutputPaths.of(root).check(["out/**"])
    put(root, "out/sub/x", moved)

    assert (root / "big/sub/x").read_text() == "the pod's"
    assert moved == []


def test_a_clone_brings_no_allowance(root: Path) -> None:
    """What lies in the project counts nothing, nor does a file that others may write."""
    (root / "out").symlink_to("../home/.ssh")
    allow(root, "out")
    shutil.copytree(allowed_file().parent, root / ".podctl" / "podctl")
    allowed_file().chmod(0o666)
    with pytest.raises(LinkOutOfProject):
        OutputPaths.of(root).check(["out/**"])
    allowed_file().chmod(0o600)
    clone = root.with_name("clone")
    shutil.copytree(root, clone, symlinks=True)
    with pytest.raises(LinkOutOfProject):
        OutputPaths.of(clone).check(["out/**"])
    OutputPaths.of(root).check(["out/**"])


@pytest.mark.parametrize("link", ["out", "out/sub", "out/sub/authorized_keys"])
def test_a_link_that_appears_later_moves_aside(root: Path, link: str) -> None:
    """Installing follows none: it is kept, a folder takes its place, and what it led to stays."""
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    ssh = root.parent / "home" / ".ssh"
    (root / link).symlink_to(ssh / "authorized_keys" if link.endswith("keys") else ssh)
    moved: list[str] = []
    put(root, "out/sub/authorized_keys", moved)

    assert (root / "out/sub/authorized_keys").read_text() == "the pod's"
    assert not (root / "out/sub/authorized_keys").is_symlink()
    assert (ssh / "authorized_keys").read_text() == "mine"
    assert os.listdir(ssh) == ["authorized_keys"]
    assert moved == ([] if link.endswith("keys") else [link])


def test_protecting_and_setting_aside_touch_nothing_behind_a_link(root: Path) -> None:
    """Neither modes nor names of the user's own files change."""
    ssh = root.parent / "home" / ".ssh"
    (ssh / "authorized_keys").chmod(0o600)
    (root / "out").symlink_to("../home")
    made = lock("out/.ssh/authorized_keys", outputs=("out/.ssh/**",))
    before = stat.S_IMODE(ssh.stat().st_mode)
    protect(root, made)
    release(root, made)

    assert unexpected_files(root, made) == ()
    assert set_aside(root, made, root / ".podctl/aside") == ()
    assert stat.S_IMODE((ssh / "authorized_keys").stat().st_mode) == 0o600
    assert stat.S_IMODE(ssh.stat().st_mode) == before


def test_files_move_between_file_systems(root: Path, other_disk: Path) -> None:
    """Outputs on another disk: what stood there is set aside whole, what comes is a whole copy,
    modes and times included. Case 20, and run-same."""
    (root / "out").symlink_to(other_disk)
    allow(root, "out")
    (other_disk / "sub").mkdir()
    (other_disk / "sub" / "notes.txt").write_text("my notes")
    (other_disk / "sub" / ("n" * 255)).symlink_to("notes.txt")
    os.utime(other_disk / "sub" / "notes.txt", (1, 1))
    put(root, "out/sub/m.txt", [])
    moved = set_aside(root, lock("out/sub/m.txt"), root / ".podctl" / "aside")
    aside = root / ".podctl" / "aside" / "out" / "sub"
    protect(root, lock("out/sub/m.txt"))

    assert sorted(moved) == sorted(["out/sub/notes.txt", f"out/sub/{'n' * 255}"])
    assert (aside / "notes.txt").read_text() == "my notes"
    assert (aside / "notes.txt").stat().st_mtime == 1
    assert (aside / ("n" * 255)).is_symlink()
    assert os.listdir(other_disk / "sub") == ["m.txt"]
    assert (other_disk / "sub" / "m.txt").read_text() == "the pod's"
    assert stat.S_IMODE((other_disk / "sub" / "m.txt").stat().st_mode) == 0o444
    release(root, lock("out/sub/m.txt"))


def test_a_copy_that_fails_leaves_what_was_there(root: Path, other_disk: Path) -> None:
    """A folder does not move to another file system, and nothing is half moved."""
    (other_disk / "sub").mkdir()
    (other_disk / "sub" / "x").write_text("x")
    with pytest.raises(OSError, match="file system"):
        relocate.move_path(other_disk / "sub", root / "sub")

    assert (other_disk / "sub" / "x").read_text() == "x"
    assert not (root / "sub").exists()


def test_nothing_is_rented_for_a_stage_whose_folder_leads_out(laptop: Laptop) -> None:
    """Refused with the command to type; once that was typed the run goes through. Case 20."""
    laptop.write()
    elsewhere = laptop.folder.parent / "larger disk"
    elsewhere.mkdir()
    (laptop.folder / "out").symlink_to(elsewhere)
    laptop.environment["XDG_CONFIG_HOME"] = str(laptop.folder.parent / "config")
    told = laptop.podctl("run", "hello", "-y", expect=2)
    laptop.podctl("allow-link", "in.txt", expect=3)
    laptop.podctl("allow-link", "..", expect=2)

    assert laptop.cloud.state()["pods"] == []
    assert "out is a link that leads out of the project" in told.err
    assert "podctl allow-link out" in told.err
    laptop.podctl("allow-link", "out")
    laptop.podctl("run", "hello", "-y")
    assert (elsewhere / "copy.txt").read_text() == "hi\n"
    laptop.podctl("verify", "hello")
    laptop.assert_done()
