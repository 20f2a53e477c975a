"""The certificate of a whole plan: an in-toto statement over every lock and every artifact.

    locks/stage1.intoto.json     {"_type", "subject", "predicateType", "predicate"}

The subjects are the artifacts of all locks with their sha256, named as `remote.names` encodes
them; the predicate holds the locks in plan order, each with its own sha256 and those of the locks
that it depends on, and a chain: the sha256 of the previous link and of this lock. One changed byte
anywhere breaks it. It is written once every stage of the plan is locked on the present locks of the
others, and none is stale.
Format: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.locks import artifacts as lock_artifacts
from controller.locks import certificate
from controller.locks.artifacts import Problem
from controller.locks.certificate import Certificate, readable
from controller.locks.staleness import in_order, need_problem, stale
from controller.project.project import Project
from remote.names import decode, encode
from state.atomic_files import write_atomically

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:podctl:plan-certificate:1"
Needs = Mapping[str, Iterable[str]]  # stage → those that must be locked before
START = hashlib.sha256(PREDICATE.encode()).hexdigest()  # the link before the first


def plans(stages: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The stages of each plan: `stage1a` … `stage1e` are of the plan `stage1`. Others have none."""
    stages_of: dict[str, list[str]] = {}
    for name in stages:
        if match := re.fullmatch(r"(stage\d+)[a-z]", name):
            stages_of.setdefault(match[1], []).append(name)
    return {plan: tuple(names) for plan, names in stages_of.items()}


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
                "verdicts": [criterion.model_dump(mode="json") for criterion in lock.criteria],
                "usd": lock.cost.usd,
                "hours": lock.cost.hours,
                "chain": previous,
            }
        )
    artifacts = {
        artifact.path: artifact.sha256 for lock in locks.values() for artifact in lock.artifacts
    }
    return {
        "_type": TYPE,
        "subject": [
            {"name": encode(path), "digest": {"sha256": sha256}}
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


def verify(
    root: Path, plan: str, locks: Mapping[str, Certificate], needs: Needs | None = None
) -> tuple[Problem, ...]:
    """Compare the statement on disk, byte for byte, with the one over the locks that are here;
    every artifact with its lock; and the locks with one another.

    `locks` are all that are in force; `needs` has every stage of the project with its needs, in
    plan order: without it, the plan is what is locked of it. Needs no network and no state. A
    missing statement is no problem of a plan that is not whole.
    """
    names = plans(needs or locks).get(plan, ())
    ours = {name: locks[name] for name in names if name in locks}
    broken = broken_links(needs or {}, locks)
    problems = [problem for name in ours for problem in broken[name]]
    path = statement_path(root, plan)
    if len(ours) < len(names) and not path.exists():
        return tuple(problems)
    document = build(plan, ours)
    sha256 = hashlib.sha256(readable(document)).hexdigest()
    problems += _compare(root, path.relative_to(root).as_posix(), sha256, _OTHER)
    for entry in document["subject"]:
        name, sha256 = decode(entry["name"]), entry["digest"]["sha256"]
        problems += _compare(root, name, sha256, "its content changed")
    return tuple(problems)


_OTHER = "it is not the statement over the locks that are here"


def _compare(root: Path, path: str, sha256: str, what: str) -> list[Problem]:
    try:
        _, actual = lock_artifacts.hash_file(root / path)
    except FileNotFoundError:
        return [Problem(encode(path), "it is missing")]
    except OSError as error:
        return [Problem(encode(path), f"it cannot be read: {error.strerror or error}")]
    return [] if actual == sha256 else [Problem(encode(path), what)]


def broken_links(needs: Needs, locks: Mapping[str, Certificate]) -> dict[str, tuple[Problem, ...]]:
    """The broken links of each lock to the locks that it needs. Pure.

    A lock must name the current locks of all stages that its stage needs, and its inputs from
    another lock's artifacts must have the content which that lock certifies.
    """
    made: dict[str, list[tuple[str, str]]] = {}  # path → (stage, sha256)
    for stage, lock in locks.items():
        for entry in lock.artifacts:
            made.setdefault(entry.path, []).append((stage, entry.sha256))
    return {
        stage: tuple(
            Problem(f"{certificate.FOLDER}/{stage}.json", problem)
            for problem in (
                *_off_needs({*needs.get(stage, ()), *lock.needs}, lock, locks),
                *_off_inputs(lock, made),
            )
        )
        for stage, lock in locks.items()
    }


def _off_needs(
    needs: set[str], lock: Certificate, locks: Mapping[str, Certificate]
) -> Iterable[str]:
    for need in sorted(needs):
        if problem := need_problem(lock.needs.get(need), locks.get(need)):
            yield f"{need}, on which it stands, {problem}"


def _off_inputs(lock: Certificate, made: Mapping[str, list[tuple[str, str]]]) -> Iterable[str]:
    for entry in lock.inputs:
        for maker, sha256 in made.get(entry.path, ()):
            if maker != lock.stage and sha256 != entry.sha256:
                yield f"its input {encode(entry.path)} is not the file that {maker} is locked with"


# What is stale by no fault of the stage itself: another version of podctl, or what stands below.
_NOT_ITS_OWN = ("code", "upstream")


def attest(project: Project, plan: str) -> tuple[str, ...]:
    """Write the statement over `plan`; what is to be told of it, nothing while a stage lacks.

    None is written over locks that do not stand on one another, nor over one that was judged or
    run otherwise than the project says: it would certify as one piece what is none.
    """
    stages = in_order(project.stages)
    names = plans(stages)[plan]
    locks = certificate.read_all(project.root)
    if any(name not in locks for name in names):
        return ()
    if obstacles := _obstacles(project, names, locks):
        head = f"every stage of {plan} is locked, and the plan is not certified as a whole:"
        return (head, *(f"  {name}" for name in obstacles))
    path = write(project.root, plan, {name: locks[name] for name in names})
    return (f"{plan} is whole: {path.relative_to(project.root)}",)


def attest_missing(project: Project) -> None:
    """The same for every plan that has no statement yet: what stood in its way may be gone."""
    for plan in plans(project.stages):
        if not statement_path(project.root, plan).exists():
            attest(project, plan)


def _obstacles(
    project: Project, names: Sequence[str], locks: dict[str, Certificate]
) -> tuple[str, ...]:
    needs = {name: stage.needs for name, stage in project.stages.items()}
    broken, differing = broken_links(needs, locks), stale(project)
    return (
        *(f"{problem.path}: {problem.what}" for name in names for problem in broken[name]),
        *(
            f"{name} is stale: {difference.text}"
            for name in names
            for difference in differing[name]
            if difference.kind not in (*_NOT_ITS_OWN, "need")  # needs are told of above
        ),
    )
