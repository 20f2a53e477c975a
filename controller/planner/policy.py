"""How patient a lease is driven, and what becomes of its pod."""

from __future__ import annotations

from dataclasses import dataclass

from remote.contract import GuardReport

DRILL = "podctl doctor --drill"

PRICE_TOLERANCE = 1.05  # of what was quoted; a dearer pod is given back


@dataclass(frozen=True)
class Policy:
    """Seconds and choices. The defaults are for the real cloud; the emulator's are shorter."""

    settle: float = 300.0  # late commits and list lag of the provider end within this
    boot: float = 1500.0  # create to SSH that answers; image pulls can take 20 minutes
    ssh: float = 300.0  # port known to SSH answering, the first time, and within `boot`
    no_sshd: float = 30.0  # the same when the pod's start script is over and started no sshd
    lost: float = 900.0  # silence after which we stop waiting (never after which we recreate)
    bill_lag: float = 600.0  # the provider's bill is whole up to so long ago
    blind: float = 600.0  # provider silence after which we stop waiting
    guard: float = 90.0  # reached to guard armed
    denied: float = 15.0  # reached to asking about a guard whose key may not read its pod
    poll: float = 2.0  # between looks at a running job; a job that ended bills on until one
    poll_boot: float = 3.0  # between looks at a booting pod
    poll_log: float = 10.0  # between looks at its host's log
    ask_again: float = 15.0  # between two terminates of the same pod
    pod_starts: int = 4  # resumes of one pod, and tries of one resume
    generations: int = 4  # pods in one lease, one after the other
    restarts: int = 3  # attempts at one job on one disk
    stalls: int = 1  # times that a job without progress is started again
    reworks: int = 3  # times that a run whose disk is gone begins again from what is here
    pull_tries: int = 4
    room: float = 900.0  # of waiting for room on a disk here that is full
    tries: int = 6  # of an upload, or of a start, in a row
    incidents: int = 3  # of an action that raises what nobody foresaw, in a row
    incident_pause: float = 5.0  # between them
    rents: bool = True  # False: an adopted pod is never replaced by another
    overtime: float = 1800.0  # beyond max_hours, in which the agent ends the job by itself
    stop_grace: float = 1800.0  # from the word to end until the pod is stopped, whatever it says
    bare_grace: float = 6 * 3600.0  # the same where the stop wipes what is only there
    last_pull: float = 900.0  # of what is ready, before such a stop
    abandon_grace: float = 120.0  # for what is abandoned to come home all the same
    on_success: str = "terminate"  # terminate | park | keep
    on_failure: str = "park"
    on_vanished: str = "ask"  # ask | retry: a pod with a job is gone, and not by our order
    max_usd_per_hour: float | None = None  # None: what was quoted, within the tolerance
    price_tolerance: float = PRICE_TOLERANCE
    dearest_usd_per_hour: float | None = None  # an offer over this is not tried; None: any is
    # What may have been spent when another pod, or a start of a stopped one, begins; None: any sum.
    replacement_budget_usd: float | None = None
    stops_itself: bool = False  # a drill of this account and image has shown that its pods do

    def trusts(self, guard: GuardReport | None) -> bool:
        """Whether a pod with this guard ends its own billing when nobody comes.

        Where its key may not even read the pod, a drill says what it may do.
        """
        return guard is not None and (guard.armed or (guard.denied and self.stops_itself))
