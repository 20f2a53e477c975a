"""Closes a lease without the planner: terminates its pods, then closes ledger and journal.

This module uses neither the folded lease state, the planner, reports of pods, nor pinned keys,
because one of them may be broken. It needs a provider that responds and a writable state.
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
Report = Callable[[str], None]


@dataclass(frozen=True)
class Nonces:
    """The nonces and ids of a lease's pods, from the unprocessed rows of its journal."""

    nonces: frozenset[str]
    pods: frozenset[str]
    unclear: bool  # a pod of an unconfirmed create may still appear

    @classmethod
    def of(cls, journal: Journal, lease: str) -> Nonces:
        nonces, pods, intents, answered = set(), set(), set(), set()
        for op in journal.ops(lease):
            data: Any = op.data
            if not isinstance(data, dict):
                continue
            if op.step == Step.GENERATION and isinstance(data.get("nonce"), str):
                nonces.add(data["nonce"])
            if isinstance(data.get("pod"), str):
                pods.add(data["pod"])
            if op.step == Step.CREATE and op.phase == "intent":
                intents.add(op.seq)
            if op.step == Step.CREATE and data.get("kind") != "ambiguous":
                answered.add(op.of)
        return cls(frozenset(nonces), frozenset(pods), bool(intents - answered))


@dataclass
class ForcedTermination:
    """The forced termination of one lease. `say` and `warn` print messages; times are seconds."""

    lease: str
    journal: Journal
    ledger: Ledger
    provider: Provider
    clock: Clock
    say: Report
    warn: Report
    settle: float = 300.0  # time in which an unlisted pod may still appear
    patience: float = 900.0  # limit for a pod to disappear after the terminate call
    retry_seconds: float = 15.0  # between two terminate calls for the same pod
    pause: float = 3.0  # between two listings
    ordered_at: dict[str, float] = field(
        default_factory=dict
    )  # pod id to the time of the last terminate call
    listed_before: set[str] = field(default_factory=set)

    def carry_out(self, reason: str) -> None:
        """Terminate every pod, close ledger and journal. May be repeated after an interruption.

        Raises ProviderError, and ConnectionLost for a pod that stays listed.
        """
        self.journal.note(self.lease, Step.STOP, {"disposal": "terminate", "abandon": reason})
        nonces = Nonces.of(self.journal, self.lease)
        billing = self._billing(nonces)
        self._terminate_all(nonces, billing)
        for pod in sorted(billing | self.listed_before):
            self._close_ledger(pod)
        self._close_journal(reason)

    def _billing(self, nonces: Nonces) -> set[str]:
        """Ids of pods with open intervals in the ledger."""
        intervals = self.ledger.intervals(open_only=True)
        return {
            interval.pod_id
            for interval in intervals
            if interval.lease == self.lease or interval.pod_id in nonces.pods
        }

    # -- the pods --------------------------------------------------------------------------

    def _terminate_all(self, nonces: Nonces, billing: set[str]) -> None:
        """Terminate pods until none is listed and none can appear any more."""
        start = last_listed = self.clock.now()
        while True:
            listed = self._listed_pods(nonces, billing)
            self.listed_before |= {pod.id for pod in listed}
            now = self.clock.now()
            if listed:
                last_listed = now
                self._order([pod for pod in listed if self._is_due(pod.id, now)])
            else:
                unproven = nonces.unclear or billing - self.listed_before
                if now - last_listed >= (self.settle if unproven else 0.0):
                    return
            if listed and now - start > self.patience + self.settle:
                raise self._still_listed(listed)
            self.clock.wait(self.pause)

    def _listed_pods(self, nonces: Nonces, billing: set[str]) -> list[Pod]:
        """Pods with a nonce or a recorded id of the lease, also those that the listing omits."""
        pods = {pod.id: pod for pod in self.provider.list()}
        for pod_id in (nonces.pods & billing) | set(self.ordered_at):
            if pod_id not in pods and (pod := self.provider.get(pod_id)) is not None:
                pods[pod_id] = pod
        return [
            pod
            for pod in pods.values()
            if (pod.nonce in nonces.nonces or pod.id in nonces.pods & billing)
            and pod.status is not PodStatus.TERMINATED
        ]

    def _is_due(self, pod: str, now: float) -> bool:
        return pod not in self.ordered_at or now - self.ordered_at[pod] >= self.retry_seconds

    def _order(self, due: list[Pod]) -> None:
        """Terminate the pods and record their cost at once; a failed call is repeated later."""
        orphan_pods = {orphan.pod: orphan for orphan in sweep(self.journal.connection, due)}
        for pod in due:
            if pod.status is PodStatus.EXITED:  # only the bill has the time of the stop
                self._close_by_bill(pod.id)
            data = {"pod": pod.id, "reason": "given up by the user", "forced": True}
            intent = self.journal.intent(self.lease, Step.TERMINATE, data)
            self.ordered_at[pod.id] = self.clock.now()
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
                self.journal.fail(intent, data | {"why": error.what, "kind": str(error.kind)})
            else:
                self.journal.done(intent, data | {"at": self.clock.wall()})

    def _still_listed(self, listed: list[Pod]) -> ConnectionLost:
        pods = ", ".join(f"{pod.id} ${pod.usd_per_hour:.4f}/h" for pod in listed)
        return ConnectionLost(
            f"pods are still listed long after the terminate call: {pods}",
            where=f"lease {self.lease}",
            hint="repeat the command, or terminate them in the provider's console",
        )

    # -- ledger and journal------------------------------------------------------------------

    def _close_ledger(self, pod: str) -> None:
        now = self.clock.wall()
        if pod not in self.ordered_at:  # something else terminated it
            self._close_by_bill(pod)
        self.ledger.close_all(pod, now, "terminated")
        self.journal.note(self.lease, Step.GONE, {"pod": pod, "ended_at": now, "forced": True})

    def _close_by_bill(self, pod: str) -> None:
        """Close the open intervals of a stopped pod at the time when its bill ended, if it shows
        that."""
        now = self.clock.wall()
        intervals = self.ledger.intervals(pod_id=pod, open_only=True)
        since = min((interval.started_at for interval in intervals), default=now)
        bill = attempt(partial(self.provider.billing, since - HOUR, now + HOUR))
        if isinstance(bill, tuple):
            close_terminated(self.ledger, pod, bill, now)

    def _close_journal(self, reason: str) -> None:
        for run in self.journal.runs(lease=self.lease, open_only=True):
            data = {"outcome": OUTCOME, "why": reason}
            self.journal.finish_run(run.id, OUTCOME, {"why": reason})
            self.journal.note(self.lease, Step.FINISH, data, run.id)
            self.say(f"{run.id}: {OUTCOME} ({reason})")
        self.journal.note(self.lease, Step.CLOSE, {"outcome": OUTCOME, "forced": True})
        lease = self.journal.lease(self.lease)
        if lease is not None and lease.open:
            self.journal.close_lease(self.lease, OUTCOME)
        self.say(f"lease {self.lease} is closed: {OUTCOME}")
