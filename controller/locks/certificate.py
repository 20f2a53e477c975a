"""The certificate of a locked stage, locks/<stage>.json: criteria, artifacts, inputs and cost.

A certificate is JSON with its own sha256 inside, and its file has exactly one form: whatever edit
by hand, of a value or of a blank, shows even where the database is not. The database holds the
same sha256 in a row that cannot be changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from controller.errors import VerificationFailed
from jobs.stage import RecordedGlob, StageName
from remote import names
from state.atomic_files import write_atomically

SCHEMA = 1
FOLDER = "locks"
MAX_BYTES = 256 * 1024 * 1024
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _a_files_name(path: str) -> str:
    """The path that stands encoded in a document, as it opens the file."""
    path = names.decode(path)
    if why := names.wrong(path):
        raise ValueError(why)
    return path


# In a document, and in a constructor, as `names.encode` has it; as an attribute, what opens it.
ArtifactPath = Annotated[
    str, AfterValidator(_a_files_name), PlainSerializer(names.encode, return_type=str)
]


class Artifact(_Model):
    """One file, by its path in the project."""

    path: ArtifactPath
    size: int = Field(ge=0)  # bytes
    sha256: Sha256
    written_as: ArtifactPath | None = None  # by the job, where this name could not be had here

    @classmethod
    def of(cls, path: str, size: int, sha256: str, written_as: str | None = None) -> Self:
        """From paths as they open files."""
        named = None if written_as in (None, path) else names.encode(written_as or "")
        return cls(path=names.encode(path), size=size, sha256=sha256, written_as=named)

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = rest(self)
        if self.written_as is None:  # locks of before this field was there are the same bytes
            del document["written_as"]
        return document


# How locks of earlier versions describe a bound that is open to one side.
_FROM = re.compile(r"\bneed (\S+) to inf\b")
_UP_TO = re.compile(r"\bneed -inf to (?=\S)")


def _without_empty(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """What came later and is not used is not written: an older lock keeps its sha256."""
    return {name: value for name, value in document.items() if value or name not in names}


class CriterionMet(_Model):
    """One criterion with what was measured."""

    criterion: str
    status: str  # PASS, or another one that a person accepted
    measured: float | int | str | bool | None = None
    detail: str = ""
    accepted: str = ""  # why, when it is no PASS

    @property
    def result(self) -> str:
        """What was measured and what was needed, each once."""
        value = f"{self.measured:.4g}" if type(self.measured) is float else str(self.measured)
        detail = _FROM.sub(r"need at least \1", _UP_TO.sub("need at most ", self.detail))
        quoted = repr(self.measured)
        same = detail in (quoted, f"{quoted}, need {quoted}")  # of a value that equals
        if self.measured is None or same:
            return value if same else detail
        repeats = re.match(rf"{re.escape(str(self.measured))}\b", detail, re.IGNORECASE)
        return detail if repeats else f"{value} ({detail})" if detail else value

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_empty(plain(self), "accepted")


class Price(_Model):
    """What the stage cost until it was locked, by the ledger."""

    usd: float = Field(ge=0)
    hours: float = Field(ge=0)  # of compute
    usd_per_hour: float = Field(default=0.0, ge=0)
    hardware: str = ""  # the offer: "NVIDIA L40S", "cpu5c"
    pods: tuple[str, ...] = ()


class Certificate(_Model):
    """Everything that makes the stage repeatable and its result checkable."""

    stage: StageName
    title: str
    run: str
    criteria: tuple[CriterionMet, ...]
    warnings: tuple[str, ...] = ()  # of artifacts that no criterion judges
    rendered: tuple[str, ...] = ()  # artifacts that are pages for people, made by the pod
    figures: dict[str, JsonValue] = {}  # by report, the statistics that were computed here
    asked: tuple[dict[str, JsonValue], ...] = ()  # the stage's criteria as they were defined
    artifacts: tuple[Artifact, ...]
    outputs: tuple[RecordedGlob, ...]  # the globs that name the artifacts
    inputs: tuple[Artifact, ...] = ()
    needs: dict[StageName, Sha256] = {}  # the certificates that this one stands on
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}  # the stage's own variables
    parameters: dict[str, JsonValue] = {}
    overrides: tuple[str, ...] = ()  # of the command line: "parameters.learning_rate=1e-4"
    instruction_set: str = ""  # the set that comes with podctl and its version: "english 2"
    code: str = ""  # sha256 of the remote package that ran
    environment: dict[str, JsonValue] = {}
    cost: Price
    started_at: float  # Unix seconds
    ended_at: float
    locked_at: float
    schema_version: int = Field(default=SCHEMA, alias="schema", ge=SCHEMA, le=SCHEMA)

    model_config = ConfigDict(populate_by_name=True)

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        optional = ("warnings", "rendered", "env", "overrides", "instruction_set", "figures")
        return _without_empty(plain(self), *optional)

    @property
    def sha256(self) -> str:
        """Of the canonical JSON; what needs, the database and the file itself hold."""
        return hashlib.sha256(canonical(self.document())).hexdigest()

    def document(self) -> dict[str, Any]:
        """Plain JSON values, without the file's own sha256."""
        return self.model_dump(mode="json", by_alias=True)


def canonical(document: Mapping[str, Any]) -> bytes:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def lock_path(root: Path, stage: str) -> Path:
    return root / FOLDER / f"{stage}.json"


def write(root: Path, certificate: Certificate) -> Path:
    """Write the lock, read-only, whole or not at all. Doing it again with the same changes nothing.

    Raises VerificationFailed when another certificate is in its place.
    """
    path = lock_path(root, certificate.stage)
    if path.exists():
        if read(root, certificate.stage) == certificate:
            return path
        raise VerificationFailed(
            f"{certificate.stage} is locked by another certificate",
            where=str(path),
            hint=f"podctl unlock {certificate.stage} --reason …",
        )
    path.parent.mkdir(exist_ok=True)
    document = certificate.document() | {"sha256": certificate.sha256}
    write_atomically(path, readable(document), 0o444)
    return path


def readable(document: Mapping[str, Any]) -> bytes:
    """As it stands in a file: for people and for diffs."""
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def read(root: Path, stage: str) -> Certificate | None:
    """The stage's certificate, or None when it is not locked.

    Raises VerificationFailed when the file was edited or is no certificate of this stage.
    """
    path = lock_path(root, stage)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _spoilt(path, str(error)) from error
    certificate = _parse(raw, path)
    if certificate.stage != stage:
        raise _spoilt(path, f"it is the certificate of {certificate.stage}")
    return certificate


def _parse(raw: bytes, path: Path) -> Certificate:
    try:
        if len(raw) > MAX_BYTES:
            raise ValueError(f"over {MAX_BYTES} bytes")
        document = json.loads(raw)
        claimed = document.pop("sha256")
        certificate = Certificate.model_validate(document)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise _spoilt(path, detail) from error
    # Of what stands in the file, not of what was understood: defaults must not hide a deletion.
    if claimed != hashlib.sha256(canonical(document)).hexdigest():
        raise _spoilt(path, "its sha256 does not agree with its content: it was edited")
    # A key that stands twice, or a blank, is not in the values.
    if raw != readable(document | {"sha256": claimed}):
        raise _spoilt(path, "its values are right and its text is not: it was edited")
    return certificate


def _spoilt(path: Path, cause: str) -> VerificationFailed:
    return VerificationFailed(
        f"{path.name} is not the certificate that podctl wrote",
        where=str(path),
        cause=cause,
        hint=f"restore it, for example: git checkout -- {FOLDER}/{path.name}",
    )


def read_all(root: Path) -> dict[str, Certificate]:
    """Every certificate by stage. Raises VerificationFailed at the first spoilt one."""
    certificates = {}
    for path in sorted((root / FOLDER).glob("*.json")):
        if "." in path.stem:  # a plan's statement; no stage has a dot in its name
            continue
        certificate = read(root, path.stem)
        if certificate is not None:
            certificates[certificate.stage] = certificate
    return certificates
