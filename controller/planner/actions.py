"""The actions of the loop, as values; `decide` chooses one."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.providers.base import Offer


class Action:
    """Base class of the actions."""


@dataclass(frozen=True)
class OpenGeneration(Action):
    number: int


@dataclass(frozen=True)
class Create(Action):
    offer: Offer


@dataclass(frozen=True)
class AskAgain(Action):
    """Forget which offers had no capacity: the provider is asked for them again."""


@dataclass(frozen=True)
class Adopt(Action):
    pod: str


@dataclass(frozen=True)
class RecordPod(Action):
    """Record an orphaned pod of the lease in the ledger before it is terminated."""

    pod: str


@dataclass(frozen=True)
class Terminate(Action):
    pod: str
    reason: str
    still_there: bool = False  # an earlier order was accepted, and the pod is still listed


@dataclass(frozen=True)
class ConfirmGone(Action):
    pod: str


@dataclass(frozen=True)
class StartPod(Action):
    pod: str
    at: float  # Unix seconds of the order
    late: bool = False  # decided long after the listing


@dataclass(frozen=True)
class RecordRestart(Action):
    """Record that a parked pod runs, started by podctl or by somebody else."""

    pod: str


@dataclass(frozen=True)
class ReconcileBilling(Action):
    """Record the use between an unanswered start and a stop, which only the bill shows."""

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
class KeepWarm(Action):
    """Let the pod of a run that did not pass wait for another run, for some seconds.

    Its guard ends it afterwards. `after` is the run; `then` is terminate or park.
    """

    pod: str
    after: str
    seconds: float
    then: str


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
    why: str = ""  # of a repeated start, where the job is the cause


@dataclass(frozen=True)
class RejectHost(Action):
    """The preflight refused the host; the run counts as not started."""

    run: str
    why: str


@dataclass(frozen=True)
class RestartRun(Action):
    """The run lost its disk and starts again from the local files."""

    run: str
    why: str


@dataclass(frozen=True)
class ConfirmRestart(Action):
    """Ask the user before such a restart, because the user may have ended the pod."""

    run: str
    why: str


@dataclass(frozen=True)
class StopJob(Action):
    run: str
    reason: str
    at: float = 0.0  # Unix seconds


@dataclass(frozen=True)
class PullReady(Action):
    """Pull finished files while the job runs."""

    run: str


@dataclass(frozen=True)
class Pull(Action):
    """Pull all files that are missing; done only when every artifact was verified."""

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
    """Observe again after `seconds`, or earlier when the pod says that its job changed.

    The latter only with `for_job`. `until`, by the clock of `Observation.now`, is the latest end of
    the wait; it is only shown.
    """

    seconds: float
    why: str
    until: float | None = field(default=None, compare=False)
    for_job: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class NeedsOperator(Action):
    """Stop driving without closing: the operator must decide. `code` names the error's class."""

    code: str
    what: str
    hint: str


@dataclass(frozen=True)
class Done(Action):
    outcome: str
