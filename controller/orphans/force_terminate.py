"""Ends a lease without its plan: terminates its pods, then closes ledger and journal.

Nothing here follows the journal's fold, the plan, a pod's word or what was pinned: those may be
what went wrong. What is needed is a provider that answers and a state that can be written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from controller.clock import Clock
from controller.errors import ConnectionLost
from controller.incident import attempt
from controller.orphans.backfill import close_terminated
from controller.orphans.sweep import sweep
from controller.orphans.terminate import end_all
from controller.planner.lease_state import Step
from controller.providers.base import Pod, PodStatus, Provider, ProviderError
from state.journal import Journal
from state.ledger import Ledger

OUTCOME = "abandoned"
HOUR = 3600.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Nonces:
    """By what a lease's pods are known, from the rows of its journal as they are."""

    nonces: frozenset[str]
    pods: frozenset[str]
    unclear: bool  # a create may still show a pod

    @classmethod
    def of(cls, journal: Journal, lease: str) -> Nonces:
        nonces, pods, meant, answered = set(), set(), set(), set()
        for op in journal.ops(lease):
            data: Any = op.data
            if not isinstance(data, dict):
                continue
            if op.step == Step.GENERATION and isinstance(data.get("nonce"), str):
                nonces.add(data["nonce"])
            if isinstance(data.get("pod"), str):
                pods.add(data["pod"])
            if op.step == Step.CREATE and op.phase == "intent":
                meant.add(op.seq)
            if op.step == Step.CREATE and data.get("kind") != "ambiguous":
                answered.add(op.of)
        return cls(frozenset(nonces), frozenset(pods), bool(meant - answered))


@dataclass
class ForcedTermination:
    """One lease that is to end now, and with what."""

    lease: str
    journal: Journal
    ledger: Ledger
    provider: Provider
    clock: Clock
    say: Tell
    warn: Tell
    settle: float = 300.0  # seconds in which a pod that is not listed may still show
    patience: float = 900.0  # for a pod that was ordered to terminate
    again: float = 15.0  # between two orders to the same pod
    pause: float = 3.0  # between two listings
    ordered: dict[str, float] = field(default_factory=dict)  # pod → when
    seen: set[str] = field(default_factory=set)

    def carry_out(self, reason: str) -> None:
        """End every pod, close ledger and journal. May be called again after any interruption.

        Raises ProviderError, and ConnectionLost for a pod that does not go.
        """
        self.journal.note(self.lease, Step.STOP, {"disposal": "terminate", "abandon": reason})
        marks = Nonces.of(self.journal, self.lease)
        billing = self._billing(marks)
        self._until_gone(marks, billing)
        for pod in sorted(billing | self.seen):
            self._close_ledger(pod)
        self._close_journal(reason)

    def _billing(self, marks: Nonces) -> set[str]:
        """Pods that cost something by the ledger."""
        found = self.ledger.intervals(open_only=True)
        return {pod.pod_id for pod in found if pod.lease == self.lease or pod.pod_id in marks.pods}

    # -- the pods --------------------------------------------------------------------------

    def _until_gone(self, marks: Nonces, billing: set[str]) -> None:
        """Orders until the listing is clean, for as long as something may still show."""
        began = absent = self.clock.now()
        while True:
            living = self._living(marks, billing)
            self.seen |= {pod.id for pod in living}
            now = self.clock.now()
            if living:
                absent = now
                self._order([pod for pod in living if self._is_due(pod.id, now)])
            else:
                unproven = marks.unclear or billing - self.seen
                if now - absent >= (self.settle if unproven else 0.0):
                    return
            if living and now - began > self.patience + self.settle:
                raise self._lingering(living)
            self.clock.wait(self.pause)

    def _living(self, marks: Nonces, billing: set[str]) -> list[Pod]:
        """Pods with a nonce of the lease, or known to be its; also those a listing leaves out."""
        pods = {pod.id: pod for pod in self.provider.list()}
        for pod_id in (marks.pods & billing) | set(self.ordered):
            if pod_id not in pods and (pod := self.provider.get(pod_id)) is not None:
                pods[pod_id] = pod
        return [
            pod
            for pod in pods.values()
            if (pod.nonce in marks.nonces or pod.id in marks.pods & billing)
            and pod.status is not PodStatus.TERMINATED
        ]

    def _is_due(self, pod: str, now: float) -> bool:
        return pod not in self.ordered or now - self.ordered[pod] >= self.again

    def _order(self, due: list[Pod]) -> None:
        """Tell them to go; what they cost is booked at once. What fails is tried again."""
        orphan_pods = {orphan.pod: orphan for orphan in sweep(self.journal.connection, due)}
        for pod in due:
            if pod.status is PodStatus.EXITED:  # since when, only the bill knows
                self._close_by_bill(pod.id)
            words = {"pod": pod.id, "reason": "given up by the user", "forced": True}
            intent = self.journal.intent(self.lease, Step.TERMINATE, words)
            self.ordered[pod.id] = self.clock.now()
            try:
                end_all(
                    self.provider,
                    self.ledger,
                    [orphan_pods[pod.id]],
                    self.say,
                    self.warn,
                    self.clock.wall,
                )
            except ProviderError as error:
                self.journal.fail(intent, words | {"why": error.what, "kind": str(error.kind)})
            else:
                self.journal.done(intent, words | {"at": self.clock.wall()})

    def _lingering(self, living: list[Pod]) -> ConnectionLost:
        told = ", ".join(f"{pod.id} ${pod.usd_per_hour:.4f}/h" for pod in living)
        return ConnectionLost(
            f"still listed long after they were terminated: {told}",
            where=f"lease {self.lease}",
            hint="repeat the command, or terminate them in the provider's console",
        )

    # -- ledger and journal------------------------------------------------------------------

    def _close_ledger(self, pod: str) -> None:
        now = self.clock.wall()
        if pod not in self.ordered:  # something else terminated it
            self._close_by_bill(pod)
        self.ledger.close_all(pod, now, "terminated")
        self.journal.note(self.lease, Step.GONE, {"pod": pod, "ended_at": now, "forced": True})

    def _close_by_bill(self, pod: str) -> None:
        """End what is open of a pod that does not run when its bill ended, where the bill says."""
        now = self.clock.wall()
        found = self.ledger.intervals(pod_id=pod, open_only=True)
        since = min((lease.started_at for lease in found), default=now)
        bill = attempt(partial(self.provider.billing, since - HOUR, now + HOUR))
        if isinstance(bill, tuple):
            close_terminated(self.ledger, pod, bill, now)

    def _close_journal(self, reason: str) -> None:
        for run in self.journal.runs(lease=self.lease, open_only=True):
            ended = {"outcome": OUTCOME, "why": reason}
            self.journal.finish_run(run.id, OUTCOME, {"why": reason})
            self.journal.note(self.lease, Step.FINISH, ended, run.id)
            self.say(f"{run.id}: {OUTCOME} ({reason})")
        self.journal.note(self.lease, Step.CLOSE, {"outcome": OUTCOME, "forced": True})
        found = self.journal.lease(self.lease)
        if found is not None and found.open:
            self.journal.close_lease(self.lease, OUTCOME)
        self.say(f"lease {self.lease} is closed: {OUTCOME}")
