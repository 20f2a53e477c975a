"""Which files an environment is made of: sent and counted as inputs, without being listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.errors import UsageError
from controller.locks.staleness import input_hashes
from controller.preflight.pins import unhashed
from controller.preflight.upload_preview import sending
from controller.project.environment_files import check, files_of
from controller.project.project import Project
from controller.project.stages import missing_inputs
from jobs.stage import EnvironmentNeed
from tests.controller.cli.test_cli_start import start
from tests.controller.transfer.test_snapshot import lay

TOML = """
[project]
provider = "emulator"

[upload]
include = ["train.py"]

[stages.job]
command = ["python", "train.py"]
outputs = ["out/**"]
hours = 0.01
max_hours = 0.1
criteria = [{{ kind = "exists", path = "out/a" }}]
hardware = {{ cpu = "cpu5c", vcpu_count = 2, disk_gb = 10 }}
environment = {environment}
"""
PYPROJECT = """
[project]
name = "my-trainer"
version = "0.1"
readme = {file = "docs/ABOUT.md", content-type = "text/markdown"}
license-files = ["LICEN[CS]E*"]
dynamic = ["dependencies"]

[project.scripts]
mytrain = "entry.cli:main"

[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.setuptools.packages.find]
where = ["lib"]

[tool.setuptools.dynamic]
dependencies = { file = ["requirements.txt"] }
"""


def project(folder: Path, environment: str, files: dict[str, str]) -> Project:
    lay(folder, {"podctl.toml": TOML.format(environment=environment), "train.py": ""} | files)
    return Project(folder)


def need(**fields: Any) -> EnvironmentNeed:
    return EnvironmentNeed(**fields)


def locked(name: str) -> EnvironmentNeed:
    return need(kind="lock", lock=name)


def test_what_a_requirements_file_includes_is_sent_with_it(tmp_path: Path) -> None:
    """Other files at any depth, constraints, wheels and folders of them; a circle ends."""
    lay(
        tmp_path,
        {
            "req/all.txt": "\ufeff-r base.txt\n--constraint=../pins.txt # why\nnumpy # -r no\n"
            "--find-links ./wheels\n-f https://example.invalid/w\n./own/x-1-py3-none-any.whl\n"
            "a @ https://example.invalid/a.whl\n",
            "req/base.txt": "-rmore.txt\n",
            "req/more.txt": "--requirement all.txt\n",
            "pins.txt": "numpy<3\n",
        },
    )
    found = files_of(tmp_path, locked("req/all.txt"))
    assert set(found) == {
        *("req/all.txt", "req/base.txt", "req/more.txt", "pins.txt", "req/wheels"),
        "req/own/x-1-py3-none-any.whl",
    }


def test_a_requirements_file_of_a_windows_shell_is_read(tmp_path: Path) -> None:
    """`pip freeze > requirements.txt` in PowerShell writes UTF-16."""
    (tmp_path / "requirements.txt").write_bytes("-r base.txt\r\nnumpy\r\n".encode("utf-16"))

    assert files_of(tmp_path, locked("requirements.txt")) == ("requirements.txt", "base.txt")


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml", "app/requirements.txt"])
def test_settings_of_uv_are_sent_with_a_lock(tmp_path: Path, name: str) -> None:
    """The nearest uv.toml, or pyproject.toml with a table for uv, up to the project's folder."""
    text = '[project]\nname = "a"\nversion = "1"\n[tool.uv]\nno-index = true\n'
    lay(tmp_path, {"pyproject.toml": text, name: text if name.endswith(".toml") else ""})

    assert set(files_of(tmp_path, locked(name))) == {name, "pyproject.toml"}
    (tmp_path / "uv.toml").write_text("no-index = true\n")
    assert "uv.toml" in files_of(tmp_path, locked(name))


def test_a_project_is_sent_with_its_packages_and_what_it_names(tmp_path: Path) -> None:
    """Its metadata, README, licenses, files of dynamic keys, packages and modules; no tests, no
    data, no caches."""
    lay(
        tmp_path,
        {
            "app/pyproject.toml": PYPROJECT,
            "app/docs/ABOUT.md": "",
            "app/LICENSE": "",
            "app/requirements.txt": "",
            "app/lib/deep/__init__.py": "",
            "app/entry/cli.py": "",
            "app/my_trainer/space.py": "",
            "app/flat/__init__.py": "",
            "app/tests/__init__.py": "",
            "app/data/train.bin": "",
            "app/setup.py": "",
            "app/single.py": "",
        },
    )
    found = files_of(tmp_path, need(install="app"))

    assert {one.removeprefix("app/") for one in found} == {
        *("pyproject.toml", "docs/ABOUT.md", "LICEN[CS]E*", "requirements.txt", "setup.py"),
        *("lib", "entry", "my_trainer", "flat", "single.py"),
    }
    assert set(files_of(tmp_path, locked("app/pyproject.toml"))) == set(found)


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ('[tool.hatch.build.targets.wheel]\npackages = ["lib/deep"]', "lib/deep"),
        ('[tool.setuptools]\npackages = ["deep.er"]', "deep/er"),
        ('[tool.setuptools.package-dir]\n"" = "lib"', "lib"),
        ('[[tool.poetry.packages]]\ninclude = "deep"\nfrom = "lib"', "lib"),
        ('[tool.uv.build-backend]\nmodule-root = "lib"', "lib"),
        ('[build-system]\nbackend-path = ["_build"]', "_build"),
    ],
)
def test_every_backends_word_for_where_packages_are_is_known(
    tmp_path: Path, table: str, folder: str
) -> None:
    """hatch, setuptools, poetry, uv, and a backend of the project's own."""
    lay(tmp_path, {"pyproject.toml": f'{table}\n[project]\nname = "a"\n', f"{folder}/m.py": ""})

    assert folder in files_of(tmp_path, need(install="."))


def test_they_are_sent_counted_and_missed(tmp_path: Path) -> None:
    """Nothing of them is in `inputs` or `include`: plan lists them, a change makes the lock
    stale, one that is absent is in the way; what a job never needs stays here."""
    made = project(
        tmp_path,
        '{ kind = "lock", lock = "requirements.txt", install = "." }',
        {
            "requirements.txt": "-r base.txt\n",
            "pyproject.toml": '[project]\nname = "a"\nversion = "1"\n',
            "src/a/__init__.py": "x = 1\n",
            "src/a/__pycache__/x.pyc": "",
            "notes.txt": "",
        },
    )
    stage = made.stages["job"]
    assert [one.path for one in missing_inputs(made, stage)] == ["base.txt"]
    assert start("plan", "job", "--files", cwd=tmp_path).returncode == 3

    (tmp_path / "base.txt").write_text("numpy\n")
    sent = sending(made, stage).files
    assert set(sent) == {
        *("base.txt", "pyproject.toml", "requirements.txt", "src/a/__init__.py", "train.py"),
    }

    class Lock:
        inputs = ()

    hashes = input_hashes(made, stage, Lock())  # type: ignore[arg-type]  # of a run before
    assert hashes.keys() == sent.keys()


@pytest.mark.parametrize(
    ("environment", "files", "word"),
    [
        ('{ install = "app" }', {}, "no folder app"),
        ('{ install = "." }', {}, "neither pyproject.toml nor setup.py"),
        ('{ install = "../x" }', {}, "inside the project"),
        ('{ install = "." }', {"pyproject.toml": "[project\n"}, "pyproject.toml cannot be read"),
        ('{ install = "." }', {"pyproject.toml": '[project]\nreadme = "R.md"'}, "names R.md"),
        ('{ kind = "lock" }', {}, "needs lock"),
        ('{ lock = "requirements.txt" }', {}, 'with kind = "lock" only'),
        ('{ kind = "lock", lock = "poetry.lock" }', {"poetry.lock": ""}, "poetry export"),
        ('{ kind = "lock", lock = "r.txt" }', {"r.txt": "-r ../base.txt\n"}, "not inside"),
        ('{ kind = "lock", lock = "r.txt" }', {"r.txt": "/opt/x-1.whl\n"}, "not inside"),
        ('{ kind = "lock", lock = "r.txt" }', {"r.txt": "-e ./lib\n"}, 'install = "lib"'),
        (
            '{ kind = "lock", lock = "uv.lock" }',
            {"uv.lock": "", "pyproject.toml": '[tool.uv.sources]\na = { path = "a" }\n'},
            "takes a from a folder",
        ),
    ],
)
def test_what_cannot_be_installed_is_refused_before_renting(
    tmp_path: Path, environment: str, files: dict[str, str], word: str
) -> None:
    """With exit code 2 and what to do instead."""
    project(tmp_path, environment, files)
    told = start("plan", "job", "--files", cwd=tmp_path)

    assert told.returncode == 2
    assert word in told.stderr
    assert "Traceback" not in told.stderr


def test_the_installed_project_may_be_listed_among_the_requirements(tmp_path: Path) -> None:
    """`-e .` is what many write; with install = "." it stands for the same."""
    lay(tmp_path, {"requirements.txt": "-e .\nnumpy\n", "pyproject.toml": ""})
    check(tmp_path, need(kind="lock", lock="requirements.txt", install="."))

    (tmp_path / "requirements.txt").write_text(".[dev]\n")
    with pytest.raises(UsageError, match=r"installs the folder \.\[dev\]"):
        check(tmp_path, need(kind="lock", lock="requirements.txt", install="."))


def test_a_lock_of_uv_has_its_hashes(tmp_path: Path) -> None:
    """It is not told to lack any; a pyproject.toml alone pins nothing, and that is told, as it is
    that an installed project comes without what it depends on."""
    text = '[project]\nname = "a"\nversion = "1"\ndependencies = ["numpy"]\n'
    files = {"uv.lock": "", "pyproject.toml": text}
    for environment, told in (
        ('{ kind = "lock", lock = "uv.lock", install = "." }', ""),
        ('{ kind = "lock", lock = "pyproject.toml" }', "pyproject.toml has no hashes"),
        ('{ install = "." }', "without what it depends on"),
    ):
        made = project(tmp_path, environment, files)
        found = unhashed(made, [made.stages["job"]])
        assert [told in one for one in found] == ([True] if told else []), environment


def test_an_earlier_runs_environment_is_read_as_it_was() -> None:
    """What an earlier podctl began with may lack what is asked for now."""
    table = {"kind": "lock"}
    with pytest.raises(ValidationError):
        EnvironmentNeed.model_validate(table)
    assert EnvironmentNeed.model_validate(table, context="pinned").install is None
