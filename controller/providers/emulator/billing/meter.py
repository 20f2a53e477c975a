"""Opens and closes billing intervals; computes balance and spending rate."""

from __future__ import annotations

from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.records import Interval, Pod, State


class Meter:
    """Maintains `state.intervals`. Callers hold the cloud's lock."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._open = {
            (interval.owner, interval.kind): interval
            for interval in state.intervals
            if interval.end is None
        }
        self._closed = sum(
            billing.cost(interval, 0.0, interval.end)
            for interval in state.intervals
            if interval.end is not None
        )

    def set(self, owner: str, kind: str, usd_per_hour: float, now: float) -> None:
        """Set the rate of `owner` for `kind` from `now` on; 0 ends billing."""
        current = self._open.get((owner, kind))
        if current is not None:
            if current.usd_per_hour == usd_per_hour:
                return
            current.end = max(now, current.start)
            self._closed += billing.cost(current, 0.0, current.end)
            del self._open[(owner, kind)]
        if usd_per_hour > 0:
            interval = Interval(owner, kind, usd_per_hour, now)
            self._state.intervals.append(interval)
            self._open[(owner, kind)] = interval

    def pod(self, pod: Pod, now: float) -> None:
        """Set every rate of `pod` according to its status."""
        compute = "gpu" if pod.gpu else "cpu"
        self.set(pod.id, compute, pod.cost, now)
        disk = billing.storage_rate(pod.disk_gb, billing.DISK_USD_PER_GB_MONTH)
        self.set(pod.id, "disk", disk if pod.active else 0.0, now)
        self.set(pod.id, "volume", volume_rate(pod), now)

    def spent(self, now: float) -> float:
        return self._closed + billing.total(self._open.values(), now)

    def balance(self, now: float) -> float:
        return self._state.credit - self.spent(now)

    def set_balance(self, dollars: float, now: float) -> None:
        self._state.credit = dollars + self.spent(now)

    @property
    def spend_per_hour(self) -> float:
        """USD per hour of all open intervals."""
        return sum(interval.usd_per_hour for interval in self._open.values())


def volume_rate(pod: Pod) -> float:
    """USD per hour of the pod's host-local volume in its current status."""
    if pod.status == "TERMINATED":
        return 0.0
    per_month = billing.DISK_USD_PER_GB_MONTH if pod.active else billing.PARKED_USD_PER_GB_MONTH
    return billing.storage_rate(pod.volume_gb, per_month)
