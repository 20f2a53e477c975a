"""A stage as data: what it needs, runs, leaves behind, and how one knows that it passed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from remote.contract import SECRET_NAME


def _inside_project(path: str) -> str:
    """A path inside the project: relative, no "..", no leading "-"."""
    parts = path.split("/")
    if path.startswith(("/", "-")) or ".." in parts or "" in parts:
        raise ValueError("must be a plain relative path inside the project")
    return path


# podctl's and git's own: no stage may declare them as its outputs.
RESERVED = (".git", ".podctl", "locks", "podctl.toml", "status.md")


def _not_reserved(pattern: str) -> str:
    """An output glob that cannot lead into what podctl or git own."""
    first = pattern.casefold().removeprefix("./").split("/")[0]
    if first in RESERVED:
        raise ValueError(f"must not lead into {', '.join(RESERVED)}")
    return pattern


def _figure(reference: str) -> str:
    """ "file.json:dotted.key", the file inside the project."""
    path, colon, key = reference.partition(":")
    if not colon or not key:
        raise ValueError("must be a JSON file and a dotted key: file.json:key")
    return f"{_inside_project(path)}:{key}"


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


def _passable(word: str) -> str:
    """What a Linux program can be given as one argument."""
    if "\0" in word or len(word.encode(errors="replace")) > LONGEST_WORD:
        raise ValueError(f"a word has no NUL and at most {LONGEST_WORD} bytes")
    return word


SHELL = ("sh", "-c")  # what runs a command that is one text
LONGEST_WORD = 128 * 1024 - 1  # Linux's MAX_ARG_STRLEN with its NUL
Word = Annotated[str, AfterValidator(_passable)]
Argv = Annotated[tuple[Word, ...], BeforeValidator(_argv), Field(min_length=1)]
ProjectPath = Annotated[str, Field(min_length=1, max_length=240), AfterValidator(_inside_project)]
OutputGlob = Annotated[ProjectPath, AfterValidator(_not_reserved)]
Figure = Annotated[str, AfterValidator(_figure)]
SecretName = Annotated[str, AfterValidator(_may_be_known)]
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Model(BaseModel):
    """Unknown keys are errors that name their path; instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HardwareNeed(Model):
    """What the stage accepts. `cpu` set means a CPU pod and no GPU."""

    gpus: tuple[str, ...] = ()  # catalog ids; empty: any with enough memory
    gpu_count: int = Field(default=1, ge=1, le=8)
    min_gpu_memory_gb: int = Field(default=0, ge=0)  # of one GPU, whatever is estimated
    unknown_model_gb: int = Field(default=0, ge=0)  # the same where nothing can be estimated
    cpu: str | None = None
    vcpu_count: int = Field(default=4, ge=2)
    cloud: Literal["SECURE", "COMMUNITY"] = "SECURE"
    data_centers: tuple[str, ...] = ()
    min_cuda: str | None = None
    max_usd_per_hour: float | None = Field(default=None, gt=0)
    disk_gb: int = Field(default=30, ge=1)
    volume_gb: int = Field(default=60, ge=10)


class Criterion(Model):
    """One thing that must hold on the pulled files.

    kind      fields                       PASS when
    exists    path                         the file is there and not empty
    opens     path (glob)                  every match opens: safetensors, JSON, JSONL; ≥ 1 match
    lines     path, at_least               a JSONL file has so many records
    value     path, key, at_least/at_most/equals   the JSON value at dotted `key` compares so
    decreases path, key                    the smoothed series of `key` in a JSONL file decreases
    increases path, key                    the same for a rise
    rescored  path, key, parts, at_least, claims   every response in a JSONL file, or in the list at
                                           `key` of a JSON file, is judged here as it was there
    """

    kind: Literal["exists", "opens", "lines", "value", "decreases", "increases", "rescored"]
    path: ProjectPath
    title: str = ""
    key: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: JsonValue | None = None
    parts: tuple[Literal["development", "held_out"], ...] = ()  # whose instructions are answered
    claims: dict[str, Figure] = {}  # system → "file.json:key" of the success that is claimed for it

    @model_validator(mode="after")
    def _says_whose_instructions(self) -> Self:
        if self.kind == "rescored" and not self.parts:
            raise ValueError("rescored needs parts: development, held_out or both")
        return self


class EnvironmentNeed(Model):
    """`training` installs remote/requirements.lock unless its modules import already."""

    kind: Literal["none", "training", "lock"] = "none"
    lock: ProjectPath | None = None  # for kind "lock": the user's own lock file
    imports: tuple[str, ...] = ()  # preflight: must import on the pod


class Stage(Model):
    """One stage of a plan."""

    name: StageName
    title: str
    command: Argv  # in the work folder: a list of words, or one text for a shell
    needs: tuple[StageName, ...] = ()  # must be locked before
    inputs: tuple[ProjectPath, ...] = ()  # sent; same relative path on the pod
    outputs: tuple[OutputGlob, ...] = Field(min_length=1)  # globs; same path at home
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    hardware: HardwareNeed = HardwareNeed()
    environment: EnvironmentNeed = EnvironmentNeed()
    hours: float = Field(gt=0)  # expected
    max_hours: float = Field(gt=0)  # the job's budget: at this it is stopped
    stall_minutes: float = Field(default=60, gt=0)
    parameters: dict[str, JsonValue] = {}
    secrets: tuple[SecretName, ...] = ()  # local variables, or of files, that the job may know


def definitions(stage: Stage) -> tuple[dict[str, JsonValue], ...]:
    """The stage's criteria as they are written: what is not set is not in them."""
    return tuple(one.model_dump(mode="json", exclude_defaults=True) for one in stage.criteria)
