"""Time limits of a lease, and what happens to its pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    lost: float = (
        900.0  # silence after which podctl stops waiting (it never recreates a pod for that)
    )
    bill_lag: float = 600.0  # age from which on the provider's bill is complete
    blind: float = 600.0  # provider silence after which podctl stops waiting
    guard: float = 90.0  # reached to guard armed
    denied: float = 15.0  # reached to asking about a guard whose key may not read its pod
    poll: float = 2.0  # between observations of a running job; an ended job bills until the next
    poll_boot: float = 3.0  # between observations of a booting pod
    # The same once it runs: its port and sshd follow soon. 40 listings a minute; the quota is 60.
    poll_ready: float = 1.5
    poll_log: float = 10.0  # between reads of its host's log
    ask_again: float = 15.0  # between two terminates of the same pod
    pod_starts: int = 4  # resumes of one pod, and tries of one resume
    generations: int = 4  # pods in one lease, one after the other
    restarts: int = 3  # attempts at one job on one disk
    stalls: int = 1  # restarts of a job without progress
    reworks: int = 3  # restarts of a run that lost its disk
    pull_tries: int = 4
    room: float = 900.0  # of waiting for room on a full local disk
    tries: int = 6  # of an upload, or of a start, in a row
    incidents: int = 3  # unexpected exceptions of one action in a row
    incident_pause: float = 5.0  # between them
    may_rent: bool = True  # False: an adopted pod is never replaced by another
    overtime: float = 1800.0  # beyond max_hours, within which the agent ends the job itself
    stop_grace: float = 1800.0  # from a stop order until the pod is stopped, whatever it reports
    bare_grace: float = 6 * 3600.0  # the same when stopping the pod wipes its disk
    last_pull: float = 900.0  # of ready files, before such a stop
    abandon_grace: float = 120.0  # for abandoned files to be pulled anyway
    on_success: str = "terminate"  # terminate | park | keep
    on_failure: str = "park"
    keep_warm: float = 0.0  # seconds for which the pod of a failed run waits for another run
    on_vanished: str = "ask"  # ask | retry: a pod with a job vanished without an order
    max_usd_per_hour: float | None = None  # None: what was quoted, within the tolerance
    price_tolerance: float = PRICE_TOLERANCE
    max_offer_usd_per_hour: float | None = (
        None  # more expensive offers are not tried; None: no limit
    )
    # Ids of offers that were dropped before renting: taken only at or under the price above.
    dropped_offers: frozenset[str] = frozenset()
    # Expected hours of the lease by offer id; empty: offers are tried by their price per hour.
    stage_hours: Mapping[str, float] = field(default_factory=dict)
    slow_offers: frozenset[str] = frozenset()  # ids; a stage would use up its max_hours there
    max_stage_usd: float | None = None  # dearer offers by those hours are not tried
    # Largest sum spent before another pod or another start; None: no limit.
    replacement_budget_usd: float | None = None
    wait_since: float = 0.0  # Unix seconds: podctl waits for capacity from here on,
    wait_until: float = 0.0  # and until here; 0: it does not
    capacity_pause: float = 60.0  # at least, between two requests for offers meanwhile
    stops_itself: bool = (
        False  # a drill has shown that pods of this account and image stop themselves
    )

    def hours_on(self, offer: str) -> float:
        """Expected hours on an offer; the longest that are known for one without a prediction."""
        return self.stage_hours.get(offer, max(self.stage_hours.values(), default=1.0))

    def trusts(self, guard: GuardReport | None) -> bool:
        """Whether a pod with this guard ends its own billing without podctl.

        If the guard's key may not read the pod, a drill must have shown that it can stop it.
        """
        return guard is not None and (guard.armed or (guard.denied and self.stops_itself))
