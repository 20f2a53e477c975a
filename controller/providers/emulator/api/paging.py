"""Pages of REST v2 lists; each has `pagination`."""

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


def encode(position: str) -> str:
    """The position of the next page as an opaque cursor."""
    return base64.urlsafe_b64encode(position.encode()).decode()


def decode(cursor: str) -> str:
    """The position of a cursor; 422 if it is invalid."""
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise invalid("$.cursor: invalid cursor") from error


def listed(call: Call, name: str, rows: Sequence[Json]) -> Response:
    """The page of `rows` selected by `limit` and `cursor`, under `name`."""
    limit = call.integer("limit", MAX_PAGE, 1, MAX_PAGE)
    position = decode(call.query["cursor"]) if "cursor" in call.query else "0"
    if not (position.isascii() and position.isdigit()):
        raise invalid("$.cursor: invalid cursor")
    end = int(position) + limit
    cursor = encode(str(end)) if end < len(rows) else None
    return ok({name: list(rows[int(position) : end]), "pagination": pagination(cursor)})
