"""What counts as nearly the same instruction."""

from __future__ import annotations

import random
import time

import pytest

from remote.stages.text.near_duplicates import NearDuplicate, distinct, near_duplicates, normalised

NEAR = (
    ("What is the capital of France?", "what is the capital of france"),
    ("What is the capital of France?", "What is the capital of  FRANCE ??"),
    ("Please name three animals that begin with a b.", "Name three animals that begin with a b"),
    ("Write a short poem about the old lighthouse.", "Write a short poem about an old lighthouse"),
    ("Café prices went up again this year.", "Cafe\u0301 prices went up again this year"),
)
FAR = (
    ("What is the capital of France?", "What is the capital of Germany?"),
    ("What is 17 plus 25?", "What is 17 minus 25?"),
    ("Calculate 12 + 7.", "Calculate 12 * 7."),
    ("Write a sentence about a quiet river.", "Write a sentence about a golden castle."),
    ("Hello", "Goodbye"),
    ("", "Hello"),
)


@pytest.mark.parametrize(("one", "two"), NEAR)
def test_near_ones_are_found(one: str, two: str) -> None:
    """Case, punctuation, blanks, accents' spelling and a word more or less hide nothing."""
    found = near_duplicates([one], [two], threshold=0.7)

    assert [(near.candidate, near.other) for near in found] == [(0, 0)]


@pytest.mark.parametrize(("one", "two"), FAR)
def test_different_ones_are_not_near(one: str, two: str) -> None:
    """Another country, another sign, another topic: another instruction."""
    assert near_duplicates([one], [two]) == ()


def test_closest_is_named() -> None:
    """Each candidate has one finding, with the place of the closest text."""
    against = ["List three tools.", "Add two and five, please.", "Add two and five please!"]

    assert near_duplicates(["Add two and five, please"], against) == (NearDuplicate(0, 1, 1.0),)
    assert near_duplicates(["Sing a song."], against) == ()
    assert near_duplicates([], against) == near_duplicates(["Sing."], []) == ()


def test_normalised_keeps_what_matters() -> None:
    """Letters, digits and signs of arithmetic stay; decoration goes."""
    assert normalised("  “Hello”,   World! ") == "hello world"
    assert normalised("3 + 4 = ?") == "3 + 4 ="
    assert normalised("8 - 5") != normalised("8 5")


def test_distinct_keeps_the_first() -> None:
    """Of near ones the first stays, in order."""
    texts = ["Add two and five.", "List three tools.", "add two and five!", "Say stone twice."]

    assert distinct(texts) == (0, 1, 3)


def test_agrees_with_the_definition() -> None:
    """The quick search finds what comparing every two sets of 5-grams finds."""
    draw = random.Random(0)
    words = ["red", "green", "blue", "quick", "lazy", "house", "garden", "apple", "river"]
    texts = [" ".join(draw.choices(words, k=draw.randint(3, 7))) for _ in range(120)]

    def grams(text: str) -> set[str]:
        padded = f" {text} "
        return {padded[n : n + 5] for n in range(len(padded) - 4)}

    expected = {
        n
        for n, one in enumerate(texts[:60])
        if any(
            len(grams(one) & grams(two)) >= 0.5 * len(grams(one) | grams(two)) for two in texts[60:]
        )
    }
    found = {near.candidate for near in near_duplicates(texts[:60], texts[60:], threshold=0.5)}
    assert found == expected
    assert expected


def test_two_thousand_against_two_thousand_is_quick() -> None:
    """The largest comparison of the plan takes seconds, not minutes."""
    draw = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    texts = [
        " ".join("".join(draw.choices(syllables, k=3)) for _ in range(10)) for _ in range(4000)
    ]

    began = time.process_time()
    assert near_duplicates(texts[:2000], texts[2000:]) == ()
    assert time.process_time() - began < 15
