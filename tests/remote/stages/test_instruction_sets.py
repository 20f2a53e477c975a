"""Instruction sets: the small world's parts, a user's own files, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.instructions.sets import NAMES, load, same_answers
from remote.stages.instructions.small.world import split
from remote.stages.text.near_duplicates import near_duplicates
from remote.stages.verification.instruction import TYPES
from remote.stages.verification.scoring import score, table
from tests.support.own_instructions import TOPICS, records, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder of a user's own instructions."""
    return write(tmp_path / "own", {name: records(name) for name in TOPICS})


def test_small_set_is_in_disjoint_parts() -> None:
    """Train, development, held-out and pool share no text, nor nearly."""
    small = load("small")
    parts = [
        [one.text for one in part]
        for part in (small.train, small.development, small.held_out, small.pool)
    ]

    for place, part in enumerate(parts):
        for other in parts[:place]:
            assert near_duplicates(part, other) == ()


def test_small_set_holds_out_what_the_model_never_read() -> None:
    """The 100 held-out instructions are those left out of the pre-training documents."""
    small = load("small")

    assert [one.text for one in small.held_out] == [one.text for one in split()[1]]
    assert len(small.train) >= 1000
    assert len(small.development) >= 60


def test_how_many_held_out_answers_are_trained_is_known() -> None:
    """Nearly all of the small world's held-out instructions are other phrasings of trained ones,
    and the documentation says so; of the large set few are."""
    small, english = load("small"), load("english")
    found = f"{same_answers(small)} of its {len(small.held_out)}"

    assert same_answers(small) == 98
    assert same_answers(english) < len(english.held_out) / 5
    assert found in Path("docs/stages.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_pool_is_answered_rightly_and_has_every_type(name: str) -> None:
    """Few-shot examples show right answers only, of all four types."""
    pool = load(name).pool

    assert {one.type for one in pool} == set(TYPES)
    assert [one.text for one in pool if one.reasons(one.answer)] == []


def test_unknown_name_says_what_there_is() -> None:
    """A misspelt set is an error that names those that exist."""
    with pytest.raises(StageError, match="no set and no folder") as caught:
        load("englisch")

    assert "english" in caught.value.remedy


def test_own_folder_is_read(folder: Path) -> None:
    """A user's JSONL files make a set like the others; answers and kinds are optional."""
    rows = records("held_out")
    for row in rows:
        del row["answer"]
    found = load(str(write(folder, {"held_out": rows})))

    assert [len(part) for part in (found.train, found.development, found.held_out)] == [4, 2, 3]
    assert found.held_out[0].answer == ""
    assert found.held_out[0].kind == found.held_out[0].type == "completion"
    assert found.held_out[0].reasons("It is Tokyo.") == ()
    assert found.held_out[0].reasons("It is Kyoto.") != ()


Spoil = Callable[[list[dict[str, Any]]], None]
SPOILT: tuple[tuple[str, str, Spoil, str, str], ...] = (
    ("no verifier", "train", lambda rows: rows[1].pop("checks"), "line 2: no verifier", "say what"),
    ("none", "train", lambda rows: rows[1].update(checks=[]), "line 2: no verifier", "say what"),
    (
        "form only",
        "held_out",
        lambda rows: rows[2].update(checks=[{"check": "words", "at_least": 50}]),
        "line 3: only form",
        "an example",
    ),
    (
        "unknown check",
        "train",
        lambda rows: rows[0].update(checks=[{"check": "magic"}]),
        "line 1: unknown check 'magic'",
        "an example",
    ),
    ("type", "pool", lambda rows: rows[0].update(type="chat"), "line 1: type is 'chat'", "use one"),
    ("text", "train", lambda rows: rows[3].update(instruction=" "), "line 4: instruction", "give"),
    ("field", "train", lambda rows: rows[3].update(chekcs=[]), "line 4: unknown field", "fields"),
    (
        "wrong answer",
        "pool",
        lambda rows: rows[1].update(answer="In Rome."),
        "line 2: the answer fails its own checks",
        "correct",
    ),
    ("no answer", "pool", lambda rows: rows[1].pop("answer"), "line 2: answer is missing", "give"),
    ("no type", "pool", lambda rows: rows.pop(2), "no example of type generation", "all four"),
    (
        "twice",
        "train",
        lambda rows: rows.append(rows[0] | {"instruction": rows[0]["instruction"].upper()}),
        "line 5: the same instruction as",
        "remove",
    ),
    ("empty", "development", lambda rows: rows.clear(), "no record in it", "one JSON object"),
    (
        "half a character",
        "train",
        lambda rows: rows[0].update(instruction="\ud800 what?"),
        "half a character",
        "UTF-8",
    ),
)


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda one: one[0])
def test_mistakes_name_file_line_and_remedy(
    folder: Path, spoilt: tuple[str, str, Spoil, str, str]
) -> None:
    """What is wrong with a user's file is said so that it can be mended."""
    _, part, spoil, complaint, remedy = spoilt
    rows = records(part)
    spoil(rows)
    write(folder, {part: rows})

    with pytest.raises(StageError) as caught:
        load(str(folder))
    assert complaint in caught.value.what
    assert f"{part}.jsonl" in caught.value.what
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("raw", [b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 20_000])
def test_garbage_names_its_line(folder: Path, raw: bytes) -> None:
    """A line that is no JSON object is an error with its number."""
    path = folder / "train.jsonl"
    path.write_bytes(path.read_bytes() + raw + b"\n")

    with pytest.raises(StageError, match=r"train\.jsonl, line 5"):
        load(str(folder))


def test_missing_file_is_named(folder: Path) -> None:
    """All four files must be there."""
    (folder / "pool.jsonl").unlink()

    with pytest.raises(StageError, match=r"pool\.jsonl: no such file"):
        load(str(folder))


@pytest.mark.parametrize("change", [str, str.upper, lambda text: text.replace("Tell", "Telll")])
def test_held_out_item_in_training_is_an_error(folder: Path, change: Callable[[str], str]) -> None:
    """A held-out instruction that stands in the training file, nearly too, ends the stage."""
    leaked = records("train")[1]
    leaked["instruction"] = change(leaked["instruction"])
    write(folder, {"held_out": [*records("held_out"), leaked]})

    with pytest.raises(StageError) as caught:
        load(str(folder))
    assert "held_out.jsonl, line 4" in caught.value.what
    assert "train.jsonl, line 2" in caught.value.what
    assert "remove or reword" in caught.value.remedy


def test_scores_by_type_with_intervals() -> None:
    """Every type has its cell; the critic's are judged by no rule and counted nowhere."""
    english = load("english")
    asked = [*english.held_out[:40], *english.critic[:3]]
    said = [one.answer if n % 2 else "" for n, one in enumerate(asked)]

    rows = score(asked, said)
    cells = table(rows)
    assert [row.correct for row in rows[:40]] == [bool(n % 2) for n in range(40)]
    assert [row.correct for row in rows[40:]] == [None] * 3
    assert cells["overall"]["n"] == 40
    assert cells["overall"]["correct"] == 20
    assert 0.34 < cells["overall"]["wilson_low"] < 0.5 < cells["overall"]["wilson_high"] < 0.66
    assert set(cells["types"]) == set(TYPES)
    assert sum(cell["n"] for cell in cells["types"].values()) == 40


def test_type_that_was_not_measured_is_said_so() -> None:
    """No instruction of a type: a cell with n 0 and no rate, never a rate of 0."""
    one = next(one for one in load("small").held_out if one.type == "qa")

    cell = table(score([one], [one.answer]))["types"]["generation"]
    assert (cell["n"], cell["rate"], cell["wilson_low"]) == (0, None, None)
