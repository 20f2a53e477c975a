"""REST v2: pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from controller.providers.emulator.account import pod_update as edits
from controller.providers.emulator.account.pod_request import from_body
from controller.providers.emulator.api import request_models as bodies
from controller.providers.emulator.api import responses as views
from controller.providers.emulator.api.paging import MAX_PAGE, decode, encode, pagination
from controller.providers.emulator.api.routing import Call, Json, Service, no_content, ok, routes
from controller.providers.emulator.container.pod_logs import (
    SOURCES,
    Line,
    Reader,
    parse_timestamp,
    timestamp,
)
from controller.providers.emulator.errors import Problem, invalid
from controller.providers.emulator.records import Pod, Template

POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0


def pod_routes(service: Service) -> list[BaseRoute]:
    return [
        routes(service, "/v2/pods", GET=list_pods, POST=create_pod),
        routes(service, "/v2/pods/{id}", GET=get_pod, PATCH=update_pod, DELETE=delete_pod),
        routes(service, "/v2/pods/{id}/action", POST=act),
        routes(service, "/v2/pods/{id}/logs", GET=stream_logs),
        routes(service, "/v1/pod/{id}/logs", GET=host_logs),
    ]


def shown(call: Call, pod: Pod) -> Json:
    stale_runtime = call.cloud.faults.peek("stale_runtime", pod=(pod.id, pod.name)) is not None
    with call.cloud.lock:
        now, mode = call.cloud.now(), call.cloud.settings.mode
        return views.pod(pod, now, mode, stale_runtime=stale_runtime)


def list_pods(call: Call) -> Response:
    call.flag("includeClusterPods")
    limit = call.integer("limit", MAX_PAGE, 1, MAX_PAGE)
    pods = call.pods.listed()
    if "cursor" in call.query:
        after = _decode_cursor(call.query["cursor"])
        pods = [pod for pod in pods if (-pod.created_at, pod.id) > after]
    page = pods[:limit]
    has_more = len(pods) > limit
    cursor = encode(f"{page[-1].created_at!r} {page[-1].id}") if has_more else None
    return ok({"pods": [shown(call, pod) for pod in page], "pagination": pagination(cursor)})


def _decode_cursor(text: str) -> tuple[float, str]:
    created, _, pod_id = decode(text).partition(" ")
    try:
        return -float(created), pod_id
    except ValueError as error:
        raise invalid("$.cursor: invalid cursor") from error


def create_pod(call: Call) -> Response:
    body = bodies.checked_pod(call.body)
    with call.cloud.lock:  # the response shows the state at creation
        pod = call.pods.create(from_body(body, _template(call, body)))
        return ok(shown(call, pod), 201)


def _template(call: Call, body: Json) -> Template | None:
    if "templateId" not in body:
        return None
    with call.cloud.lock:
        return call.cloud.template(body["templateId"])


def get_pod(call: Call) -> Response:
    return ok(shown(call, call.pods.visible(call.path["id"])))


def update_pod(call: Call) -> Response:
    body = bodies.checked(bodies.UPDATE_POD, call.body)
    with call.cloud.lock:
        pod = call.pods.get(call.path["id"])
        bodies.check_mounts(body.get("mounts", {}), cpu=pod.cpu is not None)
        registry = body.get("registry")
        if registry is not None and registry not in call.cloud.state.registries:
            raise Problem(400, f"container registry auth {registry} not found")
        call.pods.edited(pod, lambda: edits.apply(pod, body, _template(call, body)))
        return ok(shown(call, pod))


def delete_pod(call: Call) -> Response:
    call.pods.act(call.path["id"], "terminate")
    return no_content()


def act(call: Call) -> Response:
    action = bodies.checked(bodies.POD_ACTION, call.body)["action"]
    with call.cloud.lock:
        pod = call.pods.act(call.path["id"], action)
        return no_content() if action == "terminate" else ok(shown(call, pod))


def stream_logs(call: Call) -> Response:
    """Server-sent events: existing lines, then new ones, until the pod is terminated."""
    pod = call.pods.get(call.path["id"])
    return _stream(call, pod, call.words("source", tuple(SOURCES)) or tuple(SOURCES))


def host_logs(call: Call) -> Response:
    """The host API, used by SDK 2: lists of timestamped lines, or events with `stream`."""
    pod = call.pods.get(call.path["id"])
    kinds = {"all": tuple(SOURCES), **{source: (source,) for source in SOURCES}}
    sources = kinds.get(call.query.get("type", "all"))
    if sources is None:
        raise invalid(f"$.type: value must be one of {', '.join(kinds)}")
    if call.flag("stream"):
        return _stream(call, pod, sources)
    lines_by_source: dict[str, list[str]] = {source: [] for source in sources}
    for line in Reader(call.cloud.pod_folder(pod.id), sources).fresh():
        lines_by_source[line.source].append(f"{timestamp(line.nanoseconds)} {line.text}")
    return ok(lines_by_source)


def _stream(call: Call, pod: Pod, sources: tuple[str, ...]) -> Response:
    tail = call.integer("tail", 100, 0, 5000)
    after = _resume_point(call)
    reader = Reader(call.cloud.pod_folder(pod.id), sources)
    return StreamingResponse(
        _events(pod, reader, tail, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _resume_point(call: Call) -> int | None:
    """Only newer lines are sent, in Unix nanoseconds; None: `tail` decides."""
    last_event, since = call.headers.get("last-event-id"), call.query.get("since")
    try:
        if last_event is not None:
            return parse_timestamp(last_event)
        return None if since is None else parse_timestamp(since) - 1
    except ValueError as error:
        raise invalid(f"$: {error}") from error


async def _events(pod: Pod, reader: Reader, tail: int, after: int | None) -> AsyncIterator[bytes]:
    lines = reader.fresh()
    yield b": stream open\n\n"
    for line in _backfill(lines, tail, after):
        yield line.event()
    quiet = 0.0
    while pod.status != "TERMINATED":
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS
        for line in reader.fresh():
            quiet = 0.0
            yield line.event()
        if quiet >= KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield b": keep-alive\n\n"


def _backfill(lines: list[Line], tail: int, after: int | None) -> list[Line]:
    if after is not None:
        return [line for line in lines if line.nanoseconds > after]
    return lines[-tail:] if tail else []
