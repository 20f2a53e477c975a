"""The pods of a lease as the provider listed them, and what the ledger needs to know of each."""

from __future__ import annotations

from dataclasses import dataclass

from controller.engine.billed_time import BilledTime
from controller.engine.job_runtime import JobRuntime
from controller.engine.lease_context import LeaseContext
from controller.engine.outcomes import PodBilling
from controller.engine.process_state import ProcessState
from controller.planner.observation import Observation
from controller.providers.base import Pod, PodStatus


@dataclass
class ListedPods:
    """The pods of the observation on which the planner decided."""

    context: LeaseContext
    runtime: JobRuntime
    observation: Observation | None = None

    @property
    def billed_time(self) -> BilledTime:
        return BilledTime(self.context)

    @property
    def process(self) -> ProcessState:
        return self.context.process

    def _billing(self, pod: Pod) -> PodBilling:
        """What the ledger needs to know about a pod that starts to bill."""
        run, stage = self._current_run()
        return PodBilling(
            pod=pod.id,
            usd_per_hour=pod.usd_per_hour or self._quoted_rate(pod),
            disk_gb=pod.disk_gb,
            volume_gb=pod.volume_gb,
            network_volume=pod.network_volume_id,
            started_at=pod.created_at or self.context.clock.wall(),
            for_run=run,
            stage=stage,
        )

    def _quoted_rate(self, pod: Pod) -> float:
        """The quoted price, for a pod whose own price the provider does not state."""
        rate = self.context.lease_state().quoted_usd_per_hour
        booked = f"booking the quoted ${rate:.4f}/h" if rate else "its bill will show it"
        if pod.status is not PodStatus.EXITED:
            self.context.tell(f"the provider states no valid price for pod {pod.id}: {booked}")
        return rate

    def _current_run(self) -> tuple[str, str]:
        """The run and stage that the pod's time is for: the current run, or the last one."""
        lease_state = self.context.lease_state()
        run = lease_state.current or lease_state.runs[-1]
        return run.run, run.stage

    def _listed(self, pod_id: str) -> Pod:
        pod = self._in_listing(pod_id)
        assert pod is not None, "the planner acts on listed pods only"
        return pod

    def _in_listing(self, pod_id: str) -> Pod | None:
        listing = self.observation.provider.listing if self.observation is not None else None
        return listing.get(pod_id) if listing is not None else None

    def interrupted(self, pod_id: str) -> bool:
        """Whether somebody else stopped and started the pod since it first answered."""
        pod = self._in_listing(pod_id)
        return pod is not None and self.billed_time.interrupted(pod)

    def _listing_age(self) -> float:
        """Seconds since the listing on which the planner decided; a suspended machine ages it."""
        listing = self.observation.provider.listing if self.observation is not None else None
        return self.context.clock.now() - listing.started if listing is not None else 0.0
