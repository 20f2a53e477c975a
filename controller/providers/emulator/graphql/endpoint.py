"""POST /graphql: real documents, executed; business errors are HTTP 200 with `errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    build_schema,
    execute_sync,
    parse,
    specified_rules,
    validate,
)
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from controller.providers.emulator.api.authorization import Caller, bearer, caller, check_owner
from controller.providers.emulator.api.routing import Call, Service, routes
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.graphql.inputs import WENT_WRONG
from controller.providers.emulator.graphql.mutation import Mutations

PATH = "/graphql"
SCHEMA = Path(__file__).with_name("schema.graphql")


def graphql_routes(service: Service) -> list[BaseRoute]:
    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    root = Mutations(service)
    return [routes(service, PATH, POST=lambda call: answer(call, schema, root))]


def answer(call: Call, schema: GraphQLSchema, root: Mutations) -> Response:
    """Execute one operation. 401 for an invalid key, 400 for an invalid document."""
    requester = _caller(call)
    body = call.body
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(query, str):
        return _refusal("Must provide query string.")
    try:
        document = parse(query)
    except GraphQLSyntaxError as error:
        return _refusal(error.message)
    # Introspection is off, as in production.
    invalid = validate(schema, document, [*specified_rules, NoSchemaIntrospectionCustomRule])
    if invalid:
        return _refusal(*(error.message for error in invalid))
    result = execute_sync(
        schema,
        document,
        root_value=root,
        context_value=requester,
        variable_values=body.get("variables") or {},
        operation_name=body.get("operationName"),
    )
    return _reply(result)


def _caller(call: Call) -> Caller | None:
    """The owner of the key; None without a key, as the catalog is public. 401 for an unknown key.

    Old clients send the account's key in the query; other keys are not accepted there.
    """
    key = bearer(call.headers.get("authorization"))
    if key is None and (query_key := call.query.get("api_key")):
        check_owner(call.cloud, query_key)
        key = query_key
    return caller(call.cloud, key, "POST", PATH) if key else None


def _refusal(*messages: str) -> Response:
    return JSONResponse({"errors": [{"message": text} for text in messages]}, 400)


def _reply(result: ExecutionResult) -> Response:
    if not result.errors:
        return JSONResponse({"data": result.data})
    document: dict[str, Any] = {
        "errors": [_error(error) for error in result.errors],
        "data": result.data,
    }
    bad_input = result.data is None and all(error.path is None for error in result.errors)
    return JSONResponse(document, 400 if bad_input else 200)


def _error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if isinstance(cause, Problem):
        message, code = cause.detail, cause.code
    elif error.path is None:
        message, code = error.message, "BAD_USER_INPUT"
    else:
        message, code = WENT_WRONG, "INTERNAL_SERVER_ERROR"
    return {"message": message, "path": error.path, "extensions": {"code": code}}
