"""The documents agree with the code: codes, commands, stages, faults, keys, links."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import click
import pytest

from controller.cli.group import COMMANDS, EXIT_CODES, podctl
from controller.preflight.stage_parameters import _kinds
from controller.project.config import Config
from controller.providers.emulator.faults.faults import DEFAULTS
from jobs import shorthand
from jobs.catalog import built_in, load_stages
from jobs.stage import Criterion, EnvironmentNeed, HardwareNeed, Stage
from tests.bench.all import PARTS, SCRIPTS
from tests.controller.costs.test_prediction import H200, L40S, predicted_hours

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(ROOT / "docs" / f"{name}.md" for name in (
        "architecture", "benchmarks", "design", "emulator", "glossary", "gpu", "security", "stages",
    )),
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
)  # fmt: skip
PAGE_IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def table(page: str, head: str) -> list[tuple[str, ...]]:
    """The rows below the table head that begins with the cell `head`; code marks dropped."""
    lines = page.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        cells = line.strip()[1:-1].split("|")
        rows.append(tuple(cell.strip().replace("`", "") for cell in cells))
    return rows


def fenced(page: str, language: str | None = None) -> Iterator[str]:
    """The fenced blocks of a page, all or those of one language."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if language is None or found[1] == language:
            yield found[2]


def told_commands(page: str) -> Iterator[list[str]]:
    """Every podctl command in a block or between code marks, as words, without its comment."""
    inline = re.findall(r"`(podctl [^`]+)`", page.replace("\n", " "))
    for line in (*(line for block in fenced(page) for line in block.splitlines()), *inline):
        if found := re.match(r"(?:\$ )?podctl ([^#]*)", line):
            yield found[1].split()


def test_exit_codes_are_the_documented_ones() -> None:
    """README's table is the one that `podctl --help` prints."""
    assert tuple(table(text("README.md"), "exit code")) == EXIT_CODES


def test_exit_codes_of_errors_are_documented() -> None:
    """Every class of error ends with a code that the table has."""
    from controller import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    codes = {str(kind.exit_code) for kind in kinds if issubclass(kind, errors.PodctlError)}

    assert codes <= {code for code, _ in EXIT_CODES}


def test_commands_are_the_documented_ones() -> None:
    """README's table has every command with its line of help, in order."""
    assert table(text("README.md"), "command") == list(COMMANDS.items())


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_told_commands_exist(page: Path) -> None:
    """Every `podctl …` that a page shows is a command, with options that it has."""
    context = click.Context(podctl)
    for words in told_commands(page.read_text(encoding="utf-8")):
        if words[0].startswith("-"):
            continue
        assert words[0] in COMMANDS, words
        command = podctl.get_command(context, words[0])
        assert command is not None
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        for word in words[1:]:
            if word == "--":
                break
            if word.startswith("-"):
                assert word.rstrip(",.;:") in options, words


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_stages_are_the_documented_ones() -> None:
    """README has each built-in stage with its title, and the minutes that are predicted for it."""
    found = {
        name: (
            stage.title,
            *(f"{math.ceil(60 * predicted_hours(stage, gpu))}" for gpu in (L40S, H200)),
        )
        for name, stage in load_stages({}).items()
    }

    assert {row[0]: row[1:] for row in table(text("README.md"), "stage")} == found


def test_plan_of_the_stages_page() -> None:
    """docs/stages.md says what each built-in stage needs and makes."""
    rows = {name: (needs, makes) for name, needs, makes in table(text("docs/stages.md"), "stage")}

    assert set(rows) == set(built_in())
    for name, (needs, makes) in rows.items():
        stage = built_in()[name]
        assert needs == ", ".join(stage.get("needs", ()))
        for path in makes.split(", "):
            member = f"{path}x" if path.endswith("/") else path
            assert any(PurePosixPath(member).match(one) for one in stage["outputs"]), path


def test_parameters_are_the_documented_ones() -> None:
    """The tables of docs/stages.md name parameters of their stage, with the defaults they have."""
    page = text("docs/stages.md")
    for name, stage in built_in().items():
        rows = table(page[page.index(f"### {name}") :], "parameter")
        told = {
            key: value
            for names, defaults, _ in rows
            for key, value in zip(names.split(", "), defaults.split(", "), strict=True)
        }

        defaults = dataclasses.asdict(_kinds()[stage["command"][2]]()) | stage["parameters"]
        assert {key: _plain(value) for key, value in told.items()} == {
            key: _plain(json.dumps(defaults[key])) for key in told
        }


def _plain(value: str) -> str:
    """A default so that 2e-4 and 0.0002 are the same."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value.strip('"')


def test_examples_of_stages_are_valid() -> None:
    """Every TOML block of the pages is a podctl.toml that podctl takes."""
    blocks = [block for page in PAGES for block in fenced(page.read_text("utf-8"), "toml")]

    assert len(blocks) >= 3
    for block in blocks:
        config = Config.model_validate(tomllib.loads(block))
        load_stages(config.stages)


def test_python_of_the_pages_compiles() -> None:
    """The example programs are Python."""
    for page in PAGES:
        for block in fenced(page.read_text(encoding="utf-8"), "python"):
            compile(block, page.name, "exec")


def test_keys_are_the_documented_ones() -> None:
    """docs/stages.md has every key of a stage, of its hardware, and every kind of criterion."""
    page = text("docs/stages.md")
    keys = {row[0] for row in table(page, "key")}
    hardware = {row[0] for row in table(page[page.index("### hardware") :], "key")}
    environment = {row[0] for row in table(page[page.index("### environment") :], "key")}
    kinds = {row[0] for row in table(page, "`kind`")}
    criteria = {row[0] for row in table(page[page.index("## Criteria") :], "`kind`")}

    assert keys | {"name"} == {*Stage.model_fields, *shorthand.KEYS}
    assert hardware == set(HardwareNeed.model_fields)
    assert environment == set(EnvironmentNeed.model_fields)
    assert kinds == _choices(EnvironmentNeed)
    assert criteria == _choices(Criterion)


def _choices(model: Any) -> set[str]:
    return set(model.model_fields["kind"].annotation.__args__)


def test_faults_are_the_documented_ones() -> None:
    """docs/emulator.md has every fault, and no other."""
    assert {row[0] for row in table(text("docs/emulator.md"), "fault")} == set(DEFAULTS)


def test_benchmarks_have_their_marks() -> None:
    """`tests/bench/all.py --record` finds a place for each part, and each part has its script."""
    page = text("docs/benchmarks.md")

    for part in PARTS:
        assert f"<!-- {part}: begin -->" in page
        assert f"<!-- {part}: end -->" in page
        assert (ROOT / SCRIPTS[part]).exists()
