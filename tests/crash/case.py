"""The faults injected into podctl in one history, with a name that replays it.

    26/drop_reply/kill:after:5           killed after its 5th commit; a reply is lost
    28/none/kill:after:5+kill:before:3   the same, and the next podctl before its 3rd
    28/none/kill:after:4*                every podctl is killed after its 4th commit
    30/none/stop:after:12:reboot         stopped there; its pod reboots; then it goes on
    27/none/kill:pwrite64:40             killed at its 40th pwrite64
    33/none/ENOSPC:write:7               its 7th write finds no space; `7-`: from the 7th on
    80/none/raise:act:9                  its 9th action raises an unexpected exception
    80/none/raise:act:9*                 the same from the 9th on, in every podctl; given up
    31/none/four                         four at once

The name is `row/mode/fault+fault…`; each fault is injected into the next podctl that is started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# The provider's failures, as faults of the emulator. Lags end well within the settle window.
LAG = 0.8  # seconds
_DELETE = {"method": "^DELETE$", "path": "^/v2/pods/"}
_ONE_DELETE: dict[str, Any] = {"match": _DELETE, "times": 1}
CREATE_MODES: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "drop_reply": [{"name": "drop_reply", "times": 1}],
    "500_after": [{"name": "fail_after_commit", "times": 1}],
    "500_before": [{"name": "fail_before_commit", "times": 1}],
    "late": [{"name": "commit_late", "times": 1, "value": LAG}],
    "500_late": [
        {"name": "fail_before_commit", "times": 1},
        {"name": "commit_late", "times": 1, "value": LAG},
    ],
    "list_lag": [{"name": "list_lag", "value": LAG}],
}
DELETE_MODES: dict[str, list[dict[str, Any]]] = {
    "still_listed": [{"name": "delete_still_listed", "value": LAG}],
    "ignored": [{"name": "delete_ignored", "times": 1}],
    "delete_500": [{"name": "fail_after_commit", **_ONE_DELETE}],
    "delete_drop": [{"name": "drop_reply", **_ONE_DELETE}],
}
MODES = CREATE_MODES | DELETE_MODES

# What happens to the pod while podctl is dead or stopped.
EVENTS = ("cut", "reboot", "evict", "death", "loss", "vanish", "other")
_FAULT = re.compile(
    r"(?P<effect>kill|stop|raise|E[A-Z]+):(?P<place>[a-z0-9_]+):(?P<number>[0-9]+)"
    r"(?P<on>[-*]?)(?::(?P<event>[a-z]+))?"
)


@dataclass(frozen=True)
class Fault:
    """One fault in one podctl process."""

    effect: str  # kill | stop | raise | an errno such as ENOSPC
    place: str  # before | after (a commit), act | look (of the loop), or a system call
    number: int  # of the commit or call, from 1
    on: str = ""  # "-": that call and all later; "*": every podctl from now on
    event: str = ""  # what happens to the pod meanwhile

    @property
    def traced(self) -> bool:
        """Whether a system call is meant, which takes strace."""
        return self.place not in ("before", "after", "act", "look")

    def __str__(self) -> str:
        event = f":{self.event}" if self.event else ""
        return f"{self.effect}:{self.place}:{self.number}{self.on}{event}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        match = _FAULT.fullmatch(text)
        if match is None or match["event"] not in (None, *EVENTS):
            raise ValueError(f"{text!r} is not a fault")
        event = match["event"] or ""
        return cls(match["effect"], match["place"], int(match["number"]), match["on"], event)


@dataclass(frozen=True)
class Case:
    """One history: a row of the fault matrix, the provider's failure mode, and podctl's faults."""

    row: str
    mode: str = "none"
    faults: tuple[Fault, ...] = ()
    four: bool = False  # four controllers at once

    def __str__(self) -> str:
        faults = "four" if self.four else "+".join(map(str, self.faults)) or "clean"
        return f"{self.row}/{self.mode}/{faults}"

    @property
    def given_up(self) -> bool:
        """Whether podctl always raises, so that the lease can only be ended."""
        return any(fault.effect == "raise" and fault.on == "*" for fault in self.faults)

    @property
    def disturbed(self) -> bool:
        """Whether the pod itself fails, so that the job may have to start again."""
        return any(fault.event not in ("", "cut", "other") for fault in self.faults)

    @classmethod
    def parse(cls, name: str) -> Case:
        row, mode, faults = name.split("/")
        if mode not in MODES:
            raise ValueError(f"{mode!r} is not one of {', '.join(MODES)}")
        if faults in ("four", "clean"):
            return cls(row, mode, four=faults == "four")
        return cls(row, mode, tuple(map(Fault.parse, faults.split("+"))))
