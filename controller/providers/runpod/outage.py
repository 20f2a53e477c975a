"""Answers that look like refusals and are the provider's own failure. Pure.

On 2026-08-28 every create was answered for hours with status 400 and `Variable "$input" got invalid
value …; Field "objectMounts" is not defined by type "PodFindAndDeployOnDemandInput"`: the
translation from REST to the GraphQL behind it was broken. No request and no account is at fault.
"""

from __future__ import annotations

import re

from controller.providers.base import Kind

# GraphQL's words for a document that does not fit its schema: it was not carried out. A value that
# the schema does not have ("does not exist in enum") may be the request's own, and is not here.
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
# It may have been carried out before this.
_FAILURE = re.compile(
    r"internal[ _]server[ _]error|something went wrong|unexpected (?:server )?error|bad gateway"
    r"|upstream (?:connect|request|error)|econnrefused|econnreset|etimedout|socket hang up"
    r"|fetch failed|gateway time-?out",
    re.IGNORECASE,
)
# A 404 that names nothing is the router's: a resource that is missing is named.
_ROUTE = re.compile(
    r"(?:the )?(?:requested )?(?:404 )?(?:page |resource |route |path |url |endpoint )?"
    r"(?:was )?not found\.?|no (?:such |matching )?route.{0,80}|cannot post .{0,80}"
    r"|404 page not found|route .{1,80} not found",
    re.IGNORECASE,
)


def own_failure(status: int, said: str, *, creates: bool) -> Kind | None:
    """OUTAGE: nothing was done. TRANSIENT: nobody knows. None: the answer means what it says.

    `said` is the provider's message. `creates`: the request was a create, before which others were
    answered: a route that is missing is no mistake in the address.
    """
    if status == 404 and creates and (not said or _ROUTE.fullmatch(said)):
        return Kind.OUTAGE
    if status == 400 and _TRANSLATION.search(said):
        return Kind.OUTAGE
    if status in (400, 422) and _FAILURE.search(said):
        return Kind.TRANSIENT
    if status in (400, 401, 403, 404, 410, 422) and _MAINTENANCE.search(said):
        return Kind.OUTAGE
    return None
