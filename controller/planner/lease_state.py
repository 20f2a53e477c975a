"""What the journal says about one lease: facts folded from its append-only records.

A *lease* is one wish to have stages run on a rented pod. It may see several pods, one after the
other (a bad host is replaced); each is a *generation* with a nonce of its own, committed before
the create call. A *run* is one attempt at one stage. Nothing here looks at the world.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.planner.run_facts import RunFacts as RunFacts
from controller.planner.steps import Step as Step

SAME_LIFE = 5.0  # seconds by which a provider's word for one start may differ
OVERDUE = "overdue"  # outcome of a run whose pod went on beyond every grace
NOTHING_LEFT = ("pod-lost", "not-begun")  # outcomes of runs of which no pod has anything


@dataclass(frozen=True)
class PendingTermination:
    """A pod that was given up and is not confirmed gone. `clean`: the provider said yes."""

    pod: str
    clean: bool = False
    ended_at: float | None = None  # Unix seconds: when the provider took the order that counts
    # Whether it bills until then for certain: seen alive shortly before the first order.
    sure: bool = False
    interrupted: bool = False  # it was stopped and started again while nobody looked
    orders: int = 0  # up to the one that counts


@dataclass(frozen=True)
class LeaseState:
    """One lease, as far as the journal knows it."""

    lease: str
    runs: tuple[RunFacts, ...]
    generation: int = 0
    nonces: tuple[str, ...] = ()  # of every generation, newest last
    offer: str | None = None  # id of the newest create's offer
    offer_count: int = 0  # GPUs of that offer; 0: an older record does not say
    quoted_usd_per_hour: float = 0.0  # of that offer
    tried: tuple[tuple[str, str], ...] = ()  # this generation: (offer id, why not)
    unsettled: bool = False  # a create of this generation has no definite answer
    ambiguous: bool = False  # any create of this lease ever lacked one
    pod: str | None = None
    had_pod: bool = False  # this generation got its pod; the next pod is another generation
    reached: bool = False
    parked: bool = False
    # A pod and its start in Unix seconds, both by the provider, when it first answered.
    life: tuple[str, float] | None = None
    image_digest: str = ""  # "sha256:…" of the image on the newest pod, where its host said so
    pod_starts: int = 0  # resumes of this pod
    start_unclear: float | None = None  # Unix seconds of a resume without a definite answer
    meddled: bool = False  # somebody else started the pod while we had it parked, or may have
    reckoned: float = 0.0  # Unix seconds of the newest start that was looked for on the bill
    pending_terminations: tuple[PendingTermination, ...] = ()
    pods: tuple[str, ...] = ()  # every pod that was ever ours
    given_back: str = ""  # why the newest of those that went was ended
    keeps_disk: bool = True  # the present pod has a volume, which parking keeps
    shared_disk: bool = False  # a network volume: the disk outlives the pod
    unguarded: bool = False
    refused: str | None = None  # why nothing more is to be tried
    stop: str | None = None  # terminate | park: the user's wish
    abandon: str | None = None  # the reason for which unpulled artifacts may be lost
    closed: str | None = None
    first: int = 0  # place among `runs` of the first that is wanted now; before it is the past
    past_generations: int = 0  # pods before the one that was parked when the lease was renewed
    unreadable: str | None = None  # a record that makes no sense: nothing is decided by the others

    @property
    def nonce(self) -> str | None:
        return self.nonces[-1] if self.nonces else None

    @property
    def wanted(self) -> tuple[RunFacts, ...]:
        """The runs since the lease was opened, or renewed last."""
        return self.runs[self.first :]

    @property
    def used_before(self) -> bool:
        """Whether the present pod has the disk of runs before those that are wanted."""
        return self.first > 0 and self.pods_tried == 1

    @property
    def pods_tried(self) -> int:
        """How many pods it has had for these."""
        return self.generation - self.past_generations

    @property
    def names(self) -> frozenset[str]:
        """Everything that a user may call the lease by: itself, its stages, runs and pods."""
        runs = (name for run in self.runs for name in (run.run, run.stage))
        return frozenset((self.lease, *runs, *self.pods))

    @property
    def current(self) -> RunFacts | None:
        """The first run without an outcome."""
        return next((run for run in self.runs if run.outcome is None), None)

    @property
    def ending(self) -> bool:
        """Whether nothing more is wanted of the present run than what it wrote."""
        return bool(self.stop) or (self.current is not None and self.current.fetching)

    def rests(self, *, kept: bool = False) -> bool:
        """Whether nothing is left to do: its pod waits, parked or `kept`, for the user's word."""
        passed = all(run.outcome == "passed" for run in self.wanted)
        kept = kept and passed and self.pod is not None and not self.stop
        goes = self.abandon or (self.stop == "terminate" and not self.unpulled)
        waits = (self.parked or kept) and not self.pending_terminations and not goes
        return self.current is None and waits

    @property
    def unpulled(self) -> tuple[str, ...]:
        """Runs whose job may have written something that is only on the pod."""
        return tuple(
            run.run
            for run in self.runs
            if run.started and not run.pulled and run.outcome not in NOTHING_LEFT
        )
