"""Stages as data: what comes with podctl, overrides, own stages, and what is refused."""

from __future__ import annotations

import pytest

from jobs.catalog import CatalogError, load_stages, merge, order

OWN = {
    "command": ["python", "src/tokenize.py"],
    "outputs": ["data/tokens/**"],
    "criteria": [{"kind": "exists", "path": "data/tokens/index.json"}],
    "hours": 0.2,
    "max_hours": 0.5,
}


def test_plan_is_complete_and_in_order() -> None:
    """Five stages of an hour and a quarter come with podctl, each after what it needs."""
    stages = load_stages({})

    assert list(stages) == ["stage1a", "stage1b", "stage1c", "stage1d", "stage1e"]
    assert sum(stage.hours for stage in stages.values()) == pytest.approx(1.25)
    assert stages["stage1c"].inputs == ("data/stage1/sft_training_data.jsonl",)
    assert stages["stage1c"].parameters["learning_rate"] == 2e-4


def test_override_changes_only_its_keys() -> None:
    """Tables are merged key by key at any depth; lists are replaced."""
    stages = load_stages(
        {"stage1c": {"parameters": {"epochs": 1}, "hardware": {"gpus": ["NVIDIA L40S"]}}}
    )
    plain = load_stages({})["stage1c"]

    changed = stages["stage1c"]
    assert changed.parameters["epochs"] == 1
    assert changed.parameters["learning_rate"] == plain.parameters["learning_rate"]
    assert changed.hardware.gpus == ("NVIDIA L40S",)
    assert changed.hardware.volume_gb == plain.hardware.volume_gb
    assert changed.criteria == plain.criteria


def test_project_model_is_the_default_of_every_stage() -> None:
    """The project's model goes before podctl's, and a stage's own before the project's."""
    stages = load_stages({"stage1d": {"parameters": {"model": "mine"}}}, model="small")

    assert stages["stage1c"].parameters["model"] == "small"
    assert stages["stage1d"].parameters["model"] == "mine"


def test_own_stage_stands_after_its_needs() -> None:
    """A stage of the user's own has its name as title, and its place in the order."""
    stages = load_stages({"tokenize": OWN, "stage1b": {"needs": ["tokenize"]}})

    names = list(stages)
    assert stages["tokenize"].title == "tokenize"
    assert names.index("tokenize") < names.index("stage1b")


@pytest.mark.parametrize(
    ("user", "path", "text"),
    [
        ({"stage1c": {"hardware": {"gpuz": 1}}}, "stages.stage1c.hardware.gpuz", "'gpus'"),
        ({"stage1c": {"hour": 1}}, "stages.stage1c.hour", "unknown key; did you mean 'hours'"),
        (
            {"stage1c": {"criteria": [{"kind": "exists", "pth": "x"}]}},
            "stages.stage1c.criteria.0.pth",
            "'path'",
        ),
        ({"stage1c": {"hours": 0}}, "stages.stage1c.hours", "greater than 0"),
        ({"stage1c": {"hours": 9.0}}, "stages.stage1c.max_hours", "below"),
        ({"stage1c": {"hardware": 3}}, "stages.stage1c.hardware", "must be a table"),
        ({"stage1c": 3}, "stages.stage1c", "must be a table"),
        ({"stage1c": {"name": "other"}}, "stages.stage1c.name", "already"),
        ({"stage1c": {"inputs": ["../x"]}}, "stages.stage1c.inputs.0", "inside the project"),
        (
            {"mine": {}},
            "stages.mine",
            "outputs, criteria, hours and max_hours are",
        ),
        ({"mine": OWN | {"env": {"SEED": 1}}}, "stages.mine.env.SEED", "text in quotes"),
        ({"mine": OWN | {"env": {"A B": "1"}}}, "stages.mine.env", "name of a variable"),
        ({"mine": OWN | {"env": {"PODCTL_RUN": "1"}}}, "stages.mine.env", "podctl's own"),
        ({"mine": OWN | {"env": {"HF_TOKEN": "x"}}}, "stages.mine.env", "in `secrets`"),
        ({"mine": OWN | {"env": {"A": "1\0"}}}, "stages.mine.env", "NUL"),
        ({"mine": OWN | {"env": {"A": "x" * 200_000}}}, "stages.mine.env", "bytes in all"),
        ({"mine": OWN | {"env": {"A": "1"}, "secrets": ["A"]}}, "stages.mine", "one value"),
        ({"Bad Name": OWN}, "stages.Bad Name", "lower-case letters"),
        ({"mine": OWN | {"needs": ["stage1x"]}}, "stages.mine.needs", "unknown stage"),
        ({"stage1a": {"needs": ["stage1e"]}}, "stages.stage1a.needs", "→"),
        ({"mine": OWN | {"needs": ["mine"]}}, "stages.mine.needs", "needs itself"),
    ],
)
def test_mistake_names_its_path(user: dict[str, object], path: str, text: str) -> None:
    """Every mistake in the user's tables is one error that says where it is."""
    with pytest.raises(CatalogError) as caught:
        load_stages(user)

    assert caught.value.path == path
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "HF_TOKEN_PATH", "MAX_TOKENS", "KEYS", "SECRETARY"]
)
def test_a_variable_that_only_sounds_like_a_secret_is_none(name: str) -> None:
    """A file's place, a number of tokens and other words may stand in podctl.toml."""
    assert load_stages({"mine": OWN | {"env": {name: "1"}}})["mine"].env == {name: "1"}


def test_order_keeps_the_given_one_where_it_can() -> None:
    """Stages that do not depend on one another stay as they were given."""
    stages = load_stages({"b": OWN, "a": OWN})

    assert order(stages)[-2:] == ("b", "a")


def test_merge_leaves_its_arguments_alone() -> None:
    """Merging never changes what it merges."""
    base = {"a": {"b": 1}, "c": [1]}
    merged = merge(base, {"a": {"d": 2}, "c": [2]})

    assert merged == {"a": {"b": 1, "d": 2}, "c": [2]}
    assert base == {"a": {"b": 1}, "c": [1]}
