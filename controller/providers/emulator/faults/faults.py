"""Faults that can be switched on: failures of the provider, on demand.

A fault is `{"name", "match", "times", "skip", "value"}`. `match` narrows it: `method`, `path` (a
regular expression), `gpu` (catalog id of a GPU or CPU), `pod` (id, or a regular expression for the
name). `times` is how often it applies (null: always), `skip` how many calls it passes first.

    throttle            429; value = Retry-After in seconds, null = no such header
    server_error        value (500) as problem+json, nothing done
    bad_gateway         502 with an HTML page, nothing done
    fail_before_commit  500, nothing done                      (default: POST /v2/pods)
    fail_after_commit   500, but it was done                   (default: POST /v2/pods)
    drop_reply          done, and the connection is cut        (default: POST /v2/pods)
    commit_late         the connection is cut at once; done `value` seconds later (default: create)
    garble_reply        done, and the response is corrupt: `value` = cut | html | gzip | huge
    (create) slow_request        `value` seconds before anything is done
    slow_reply          done at once, answered `value` seconds later
    respond             value = {"status", "body", "type"}: exactly that, nothing done
    translation_outage  create is answered 400 with a GraphQL type error, nothing done
    no_capacity         create is refused; the catalog says NONE unless value is "stale"
    wrong_gpu           a create gets `value` = {"id", "count"} instead of the requested hardware
    unlisted            the pod that a create makes is in no list and under no id
    no_gpu_on_start     start of a stopped pod is refused
    price_differs       the pod costs `value` times the catalog's price
    slow_boot           `value` more seconds to boot
    error_status        the pod ends its boot in ERROR
    no_runtime          RUNNING without a `runtime` for `value` seconds (null: this whole life)
    stale_ports         the API reports the last life's ports for `value` seconds (null: this life)
    stale_runtime       a stopped pod still shows its last `runtime`
    boot_error          the host cannot start the container, and logs it in the system log: `value`
                        = driver | toolkit | create | space | ratelimit | manifest | denied |
                        unauthorized, or the line itself
    no_sshd             the image starts no sshd: a public port is reported and refuses connections
    dead_port           sshd runs, but the reported public port is closed
    list_lag            the list misses pods younger than `value` seconds
    list_hides          the list misses matching pods
    get_hides           GET of a matching pod says 404
    delete_still_listed 204 and gone, but listed for `value` more seconds (null: always)
    delete_ignored      204, and nothing happens
    delete_missing      404 and nothing done; the pod is hidden for `value` seconds
    delete_ambiguous    done, and the connection is cut
    pod_key_denied      403 for every pod-scoped key; `match` by method and path narrows it
    cdn_block           403 as an HTML page, code 1010, before the key is checked
    lose_object         a finished upload to the storage API leaves no object
    billing_lag         the bill ends `value` seconds ago (null: with the last full hour, UTC)
"""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from controller.providers.emulator.errors import invalid
from controller.providers.emulator.json_schema import complaints

_CREATE = {"method": "^POST$", "path": "^/v2/pods$"}
_DELETE = {"method": "^DELETE$", "path": "^/v2/pods/"}
DEFAULTS: dict[str, dict[str, str]] = {
    "throttle": {},
    "server_error": {},
    "bad_gateway": {},
    "fail_before_commit": _CREATE,
    "fail_after_commit": _CREATE,
    "drop_reply": _CREATE,
    "commit_late": _CREATE,
    "garble_reply": _CREATE,
    "slow_request": {},
    "slow_reply": {},
    "respond": {},
    "cdn_block": {},
    "delete_ambiguous": _DELETE,
    "translation_outage": {},
    "no_capacity": {},
    "wrong_gpu": {},
    "unlisted": {},
    "no_gpu_on_start": {},
    "price_differs": {},
    "slow_boot": {},
    "error_status": {},
    "no_runtime": {},
    "stale_ports": {},
    "stale_runtime": {},
    "boot_error": {},
    "no_sshd": {},
    "dead_port": {},
    "list_lag": {},
    "list_hides": {},
    "get_hides": {},
    "delete_still_listed": {},
    "delete_ignored": {},
    "delete_missing": {},
    "pod_key_denied": {},
    "billing_lag": {},
    "lose_object": {},
}
REQUEST_FAULTS = tuple(name for name in DEFAULTS if name in {  # applied by the middleware
    "throttle", "server_error", "bad_gateway", "fail_before_commit", "fail_after_commit",
    "drop_reply", "commit_late", "garble_reply", "slow_request", "slow_reply", "respond",
    "cdn_block", "delete_ambiguous",
})  # fmt: skip

_KEYS = ("method", "path", "agent", "gpu", "pod")
_SCHEMA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "enum": list(DEFAULTS)},
        "match": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: {"type": "string"} for key in _KEYS},
        },
        "times": {"type": ["integer", "null"], "minimum": 1},
        "skip": {"type": "integer", "minimum": 0},
        "value": {},
    },
}


@dataclass
class Fault:
    name: str
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    skip: int = 0
    value: Any = None

    def fits(self, facts: dict[str, tuple[str, ...]]) -> bool:
        """Whether every key of `match` matches one of the facts under that key."""
        patterns = {**DEFAULTS[self.name], **self.match}
        return all(
            any(_fits(key, value, fact) for fact in facts.get(key, ()))
            for key, value in patterns.items()
        )


def _fits(key: str, pattern: str, fact: str) -> bool:
    # "NVIDIA L4" must not match "NVIDIA L40S".
    match_function = re.fullmatch if key == "gpu" else re.search
    return pattern == fact or match_function(pattern, fact) is not None


def parse(document: Any) -> Fault:
    """Parse one fault from JSON; 422 if it is invalid."""
    violations = complaints(_SCHEMA, document)
    if violations:
        raise invalid(*violations)
    fault = Fault(**document)
    for pattern in fault.match.values():
        try:
            re.compile(pattern)
        except re.error as error:
            raise invalid(f"$.match: '{pattern}' is no regular expression: {error}") from error
    return fault


class FaultBook:
    """The active faults, in order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def put(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self, name: str | None = None) -> None:
        with self._lock:
            self._faults = [fault for fault in self._faults if name and fault.name != name]

    def as_list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, *names: str, **facts: str | tuple[str, ...] | None) -> Fault | None:
        """The first matching fault, counted as applied."""
        given_facts = {
            key: (value,) if isinstance(value, str) else value or () for key, value in facts.items()
        }
        with self._lock:
            for fault in self._faults:
                if fault.name not in names or not fault.fits(given_facts):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                self._count(fault)
                return fault
        return None

    def peek(self, name: str, **facts: str | tuple[str, ...] | None) -> Fault | None:
        """The first matching fault, not counted."""
        given_facts = {
            key: (value,) if isinstance(value, str) else value or () for key, value in facts.items()
        }
        with self._lock:
            return next((f for f in self._faults if f.name == name and f.fits(given_facts)), None)

    def _count(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times <= 0:
            self._faults.remove(fault)
