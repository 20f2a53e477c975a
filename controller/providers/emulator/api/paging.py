"""Lists of REST v2 in pages: every one carries `pagination`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from starlette.responses import Response

from controller.providers.emulator.api.routing import Call, Json, ok
from controller.providers.emulator.errors import invalid

MAX_PAGE = 1000


def pagination(cursor: str | None) -> Json:
    return {"nextCursor": cursor, "hasNextPage": cursor is not None}


def encode(place: str) -> str:
    """Where the next page begins, as an opaque word."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def decode(cursor: str) -> str:
    """The place again; 422."""
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise invalid("$.cursor: invalid cursor") from error


def listed(call: Call, name: str, rows: Sequence[Json]) -> Response:
    """The page of `rows` that `limit` and `cursor` ask for, under `name`."""
    limit = call.integer("limit", MAX_PAGE, 1, MAX_PAGE)
    place = decode(call.query["cursor"]) if "cursor" in call.query else "0"
    if not (place.isascii() and place.isdigit()):
        raise invalid("$.cursor: invalid cursor")
    end = int(place) + limit
    cursor = encode(str(end)) if end < len(rows) else None
    return ok({name: list(rows[int(place) : end]), "pagination": pagination(cursor)})
