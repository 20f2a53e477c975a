"""Everything that the loop can do next, as values; `plan.decide` chooses among them."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.providers.base import Offer


class Action:
    """Base of everything the loop can do next."""


@dataclass(frozen=True)
class OpenGeneration(Action):
    number: int


@dataclass(frozen=True)
class Create(Action):
    offer: Offer


@dataclass(frozen=True)
class Adopt(Action):
    pod: str


@dataclass(frozen=True)
class RecordPod(Action):
    """A pod of ours that nobody knew of: into the books, before it is ended."""

    pod: str


@dataclass(frozen=True)
class Terminate(Action):
    pod: str
    reason: str
    still_there: bool = False  # an order before this one was taken, and it is listed all the same


@dataclass(frozen=True)
class ConfirmGone(Action):
    pod: str


@dataclass(frozen=True)
class StartPod(Action):
    pod: str
    at: float  # Unix seconds of the order
    late: bool = False  # decided long after the provider was looked at


@dataclass(frozen=True)
class RecordRestart(Action):
    """The pod runs although the books have it parked: an order of ours, or somebody else's."""

    pod: str


@dataclass(frozen=True)
class ReconcileBilling(Action):
    """A start had no answer, and its pod is stopped: what it ran in between is on the bill."""

    pod: str
    since: float  # Unix seconds


@dataclass(frozen=True)
class StopPod(Action):
    pod: str
    reason: str


@dataclass(frozen=True)
class ConfirmParked(Action):
    pod: str


@dataclass(frozen=True)
class MarkReached(Action):
    pod: str


@dataclass(frozen=True)
class AskUnguarded(Action):
    detail: str


@dataclass(frozen=True)
class Upload(Action):
    run: str


@dataclass(frozen=True)
class StartJob(Action):
    run: str
    again: bool = False
    at: float = 0.0  # Unix seconds
    why: str = ""  # again, where the job itself gave cause


@dataclass(frozen=True)
class RejectHost(Action):
    """The preflight refused the host: nothing was started on it, as far as the run goes."""

    run: str
    why: str


@dataclass(frozen=True)
class RestartRun(Action):
    """What the run had begun is gone with its disk: it goes on from what is here."""

    run: str
    why: str


@dataclass(frozen=True)
class ConfirmRestart(Action):
    """The same, when it may have been the user's own doing: nothing is rented unasked."""

    run: str
    why: str


@dataclass(frozen=True)
class StopJob(Action):
    run: str
    reason: str
    at: float = 0.0  # Unix seconds


@dataclass(frozen=True)
class PullReady(Action):
    """Bring over what is finished while the job goes on."""

    run: str


@dataclass(frozen=True)
class Pull(Action):
    """Bring over the last difference; done only when every artifact is here."""

    run: str


@dataclass(frozen=True)
class Judge(Action):
    run: str


@dataclass(frozen=True)
class Lock(Action):
    run: str


@dataclass(frozen=True)
class Finish(Action):
    run: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Close(Action):
    outcome: str


@dataclass(frozen=True)
class Wait(Action):
    """Look again after `seconds`. `until`, by the clock of `Observed.now`, is told and decides
    nothing: what is waited for comes before, or something else is done."""

    seconds: float
    why: str
    until: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class NeedsOperator(Action):
    """Stop driving without closing: a person must decide. `code` names the error's class."""

    code: str
    what: str
    hint: str


@dataclass(frozen=True)
class Done(Action):
    outcome: str
