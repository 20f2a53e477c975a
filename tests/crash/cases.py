"""The histories that a sweep plays, by row of the fault matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.crash.case import CREATE_MODES, MODES, Case, Fault
from tests.crash.system_calls import KILLED_AT, SYNCS, WRITES, Calls

ROUNDS = 10  # of four controllers at once
HARM = ("reboot", "evict", "death", "loss", "vanish")
Boundaries = Mapping[str, list[str]]  # mode -> what its clean run commits, in order


def boundary_kills(boundaries: Boundaries) -> Iterator[Case]:
    """Row 26: before and after every commit, in every mode of the create and the delete."""
    for mode in MODES:
        for number in range(1, len(boundaries[mode]) + 1):
            for side in ("before", "after"):
                yield Case("26", mode, (Fault("kill", side, number),))


def pairs(boundaries: Boundaries) -> Iterator[Case]:
    """Row 28: killed, resumed, killed again; and processes that all die after a few commits."""
    commits = len(boundaries["none"])
    for first in range(1, commits + 1):
        for second in range(1, min(8, commits - first) + 1):
            for mode, side in (("none", "after"), ("drop_reply", "before")):
                faults = (Fault("kill", "after", first), Fault("kill", side, second))
                yield Case("28", mode, faults)
    for mode in CREATE_MODES:
        for every in (3, 4, 5, 7, 9):
            yield Case("28", mode, (Fault("kill", "after", every, "*"),))


def lids_at_the_create(boundaries: Boundaries) -> Iterator[Case]:
    """Row 29: suspended between intent and request for longer than the settle window."""
    intent = boundaries["none"].index("_append create intent") + 1
    for mode in CREATE_MODES:
        yield Case("29", mode, (Fault("stop", "after", intent),))
        yield Case("29", mode, (Fault("stop", "after", intent, event="other"),))
        yield Case("29", mode, (Fault("stop", "before", intent + 1),))


def lids(boundaries: Boundaries) -> Iterator[Case]:
    """Row 30: suspended at any point; meanwhile connections break, or the pod moves or fails."""
    for number in range(1, len(boundaries["none"]) + 1):
        for event in ("", "cut", "other", *HARM):
            yield Case("30", "none", (Fault("stop", "after", number, event=event),))


def deaths(boundaries: Boundaries) -> Iterator[Case]:
    """Row 57: the controller is killed, and then the pod's host fails."""
    for number in range(
        boundaries["none"].index("_append create done"), len(boundaries["none"]) + 1
    ):
        for event in HARM:
            yield Case("57", "none", (Fault("kill", "after", number, event=event),))


def fours() -> Iterator[Case]:
    """Row 31: four controllers at once, again and again."""
    for _ in range(ROUNDS):
        yield Case("31", "none", four=True)


def surprises(boundaries: Boundaries) -> Iterator[Case]:
    """Row 80: an unexpected exception at every action: once, and in every podctl from then on."""
    for number in range(1, len(boundaries["none"]) + 1):
        for on in ("", "*"):
            yield Case("80", "none", (Fault("raise", "act", number, on),))
    for number in (1, 3, 8, 20):
        for on in ("", "*"):
            yield Case("80", "none", (Fault("raise", "look", number, on),))


def call_kills(calls: Calls) -> Iterator[Case]:
    """Row 27: at every system call that writes, syncs, renames, connects or sends."""
    for call in KILLED_AT:
        for number in calls.points(call):
            yield Case("27", "none", (Fault("kill", call, number),))


def call_errors(calls: Calls) -> Iterator[Case]:
    """Row 33: no space, or a broken disk, at every write and sync of every file; once, and from
    every fifth on. Not so for `write`, which goes to pipes too: no disk makes those fail."""
    for call in (*WRITES, *SYNCS):
        for number in calls.struck(call):
            for error in ("ENOSPC", "EIO"):
                yield Case("33", "none", (Fault(error, call, number),))
                if number % 5 == 0 and call != "write":
                    yield Case("33", "none", (Fault(error, call, number, "-"),))


def every(boundaries: Boundaries, calls: Calls | None) -> dict[str, list[Case]]:
    """The long form, by row; without strace no system calls."""
    rows: dict[str, Iterable[Case]] = {
        "26": boundary_kills(boundaries),
        "27": call_kills(calls) if calls else (),
        "28": pairs(boundaries),
        "29": lids_at_the_create(boundaries),
        "30": lids(boundaries),
        "31": fours(),
        "33": call_errors(calls) if calls else (),
        "57": deaths(boundaries),
        "80": surprises(boundaries),
    }
    return {row: list(cases) for row, cases in rows.items()}
