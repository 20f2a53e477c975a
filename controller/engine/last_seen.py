"""What is kept of a pod or a job that was looked at: the fields of a sighting."""

from __future__ import annotations

from typing import Any

from controller.planner.job_progress import figures_told
from controller.providers.base import Pod
from controller.terminal.sanitize import clean_line
from remote.contract import Status

MAX_SAID = 200  # characters of what a supervisor or a job says that it is doing


def pod_sighting(pod: Pod | None) -> dict[str, Any]:
    """As the provider told it; None: it is in no listing."""
    if pod is None:
        return {"status": "gone"}
    found: dict[str, Any] = {
        "status": str(pod.status),
        "usd_per_hour": pod.usd_per_hour,
        "gpu": pod.gpu,
    }
    if pod.endpoint is not None:
        found |= {"host": pod.endpoint.host, "port": pod.endpoint.port}
    return found


def run_sighting(status: Status) -> dict[str, Any]:
    """As the agent told it."""
    progress = status.progress
    return {
        "state": status.state,
        "phase": status.phase,
        "attempt": status.attempt,
        "heartbeat_age": status.heartbeat_age,
        "step": progress.step,
        "max_steps": progress.max_steps,
        "loss": progress.loss,
        "text": said(progress.text),
        "source": said(progress.source),
        "seconds_per_step": progress.seconds_per_step,
        "step_age": progress.step_age,
        "patience": progress.patience,
        "figures": figures_told(progress.figures),
        "armed": status.guard.armed if status.guard else None,
        "gpu_util": status.gpu_util,
        "cpu_util": status.cpu_util,
        "log_size": status.log_size,
    }


def said(text: str | None) -> str | None:
    """A pod's words about what it is doing, on one short line."""
    return clean_line(text)[:MAX_SAID] or None if text else None
