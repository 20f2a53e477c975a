"""The certificate of a whole plan: an in-toto statement over every lock and every artifact.

    locks/stage1.intoto.json     {"_type", "subject", "predicateType", "predicate"}

The subjects are the artifacts of all locks with their sha256; the predicate holds the locks in
plan order, each with its own sha256 and those of the locks that it stands on, and a chain: the
sha256 of the previous link and of this lock. One changed byte anywhere breaks it.
Format: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from controller import certificate, safekeeping
from controller.certificate import Certificate, canonical, readable
from controller.safekeeping import Problem
from state.durable import write_atomically

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:podctl:plan-certificate:1"
MAX_BYTES = 256 * 1024 * 1024
START = hashlib.sha256(PREDICATE.encode()).hexdigest()  # the link before the first


def plans(stages: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The stages of each plan: `stage1a` … `stage1e` are of the plan `stage1`. Others have none."""
    found: dict[str, list[str]] = {}
    for name in stages:
        if match := re.fullmatch(r"(stage\d+)[a-z]", name):
            found.setdefault(match[1], []).append(name)
    return {plan: tuple(names) for plan, names in found.items()}


def statement_path(root: Path, plan: str) -> Path:
    return root / certificate.FOLDER / f"{plan}.intoto.json"


def build(plan: str, locks: Mapping[str, Certificate]) -> dict[str, Any]:
    """The statement over `locks`, which come in plan order. Pure."""
    links, previous = [], START
    for stage, lock in locks.items():
        previous = _link(previous, lock.sha256)
        links.append(
            {
                "stage": stage,
                "title": lock.title,
                "run": lock.run,
                "sha256": lock.sha256,
                "needs": dict(lock.needs),
                "verdicts": [one.model_dump(mode="json") for one in lock.criteria],
                "usd": lock.cost.usd,
                "hours": lock.cost.hours,
                "chain": previous,
            }
        )
    artifacts = {one.path: one.sha256 for lock in locks.values() for one in lock.artifacts}
    return {
        "_type": TYPE,
        "subject": [
            {"name": path, "digest": {"sha256": sha256}}
            for path, sha256 in sorted(artifacts.items())
        ],
        "predicateType": PREDICATE,
        "predicate": {"plan": plan, "locks": links, "chain": previous},
    }


def _link(previous: str, sha256: str) -> str:
    return hashlib.sha256(f"{previous}{sha256}".encode()).hexdigest()


def write(root: Path, plan: str, locks: Mapping[str, Certificate]) -> Path:
    """Write the plan's statement, read-only; an older one is replaced."""
    path = statement_path(root, plan)
    write_atomically(path, readable(build(plan, locks)), 0o444)
    return path


def verify(root: Path, plan: str, locks: Mapping[str, Certificate]) -> tuple[Problem, ...]:
    """Compare the statement on disk with the locks in force, and the artifacts with both.

    Needs no network and no state. A missing statement is no problem of a plan that is not whole.
    """
    path = statement_path(root, plan)
    name = str(path.relative_to(root))
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    found = _parse(raw)
    if found is None:
        return (Problem(name, "it is not a statement that can be read"),)
    problems = []
    if canonical(found) != canonical(build(plan, locks)):
        problems.append(Problem(name, "it is not the statement over the locks that are here"))
    for subject in _subjects(found):
        problems += _check(root, *subject)
    return tuple(problems)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw) if len(raw) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("_type") == TYPE else None


def _subjects(statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    subjects = statement.get("subject")
    if not isinstance(subjects, list):
        return []
    return [
        (str(one["name"]), str(one["digest"]["sha256"]))
        for one in subjects
        if isinstance(one, dict) and isinstance(one.get("digest"), dict)
    ]


def _check(root: Path, path: str, sha256: str) -> list[Problem]:
    try:
        _, found = safekeeping.hash_file(root / path)
    except OSError as error:
        return [Problem(path, f"it cannot be read: {error.strerror or error}")]
    return [] if found == sha256 else [Problem(path, "its content changed")]
