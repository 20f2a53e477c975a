"""What a run would send, as `podctl plan` and `podctl run` say it before anything is rented."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.controller.cli.test_cli_start import start
from tests.controller.transfer.test_snapshot import lay
from tests.support.emulated_cloud import FAST, EmulatedCloud, until
from tests.support.laptop import Laptop

TOML = """
[project]
provider = "emulator"

[upload]
include = {include}

[stages.job]
title = "t"
command = ["python", "src/job.py"]
inputs = {inputs}
outputs = {outputs}
hours = 0.01
max_hours = 0.1
criteria = [{{ kind = "exists", path = "out/seen.txt" }}]
hardware = {{ cpu = "cpu5c", vcpu_count = 2, disk_gb = 10 }}
"""
JOB = """
from pathlib import Path
Path("out").mkdir()
seen = sorted(str(one) for one in Path(".").rglob("*") if one.is_file())
Path("out/seen.txt").write_text("\\n".join(one for one in seen if not one.startswith(".podctl")))
Path("out/skipped.tmp").write_text("")
Path("src/job.py").write_text("# written by the job")
"""


def write(folder: Path, **globs: Any) -> Path:
    chosen = {"include": ["src"], "inputs": [], "outputs": ["out/**"]} | globs
    folder.mkdir(exist_ok=True)
    text = TOML.format(**{key: json.dumps(value) for key, value in chosen.items()})
    return lay(folder, {"podctl.toml": text, "src/job.py": JOB})


def listed(folder: Path) -> dict[str, Any]:
    done = start("plan", "job", "--files", "--json", cwd=folder)
    document = json.loads(done.stdout)
    (stage,) = document["stages"]
    assert isinstance(stage, dict)
    return stage | {"code": done.returncode, "schema": document["schema"]}


def test_plan_lists_what_would_be_sent(tmp_path: Path) -> None:
    """Every file with its size, the sum, and what stays here with the reason; nobody is asked."""
    write(tmp_path, include=["src", "!*.bin"], inputs=["data/*.jsonl"])
    lay(
        tmp_path,
        {".gitignore": "*.log\n", "data/a.jsonl": "{}\n", "src/a.log": "", "src/b.bin": ""},
    )
    (tmp_path / "src/loop").symlink_to("loop")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/src/caf\xe9")).write_text("x")
    found = listed(tmp_path)
    told = start("plan", "job", "--files", cwd=tmp_path)

    assert (found["schema"], found["code"], found["refused"]) == ("podctl/plan-files/1", 0, None)
    sizes = {"data/a.jsonl": 3, "src/caf\udce9": 1, "src/job.py": len(JOB)}
    assert {one["path"]: one["bytes"] for one in found["files"]} == sizes
    assert found["total_bytes"] == sum(sizes.values())
    reasons = {one["path"]: one["why"] for one in found["left_out"]}
    assert reasons["src/a.log"] == ".gitignore lists it"
    assert reasons["src/b.bin"] == "!*.bin excludes it"
    assert "loop" in reasons["src/loop"]
    assert "data/a.jsonl" in told.stdout
    assert "caf\\xe9" in told.stdout or "caf\\udce9" in told.stdout
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("globs", "code", "word"),
    [
        ({"inputs": ["data/*.csv"]}, 3, "data/*.csv"),
        ({"include": ["src", "out/"]}, 3, "out"),
        ({"inputs": ["up"]}, 2, "leads out of the project"),
        ({"inputs": ["loop"]}, 2, "part of a loop"),
        ({"outputs": ["out/a", "!out"]}, 2, "can match nothing"),
        ({"outputs": ["locks"]}, 2, "must not lead into"),
    ],
)
def test_plan_and_run_refuse_alike(
    laptop: Laptop, globs: dict[str, Any], code: int, word: str
) -> None:
    """With the same exit code, and before any pod."""
    write(laptop.folder, **globs)
    (laptop.folder / "up").symlink_to("..")
    (laptop.folder / "loop").symlink_to("loop")

    for words in (("plan", "job"), ("plan", "job", "--files"), ("run", "job", "-y")):
        told = laptop.podctl(*words, expect=code)
        assert word in told.out + told.err, words
    assert laptop.creates() == []


def test_case_19_everything_goes_and_what_the_job_wrote_comes(laptop: Laptop) -> None:
    """Case 19: `.` both ways, twice. What the job left alone stays as it is here, the second run
    is not given what the first one made, and a lock of all that is not stale at once."""
    write(laptop.folder, include=["."], outputs=[".", "!*.tmp"])
    lay(laptop.folder, {"notes.md": "mine"})
    laptop.podctl("run", "job", "-y")
    seen = (laptop.folder / "out/seen.txt").read_text()
    lock = json.loads((laptop.folder / "locks/job.json").read_bytes())

    assert seen.split("\n") == ["notes.md", "src/job.py"]
    assert [one["path"] for one in lock["artifacts"]] == ["out/seen.txt", "src/job.py"]
    assert not (laptop.folder / "out/skipped.tmp").exists()
    assert os.stat(laptop.folder / "notes.md").st_mode & 0o200
    assert "stale" not in laptop.podctl("status").out

    laptop.podctl("unlock", "job", "--reason", "again")
    (laptop.folder / "src/job.py").write_text(JOB)
    laptop.podctl("run", "job", "-y")
    assert (laptop.folder / "out/seen.txt").read_text() == seen


def test_an_upload_that_fails_is_no_refusal_of_the_provider(
    tmp_path: Path, new_cloud: Callable[..., EmulatedCloud]
) -> None:
    """An input that went away after the pod was rented: exit 1, and how to leave it out."""
    laptop = Laptop(tmp_path / "project", new_cloud(replace(FAST, boot_seconds=3.0)))
    write(laptop.folder, inputs=["data.txt"])
    lay(laptop.folder, {"data.txt": "x"})
    process = laptop.start("run", "job", "-y")
    until(laptop.living_pods, 60)
    (laptop.folder / "data.txt").unlink()
    _, told = process.communicate(timeout=90)

    assert process.returncode == 1, told
    assert "data.txt" in told
    assert "podctl plan job --files" in told
    assert laptop.living_pods() == []
