"""One log line for each decision of the loop: what was observed, and the action chosen."""

from __future__ import annotations

import logging

from controller.planner.actions import Action
from controller.planner.observation import Contact, Observation

_LOG = logging.getLogger("podctl.engine")
_LOG.addHandler(logging.NullHandler())  # without a log file nothing is printed on its own


def log_decision(observation: Observation, action: Action) -> None:
    """Record `l0001: pod p1 RUNNING, job running step 8 -> Wait(seconds=15.0, …)`."""
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info("%s -> %s", describe(observation), action)


def log_incident(error: BaseException, doing: str) -> None:
    """Record the traceback of an exception that the loop survives; `doing` is the action's name."""
    _LOG.error("unexpected error (%s)", doing, exc_info=error)


def describe(observation: Observation) -> str:
    """The observation in a few words: the pod by the provider, the job by the pod's agent."""
    lease = observation.lease
    return f"{lease.lease}: {_pod(observation)}, {_job(observation.job.contact)}"


def _pod(observation: Observation) -> str:
    wanted, pod = observation.lease.pod, observation.pod
    if wanted is None:
        return "no pod"
    if observation.provider.listing is None:
        return f"pod {wanted} unknown (no response from the provider)"
    return f"pod {wanted} {pod.status.value if pod is not None else 'not listed'}"


def _job(contact: Contact | None) -> str:
    if contact is None:
        return "not connected"
    if not contact.reached:
        return f"unreachable ({contact.error})"
    status = contact.status
    if status is None:
        return "connected, no agent"
    step = status.progress.step
    return f"{status.run} {status.state}" + (f" step {step}" if step is not None else "")
