"""The job's Python: what is there is used, what is missing comes from the lock, or not at all."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from remote import contract
from remote import lock_file as lockfile
from remote.contract import Environment, Exit, Preflight
from remote.supervisor import environment
from remote.supervisor import installer as installing
from tests.support.pod_side import PodSide, second_pod

JOB = (
    "import podctl_demo_wheel as w\n"
    "pathlib.Path('out').mkdir(exist_ok=True)\n"
    "pathlib.Path('out/a').write_text(w.WORD + '\\n' + sys.executable)\n"
)


MAIN = "    import os, sys\n    os.mkdir('out')\n    open('out/a', 'w').write(sys.executable)\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, name: str, requires: str = "", script: str = "") -> tuple[str, str]:
    """A wheel made by hand; its requirement line's name and sha256. `script` runs its `main`."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
    files = {
        f"{name}.py": "WORD = 'installed'\n\ndef main():\n" + MAIN,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": WHEEL,
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}:main\n"
    record = "".join(f"{n},sha256={_b64(t)},{len(t)}\n" for n, t in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return name, hashlib.sha256(path.read_bytes()).hexdigest()


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture
def uv(pod: PodSide) -> None:
    """A pod whose image has uv."""
    assert shutil.which("uv", path=PATH), "it comes with podctl[dev]"
    pod.env["PATH"] = PATH


def run(pod: PodSide, text: str, name: str = "r1", **need: object) -> Exit:
    work = pod.work(name)
    work.mkdir(parents=True, exist_ok=True)
    (work / "job.lock").write_text(text)
    fields = {"lock": "job.lock", "provides": ("podctl_demo_wheel",), "deadline_seconds": 60.0}
    spec = pod.spec(
        JOB,
        run=name,
        environment=Environment(**(fields | need)),  # type: ignore[arg-type]  # a test's own table
        preflight=Preflight(imports=("podctl_demo_wheel",)),
    )
    # With -S the job would not see what was installed.
    spec = contract.load(contract.JobSpec, contract.dump(spec).replace(b'"-S",', b""))
    pod.start(spec)
    return pod.ended(name)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "WARNING: Location 'x' is ignored\nERROR: Could not find a version\n"
            "ERROR: No matching distribution found for uv\n[notice] A new release of pip\n",
            "ERROR: Could not find a version; ERROR: No matching distribution found for uv",
        ),
        (
            "warning: an index was skipped\nResolved\n  \u00d7 No solution found when resolving:\n"
            "  ╰─▶ Because b needs c and c is absent, b cannot be used.\n",
            "\u00d7 No solution found when resolving:; "
            "╰─▶ Because b needs c and c is absent, b cannot be used.",
        ),
        ("first\nlast\n", "first; last"),
        ("", ""),
    ],
)
def test_a_failed_installation_is_told_from_the_line_that_says_why(
    output: str, expected: str
) -> None:
    """Warnings before it, however many, do not push it out of the message."""
    assert installing.reason(output) == expected


def test_editable_installs_of_the_base_are_seen(tmp_path: Path) -> None:
    """A module that only a .pth file in the base's site-packages leads to imports in the venv."""
    base = tmp_path / "base"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(base)], check=True)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "edited_module.py").write_text("WORD = 'seen'\n")
    site = next(base.glob("lib/python*/site-packages"))
    (site / "editable.pth").write_text(f"{tmp_path / 'source'}\n")
    venv = tmp_path / "venv"
    subprocess.run(
        [str(base / "bin" / "python"), "-m", "venv", "--without-pip", str(venv)], check=True
    )
    environment._inherit(venv, f"site {site}\n")
    words = [str(venv / "bin" / "python"), "-c", "import edited_module as e; print(e.WORD)"]

    assert subprocess.run(words, capture_output=True, text=True).stdout == "seen\n"


@pytest.mark.usefixtures("uv")
def test_a_lock_with_hashes_is_installed_once(pod: PodSide, tmp_path: Path) -> None:
    """Pinned by hash, without torch's closure, into a venv that the next run finds complete."""
    name, sha = wheel(tmp_path / "wheels", "podctl_demo_wheel", "Requires-Dist: not-in-the-lock\n")
    lock = (
        f"--no-index\n--find-links {tmp_path / 'wheels'}\n{name}==1.0 \\\n    --hash=sha256:{sha}\n"
    )
    first = run(pod, lock)
    (venv,) = (pod.root / "venvs").iterdir()
    made = venv.stat().st_mtime_ns
    second = run(pod, lock, "r2")

    assert (first.rc, first.detail) == (0, "")
    assert second.rc == 0
    assert (pod.work() / "out/a").read_text() == f"installed\n{venv / 'bin' / 'python'}"
    assert list((pod.root / "venvs").iterdir()) == [venv]
    assert venv.stat().st_mtime_ns == made


@pytest.mark.usefixtures("uv")
def test_what_a_lock_includes_is_installed_and_tells_environments_apart(
    pod: PodSide, tmp_path: Path
) -> None:
    """Files below other folders, a wheel and a folder of wheels of the project's own: by their
    paths from the file that names them. Another included file makes another environment."""
    for number, name in enumerate(("r1", "r2"), 1):
        work = pod.work(name)
        work.mkdir(parents=True)
        wheel(work / "wheels", "podctl_demo_wheel")
        wheel(work / "more", f"podctl_other{number}")
        (work / "req").mkdir()
        (work / "req/base.txt").write_text("--find-links ../wheels\n-c pins.txt\n")
        (work / "req/pins.txt").write_text("podctl_demo_wheel==1.0\n")
        own = f"./more/podctl_other{number}-1.0-py3-none-any.whl\n"
        end = run(pod, f"--no-index\n-r req/base.txt\npodctl_demo_wheel\n{own}", name)
        assert (end.rc, end.detail) == (0, "")

    assert len(list((pod.root / "venvs").iterdir())) == 2


# A build backend of the project's own, so that nothing is fetched.
BACKEND = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "podctl_demo_wheel"
version = "1.0"
"""
BUILD = """
import pathlib
import shutil

def build_wheel(folder, settings=None, metadata=None):
    with open("{wheels}/built", "a") as log:
        log.write("built\\n")
    pathlib.Path("build").mkdir()
    pathlib.Path("build/left").write_text("")
    name = "podctl_demo_wheel-1.0-py3-none-any.whl"
    shutil.copy("{wheels}/" + name, folder)
    return name
"""
PYPROJECT = """
[project]
name = "mine"
version = "1.0"
dependencies = ["podctl_demo_wheel"]

[tool.uv]
no-index = true
find-links = ["{wheels}"]
"""


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock"])
def test_the_dependencies_of_a_project_are_installed(
    pod: PodSide, tmp_path: Path, name: str
) -> None:
    """From its pyproject.toml, or exactly those that its uv.lock has."""
    wheel(tmp_path / "wheels", "podctl_demo_wheel")
    work = pod.work("r1")
    work.mkdir(parents=True)
    (work / "pyproject.toml").write_text(PYPROJECT.format(wheels=tmp_path / "wheels"))
    locked = ["uv", "lock", "--quiet", "--offline", "--python", sys.executable]
    subprocess.run(locked, cwd=work, check=True, env=os.environ | {"PATH": PATH})
    end = run(pod, "", lock=name)

    assert (end.rc, end.detail) == (0, "")


def own_project(pod: PodSide, sources: Path, run: str = "r1") -> Path:
    """A project `mine` of the run's that says how often it was built; where it says so."""
    name, _ = wheel(sources, "podctl_demo_wheel", script="demo-train")
    work = pod.work(run)
    (work / "mine" / "src").mkdir(parents=True)
    with zipfile.ZipFile(sources / f"{name}-1.0-py3-none-any.whl") as archive:
        archive.extract(f"{name}.py", work / "mine" / "src")
    (work / "mine" / "pyproject.toml").write_text(BACKEND)
    (work / "mine" / "backend.py").write_text(BUILD.format(wheels=sources))
    return sources / "built"


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize("lock", [None, "job.lock"])
def test_the_project_itself_is_installed_for_this_run_alone(
    pod: PodSide, tmp_path: Path, lock: str | None
) -> None:
    """A src layout and a console script, on the pod's Python and in a venv; nothing that its
    build left beside the sources stays among what the job may have written."""
    own_project(pod, tmp_path / "sources")
    (pod.work() / "job.lock").write_text("-e ./mine\n")
    need = Environment(lock=lock, install="mine", provides=("no_such_module",) if lock else ())
    spec = dataclasses.replace(
        pod.spec("", environment=need), argv=("demo-train",), preflight=Preflight()
    )
    pod.start(spec)
    end = pod.ended()

    assert (end.rc, end.detail) == (0, "")
    assert (pod.run() / "site" / "podctl_demo_wheel.py").exists()
    assert not (pod.work() / "mine" / "build").exists()
    python = (pod.work() / "out/a").read_text()
    assert python.startswith(str(pod.root / "venvs")) == bool(lock)


@pytest.mark.usefixtures("uv")
def test_the_project_is_built_again_only_when_it_changed(pod: PodSide, tmp_path: Path) -> None:
    """Another attempt at a run finds it, which the log says; other inputs make it anew."""
    built = own_project(pod, tmp_path / "sources")
    need = Environment(install="mine")
    spec = dataclasses.replace(pod.spec("", environment=need), argv=("sh", "-c", "exit 3"))
    attempts = []
    for tree in ("a", "a", "b"):
        (pod.run() / "work.json").write_text(json.dumps({"tree": tree}))
        pod.start(spec, *(["--again"] if attempts else []))
        assert pod.ended(attempt=len(attempts) + 1).rc == 3
        attempts.append(len(built.read_text().splitlines()))

    assert attempts == [1, 1, 2]
    log = (pod.read("r1", "job.log") or b"").decode()
    assert f"environment: kept from {pod.run() / 'site'}, made by r1 at " in log
    assert "environment: made in " in log


@pytest.mark.usefixtures("uv")
def test_two_pods_that_share_a_volume_make_one_environment(pod: PodSide, tmp_path: Path) -> None:
    """At the same time, each beside; the one that comes second uses what is there."""
    name, sha = wheel(tmp_path / "wheels", "podctl_demo_wheel")
    links = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"
    lock = f"{links}{name}==1.0 --hash=sha256:{sha}\n"
    other = second_pod(pod)
    other.env["PATH"] = PATH
    for one, run_name in ((pod, "r1"), (other, "r2")):
        one.work(run_name).mkdir(parents=True)
        (one.work(run_name) / "job.lock").write_text(lock)
        need = Environment(lock="job.lock", provides=("podctl_demo_wheel",))
        spec = one.spec("", run=run_name, environment=need)
        job = "import podctl_demo_wheel as w; w.main()"
        one.start(dataclasses.replace(spec, argv=("python", "-c", job)))

    assert (pod.ended("r1").rc, other.ended("r2").rc) == (0, 0)
    (venv,) = (pod.root / "venvs").iterdir()
    assert (venv / "complete").exists()


@pytest.mark.usefixtures("uv")
def test_a_half_built_environment_is_never_used(pod: PodSide, tmp_path: Path) -> None:
    """One that lost its mark is made anew; what a pod that is gone was building goes after a day,
    and what another one builds now stays."""
    name, sha = wheel(tmp_path / "wheels", "podctl_demo_wheel")
    links = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"
    lock = f"{links}{name}==1.0 --hash=sha256:{sha}\n"
    assert run(pod, lock).rc == 0
    (venv,) = (pod.root / "venvs").iterdir()
    (venv / "complete").unlink()
    next(venv.glob("lib/python*/site-packages/podctl_demo_wheel.py")).unlink()
    for left, age in (("old", 90_000), ("new", 60)):
        half = pod.root / "venvs" / f".{left}.boot.half"
        half.mkdir()
        os.utime(half, (time.time() - age,) * 2)
    end = run(pod, lock, "r2")

    assert (end.rc, end.detail) == (0, "")
    assert {one.name for one in (pod.root / "venvs").iterdir()} == {venv.name, ".new.boot.half"}


@pytest.mark.usefixtures("uv")
def test_a_wrong_hash_is_refused(pod: PodSide, tmp_path: Path) -> None:
    """The environment fails, says why, and leaves no half venv that a later run would trust."""
    name, _ = wheel(tmp_path / "wheels", "podctl_demo_wheel")
    lock = f"--no-index\n--find-links {tmp_path / 'wheels'}\n{name}==1.0 --hash=sha256:{'0' * 64}\n"
    end = run(pod, lock)

    assert (end.reason, end.rc) == ("environment", 69)
    assert "hash" in end.detail.lower()
    assert not list((pod.root / "venvs").glob("*/complete"))
    assert b"uv" in (pod.read("r1", "job.log") or b"")


def test_nothing_is_installed_where_everything_is(pod: PodSide) -> None:
    """With all of `provides` present the lock is not even read."""
    need = Environment(lock="no such file", provides=("json", "email.message"))
    pod.start(pod.spec("os.mkdir('out'); open('out/a', 'w').write('1')", environment=need))

    assert pod.ended().rc == 0
    assert not (pod.root / "venvs").exists()


@pytest.mark.parametrize("lock", ["nowhere.lock", "../../../spec.json", "/etc/passwd"])
def test_a_lock_outside_the_work_folder_is_refused(pod: PodSide, lock: str) -> None:
    """Only a file of the job's own is a lock."""
    need = Environment(lock=lock, provides=("no_such_module_at_all",))
    pod.start(pod.spec("pass", environment=need))
    end = pod.ended()

    assert end.reason == "environment"
    assert "no lock file" in end.detail


def test_building_has_a_deadline(pod: PodSide, tmp_path: Path) -> None:
    """A uv that hangs is ended; the reason is the environment."""
    (tmp_path / "bin").mkdir()
    script = '#!/bin/sh\n[ "$1" = --version ] && echo uv 1 && exit\nsleep 60\n'
    (tmp_path / "bin/uv").write_text(script)
    (tmp_path / "bin/uv").chmod(0o755)
    pod.env["PATH"] = f"{tmp_path / 'bin'}:{pod.env['PATH']}"
    end = run(pod, "x==1\n", deadline_seconds=0.5)

    assert end.reason == "environment"
    assert "not ready within" in end.detail


def test_torch_and_its_closure_are_left_out() -> None:
    """What the image brings is not fetched again; everything else stays, options too."""
    lock = b"""--index-url https://example.invalid/simple
accelerate==1.0 \\
    --hash=sha256:aa
torch==2.13.0 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via accelerate
nvidia-cublas-cu12==1 --hash=sha256:dd
triton==3 ; sys_platform == 'linux' \\
    --hash=sha256:ee
torchao==1 --hash=sha256:ff
# the end
"""

    kept = lockfile.without_torch(lock).decode()

    assert kept.splitlines() == [
        "--index-url https://example.invalid/simple",
        "accelerate==1.0 \\",
        "    --hash=sha256:aa",
        "torchao==1 --hash=sha256:ff",
        "# the end",
    ]
