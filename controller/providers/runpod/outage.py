"""Recognises responses that look like refusals but are failures of the provider. Pure.

On 2026-08-28 every create call got, for hours, a response with status 400 and `Variable "$input"
got invalid value …; Field "objectMounts" is not defined by type "PodFindAndDeployOnDemandInput"`:
the translation from REST to the GraphQL behind it was broken. Neither request nor account was
wrong.
"""

from __future__ import annotations

import re

from controller.providers.base import Kind

# GraphQL's messages for a document that does not match its schema: nothing was done. An unknown
# value ("does not exist in enum") may come from the request and is not in the list.
_TRANSLATION = re.compile(
    r'field "\w+" is not defined by type|cannot query field "\w+" on type'
    r'|unknown argument "\w+" on|unknown type "\w+"|unknown fragment "|unknown directive "'
    r"|of required type .{1,80} was not provided|expected non-nullable type"
    r'|expected type "?\w+!?"? to be an object|must have a selection of subfields'
    r"|must not have a selection since|graphql_(?:validation|parse)_failed"
    r"|persistedquerynotfound|persisted_query_not_found"
    r"|syntax error: (?:expected|unexpected|cannot parse)",
    re.IGNORECASE,
)
_MAINTENANCE = re.compile(
    r"maintenance|temporarily (?:unavailable|disabled|down)|service (?:is )?unavailable"
    r"|be back (?:soon|shortly)|(?:please )?try again (?:later|in a (?:few )?(?:moment|minute))",
    re.IGNORECASE,
)
# The request may have been carried out before the failure.
_FAILURE = re.compile(
    r"internal[ _]server[ _]error|something went wrong|unexpected (?:server )?error|bad gateway"
    r"|upstream (?:connect|request|error)|econnrefused|econnreset|etimedout|socket hang up"
    r"|fetch failed|gateway time-?out",
    re.IGNORECASE,
)
# A 404 that names nothing comes from the router: for a missing resource the API names it.
_ROUTE = re.compile(
    r"(?:the )?(?:requested )?(?:404 )?(?:page |resource |route |path |url |endpoint )?"
    r"(?:was )?not found\.?|no (?:such |matching )?route.{0,80}|cannot post .{0,80}"
    r"|404 page not found|route .{1,80} not found",
    re.IGNORECASE,
)


def provider_failure(status: int, message: str, *, creates: bool) -> Kind | None:
    """OUTAGE: nothing was done. TRANSIENT: unknown. None: the response is a real refusal.

    `message` is the provider's text. `creates`: the request was a create call, which follows
    successful calls, so a missing route is not a wrong base URL.
    """
    if status == 404 and creates and (not message or _ROUTE.fullmatch(message)):
        return Kind.OUTAGE
    if status == 400 and _TRANSLATION.search(message):
        return Kind.OUTAGE
    if status in (400, 422) and _FAILURE.search(message):
        return Kind.TRANSIENT
    if status in (400, 401, 403, 404, 410, 422) and _MAINTENANCE.search(message):
        return Kind.OUTAGE
    return None
