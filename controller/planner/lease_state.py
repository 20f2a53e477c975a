"""The facts about one lease, as `journal_fold` derives them from the journal.

A *lease* is one request to run stages on a rented pod. It may use several pods, one after the other
(a bad host is replaced); each is a *generation* with a nonce of its own, which is committed before
the create call. A *run* is one attempt at one stage. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.planner.run_facts import RunFacts as RunFacts
from controller.planner.steps import Step as Step

SAME_LIFE = 5.0  # seconds by which reports of one start may differ
OVERDUE = "overdue"  # outcome of a run whose pod continued beyond every grace period
SUPERSEDED = "superseded"  # outcome of a run whose stage another run has locked meanwhile
NOTHING_LEFT = ("pod-lost", "not-begun")  # outcomes of runs of which no pod has anything


@dataclass(frozen=True)
class PendingTermination:
    """A pod that was given up and is not confirmed gone; `clean`: the order was accepted."""

    pod: str
    clean: bool = False
    ended_at: float | None = None  # Unix seconds: when the provider accepted the order that counts
    # Whether it certainly bills until then: it was seen alive shortly before the first order.
    sure: bool = False
    interrupted: bool = False  # somebody else stopped and started it meanwhile
    orders: int = 0  # up to the one that counts


@dataclass(frozen=True)
class WarmPod:
    """A pod that waits for another run after the run `after`; `until` in Unix seconds."""

    pod: str
    after: str
    until: float


@dataclass(frozen=True)
class LeaseState:
    """One lease according to the journal."""

    lease: str
    runs: tuple[RunFacts, ...]
    generation: int = 0
    nonces: tuple[str, ...] = ()  # of every generation, newest last
    offer: str | None = None  # id of the newest create's offer
    offer_count: int = 0  # GPUs of that offer; 0: older records have no count
    quoted_usd_per_hour: float = 0.0  # of that offer
    tried: tuple[tuple[str, str], ...] = ()  # this generation: (offer id, why not)
    # Unix seconds since when `podctl import` owns the pod, and no create has followed.
    claimed_at: float | None = None
    unsettled: bool = False  # a create of this generation has no definite answer
    ambiguous: bool = False  # any create of this lease ever lacked one
    pod: str | None = None
    had_pod: bool = False  # this generation has had its pod; another pod needs another generation
    reached: bool = False
    parked: bool = False
    # A pod and its start in Unix seconds, both as the provider reported when it first answered.
    life: tuple[str, float] | None = None
    image_digest: str = ""  # "sha256:…" of the image on the newest pod, if its host reported one
    hard_cap: float = 0.0  # seconds after which the present pod's guard ends it; 0: not recorded
    warm: WarmPod | None = None  # the newest one, also while another run uses it
    visiting: bool = False  # the parked pod was started to be worked on by hand
    not_warm: str = ""  # the run after which its pod could not be kept warm
    pod_starts: int = 0  # resumes of this pod
    start_unclear: float | None = None  # Unix seconds of a resume without a definite answer
    meddled: bool = False  # somebody else started the parked pod, or may have
    correction: float = 0.0  # Unix seconds of the newest start that was looked up on the bill
    pending_terminations: tuple[PendingTermination, ...] = ()
    pods: tuple[str, ...] = ()  # every pod that the lease ever had
    given_back: str = ""  # why the last of the ended pods was ended
    keeps_disk: bool = True  # the present pod has a volume, which parking keeps
    shared_disk: bool = False  # a network volume: the disk outlives the pod
    unguarded: bool = False
    refused: str | None = None  # why nothing more is tried
    stop: str | None = None  # terminate | park: as the user asked
    abandon: str | None = None  # the user's reason to lose unpulled artifacts
    closed: str | None = None
    first: int = 0  # index in `runs` of the first run that is wanted now
    past_generations: int = 0  # pods before the one that was parked when the lease was renewed
    unreadable: str | None = None  # a record that cannot be applied, which blocks all decisions

    @property
    def nonce(self) -> str | None:
        return self.nonces[-1] if self.nonces else None

    @property
    def wanted(self) -> tuple[RunFacts, ...]:
        """The runs since the lease was opened or last renewed."""
        return self.runs[self.first :]

    @property
    def used_before(self) -> bool:
        """Whether the present pod's disk holds earlier runs too."""
        return self.first > 0 and self.pods_tried == 1

    @property
    def pods_tried(self) -> int:
        """The number of pods that the wanted runs have used."""
        return self.generation - self.past_generations

    @property
    def names(self) -> frozenset[str]:
        """All names by which a user may refer to the lease."""
        runs = (name for run in self.runs for name in (run.run, run.stage))
        return frozenset((self.lease, *runs, *self.pods))

    def superseded(self, locks: Mapping[str, str]) -> dict[str, str]:
        """The runs whose stage another run has locked, with that run; `locks`: stage → run."""
        others = {run.run: locks.get(run.stage, run.run) for run in self.runs}
        return {run: other for run, other in others.items() if run != other}

    @property
    def current(self) -> RunFacts | None:
        """The first run without an outcome."""
        return next((run for run in self.runs if run.outcome is None), None)

    @property
    def needs_pod(self) -> bool:
        """Whether the present run still needs its pod; a pulled one is concluded without it."""
        return self.current is not None and not self.current.pulled

    @property
    def ending(self) -> bool:
        """Whether only the files of the present run are still wanted."""
        return bool(self.stop) or (self.current is not None and self.current.fetching)

    @property
    def passed(self) -> bool:
        """Whether every run that was wanted passed."""
        return all(run.outcome == "passed" for run in self.wanted)

    @property
    def warm_until(self) -> float | None:
        """When the pod that waits for another run ends, Unix seconds; None: it does not wait."""
        warm = self.warm
        if warm is None or self.current is not None or self.parked or self.stop:
            return None
        return warm.until if (warm.pod, warm.after) == (self.pod, self.runs[-1].run) else None

    def rests(self, *, kept: bool = False, kept_failed: bool = False) -> bool:
        """Whether nothing is left to do until the user decides about the pod, or time is up.

        That is so for a parked and a warm one, and for one that is `kept` after a success or
        `kept_failed` after anything else. It is also so for one that is worked on by hand.
        """
        kept = kept if self.passed else kept_failed
        kept = kept and self.pod is not None and not self.stop
        ends = self.abandon or (self.stop == "terminate" and not self.unpulled)
        waiting = self.parked or kept or self.warm_until is not None or self.visiting
        unclear = self.pending_terminations or (self.start_unclear and not self.visiting)
        return self.current is None and waiting and not unclear and not ends

    @property
    def unpulled(self) -> tuple[str, ...]:
        """Runs whose job may have written files that exist only on the pod."""
        return tuple(
            run.run
            for run in self.runs
            if run.started and not run.pulled and run.outcome not in NOTHING_LEFT
        )
