"""Which histories a sweep plays: every point, or the few that the suite can afford."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.crash.case import CREATE_MODES, MODES, Blow, Case
from tests.crash.system_calls import KILLED_AT, SYNCS, WRITES, Calls

ROUNDS = 10  # of four controllers at once
HARM = ("reboot", "evict", "death", "loss", "vanish")
Boundaries = Mapping[str, list[str]]  # mode -> what its clean run commits, in order


def boundary_kills(found: Boundaries) -> Iterator[Case]:
    """Row 26: before and after every commit, in every mode of the create and the delete."""
    for mode in MODES:
        for number in range(1, len(found[mode]) + 1):
            for side in ("before", "after"):
                yield Case("26", mode, (Blow("kill", side, number),))


def pairs(found: Boundaries) -> Iterator[Case]:
    """Row 28: killed, carried on, killed again; and podctls that all die after a few commits."""
    commits = len(found["none"])
    for first in range(1, commits + 1):
        for second in range(1, min(8, commits - first) + 1):
            for mode, side in (("none", "after"), ("drop_reply", "before")):
                blows = (Blow("kill", "after", first), Blow("kill", side, second))
                yield Case("28", mode, blows)
    for mode in CREATE_MODES:
        for every in (3, 4, 5, 7, 9):
            yield Case("28", mode, (Blow("kill", "after", every, "*"),))


def lids_at_the_create(found: Boundaries) -> Iterator[Case]:
    """Row 29: asleep between intent and request for longer than the settle window, and about it."""
    intent = found["none"].index("_append create intent") + 1
    for mode in CREATE_MODES:
        yield Case("29", mode, (Blow("stop", "after", intent),))
        yield Case("29", mode, (Blow("stop", "after", intent, event="other"),))
        yield Case("29", mode, (Blow("stop", "before", intent + 1),))


def lids(found: Boundaries) -> Iterator[Case]:
    """Row 30: asleep at any point; connections are dead on waking, the pod moved, or died."""
    for number in range(1, len(found["none"]) + 1):
        for event in ("", "cut", "other", *HARM):
            yield Case("30", "none", (Blow("stop", "after", number, event=event),))


def deaths(found: Boundaries) -> Iterator[Case]:
    """Row 57: the controller is killed, and then the pod's host fails."""
    for number in range(found["none"].index("_append create done"), len(found["none"]) + 1):
        for event in HARM:
            yield Case("57", "none", (Blow("kill", "after", number, event=event),))


def fours() -> Iterator[Case]:
    """Row 31: four controllers at once, again and again."""
    for _ in range(ROUNDS):
        yield Case("31", "none", four=True)


def surprises(found: Boundaries) -> Iterator[Case]:
    """Row 80: what nobody foresaw, at every action: once, and in every podctl from then on."""
    for number in range(1, len(found["none"]) + 1):
        for on in ("", "*"):
            yield Case("80", "none", (Blow("raise", "act", number, on),))
    for number in (1, 3, 8, 20):
        for on in ("", "*"):
            yield Case("80", "none", (Blow("raise", "look", number, on),))


def call_kills(calls: Calls) -> Iterator[Case]:
    """Row 27: at every system call that writes, syncs, renames, connects or sends."""
    for call in KILLED_AT:
        for number in calls.points(call):
            yield Case("27", "none", (Blow("kill", call, number),))


def call_errors(calls: Calls) -> Iterator[Case]:
    """Row 33: no space, or a broken disk, at every write and sync of every file; once, and from
    every fifth on. Not so for `write`, which goes to pipes too: no disk makes those fail."""
    for call in (*WRITES, *SYNCS):
        for number in calls.struck(call):
            for error in ("ENOSPC", "EIO"):
                yield Case("33", "none", (Blow(error, call, number),))
                if number % 5 == 0 and call != "write":
                    yield Case("33", "none", (Blow(error, call, number, "-"),))


def every(found: Boundaries, calls: Calls | None) -> dict[str, list[Case]]:
    """The long form, by row; without strace no system calls."""
    rows: dict[str, Iterable[Case]] = {
        "26": boundary_kills(found),
        "27": call_kills(calls) if calls else (),
        "28": pairs(found),
        "29": lids_at_the_create(found),
        "30": lids(found),
        "31": fours(),
        "33": call_errors(calls) if calls else (),
        "57": deaths(found),
        "80": surprises(found),
    }
    return {row: list(cases) for row, cases in rows.items()}
