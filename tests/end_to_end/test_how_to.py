"""The projects of docs/how-to are what their pages say: they plan, agree in themselves, and run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from remote.globs import Globs
from tests.end_to_end.how_to import ALL, FOLDER, HowTo, make_assets
from tests.end_to_end.how_to_faults import FAULTS, play
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.shell import Shell

PROJECTS = sorted(path.parent.name for path in FOLDER.glob("*/podctl.toml"))
pytestmark = pytest.mark.timeout(900)
# (project, stage, configuration, what says that it goes on by itself)
CONFIGURED = [
    ("trl", "sft", "sft.yaml", ""),
    ("trl", "dpo", "dpo.yaml", ""),
    ("trl", "grpo", "grpo.yaml", ""),
    ("axolotl", "sft", "config.yaml", "auto_resume_from_checkpoints: true"),
    ("llama-factory", "sft", "sft.yaml", "overwrite_output_dir: false"),
]
LIGHT = next(one for one in ALL if one.name == "make")


def stages(project: str) -> dict[str, Any]:
    return dict(tomllib.loads((FOLDER / project / "podctl.toml").read_text())["stages"])


def with_assets(how_to: str, target: Path) -> Path:
    """The project with files where its inputs are: no training stack is needed for a plan."""
    assets = target.with_name("assets")
    for name in ("chat", "preferences", "prompts", "fruit"):
        (assets / "data").mkdir(parents=True, exist_ok=True)
        (assets / "data" / f"{name}.jsonl").write_text('{"a": 1}\n')
    (assets / "model").mkdir(exist_ok=True)
    (assets / "model" / "config.json").write_text("{}")
    return HowTo(how_to, "", 0, 0).copy(assets, target)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_has_a_page_that_leads_to_its_files(name: str) -> None:
    """The index leads to the page, which says what every page says and leads to podctl.toml."""
    index, page = (FOLDER / "README.md").read_text(), (FOLDER / name / "README.md").read_text()

    assert f"[{name}]({name}/README.md)" in index
    assert "(podctl.toml)" in page
    for words in ("saved on stop", "goes on", "**Criteria.**", "**Watch out**"):
        assert words in page or (name == "data" and words == "goes on")


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_can_be_planned(
    name: str,
    tmp_path: Path,
    cloud: EmulatedCloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`podctl plan` of every stage of its own ends with 0: nothing stands in its way."""
    project = with_assets(name, tmp_path / "project")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", cloud.base_url)
    planned = Shell(project, capsys).json("plan", *stages(name))

    assert {stage for pod in planned["pods"] for stage in pod["stages"]} == {*stages(name)}


@pytest.mark.parametrize(("name", "stage", "file", "resumes"), CONFIGURED)
def test_a_configuration_agrees_with_its_stage(
    name: str, stage: str, file: str, resumes: str
) -> None:
    """What is read is sent, what is written comes home, and it goes on by itself where it can."""
    table, text = stages(name)[stage], (FOLDER / name / file).read_text()
    include = tomllib.loads((FOLDER / name / "podctl.toml").read_text())["upload"]["include"]
    written = re.search(r"^output_dir: (\S+)", text, re.MULTILINE)
    read = re.findall(r"(?:data_files|- path): (data/\S+)", text)
    assert written is not None

    assert any(word in (file, file.removesuffix(".yaml")) for word in table["command"])
    assert Globs(tuple(include)).match(file)
    assert Globs(tuple(table["outputs"])).match(f"{written[1]}/model.safetensors")
    assert set(read) <= set(table["inputs"])
    assert resumes in text
    assert "save_total_limit" in text


def test_every_stage_that_can_be_played_is_played() -> None:
    """Only those are not that want an image of their own, or take no time."""
    there = {(name, stage) for name in PROJECTS for stage in stages(name)}
    not_played = {("axolotl", "sft"), ("llama-factory", "sft"), ("make", "pipeline")}

    assert {(one.name, one.stage) for one in ALL} == there - not_played


def test_a_project_that_loses_a_process_goes_on_and_does_little_twice(
    tmp_path: Path, cloud: EmulatedCloud
) -> None:
    """`make`, whose part is killed at a random step: `podctl run` goes on behind what is whole."""
    (tmp_path / "assets").mkdir()
    end = play(LIGHT, "rank", 1, tmp_path / "assets", tmp_path / "project", cloud)

    assert end.wrong == "", end.said
    assert len(end.commands) >= 2


def _one_each() -> list[Any]:
    """Each how-to with one fault, so that every fault is played."""
    faults = [one for one in FAULTS if one != "none"]
    return [
        pytest.param(how_to, faults[place % len(faults)], id=f"{how_to.title} {faults[place % 7]}")
        for place, how_to in enumerate(ALL)
        if how_to.interval
    ]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_assets(tmp_path_factory.mktemp("tiny") / "assets")


@pytest.mark.long
@pytest.mark.parametrize(("how_to", "fault"), _one_each())
def test_a_framework_that_is_interrupted_does_less_than_an_interval_twice(
    how_to: HowTo, fault: str, assets: Path, tmp_path: Path, cloud: EmulatedCloud
) -> None:
    """`make examples` plays every fault; here each project meets one."""
    if missing := how_to.missing():
        pytest.skip(f"no {missing} here")
    end = play(how_to, fault, 2, assets, tmp_path / "project", cloud)

    assert end.wrong == "", end.said
