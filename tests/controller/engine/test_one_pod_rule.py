"""The rule of the one pod, on the real journal: never two, after any history of crashes."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, Step
from state.database import open_database
from state.errors import Fenced
from state.journal import Journal
from state.project_lock import acquire

SETTLE = 300.0  # seconds; a create commits, and a listing shows it, within less
SLOWEST = 120.0
OFFER = {"offer": "NVIDIA L40S", "usd_per_hour": 0.79}


@dataclass(frozen=True)
class Rented:
    """A pod at the provider: in every listing from `shown_at` on."""

    id: str
    nonce: str
    shown_at: float


class OnePod(RuleBasedStateMachine):
    """A controller of a few lines that keeps the rule: what has no definite answer is looked for,
    during a whole settle window that counts from entering the search."""

    searches = True
    counts_from_the_intent = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="one-pod-"))
        self.now = 1000.0
        self.pods: list[Rented] = []
        self._begin()
        self.lease = self.journal.open_lease({})
        self.run = self.journal.open_run(self.lease, "stage1c", {})

    def _begin(self) -> None:
        """A new process: it knows what the journal says, and nothing else."""
        self.owner = acquire(self.folder / ".podctl", "test")
        self.owner.connection.execute("PRAGMA synchronous = OFF")  # no power is cut here
        self.journal = Journal(self.owner.connection, self.owner.epoch, clock=lambda: self.now)
        self.searching_since: float | None = None

    def teardown(self) -> None:
        self.owner.close()
        shutil.rmtree(self.folder)

    def lease_state(self) -> LeaseState:
        return fold(self.lease, [(self.run, "stage1c")], self.journal.ops(self.lease))

    @rule(seconds=st.sampled_from([1.0, 60.0, SLOWEST, SETTLE, 40_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def die(self) -> None:
        """kill -9 and another start; whatever the earlier process still writes is refused."""
        self.owner.close()
        late = Journal(open_database(self.owner.folder / "state.db"), self.owner.epoch)
        self._begin()
        with pytest.raises(Fenced):
            late.intent(self.lease, Step.CREATE, OFFER)
        late.connection.close()

    @rule(
        answer=st.sampled_from(["yes", "no", "lost", "never-sent"]),
        slow=st.sampled_from([0.0, SLOWEST]),
        dies=st.sampled_from(["", "before", "asleep", "after"]),
    )
    def drive(self, answer: str, slow: float, dies: str) -> None:
        """One turn of the loop: look, decide, write the intent, do it, write what came of it."""
        lease_state = self.lease_state()
        if lease_state.nonce is None:
            self.journal.note(self.lease, Step.GENERATION, {"number": 1, "nonce": "0" * 16})
        elif lease_state.pod is None and lease_state.unsettled and self.searches:
            self._search(lease_state, answer, slow, dies)
        elif lease_state.pod is None:
            self._create(lease_state, answer, slow, dies)

    def _search(self, lease_state: LeaseState, answer: str, slow: float, dies: str) -> None:
        if self.searching_since is None:
            self.searching_since = self.now
        found = [one for one in self.pods if one.shown_at <= self.now]
        if found:
            self.journal.note(self.lease, Step.ADOPT, {"pod": found[0].id})
        elif self.now - self._window_began() >= SETTLE:
            self._create(lease_state, answer, slow, dies)

    def _window_began(self) -> float:
        assert self.searching_since is not None
        if self.counts_from_the_intent:
            intents = [op.at for op in self.journal.ops(self.lease) if op.phase == "intent"]
            return max(intents)
        return self.searching_since

    def _create(self, lease_state: LeaseState, answer: str, slow: float, dies: str) -> None:
        assert lease_state.nonce is not None
        intent = self.journal.intent(self.lease, Step.CREATE, OFFER)
        self.searching_since = None
        if dies == "before":
            return self.die()
        if dies == "asleep":  # the lid is closed between the intent and the call
            self.now += 40_000.0
        if answer in ("yes", "lost"):
            self.pods.append(Rented(f"pod{len(self.pods)}", lease_state.nonce, self.now + slow))
        if dies:
            return self.die()
        if answer == "yes":
            self.journal.done(intent, {"pod": self.pods[-1].id})
        else:
            kind = "capacity" if answer == "no" else "ambiguous"
            self.journal.fail(intent, {"kind": kind, "offer": OFFER["offer"], "why": answer})
        return None

    @invariant()
    def never_two(self) -> None:
        assert len(self.pods) <= 1, "two pods bill"

    @invariant()
    def a_pod_is_ours_or_looked_for(self) -> None:
        """Whatever the journal says, no pod is there that it neither has nor still looks for."""
        lease_state = self.lease_state()
        for pod in self.pods:
            assert lease_state.pod == pod.id or lease_state.unsettled


class WithoutSearch(OnePod):
    """The same, and it calls again blindly."""

    searches = False


class FromTheIntent(OnePod):
    """The same, and its window counts from when the intent was written."""

    counts_from_the_intent = True


PHASES = (Phase.generate,)  # found is enough: what is broken on purpose needs no small example
HISTORIES = settings(max_examples=40, stateful_step_count=15, derandomize=True, deadline=None)
TestOnePod = OnePod.TestCase
TestOnePod.settings = HISTORIES


def test_the_model_finds_two_pods_where_nothing_is_searched_for() -> None:
    """A controller that calls again blindly is caught."""
    search = settings(HISTORIES, max_examples=500, database=None, phases=PHASES)

    with pytest.raises(AssertionError, match="two pods bill"):
        run_state_machine_as_test(WithoutSearch, settings=search)


@pytest.mark.parametrize(("kind", "pods"), [(OnePod, 1), (FromTheIntent, 2)])
def test_row_29_a_lid_closed_between_intent_and_call_uses_no_settle_window_up(
    kind: type[OnePod], pods: int
) -> None:
    """The call goes out hours after its intent, and dies with its answer: what counts from the
    intent rents again, what counts from the search finds the late pod."""
    model = kind()
    model.drive("no", 0.0, "")
    model.drive("lost", SLOWEST, "asleep")
    for _ in range(3):
        model.drive("yes", 0.0, "")
        model.time_passes(SLOWEST)
    found = len(model.pods)
    model.teardown()

    assert found == pods
