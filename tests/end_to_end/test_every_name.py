"""Any tree of files goes up, is copied by a job, comes home, is certified: byte by byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from controller.locks import artifacts as lock_artifacts
from controller.locks.certificate import Artifact, Certificate, CriterionMet, Price, canonical
from controller.project import move_file as relocate
from controller.project.output_paths import OutputPaths
from controller.ssh.session import Session
from controller.transfer import snapshot
from controller.transfer.download import pull
from controller.transfer.local_names import common_file_system, local_names
from controller.transfer.upload import upload_code, upload_work
from jobs.criteria import Verdict, evaluate
from jobs.stage import Criterion
from remote import contract, outputs
from remote.contract import Layout, Manifest
from remote.names import raw, text
from remote.supervisor import manifest
from tests.support.byte_trees import ByteTree, link, make, read, trees
from tests.support.sshd_server import needs_sshd

pytestmark = needs_sshd
OUTPUTS = ("out/**",)


def certified(project: Path, found: Manifest) -> Certificate:
    """A lock over the files, as it is read back from its document."""
    artifacts = (
        Artifact.of(found.local(one.path), one.size, one.sha256, one.path) for one in found.files
    )
    made = Certificate(
        stage="job", title="", run="job-0001", artifacts=tuple(artifacts), outputs=OUTPUTS,
        criteria=(CriterionMet(criterion="", status="PASS"),), cost=Price(usd=0, hours=0),
        started_at=0, ended_at=0, locked_at=0,
    )  # fmt: skip
    assert canonical(made.document()).decode()
    return Certificate.model_validate(made.document())


def work_of(layout: Layout) -> Path:
    return Path(layout.work("r"))


def listed(work: Path, run: str = "r") -> Manifest:
    """As the agent lists what is there, over the document that travels."""
    found = manifest.final(manifest.Hashes(work), OUTPUTS, lambda: None)
    survey = found.survey
    made = Manifest(run, 1, True, found.entries, survey.left, survey.notes, survey.beyond)
    return contract.load(Manifest, contract.dump(made))


def placed(found: Manifest, into: Path) -> Manifest:
    here = local_names((one.path for one in found.files), common_file_system([into]))
    return Manifest(found.run, 1, True, found.files, found.left, found.notes, here=here)


def reached(work: Path) -> Mapping[bytes, bytes]:
    """What a shell sees below out, through every link that does not lead out or in circles."""
    seen: dict[bytes, bytes] = {}
    home = os.path.realpath(os.fsencode(work))
    pending = [(b"out", frozenset[str | bytes]())]
    while pending:
        path, above = pending.pop()
        fd = os.open(home, os.O_RDONLY)
        try:
            for part in path.split(b"/"):
                deeper = os.open(part, os.O_RDONLY | os.O_NONBLOCK, dir_fd=fd)
                os.close(fd)
                fd = deeper
            real = os.readlink(f"/proc/self/fd/{fd}")
            if real in above or not (os.fsencode(real) + b"/").startswith(home + b"/"):
                continue
            if os.path.isdir(f"/proc/self/fd/{fd}"):
                names = map(os.fsencode, os.listdir(fd))
                pending += [(path + b"/" + name, above | {real}) for name in names]
            else:
                with open(fd, "rb", closefd=False) as file:
                    seen[path] = file.read()
        except OSError:
            continue
        finally:
            os.close(fd)
    return seen


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(tree=trees())
def test_what_was_there_is_here(session: Session, tree: ByteTree) -> None:
    """Every regular file that can be reached in the work folder is here under a name that the
    certificate records; every link that leads out is named, and no other name is."""
    there_and_back(session, tree)


@pytest.mark.long
@settings(max_examples=60, suppress_health_check=list(HealthCheck), derandomize=False)
@given(tree=trees())
def test_what_was_there_is_here_of_many_trees(session: Session, tree: ByteTree) -> None:
    """The same, of other trees in every run."""
    there_and_back(session, tree)


def there_and_back(session: Session, tree: ByteTree) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        layout, run = session.layout("/every"), folder.name.replace("_", "-")
        make(folder / "project" / "in", tree.files)
        (folder / "outside").write_text("not the job's")
        code = upload_code(session, layout.root)
        upload_work(session, layout, run, snapshot.take(folder / "project", ["in"]), code=code)
        work = Path(layout.work(run))
        assert read(work / "in") == tree.files

        (work / "elsewhere").mkdir()
        (work / "elsewhere" / "far").write_text("linked")
        subprocess.run(["cp", "-a", "in", "out"], cwd=work, check=True)
        link(work / "out", tree, folder / "outside")
        there = reached(work)
        found = placed(listed(work, run), folder / "project")
        pull(session, layout, run, found, folder / "inbox", code=code)
        shutil.rmtree(work)
        check(folder, found, there, tree)


def check(folder: Path, found: Manifest, there: Mapping[bytes, bytes], tree: ByteTree) -> None:
    """What came is installed, certified, and what was there; the rest is named as it should be."""
    for one in found.files:
        here = found.local(one.path)
        with OutputPaths.of(folder / "project").opened(here, lambda *_: None) as (fd, name):
            relocate.place(folder / "inbox" / here, relocate.Destination(fd, name))
    lock = certified(folder / "project", found)
    own = {one.path: raw(one.written_as or one.path) for one in lock.artifacts}
    kinds = {b"out/" + path: kind for path, kind in tree.links.items()}

    assert lock_artifacts.verify_artifacts(folder / "project", lock) == ()
    assert set(own.values()) == set(there)
    for path, name in own.items():
        assert (folder / "project" / path).read_bytes() == there[name]
    outside = {path for path, kind in kinds.items() if kind == "outside"}
    nowhere = {path for path, kind in kinds.items() if kind in ("nothing", "itself", "above")}
    assert {raw(one.path) for one in found.left} == outside
    assert {raw(one.path) for one in found.notes} == nowhere


def test_a_name_that_cannot_be_had_here_keeps_no_other(
    session: Session, layout: Layout, tmp_path: Path
) -> None:
    """A path beyond what this project's folder leaves room for arrives under an escaped name,
    and large files, twins and small ones come beside it."""
    work = work_of(layout)
    long = b"out/" + b"/".join([b"d" * 250] * 15) + b"/weights.bin"
    files = {long: b"w" * 100, b"out/a": b"w" * 100, b"out/big": b"x" * 20_000_000}
    work.mkdir(parents=True)
    top = os.open(work, os.O_RDONLY)
    for path, data in files.items():
        *folders, name = path.split(b"/")
        fd = os.dup(top)
        for part in folders:
            if part not in map(os.fsencode, os.listdir(fd)):
                os.mkdir(part, dir_fd=fd)
            fd = os.open(part, os.O_RDONLY, dir_fd=fd)
        with open(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
            file.write(data)
    found = placed(listed(work), tmp_path / ("p" * 250) / ("p" * 250))
    pull(session, layout, "r", found, tmp_path / "in")

    assert list(found.here) == [text(long)]
    assert found.here[text(long)].startswith("out/d")
    assert set(read(tmp_path / "in", inbox=True)) == {
        raw(found.local(text(path))) for path in files
    }
    assert set(read(tmp_path / "in", inbox=True).values()) == set(files.values())


def test_a_flood_of_outputs_is_listed_as_far_as_it_goes(tmp_path: Path) -> None:
    """Beyond the limit files are counted, not lost: what is listed travels, in the same order
    every time."""
    (tmp_path / "out").mkdir()
    for number in range(30):
        (tmp_path / f"out/{number:02}").touch()
    before = outputs.MAX_FILES
    outputs.MAX_FILES = 20
    try:
        found = outputs.survey(tmp_path, OUTPUTS)
    finally:
        outputs.MAX_FILES = before

    assert list(found.files) == [f"out/{number:02}" for number in range(20)]
    assert (found.beyond, found.seen) == (10, 30)


def test_what_is_on_its_way_is_not_judged(tmp_path: Path) -> None:
    """A glob of a criterion reaches no file that only arrives, or stood where another stands."""
    (tmp_path / ".partial" / "earlier").mkdir(parents=True)
    (tmp_path / ".partial" / "earlier" / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("{}")
    (found,) = evaluate([Criterion(kind="opens", path="**/*.json")], tmp_path)

    assert (found.status, found.measured) == (Verdict.PASS, 1)
