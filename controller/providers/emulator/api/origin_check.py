"""Which requests may be answered at all: a program's own, to this address. No page, no other name.

A web page can make a browser send requests to loopback. It cannot hide where they come from, nor
what name it called us by, nor send JSON without asking first.
"""

from __future__ import annotations

from starlette.datastructures import Headers

from controller.providers.emulator.errors import Problem

NAMES = ("127.0.0.1", "localhost", "[::1]")
OWN_FETCHES = ("same-origin", "none")  # of `Sec-Fetch-Site`; none: typed by a person
_JSON = "application/json"
_OF_CURL = "application/x-www-form-urlencoded"


def check_sender(headers: Headers, port: int) -> None:
    """403 for another name than ours, and for what a page of another origin sends."""
    hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
    named = [host.lower() for host in headers.getlist("host")]
    if len(named) != 1 or named[0] not in hosts:
        shown = ", ".join(named)[:100] or "none"
        raise Problem(403, f"Host must be 127.0.0.1:{port} or localhost:{port}; it is {shown}")
    origins = {f"http://{host}" for host in hosts}
    if any(origin.lower() not in origins for origin in headers.getlist("origin")):
        raise Problem(403, "requests of web pages are not answered: foreign Origin")
    if any(site.lower() not in OWN_FETCHES for site in headers.getlist("sec-fetch-site")):
        raise Problem(403, "requests of web pages are not answered: Sec-Fetch-Site")


def check_body(headers: Headers, body: bytes, *, control: bool) -> None:
    """415 for a body that is not said to be JSON: a page may send any other kind unasked.

    What `curl -d` says by itself passes at the control endpoints: they are reached with the key in
    a header only, which no page can send unasked.
    """
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    allowed = ([_JSON], [_OF_CURL]) if control else ([_JSON],)
    if body and kinds not in allowed:
        raise Problem(415, f"Content-Type must be {_JSON}")
