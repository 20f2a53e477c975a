"""Runs that are over, judged again from their folder alone: real SQLite, real files, no cloud."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.engine.lease_context import pinned
from controller.errors import Locked, NotFound, VerificationFailed
from controller.leases.finished_run import newest
from controller.leases.rejudge import judge
from controller.locks import certificate
from controller.locks.certificate import Certificate
from controller.planner.pod_spec import Shape
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from controller.terminal.terminal import Terminal
from jobs.catalog import load_stages
from remote import contract
from remote.contract import Exit, FileEntry, Manifest
from state.journal import Journal
from state.project_lock import acquire
from tests.remote.stages.test_report import HOSTILE, report

CONFIG = """
[stages.data]
command = ["true"]
outputs = ["data/**"]
criteria = [{{ kind = "exists", path = "data/train.jsonl" }}]
hours = 1
max_hours = 1

[stages.train]
command = ["python", "train.py"]
needs = ["data"]
inputs = ["data/train.jsonl"]
outputs = {outputs}
criteria = [{criteria}]
hours = 1
max_hours = 1
"""
LOSS = '{ kind = "decreases", path = "out/log.jsonl" }'
TRAIN = b'{"text": "a"}\n'


def entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())


@dataclass
class Bench:
    """One project with runs that are over."""

    root: Path
    err: io.StringIO = field(default_factory=io.StringIO)

    @property
    def project(self) -> Project:
        return Project(self.root)

    def config(self, criteria: str = LOSS, outputs: str = '["out/**"]', text: str = CONFIG) -> None:
        (self.root / "podctl.toml").write_text(text.format(criteria=criteria, outputs=outputs))

    def finished(
        self,
        stage: str,
        files: dict[str, bytes],
        *,
        inputs: dict[str, bytes] | None = None,
        outcome: str = "criteria",
    ) -> str:
        """A run of the stage as podctl.toml has it now, and what it left here."""
        project = self.project
        project.prepare()
        with acquire(project.state_dir, "test") as owner:
            journal = Journal(owner.connection, owner.epoch)
            spec = pinned(project.stage(stage), Shape("an/image:1"))
            lease = journal.open_lease({}, [(stage, spec)])
            (row,) = journal.runs(lease=lease)
            journal.finish_run(row.id, outcome, {})
            journal.close_lease(lease, outcome)
        folder = RunFolder(project.run_dir(row.id))
        folder.make()
        for path, content in files.items():
            target = folder.files / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        listed = tuple(entry(path, content) for path, content in files.items())
        folder.keep("manifest.json", contract.dump(Manifest(row.id, 1, True, listed)))
        ended = Exit(row.id, 1, 0, "exited", "", "0" * 64, 0, 1.0, 2.0)
        folder.keep("exit.json", contract.dump(ended))
        folder.keep_inputs(entry(path, content) for path, content in (inputs or {}).items())
        return row.id

    def judge(self, name: str, accept: str = "") -> Certificate:
        terminal = Terminal(out=io.StringIO(), err=self.err)
        judge(self.project, name, accept, terminal)
        stage = name.rsplit("-", 1)[0] if name not in self.project.stages else name
        found = certificate.read(self.root, stage)
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.config()
    return made


def log(*losses: float) -> bytes:
    return b"".join(json.dumps({"loss": one}).encode() + b"\n" for one in losses)


FALLING = log(*(3 - n / 10 for n in range(12)))


def test_the_newest_run_whose_files_are_here_is_judged(bench: Bench) -> None:
    """An older one by its name; a file that is not as the job left it excludes its run, and the
    one before is taken; without any, what lacks is said."""
    first = bench.finished("train", {"out/log.jsonl": FALLING})
    second = bench.finished("train", {"out/log.jsonl": FALLING})
    spoilt = bench.project.run_dir(second) / "files" / "out" / "log.jsonl"
    spoilt.write_bytes(FALLING.replace(b"3.0", b"9.0"))

    with pytest.raises(NotFound) as error:
        bench.judge(second)
    assert "out/log.jsonl is missing or was changed since the download" in error.value.cause
    assert bench.judge("train").run == first
    with pytest.raises(Locked):
        bench.judge("train")


def test_a_run_that_was_given_other_files_than_the_lock_is_refused(bench: Bench) -> None:
    """It does not stand on the lock of its need; with the same file it does, also when that lock
    came later."""
    other = bench.finished(
        "train", {"out/log.jsonl": FALLING}, inputs={"data/train.jsonl": b"other"}
    )
    same = bench.finished("train", {"out/log.jsonl": FALLING}, inputs={"data/train.jsonl": TRAIN})
    bench.finished("data", {"data/train.jsonl": TRAIN})
    need = bench.judge("data")

    with pytest.raises(VerificationFailed, match="differs from the one that"):
        bench.judge(other)
    assert bench.judge(same).needs == {"data": need.sha256}


def test_an_inconclusive_criterion_is_locked_on_a_persons_word(bench: Bench) -> None:
    """By --accept or by `accept` in podctl.toml; the lock has the status and the reason. A FAIL is
    accepted by neither."""
    rising = LOSS.replace("decreases", "increases").replace(" }", ', accept = "so" }')
    bench.config(rising)
    bench.finished("train", {"out/log.jsonl": FALLING})
    with pytest.raises(VerificationFailed, match="do not meet"):
        bench.judge("train", "so")
    bench.config()
    run = bench.finished("train", {"out/log.jsonl": log(3, 2)})
    with pytest.raises(VerificationFailed) as error:
        bench.judge("train")
    assert f"podctl judge {run} --accept REASON" in error.value.hint

    found = bench.judge("train", "two epochs only")
    assert [(one.status, one.accepted) for one in found.criteria][:1] == [
        ("INCONCLUSIVE", "two epochs only")
    ]


def test_an_output_that_never_was_can_be_taken_back(bench: Bench) -> None:
    """A mistyped glob among the outputs is left out, and the same files are locked; a wider one
    is not: what it would have brought is not here."""
    bench.config(outputs='["out/**", "logs/**"]')
    bench.finished("train", {"out/log.jsonl": FALLING})
    with pytest.raises(VerificationFailed) as error:
        bench.judge("train")
    assert "nothing is at logs/**" in error.value.cause
    bench.config(outputs='["**"]')
    with pytest.raises(VerificationFailed):
        bench.judge("train")
    bench.config()

    assert bench.judge("train").outputs == ("out/**",)


def test_what_a_run_now_would_be_given_otherwise_is_told(bench: Bench) -> None:
    """Criteria aside: an input, the command, a parameter, the image."""
    (bench.root / "data").mkdir()
    (bench.root / "data" / "train.jsonl").write_bytes(TRAIN)
    run = bench.finished("train", {"out/log.jsonl": FALLING}, inputs={"data/train.jsonl": TRAIN})

    def differs() -> list[str]:
        project = bench.project
        with acquire(project.state_dir, "test") as owner:
            return newest(project, owner, run, lambda _: None).differs(project.stage("train"))

    image = '[pod]\nimage = "an/image:1"\n'
    bench.config('{ kind = "exists", path = "out/other" }', text=image + CONFIG)
    assert differs() == []
    text = CONFIG.replace("train.py", "train2.py")
    bench.config(text=text)
    assert any("the command was" in one for one in differs())
    assert any("the image was an/image:1" in one for one in differs())
    (bench.root / "data" / "train.jsonl").write_bytes(b"new")
    assert any("input data/train.jsonl changed" in one for one in differs())


def test_pages_are_rendered_here_when_the_stage_is_locked(bench: Bench) -> None:
    """1E's report is made of the figures that the lock certifies, and says so; a page that the pod
    sent along is an artifact, named as the pod's at the lock and in it."""
    names = ("artifacts/stage1_report.json", "artifacts/stage1_report.md")
    figures = json.dumps(report(HOSTILE)).encode()
    stage = load_stages({})["stage1e"]
    criteria = f'{{ kind = "opens", path = "{names[0]}" }}'
    bench.config(
        text="[stages.stage1e]\nneeds = []\ninputs = []\n"
        'outputs = ["artifacts/*"]\ncriteria = [{criteria}]\n',
        criteria=criteria,
    )
    assert stage.command[-1] == "remote.stages.evaluate"
    bench.finished("stage1e", {names[0]: figures, names[1]: b"# the pod's own\n"})

    found = bench.judge("stage1e")

    page = (bench.root / "artifacts" / "stage1_report.html").read_text()
    assert f"sha256 {hashlib.sha256(figures).hexdigest()[:12]}" in page
    assert "locked with by run stage1e-0001" in page
    assert "<script" not in page
    assert (bench.root / names[1]).read_bytes() == b"# the pod's own\n"
    assert found.rendered == (names[1],)
    told = bench.err.getvalue()
    assert "artifacts/stage1_report.html is rendered from artifacts/stage1_report.json" in told
    assert "rendered by the pod, not by podctl: artifacts/stage1_report.md" in told


def test_a_lock_that_a_crash_left_half_done_is_completed(bench: Bench) -> None:
    """The certificate is there and its row is not: the same command ends it, with the same
    certificate."""
    bench.finished("train", {"out/log.jsonl": FALLING})
    before = bench.project.database.read_bytes()
    left = bench.judge("train")
    bench.project.database.write_bytes(before)

    assert bench.judge("train") == left
    with pytest.raises(Locked):
        bench.judge("train")
