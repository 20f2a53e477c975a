"""podctl.toml: what is accepted, and how what is not is explained."""

from __future__ import annotations

import contextlib
import re
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.demo import sample_project as sample
from controller.errors import NotFound, UsageError
from controller.planner.pod_spec import groups
from controller.project import config
from controller.project.project import FILE, Budgets, Project, find, stage_of
from controller.project.stages import missing_inputs, select, stood_in
from remote.stages.common.layout import TRAINING_DATA


def project(folder: Path, text: str = "[project]\n") -> Project:
    (folder / FILE).write_text(text, encoding="utf-8")
    return Project(folder)


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        config.parse(text)
    return caught.value


def test_the_example_is_valid() -> None:
    """What `podctl init` writes is understood, and stands for the defaults."""
    found = config.parse(config.example("mine", "emulator"))

    section = config.ProjectSection(name="mine", provider="emulator", plan="stage1")
    assert found == config.Config(project=section)


def test_the_example_shows_every_key() -> None:
    """Every key of every section is in the example, set or commented out."""
    text = config.example()
    for name, field in config.Config.model_fields.items():
        section = field.annotation
        for key in getattr(section, "model_fields", {}):
            assert re.search(rf"^(# )?{key} = ", text, re.MULTILINE), f"{name}.{key}"


def test_every_commented_default_is_valid() -> None:
    """Uncommenting all of the example gives a file that is understood too."""
    text = re.sub(r"^# (\w+ = |\[)", r"\1", config.example(), flags=re.MULTILINE)
    text = text.replace('"…"', '"volume"')
    found = config.parse(text)

    assert found.pod == config.PodSection(
        cloud="SECURE", network_volume_id="volume", disk_gb=30, volume_gb=60
    )
    assert set(found.stages) == {"stage1c", "tokenize"}


def test_the_small_project_is_valid(tmp_path: Path) -> None:
    """The stages of `podctl init --demo` load, all small and on the same hardware."""
    ours = project(tmp_path, sample.config("small"))
    stages = [ours.stage(name) for name in ("stage1a", "stage1b", "stage1c", "stage1d", "stage1e")]

    assert {stage.parameters["model"] for stage in stages} == {"small"}
    assert {stage.parameters["instructions"] for stage in stages} == {"small"}
    assert len(groups(stages)) == 1
    assert sum(stage.max_hours for stage in stages) < 3.0


def test_ready_data_is_what_a_stage_takes(tmp_path: Path) -> None:
    """Who wants to see stage1c alone gets data as stage1b would leave it, once."""
    ours = project(tmp_path, sample.config("small"))
    written = sample.write_inputs(tmp_path)
    stage = ours.stage("stage1c")

    assert [path.relative_to(tmp_path).as_posix() for path in written] == list(stage.inputs)
    assert missing_inputs(ours, stage) == ()
    assert sample.write_inputs(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "   \n\n", "\t"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    """Empty is its own complaint, with the command that writes one."""
    error = refusal(text)

    assert error.what == "podctl.toml is empty"
    assert error.hint.startswith("podctl init --force")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("text", "line"), [("[project\nname = 1", 1), ("[a]\n\nb = = 1", 3), ('x = "never closed', 1)]
)
def test_broken_toml_names_the_line(text: str, line: int) -> None:
    """A mistake of syntax is shown with its line."""
    error = refusal(text)

    assert error.what == "podctl.toml is not TOML"
    assert f"line {line}" in error.cause or "at end of document" in error.cause


def test_unknown_keys_name_path_line_and_neighbour() -> None:
    """A misspelt key is shown with its path, its line and what was probably meant."""
    error = refusal("[project]\nname = 'a'\n\n[pod]\nimgae = 'x'\n")

    assert "pod.imgae (line 5): unknown key; did you mean 'image'?" in error.cause


def test_unknown_sections_are_errors() -> None:
    """A section that nobody reads is a mistake, not a comment."""
    error = refusal("[pods]\nimage = 'x'\n")

    assert "pods (line 1): unknown key; did you mean 'pod'?" in error.cause


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[budget]\nproject_usd = -1", "budget.project_usd"),
        ("[budget]\nrun_usd = nan", "budget.run_usd"),
        ("[budget]\nrun_usd = inf", "budget.run_usd"),
        ("[pod]\non_success = 'delete'", "pod.on_success"),
        ("[pod]\ndisk_gb = 0", "pod.disk_gb"),
        ("[project]\nprovider = 'aws'", "project.provider"),
        ("[project]\nname = '../x'", "project.name"),
        ("[upload]\ninclude = ['../secrets']", "upload.include.0"),
        ("[upload]\ninclude = ['/etc']", "upload.include.0"),
        ("project = 3", "project"),
        ("stages = []", "stages"),
    ],
)
def test_bad_values_name_their_path(text: str, path: str) -> None:
    """A value that cannot be is shown with its key."""
    assert path in refusal(text).cause


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to mend one after the other."""
    error = refusal("[pod]\na = 1\nb = 2\n[budget]\nrun_usd = 0\n")

    assert error.what == "podctl.toml has 3 problems"
    assert len(error.cause.splitlines()) == 3


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_usage_error(text: str) -> None:
    """No podctl.toml makes podctl crash."""
    with contextlib.suppress(UsageError):
        config.parse(text)


def test_not_utf8_is_said_with_its_line(tmp_path: Path) -> None:
    """A file in another encoding is refused, with the place."""
    (tmp_path / FILE).write_bytes(b"[project]\nname = 'a'\n# \xff\n")
    with pytest.raises(UsageError) as caught:
        _ = Project(tmp_path).config

    assert caught.value.where.endswith("line 3")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Editors that write one are forgiven."""
    (tmp_path / FILE).write_bytes(b"\xef\xbb\xbf[budget]\nrun_usd = 2\n")
    ours = Project(tmp_path)

    assert ours.config.budget.run_usd == 2
    assert ours.budgets() == Budgets(None, 2.0)


def test_the_project_is_found_upwards(tmp_path: Path) -> None:
    """Every folder below the one with podctl.toml belongs to it."""
    project(tmp_path)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    assert find(deep).root == tmp_path.resolve()


def test_no_project_is_said(tmp_path: Path) -> None:
    """Outside of a project the next command is init."""
    with pytest.raises(NotFound) as caught:
        find(tmp_path)

    assert caught.value.hint == "podctl init"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[budget]\nproject_usd = 100\nrun_usd = 2.5\n", Budgets(100.0, 2.5)),
        ("[project]\nname = 'x'\n", Budgets()),
    ],
)
def test_budgets_are_read_lightly(tmp_path: Path, text: str, expected: Budgets) -> None:
    """The light reading of the budget says what the full one says."""
    ours = project(tmp_path, text)

    assert ours.budgets() == expected
    assert ours.config.budget.project_usd == expected.project_usd


@pytest.mark.parametrize("text", ["[budget]\nrun_usd = -1\n", "budget = 3\n", "[budget\n"])
def test_a_bad_budget_is_never_no_budget(tmp_path: Path, text: str) -> None:
    """A limit that is not understood stops, instead of counting as none."""
    with pytest.raises(UsageError):
        project(tmp_path, text).budgets()


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    """.podctl is the owner's alone, also when it was made by hand."""
    ours = project(tmp_path)
    ours.state_dir.mkdir(mode=0o755)
    ours.prepare()

    assert stat.S_IMODE(ours.state_dir.stat().st_mode) == 0o700


def test_a_linked_state_folder_is_refused(tmp_path: Path) -> None:
    """.podctl is never a link into somewhere else."""
    ours = project(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    ours.state_dir.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        ours.prepare()


def test_unknown_stages_name_their_neighbours(tmp_path: Path) -> None:
    """A misspelt stage is shown with those that there are, and the nearest one."""
    with pytest.raises(NotFound) as caught:
        stage_of(project(tmp_path), "stage1cc")

    assert "stage1c" in caught.value.cause
    assert caught.value.hint == "podctl plan stage1c"
    assert caught.value.exit_code == 3


def test_all_means_every_stage_in_order(tmp_path: Path) -> None:
    """`all` is the plan; it does not go with names, and no name goes twice."""
    ours = project(tmp_path)

    assert [stage.name for stage in select(ours, ["all"])] == list(ours.stages)
    for names in (["all", "stage1a"], ["stage1a", "stage1a"]):
        with pytest.raises(UsageError):
            select(ours, names)


def test_missing_inputs_name_their_maker(tmp_path: Path) -> None:
    """An input that is not here comes with the stage whose output it is."""
    ours = project(tmp_path)
    (missing,) = missing_inputs(ours, ours.stage("stage1c"))

    assert missing.path == TRAINING_DATA.as_posix()
    assert missing.made_by == "stage1b"


def test_files_stand_in_for_a_stage(tmp_path: Path) -> None:
    """Who puts a stage's outputs there by hand needs not run it."""
    ours = project(tmp_path)
    stage = ours.stage("stage1c")
    before = stood_in(ours, stage, "stage1b")
    sample.write_inputs(tmp_path)

    assert not before
    assert stood_in(ours, stage, "stage1b")


def test_bad_stages_name_path_and_line(tmp_path: Path) -> None:
    """A mistake in a stage is shown with its key and its line in podctl.toml."""
    text = "[project]\nname = 'a'\n\n[stages.stage1c]\nhuors = 2\n"
    with pytest.raises(UsageError) as caught:
        _ = project(tmp_path, text).stages

    assert "stages.stage1c.huors" in caught.value.cause
    assert caught.value.where.endswith("line 5")


def test_the_example_is_toml_on_its_own() -> None:
    """The example needs none of podctl to be read."""
    assert tomllib.loads(config.example())["project"]["name"] == "my-project"


@pytest.mark.parametrize(
    "line",
    [
        "[pod]\ndisk_gb = true",
        "[pod]\ndisk_gb = 10.0",
        '[pod]\nkeep_warm_minutes = "1"',
        "[pod]\nkeep_warm_minutes = -1",
        "[pod]\nkeep_warm_minutes = 1e9",
        "[budget]\nrun_usd = true",
        '[upload]\nallow_secrets = "yes"',
        "[upload]\nallow_secrets = 1",
    ],
)
def test_a_number_is_a_number(line: str) -> None:
    """Nothing is converted: text, true and 10.0 for a whole number are refused with their line."""
    with pytest.raises(UsageError) as caught:
        config.parse(line)
    assert "(line 2)" in caught.value.cause
