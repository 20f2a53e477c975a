"""The fields that are stored of a pod or a job when it is looked at."""

from __future__ import annotations

from typing import Any

from controller.planner.job_progress import figures_told
from controller.providers.base import Pod
from controller.terminal.sanitize import clean_line
from remote.contract import Status

MAX_TEXT = 200  # characters of a supervisor's or a job's own description


def pod_last_seen(pod: Pod | None) -> dict[str, Any]:
    """A pod as the provider reports it; None: no listing shows it."""
    if pod is None:
        return {"status": "gone"}
    fields: dict[str, Any] = {
        "status": str(pod.status),
        "usd_per_hour": pod.usd_per_hour,
        "gpu": pod.gpu,
    }
    if pod.endpoint is not None:
        fields |= {"host": pod.endpoint.host, "port": pod.endpoint.port}
    return fields


def run_last_seen(status: Status) -> dict[str, Any]:
    """A job as the agent reports it."""
    progress = status.progress
    return {
        "state": status.state,
        "phase": status.phase,
        "attempt": status.attempt,
        "heartbeat_age": status.heartbeat_age,
        "step": progress.step,
        "max_steps": progress.max_steps,
        "loss": progress.loss,
        "loss_nan": progress.loss_nan,
        "text": short_line(progress.text),
        "source": short_line(progress.source),
        "seconds_per_step": progress.seconds_per_step,
        "step_age": progress.step_age,
        "patience": progress.patience,
        "figures": figures_told(progress.figures),
        "armed": status.guard.armed if status.guard else None,
        "gpu_util": status.gpu_util,
        "cpu_util": status.cpu_util,
        "log_size": status.log_size,
    }


def short_line(text: str | None) -> str | None:
    """A pod's own text on one short, sanitised line; None when nothing is left of it."""
    return clean_line(text)[:MAX_TEXT] or None if text else None
