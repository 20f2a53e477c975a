"""GraphQL at /graphql."""

from __future__ import annotations

from starlette.routing import BaseRoute

from controller.providers.emulator.call import Service


def graphql_routes(_: Service) -> list[BaseRoute]:
    return []
