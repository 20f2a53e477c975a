"""A stage as data: its needs, command, outputs and criteria."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    model_validator,
)

from remote.contract import SECRET_NAME
from remote.globs import NOT, Globs, fault, literal, normal
from remote.reserved_names import FILES, FOLDERS, reserved
from remote.tool_files import is_repository

from . import image_reference, variables

PINNED = "pinned"  # the context of a stage that is read back from the journal
BRACES = re.compile(r"(?<!\[)\{[^{}/]*,[^{}/]*\}")  # as a shell would expand them


def _inside_project(path: str) -> str:
    """A path inside the project: relative, no "..", no leading "-"; `./a//b/` is `a/b`."""
    parts = path.split("/")
    if path.startswith(("/", "-", "~/")) or ".." in parts:
        raise ValueError("must be a plain relative path inside the project")
    return normal(path)


def _glob(pattern: str, info: ValidationInfo) -> str:
    """A glob inside the project, or one with a "!" before it: what it matches is left out."""
    glob = _inside_project(pattern.removeprefix(NOT))
    if _pinned(info):
        return normal(pattern)
    if "\0" in pattern or glob in ("", NOT):
        raise ValueError("must be a path or glob")
    if BRACES.search(glob):
        raise ValueError("braces are not expanded: write one glob for each")
    if why := fault(glob):
        raise ValueError(f"is no glob: {why}")
    return normal(pattern)


def _pinned(info: ValidationInfo) -> bool:
    """Whether a stage is read back from the journal: rules added since do not apply to it."""
    return info.context == PINNED


def _recorded(pattern: str) -> str:
    """A glob of a certificate: as it was written, which its hash is of."""
    _inside_project(pattern.removeprefix(NOT))
    return pattern


def _not_reserved(pattern: str, info: ValidationInfo) -> str:
    """An output glob that cannot lead into what podctl or git own."""
    if not _pinned(info) and not pattern.startswith(NOT) and reserved(literal(pattern)):
        raise ValueError(f"must not lead into {', '.join((*FOLDERS, *FILES))}")
    return pattern


def _can_match(patterns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Globs of which each can match something, whatever comes after it."""
    if _pinned(info):
        return patterns
    if patterns and all(pattern.startswith(NOT) for pattern in patterns):
        raise ValueError("only says what is left out; name what is taken before it")
    if barren := Globs(patterns).barren():
        raise ValueError(f"{barren[0]!r} can match nothing: a later exclusion takes all of it")
    return patterns


def _no_repository(pattern: str, info: ValidationInfo) -> str:
    """An output glob that names no folder which some version control takes for its own."""
    taken = not _pinned(info) and not pattern.startswith(NOT)
    if taken and any(map(is_repository, pattern.split("/"))):
        raise ValueError("must not lead into a repository's own folder: it would run programs here")
    return pattern


def _figure(reference: str) -> str:
    """ "file.json:dotted.key", the file inside the project."""
    path, colon, key = reference.partition(":")
    if not colon or not key:
        raise ValueError("must be a JSON file and a dotted key: file.json:key")
    return f"{_inside_project(path)}:{key}"


def _in_capitals(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _may_be_known(name: str) -> str:
    """The name of a variable, and not of one that is the pod's or podctl's own."""
    if not SECRET_NAME.fullmatch(name):
        raise ValueError("must be the name of a variable, and not the pod's own")
    return name


def _argv(command: object) -> object:
    """A list of words as it is; one text is for a shell."""
    if isinstance(command, list | tuple):
        return command
    if not isinstance(command, str):
        raise ValueError("must be a list of words, or one text, which a shell runs")
    if not command.strip():
        raise ValueError("is empty")
    return (*SHELL, command)


def _passable(argument: str) -> str:
    """What a Linux program can be given as one argument."""
    if "\0" in argument or len(argument.encode(errors="replace")) > LONGEST_WORD:
        raise ValueError(f"a word has no NUL and at most {LONGEST_WORD} bytes")
    return argument


def _variables(values: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    """What a job can be given in its environment, and may stand in a file that is in git."""
    if not _pinned(info) and (why := variables.wrong(values)):
        raise ValueError(why)
    return values


def _port(port: str) -> str:
    """As "7860/http", and not the port of podctl's own connection."""
    number, _, kind = port.partition("/")
    if not (number.isdecimal() and 0 < int(number) < 65536 and kind in ("http", "tcp")):
        raise ValueError('must be a port with its kind, like "8888/http" or "7860/tcp"')
    if int(number) == SSH_PORT:
        raise ValueError("22/tcp is there in any case: podctl connects through it")
    return f"{int(number)}/{kind}"


SSH_PORT = 22
SHELL = ("sh", "-c")  # what runs a command that is one text
LONGEST_WORD = 128 * 1024 - 1  # Linux's MAX_ARG_STRLEN with its NUL
Word = Annotated[str, AfterValidator(_passable)]
Argv = Annotated[tuple[Word, ...], BeforeValidator(_argv), Field(min_length=1)]
ProjectPath = Annotated[str, Field(min_length=1, max_length=240), AfterValidator(_inside_project)]
Glob = Annotated[str, Field(min_length=1, max_length=240), AfterValidator(_glob)]
Globbed = Annotated[tuple[Glob, ...], AfterValidator(_can_match)]  # sent
RecordedGlob = Annotated[str, Field(min_length=1, max_length=240), AfterValidator(_recorded)]
OutputGlob = Annotated[Glob, AfterValidator(_not_reserved), AfterValidator(_no_repository)]
Figure = Annotated[str, AfterValidator(_figure)]
SecretName = Annotated[str, AfterValidator(_may_be_known)]
Port = Annotated[str, AfterValidator(_port)]
Image = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(image_reference.checked)]
Cloud = Annotated[Literal["SECURE", "COMMUNITY"], BeforeValidator(_in_capitals)]
CriterionKind = Literal[
    "exists", "opens", "weights", "lines", "value", "last", "best", "decreases", "increases",
    "rescored", "recomputed",
]  # fmt: skip
STAGE_NAME = r"^[a-z][a-z0-9_-]{0,31}$"
StageName = Annotated[str, Field(pattern=STAGE_NAME)]


class Model(BaseModel):
    """Unknown keys are errors that name their path; instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HardwareNeed(Model):
    """What the stage accepts. `cpu` set means a CPU pod and no GPU."""

    gpus: tuple[str, ...] = ()  # catalog ids or short names; empty: any with enough memory
    gpu_count: StrictInt = Field(default=1, ge=1, le=8)
    min_gpu_memory_gb: StrictInt = Field(default=0, ge=0, le=10_000)  # of one GPU, at least
    unknown_model_gb: StrictInt = Field(default=0, ge=0, le=10_000)  # if nothing can be estimated
    cpu: str | None = None
    vcpu_count: StrictInt = Field(default=4, ge=2)
    cloud: Cloud = "SECURE"
    data_centers: tuple[str, ...] = ()
    min_cuda: str | None = None  # None: as the image's tag says; "any": no matter
    max_usd_per_hour: StrictFloat | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_price_ratio: StrictFloat = Field(default=3.0, ge=1, allow_inf_nan=False)  # to the cheapest
    disk_gb: StrictInt = Field(default=30, ge=1, le=10_000)
    volume_gb: StrictInt = Field(default=60, ge=10, le=10_000)


class Criterion(Model):
    """One thing that must hold on the pulled files. A path may be a glob.

    kind      fields                       PASS when
    exists    path                         the file opens and is not empty, or one in the folder is
    opens     path                         every match opens; >= 1 match
    weights   path                         every match is complete, finite and not all zero
    lines     path, at_least/at_most       it has so many records: JSON Lines, a JSON list, CSV
    value     path, key, at_least/at_most/equals   the value at `key` compares so
    last      path, key, at_least/at_most  the last figure of a series compares so
    best      path, key, at_least or at_most   the highest, or the lowest, of a series does
    decreases path, key                    the smoothed series of `key` decreases
    increases path, key                    the same for a rise
    rescored  path, key, parts, at_least, claims   every response is judged here as it was there
    recomputed path, parts, report, key, equals, at_least   `key` of the statistics computed here
                                           is `equals`, and `report` says no others
    """

    kind: CriterionKind
    path: ProjectPath
    match: Literal["newest", "all"] | None = None  # of a glob; None: all for opens and weights
    accept: str = ""  # the user's reason to lock the stage although this is INCONCLUSIVE
    title: str = ""
    key: str | None = None
    at_least: StrictFloat | None = None
    at_most: StrictFloat | None = None
    equals: JsonValue | None = None
    parts: tuple[Literal["development", "held_out"], ...] = ()  # whose instructions are answered
    report: ProjectPath | None = None  # the pod's statistics
    claims: dict[str, Figure] = {}  # system → "file.json:key" of the success that is claimed for it

    @model_validator(mode="after")
    def _says_whose_instructions(self) -> Self:
        if self.kind in ("rescored", "recomputed") and not self.parts:
            raise ValueError(f"{self.kind} needs parts: development, held_out or both")
        if self.kind == "recomputed" and None in (self.report, self.key):
            raise ValueError("recomputed needs report and key")
        return self


class EnvironmentNeed(Model):
    """`training` installs remote/requirements.lock unless its modules import already."""

    kind: Literal["none", "training", "lock"] = "none"
    lock: ProjectPath | None = None  # for kind "lock": requirements, pyproject.toml or uv.lock
    imports: tuple[str, ...] = ()  # preflight: must import on the pod
    install: ProjectPath | None = None  # a folder with a project that is installed besides
    settings: StrictBool = True  # this machine's indexes and proxies hold there too

    @model_validator(mode="after")
    def _says_which_lock(self, info: ValidationInfo) -> Self:
        if _pinned(info):
            return self
        if self.kind == "lock" and self.lock is None:
            raise ValueError('kind = "lock" needs lock: requirements, pyproject.toml or uv.lock')
        if self.kind != "lock" and self.lock is not None:
            raise ValueError(f'lock = "{self.lock}" is installed with kind = "lock" only')
        return self


class Stage(Model):
    """One stage of a plan."""

    name: StageName
    title: str
    command: Argv  # in the work folder: a list of words, or one text for a shell
    launch: Literal["accelerate", "torchrun"] | None = None  # one process a GPU
    env: Annotated[dict[str, str], AfterValidator(_variables)] = {}  # beside what a job finds
    needs: tuple[StageName, ...] = ()  # must be locked before
    inputs: Globbed = ()  # sent; same relative path on the pod
    # Globs; same path in the project.
    outputs: Annotated[tuple[OutputGlob, ...], AfterValidator(_can_match), Field(min_length=1)]
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    image: Image | None = None  # over the project's
    ports: Annotated[tuple[Port, ...], Field(max_length=10)] = ()  # that the provider exposes
    hardware: HardwareNeed = HardwareNeed()
    environment: EnvironmentNeed = EnvironmentNeed()
    hours: StrictFloat = Field(gt=0, le=10_000, allow_inf_nan=False)  # expected
    max_hours: StrictFloat = Field(gt=0, le=10_000, allow_inf_nan=False)  # then it is stopped
    stall_minutes: StrictFloat = Field(default=60, gt=0, allow_inf_nan=False)
    grace_seconds: StrictFloat = Field(default=60, ge=0, le=7200)  # from SIGTERM to SIGKILL
    stray_processes: Literal["wait", "kill"] = "wait"  # what the command leaves running
    parameters: dict[str, JsonValue] = {}
    checkpoints: tuple[OutputGlob, ...] = ()  # what a killed job goes on from; for `rehearse`
    unchecked: tuple[Glob, ...] = ()  # artifacts that are not looked into
    secrets: tuple[SecretName, ...] = ()  # local variables, or of files, that the job may know

    @model_validator(mode="after")
    def _one_value_each(self) -> Self:
        if both := sorted({*self.env} & {*self.secrets}):
            raise ValueError(f"{both[0]} is in env and in secrets: it has one value")
        return self

    @model_validator(mode="after")
    def _has_finite_numbers(self, info: ValidationInfo) -> Self:
        """A lock is JSON, which has no others: it would be refused after the run."""
        if _pinned(info):
            return self
        if endless := variables.not_finite(self.parameters, "parameters"):
            raise ValueError(f"{endless} must be a finite number; write it as text for the job")
        asked = [one.model_dump(exclude_none=True) for one in self.criteria]
        if endless := variables.not_finite(asked, "criteria"):
            raise ValueError(f"{endless} must be a finite number")
        return self
