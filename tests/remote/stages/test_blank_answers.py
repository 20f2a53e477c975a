"""Blank answers are counted by their cause."""

from __future__ import annotations

import pytest

from remote.stages.common.records import BaselineRecord, ResponseRecord, SystemResponse
from remote.stages.model.blank_answers import CAUSES, blank_cause, count_blanks
from remote.stages.model.stop_reasons import CUT_OFF, DELIMITED, ENDED


@pytest.mark.parametrize(
    ("text", "finished", "tokens", "cause"),
    [
        ("", ENDED, 1, "end_of_text_first"),
        ("", DELIMITED, 2, "delimiter_first"),
        (" \n", ENDED, 3, "only_whitespace"),
        ("", CUT_OFF, 64, "cut_by_limit"),
        ("an owl", CUT_OFF, 64, None),
    ],
)
def test_each_blank_has_one_cause(text: str, finished: str, tokens: int, cause: str | None) -> None:
    """How an answer ended, and after how many tokens, says why it is blank."""
    assert blank_cause(text, finished, tokens) == cause


def test_cause_outlives_the_file() -> None:
    """Records keep the cause through JSON; those of earlier versions, without it, are counted
    apart, and answers that say something have none."""
    blank = ResponseRecord("Why?", "short", "why", "", False, ("blank",), "Why?\n", blank=CAUSES[0])
    system = SystemResponse.of(blank, "Why?\n", system="sft")
    said = ResponseRecord("Why?", "short", "why", "so", True, prompt="Why?\n")
    control = BaselineRecord(blank, said)

    back = SystemResponse.from_json(system.to_json())
    assert back is not None
    assert back.blank == CAUSES[0]
    again = BaselineRecord.from_json(control.to_json())
    assert again is not None
    assert (again.raw.blank, again.few_shot.blank) == (CAUSES[0], None)
    assert "blank" not in said.to_json()
    old = {name: value for name, value in system.to_json().items() if name != "blank"}
    earlier = SystemResponse.from_json(old)
    assert earlier is not None
    counts = count_blanks((one.response, one.blank) for one in (back, earlier, said))
    assert (counts["n"], counts["blank"]) == (3, 2)
    assert counts["causes"] == dict.fromkeys(CAUSES, 0) | {CAUSES[0]: 1, "not_recorded": 1}
