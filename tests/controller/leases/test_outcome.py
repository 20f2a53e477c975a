"""What is said at the end of a command that leaves a run or a lease open. Pure."""

from __future__ import annotations

import pytest

from controller.leases.outcome import resuming


@pytest.mark.parametrize(
    ("stage", "known", "hint"),
    [
        ("sft", True, "podctl run sft or podctl sync resumes it; podctl stop sft ends it"),
        ("sft", False, "podctl sync resumes it; podctl stop sft ends it"),
        ("", False, "podctl sync resumes it"),
    ],
)
def test_a_detached_command_names_only_what_there_is(stage: str, known: bool, hint: str) -> None:
    """No stop of a run when the lease only ends its pod, no run of a stage that is not defined."""
    assert resuming(stage, known=known) == hint
