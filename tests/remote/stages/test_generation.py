"""Generation in batches: every row ends at its own delimiter, and says what ended it."""

from __future__ import annotations

from typing import Any

import pytest

from remote.stages.instructions.sets import load
from remote.stages.model.loading import SMALL, load_model, load_tokenizer, resolve
from remote.stages.model.stop_reasons import CUT_OFF, DELIMITED, ENDED
from remote.stages.text.prompts import DELIMITER, CompletionStylePrompts, bare, cut, delimited
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER
CHOSEN = load("small")
SHEETS = [CompletionStylePrompts(CHOSEN.pool).render(one.text) for one in CHOSEN.train[:12]]
BARE = [bare(one.text) for one in CHOSEN.train[:12]]


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    source = resolve(SMALL)
    return load_model(source, "none"), load_tokenizer(source)


def test_rows_of_sheets_stop_at_the_delimiter(small: tuple[Any, Any]) -> None:
    """Each response is over at its delimiter, with no token of the next item."""
    from remote.stages.model.sampling import generate_finished

    _, tokenizer = small
    found = generate_finished(*small, SHEETS)

    for one in found:
        assert one.finished == DELIMITED
        assert "###" not in one.text
        whole = tokenizer(f" {one.text}{DELIMITER}", add_special_tokens=False)["input_ids"]
        assert one.tokens == len(whole)


def test_a_batch_of_one_says_the_same(small: tuple[Any, Any]) -> None:
    """Greedily, neighbours and the time at which they stop change nothing."""
    from remote.stages.model.sampling import generate_finished

    some = [*SHEETS[:4], *BARE[:4]]

    assert generate_finished(*small, some) == [
        one for prompt in some for one in generate_finished(*small, [prompt])
    ]


def test_ends_of_text_and_cuts_are_told_apart(small: tuple[Any, Any]) -> None:
    """A forum page ends with end of text; five tokens are never enough."""
    from remote.stages.model.sampling import generate_finished

    assert ENDED in {one.finished for one in generate_finished(*small, BARE)}
    cuts = generate_finished(*small, SHEETS, max_new_tokens=5)
    assert {one.finished for one in cuts} == {CUT_OFF}
    assert {one.tokens for one in cuts} == {5}


def test_texts_alone_come_as_before(small: tuple[Any, Any]) -> None:
    """`generate` gives the texts of `generate_finished`; the seed decides what is drawn."""
    from remote.stages.model.sampling import generate, generate_finished

    drawn = [generate(*small, SHEETS, temperature=1.5, seed=seed) for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1] != drawn[2]
    finished = generate_finished(*small, SHEETS, temperature=1.5, seed=1)
    assert drawn[0] == [one.text for one in finished]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        (" Lima.\n###\nName", "Lima."),
        (" Lima.\n###", "Lima."),
        (" Lima.\n### \nName", "Lima."),
        ("###\nName", ""),
        (" # Why\n\n### Heading\nText.\n###\n", "# Why\n\n### Heading\nText."),
        (" Lima.\n####\nName", "Lima.\n####\nName"),
        (" a ### b", "a ### b"),
    ],
)
def test_only_a_line_of_its_own_is_a_delimiter(text: str, response: str) -> None:
    """A heading, a longer row of signs and signs in a line end no response."""
    assert cut(text) == response
    assert delimited(f"\n{text}") is (
        cut(text) != text.strip() and "###\n" in text.replace(" ", "")
    )
