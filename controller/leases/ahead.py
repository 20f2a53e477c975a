"""What a run asks ahead, so that the answers arrive while it checks the stages."""

from __future__ import annotations

import time
from collections.abc import Sequence

from controller.agent.connection import PodConnection
from controller.leases.project_session import ProjectSession
from controller.leases.renewal import reusable
from controller.planner import pod_spec as order
from controller.providers.pod_status import endpoint_of
from jobs.stage import Stage


def ask_ahead(session: ProjectSession, stages: Sequence[Stage]) -> None:
    """Ask for balance, catalog and prices, and for the pods if one of them waits for a run."""
    context = session.context
    needs = [
        order.hardware(group, order.with_image(context.shape, group))
        for group in order.groups(stages)
    ]
    context.provider.ask_ahead(needs, pods=bool(session.resting()))


def connect_ahead(session: ProjectSession, stages: Sequence[Stage]) -> None:
    """Begin to connect to the pod that waits and that `stages` can use.

    Nothing is asked of the pod but which one it is. Its address is that of the newest listing.
    """
    context = session.context
    groups = order.groups(stages)
    if not groups:
        return
    found = reusable(
        session.journal,
        session.resting(),
        groups[0],
        order.with_image(context.shape, groups[0]),
        context.provider.name,
        now=time.time(),
        unlisted=session.unlisted,
    )
    if found is None or found.why_not or found.lease_state.parked:
        return
    pod = found.lease_state.pod
    listed = next((one for one in context.provider.newest_pods if one.id == pod), None)
    endpoint = endpoint_of(listed)
    if listed is None or endpoint is None:
        return
    context.provider.ask_for_pods_ahead()
    stage = session.stages_of(found.lease)[0]
    link = PodConnection(context.project, context.provider, stage)
    link.connect_ahead(listed.id, endpoint)
    session.connections[found.lease.id] = link
