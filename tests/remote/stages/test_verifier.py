"""Each check of the verifier with responses that hold and that fail, and broken specifications."""

from __future__ import annotations

import time
from typing import Any

import pytest

from remote.stages.verification.specification import check_specification
from remote.stages.verification.verifier import VerifierError, verify

Case = tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]

CASES: tuple[Case, ...] = (
    (
        {"check": "answer", "values": ["Paris", "paris city"]},
        ("Paris", '"paris."', "**Paris**", "Paris City!"),
        ("Paris, I think", "In Paris", "", "Pari"),
    ),
    ({"check": "answer", "values": ["ABC"], "case": True}, ("ABC.",), ("abc", "Abc")),
    (
        {"check": "number", "value": 85, "given": [47, 38]},
        ("85", "47 + 38 = 85.", "It is 85.0", "eighty-five is 85"),
        ("86", "85 or 86", "47 + 38", "It is -85", "eighty-five", "850", ""),
    ),
    (
        {"check": "number", "value": 12000},
        ("12,000", "12000", "It is 12,000.00 dollars"),
        ("12", "1,2000", "12.000", "12,0000"),
    ),
    ({"check": "number", "value": -3}, ("-3", "= -3", "\u22123"), ("3", "5-3")),
    ({"check": "number", "value": 4, "also": ["four"]}, ("4", "It is four"), ("five", "4 or 5")),
    ({"check": "lines", "exactly": 2}, ("a\nb", "a\n\nb\n"), ("a", "a\nb\nc")),
    (
        {"check": "listed", "style": "numbered", "accepted": ["a", "b", "c"], "exactly": 2},
        ("1. a\n2. b", "1) C\n2) A."),
        ("1. a\n3. b", "- a\n- b", "1. a\n2. a", "1. a\n2. d", "a, b", "1. a", "List:\n1. a\n2. b"),
    ),
    (
        {"check": "listed", "style": "bulleted", "accepted": ["a", "b"], "at_least": 1},
        ("- a", "* a\n* b", "\u2022 b"),
        ("1. a", "a", "- c", ""),
    ),
    (
        {"check": "separated", "accepted": ["red", "sky blue"], "exactly": 2},
        ("red, sky blue", "Red and sky blue.", "Here: red; sky blue", "sky blue, and red"),
        ("red", "red, red", "red, green", "red\nsky blue"),
    ),
    (
        {"check": "sequence", "values": ["ant", "bee", "cow"]},
        ("ant, bee, cow", "ant\nbee\ncow", "1. Ant\n2. Bee\n3. Cow", "ant, bee and cow."),
        ("bee, ant, cow", "ant, bee", "ant, bee, cow, dog", ""),
    ),
    (
        {"check": "json", "object": {"name": "Anna", "age": 31, "tags": ["x"], "ok": True}},
        ('{"age": 31.0, "name": "anna", "ok": true, "tags": ["X"]}',),
        (
            '{"name": "Anna", "age": 31, "tags": ["x"], "ok": 1}',
            '{"name": "Anna", "age": "31", "tags": ["x"], "ok": true}',
            '{"name": "Anna", "age": 31, "tags": [], "ok": true}',
            '{"name": "Anna"}',
            "[]",
            "NaN",
            "{" * 5000,
        ),
    ),
    ({"check": "closed"}, ("Done.", "Really?", '"Stop!"'), ("and so on,", "Done", "")),
    (
        {"check": "varied"},
        (
            "The dog saw the cat and the bird and the fish and the dog ran.",
            "HOME SWEET HOME",
            "It was a very, very long way to the old house on the hill.",
            "Done.",
            "",
        ),
        (
            "train suitcase train suitcase train suitcase.",
            "cabin cabin cabin cabin cabin cabin.",
            "HOME HOME HOME HOME",
            "Is penguin penguin penguin penguin?",
            "Dear Karen chimney chimney chimney chimney.",
            "The train the suitcase, the train the suitcase, the train the suitcase.",
            "hidden island hidden island hidden island hidden island hidden island.",
            "cabin cabin the the a.",
        ),
    ),
    ({"check": "lacks_letters", "values": ["e"]}, ("a cat sat",), ("the cat", "E")),
    (
        {"check": "any", "of": [[{"check": "answer", "values": ["a"]}], [{"check": "closed"}]]},
        ("a", "b."),
        ("b", ""),
    ),
    ({"check": "critic"}, (), ("anything at all", "A very good explanation.")),
    ({"check": "contains", "values": ["C++", "a.b"]}, ("C++ and a.b",), ("C and a.b", "C++ axb")),
    ({"check": "accepts", "values": ["art"]}, ("Art!", "the art of it"), ("party", "start")),
    ({"check": "excludes", "values": ["no"]}, ("nothing", "know"), ("No.", "say no")),
    ({"check": "sentences", "exactly": 2}, ("One. Two!",), ("One.", "One. Two. Three.")),
    (
        {"check": "sentences", "exactly": 1},
        (
            'She said, "Take the train with your suitcase."',
            "Mr. Bond left his suitcase on the train.",
            "Take a bird, e.g. a robin, and draw it.",
            'She said, "Stop!" and left.',
            "(He left.)",
        ),
        ('"Stop!" "Go!"', "Mr. Bond left. He ran.", "No end", 'He said, "Go." She went.'),
    ),
    ({"check": "words", "exactly": 3}, ("one two three",), ("one two", "a b c d")),
)

LONG = 60_000  # characters, or repetitions of a few
ENDS = (("a", "a"), ("a.", "a"), ("x: a,", "b"), ('a."', "b"), ("a and", "\nb"), ("1.", "x"))
HOSTILE = (
    *(one * LONG for one in ("9", "[", "{", ".", "A", "\u2019", "a,", "' ", '."')),
    *(one * (LONG // 4) for one in ("1. ", "a. ", "ha ", ", and ", "Mr. ", "- ", "1,", "-1.1")),
    *(f"{start}{one * LONG}{end}" for one in (" ", "\t", ".", '"') for start, end in ENDS),
    *(f"1{one * (LONG // 4)}{end}" for one in (",123", ".1", " and") for end in ("", "4", "x")),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0]["check"])
def test_check_holds_and_fails(case: Case) -> None:
    """A check passes what it should and gives a reason for the rest."""
    check, right, wrong = case

    assert [text for text in right if verify([check], text)] == []
    assert [text for text in wrong if not verify([check], text)] == []


def test_every_failed_check_gives_a_reason() -> None:
    """Reasons add up: one for each check that failed, in order."""
    checks = [{"check": "closed"}, {"check": "contains", "values": ["Oslo"]}]

    assert len(verify(checks, "Rome")) == 2
    assert verify(checks, "Rome.") == ("lacks Oslo",)
    assert verify(checks, "Oslo.") == ()


@pytest.mark.parametrize(
    ("checks", "complaint"),
    [
        ([], "no checks"),
        ("contains", "no checks"),
        (["contains"], "is an object"),
        ([{"check": "no such"}], "unknown check"),
        ([{"check": "contains"}], "values is missing"),
        ([{"check": "contains", "values": "Oslo"}], "cannot be"),
        ([{"check": "contains", "values": []}], "cannot be"),
        ([{"check": "contains", "values": [" "]}], "cannot be"),
        ([{"check": "contains", "values": ["a"], "kase": True}], "unknown field"),
        ([{"check": "number", "value": "12"}], "cannot be"),
        ([{"check": "number", "value": True}], "cannot be"),
        ([{"check": "number", "value": float("nan")}], "cannot be"),
        ([{"check": "listed", "style": "roman", "accepted": ["a"]}], "cannot be"),
        ([{"check": "words", "at_most": -1}], "cannot be"),
        ([{"check": "any", "of": []}], "list of lists"),
        ([{"check": "any", "of": ["a"]}], "no checks"),
        ([{"check": "critic"}], "unknown check"),
        ([{"check": "words", "at_least": 50}, {"check": "closed"}], "only form"),
        ([{"check": "any", "of": [[{"check": "closed"}]]}], "only form"),
        ([{"check": "varied"}], "only form"),
        ([{"check": "occurs", "value": "zebra", "exactly": 0}], "only form"),
        ([{"check": "occurs", "value": "the", "exactly": 1}], "only form"),
        ([{"check": "starts_with", "value": "The"}, {"check": "closed"}], "only form"),
        ([{"check": "contains", "values": ["."]}], "only form"),
        ([{"check": "contains", "values": ["the", "of the"]}], "only form"),
        ([{"check": "accepts", "values": ["Oslo", "the"]}], "only form"),
        ([{"check": "number", "value": 1, "given": [], "also": ["the"]}], "only form"),
        ([{"check": "json_keys", "keys": ["a"]}], "only form"),
    ],
)
def test_broken_specification_is_named(checks: object, complaint: str) -> None:
    """What could judge nothing, or length and punctuation alone, is refused beforehand."""
    with pytest.raises(VerifierError, match=complaint):
        check_specification(checks)


def test_deep_nesting_is_refused() -> None:
    """A specification inside a specification has an end."""
    check: dict[str, Any] = {"check": "answer", "values": ["a"]}
    for _ in range(50):
        check = {"check": "any", "of": [[check]]}

    with pytest.raises(VerifierError, match="deep"):
        check_specification([check])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0]["check"])
def test_hostile_responses_are_judged_quickly(case: Case) -> None:
    """A text that is nearly right all along takes no longer than it is long."""
    began = time.process_time()
    for text in HOSTILE:
        verify([case[0]], text)

    assert (
        time.process_time() - began < 4
    )  # of which a quadratic pattern takes a multiple for one text
