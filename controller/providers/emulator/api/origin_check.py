"""Rejects requests of web pages and requests for other host names.

A web page can make a browser send requests to loopback. It cannot hide its origin or the host name
it used, nor send JSON without a preflight request.
"""

from __future__ import annotations

from starlette.datastructures import Headers

from controller.providers.emulator.errors import Problem

NAMES = ("127.0.0.1", "localhost", "[::1]")
OWN_FETCHES = ("same-origin", "none")  # of `Sec-Fetch-Site`; none: typed by the user
_JSON = "application/json"
_OF_CURL = "application/x-www-form-urlencoded"


def check_sender(headers: Headers, port: int) -> None:
    """403 for another host name, and for a request of a page of another origin."""
    hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
    sent_hosts = [host.lower() for host in headers.getlist("host")]
    if len(sent_hosts) != 1 or sent_hosts[0] not in hosts:
        host_text = ", ".join(sent_hosts)[:100] or "none"
        raise Problem(403, f"Host must be 127.0.0.1:{port} or localhost:{port}; it is {host_text}")
    origins = {f"http://{host}" for host in hosts}
    if any(origin.lower() not in origins for origin in headers.getlist("origin")):
        raise Problem(403, "requests of web pages are not answered: foreign Origin")
    if any(site.lower() not in OWN_FETCHES for site in headers.getlist("sec-fetch-site")):
        raise Problem(403, "requests of web pages are not answered: Sec-Fetch-Site")


def check_body(headers: Headers, body: bytes, *, control: bool) -> None:
    """415 for a body not declared as JSON: a page can send other types without a preflight request.

    The default type of `curl -d` is accepted at the control endpoints: they need the key in a
    header, which no page can send without a preflight request.
    """
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    allowed = ([_JSON], [_OF_CURL]) if control else ([_JSON],)
    if body and kinds not in allowed:
        raise Problem(415, f"Content-Type must be {_JSON}")
