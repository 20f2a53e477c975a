"""What is wrong with a criterion is told before any file exists, where it can be known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.preflight.stage_parameters import problem
from jobs.catalog import CatalogError, built_in, load_stages
from jobs.expectation import problems
from jobs.globs import could_meet, globbed
from jobs.stage import Stage
from remote.globs import matcher


def stage(*criteria: dict[str, Any], outputs: tuple[str, ...] = ("out/**",)) -> Stage:
    table = {"command": ["true"], "hours": 1, "max_hours": 1, "outputs": list(outputs)}
    return load_stages({"own": table | {"criteria": list(criteria)}})["own"]


def test_our_own_stages_have_no_problem() -> None:
    """Every criterion that comes with podctl can be met by what its stage declares."""
    for name, one in load_stages({}).items():
        assert problems(one) == (), name
    assert len(built_in()) == 5


@pytest.mark.parametrize(
    ("criterion", "key", "words"),
    [
        ({"kind": "exists", "path": "ouput/model.txt"}, "path", "no output can be at"),
        ({"kind": "exists", "path": "out2/model.txt"}, "path", "no output can be at"),
        ({"kind": "opens", "path": "*.json"}, "path", "no output can be at"),
        ({"kind": "value", "path": "out/a.json"}, "key", "needs the key"),
        ({"kind": "value", "path": "out/a.json", "key": 'a."b'}, "key", "is no key"),
        ({"kind": "value", "path": "out/a.json", "key": "a..b"}, "key", "empty part"),
        ({"kind": "value", "path": "out/a.json", "key": "log.*.loss"}, "key", "many values"),
        ({"kind": "exists", "path": "out/a", "at_least": 3}, "at_least", "nothing else"),
        ({"kind": "lines", "path": "out/a.jsonl", "key": "x"}, "key", "lines takes"),
        ({"kind": "value", "path": "out/a", "key": "x", "accept": "y"}, "accept", "takes"),
        ({"kind": "best", "path": "out/a.csv", "key": "x"}, "at_most", "highest counts"),
        ({"kind": "last", "path": "out/a.csv", "key": "x"}, "at_least", "last needs"),
        ({"kind": "weights", "path": "out/adapter_model.bin"}, "path", "pickle"),
        ({"kind": "exists", "path": "out/a", "match": "all"}, "match", "wildcards"),
        (
            {"kind": "value", "path": "out/a", "key": "x", "at_least": 2, "at_most": 1},
            "at_most",
            "below at_least",
        ),
    ],
)
def test_what_can_be_known_is_told(criterion: dict[str, Any], key: str, words: str) -> None:
    """A path that no output reaches, a field that is not read, a key that is none."""
    found = dict(problems(stage(criterion)))

    assert words in found[f"criteria.0.{key}"]


@pytest.mark.parametrize(
    ("path", "outputs"),
    [
        ("out/modle.txt", ("out/**",)),  # case 25b: only the job knows
        ("out/model", ("out/model/**",)),
        ("out/model/a.json", ("out",)),
        ("out", ("out/*.json",)),
        ("out/**/a.json", ("out/*/a.*",)),
        ("**/*.json", ("out/x/**",)),
        ("out/a.json", (".",)),
        ("out/a.json", ("**",)),
        ("./out/a.json", ("./out/",)),
        ("out/checkpoint-*/a", ("out/*-100/a",)),
        ("out/[ab]x", ("out/[bc]?",)),
        ("out/a.json", ("!out/b", "out/**")),
    ],
)
def test_what_may_be_met_is_no_problem(path: str, outputs: tuple[str, ...]) -> None:
    """Folders, globs on both sides, `.`: where a file may come to match, nothing is said."""
    assert problems(stage({"kind": "opens", "path": path}, outputs=("x/*.txt",)))
    asked = {"kind": "opens", "path": path}
    found = stage(asked).model_copy(update={"outputs": outputs})

    assert problems(found) == ()


NAMES = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "*b", "**", "[ab]"])


@given(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4),
)
def test_a_path_that_both_match_is_foreseen(one: str, two: str, path: list[str]) -> None:
    """Whatever a criterion's glob and an output's glob both match, `could_meet` said so."""
    if globbed(path, one.split("/")) and matcher(two).fullmatch("/".join(path)):
        assert could_meet(one, two)


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ({"kind": "exits", "path": "out/a"}, "did you mean 'exists'"),
        ({"kind": "exists", "pth": "out/a"}, "did you mean 'path'"),
        ({"kind": "opens", "path": "out/*", "match": "newst"}, "did you mean 'newest'"),
    ],
)
def test_mistyped_words_are_told_the_right_ones(criterion: dict[str, Any], words: str) -> None:
    """Fields of a criterion and the words that they may be."""
    with pytest.raises(CatalogError, match=words):
        stage(criterion)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("stage1c", {"lora_rnk": 8}, "did you mean lora_rank"),
        ("stage1d", {"beta": 0}, "beta must be above 0"),
        ("stage1b", {"wanted": 10, "at_least": 20}, "at_least is above wanted"),
        ("stage1a", {"batch": "32"}, "batch must be of type int"),
        ("stage1e", {"quantize": "int8"}, "quantize must be"),
    ],
)
def test_parameters_of_our_programs_are_checked_here(
    name: str, parameters: dict[str, Any], words: str
) -> None:
    """What the program on the pod would refuse is refused before a pod is rented; as they come,
    and in a program of the user's own, parameters are no problem."""
    assert problem(load_stages({})[name]) is None
    asked = load_stages({name: {"parameters": parameters}})[name]

    assert words in str(problem(asked))
    own = {"command": ["python", "own.py"], "parameters": parameters}
    assert problem(load_stages({name: own})[name]) is None
