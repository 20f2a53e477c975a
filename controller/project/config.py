"""podctl.toml: what the user decides, checked on the way in.

`podctl init` writes `example()`, and a test parses it: the commented example is the documentation.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    ValidationError,
)

from controller.errors import NotFound, UsageError
from controller.project.error_location import written_path
from jobs.catalog import built_in, message
from jobs.stage import Cloud, Glob, Globbed, Image, Model

FILE = "podctl.toml"
MAX_BYTES = 1024 * 1024  # of podctl.toml

Policy = Literal["terminate", "park", "keep"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_VARIABLE = r"^PODCTL_NOTIFY[A-Z0-9_]{0,40}$"
_PATTERNS = {
    _NAME: "must be letters, digits, dots, - and _, at most 63, and no blank",
    _VARIABLE: "must be the name of a variable that begins with PODCTL_NOTIFY; it has the address",
}
Name = typing.Annotated[str, StringConstraints(pattern=_NAME)]
NotifyVariable = typing.Annotated[str, StringConstraints(pattern=_VARIABLE)]


class ProjectSection(Model):
    """Which cloud, and what is trained."""

    name: Name = "project"
    plan: Literal["stage1", "none"] | None = None  # which of podctl's stages: see plan.py
    provider: Literal["runpod", "emulator"] = "runpod"
    # A hub id, or a folder of this project; None: as each stage says.
    model: str | None = Field(default=None, min_length=1, max_length=240)
    api_base_url: str | None = Field(default=None, pattern=r"^https?://")


class BudgetSection(Model):
    """US dollars; None: no limit of podctl's own."""

    project_usd: StrictFloat | None = Field(default=None, gt=0, allow_inf_nan=False)
    run_usd: StrictFloat | None = Field(default=None, gt=0, allow_inf_nan=False)


class PodSection(Model):
    """How pods are rented and what becomes of them."""

    image: Image = "runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204"
    on_success: Policy = "terminate"
    on_failure: Policy = "terminate"  # once the outputs are here and the warm time is over
    # The pod of a failed run whose outputs are all here waits so long for the next run; 0: not.
    keep_warm_minutes: StrictFloat = Field(default=10, ge=0, le=720)
    on_vanished: Literal["ask", "retry"] = "ask"  # a pod with a job disappears, not by our order
    cloud: Cloud | None = None  # None: as the stage says
    data_centers: tuple[str, ...] = ()
    network_volume_id: str | None = None
    send: Literal["pod", "volume"] = "pod"  # large inputs: through it, or before one is rented
    disk_gb: StrictInt | None = Field(default=None, ge=1, le=10_000)
    volume_gb: StrictInt | None = Field(default=None, ge=10, le=10_000)
    boot_minutes: StrictFloat = Field(default=20, gt=0, le=240)  # SSH does not answer: another pod
    settle_seconds: StrictFloat = Field(default=300, ge=0, le=3600)  # of an unclear create


class UploadSection(Model):
    """What goes to the pod beside the stage's inputs."""

    include: Globbed = ()  # the user's own code: folders, files or globs
    not_secret: tuple[Glob, ...] = ()  # what looks like a key and is none
    allow_secrets: StrictBool = False  # send files that look like keys

    @property
    def allowed(self) -> tuple[str, ...]:
        """Globs of what is sent although it looks like a secret."""
        return ("**",) if self.allow_secrets else self.not_secret


class NotifySection(Model):
    """Which events the user is notified of. Addresses are in the environment, not in this file."""

    on: tuple[Literal["passed", "failed", "question", "stuck", "budget"], ...] = ()
    to: tuple[NotifyVariable, ...] = ("PODCTL_NOTIFY",)  # variables with an address each


class Config(Model):
    """All of podctl.toml. `stages` is checked by the catalog, which knows what may be there."""

    project: ProjectSection = ProjectSection()
    budget: BudgetSection = BudgetSection()
    pod: PodSection = PodSection()
    upload: UploadSection = UploadSection()
    notify: NotifySection = NotifySection()
    stages: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)


def read(path: Path) -> Config:
    """The checked contents of `path`.

    Raises: UsageError naming file, line and key; NotFound when there is no such file.
    """
    return parse(_text(path), where=str(path))


def parse(text: str, where: str = FILE) -> Config:
    """`text` of a podctl.toml as a Config. Raises UsageError."""
    if not text.strip():
        raise UsageError(f"{FILE} is empty", where=where, hint="podctl init --force writes one")
    document = load_toml(text, where)
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise UsageError(
            f"{FILE} has {_count(error.error_count())}",
            where=where,
            cause="\n".join(_problem(one, text, document) for one in error.errors()),
            hint=f"edit {where}; podctl init --print shows every key with its meaning",
        ) from error


def load_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML. Raises UsageError with the line of the mistake."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits
        raise UsageError(
            f"{FILE} is not TOML", where=where, cause=str(error), hint=f"edit {where}"
        ) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"no {FILE}", where=str(path), hint="podctl init") from error
    except OSError as error:
        raise UsageError(f"{FILE} cannot be read", where=str(path), cause=str(error)) from error
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{FILE} is over {MAX_BYTES} bytes", where=str(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{FILE} is not UTF-8", where=f"{path}, line {line}", cause=str(error)
        ) from error


def _count(number: int) -> str:
    return "one problem" if number == 1 else f"{number} problems"


def _problem(error: Any, text: str, document: Mapping[str, Any]) -> str:
    """One validation error as `section.key (line n): what; did you mean …?`."""
    path = written_path(error["loc"], document)
    name = ".".join(path)
    line = line_of(path, text)
    place = f"{name} (line {line})" if line else name
    if error["type"] != "extra_forbidden":
        plain = _PATTERNS.get(str(error.get("ctx", {}).get("pattern")))
        return f"{place}: {plain or message(error)}{_plan_hint(path, error)}"
    known = _keys_at(path[:-1])
    near = difflib.get_close_matches(path[-1], known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
    if elsewhere := [name for name in Config.model_fields if path[-1] in _keys_at([name])]:
        meant = f"; it belongs in [{elsewhere[0]}]"
    return f"{place}: unknown key{meant}"


def _plan_hint(path: list[str], error: Any) -> str:
    """Who writes `stages.stage1a = false` wants to be without it."""
    off = error["type"] == "dict_type" and error["input"] is False and path[-1] in built_in()
    return '; [project] plan = "none" leaves out the stages that come with podctl' if off else ""


def _keys_at(path: list[str]) -> list[str]:
    """The keys that the section at `path` may have."""
    model: type[BaseModel] = Config
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type):
            return []
        if not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)


def line_of(path: list[str], text: str) -> int | None:
    """Where `path` stands in the file, by its section head and its key; best effort."""
    section = ""
    head = re.compile(r"^\s*\[([^\[\]]+)\]")
    for number, line in enumerate(text.splitlines(), 1):
        if found := head.match(line):
            section = found[1].strip().replace('"', "")
            if section == ".".join(path):
                return number
            continue
        key = line.split("=", 1)[0].strip().strip('"')
        here = f"{section}.{key}" if section else key
        if "=" in line and key and here == ".".join(path[: here.count(".") + 1]):
            return number
    return None


def example(name: str = "my-project", provider: str = "runpod", plan: str = "stage1") -> str:
    """A commented podctl.toml that states every default."""
    text = _EXAMPLE.replace("@NAME@", name).replace("@PROVIDER@", provider)
    return text.replace("@PLAN@", f'plan = "{plan}"'.ljust(32) + _PLAN)


_PLAN = '# "stage1": the five stages that come with podctl; "none": your own only'


_EXAMPLE = """\
# podctl.toml: what podctl rents, and what it does with it. Every key is optional; a value that is
# commented out is the default. Unknown keys are errors. Keep this file in git; no secret belongs
# here: the account key comes from RUNPOD_API_KEY or ~/.runpod/config.toml.

[project]
name = "@NAME@"
provider = "@PROVIDER@"           # "runpod", or "emulator": see `podctl emulator`
@PLAN@
# model = "Qwen/Qwen2.5-32B"    # a hub id, or a folder of this project
# api_base_url = "https://api.runpod.io"   # RunPod's own alone: another by RUNPOD_API_BASE_URL

[budget]                        # US dollars; a run whose worst case does not fit is refused
# project_usd = 100.0           # for the whole project; none by default
# run_usd = 20.0                # for one run; at this it saves, pulls and stops

[pod]
# image = "runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204"
# on_success = "terminate"      # terminate (nothing bills) | park (stopped: its disk bills) | keep
# keep_warm_minutes = 10        # so long the pod of a failed run whose outputs are all here waits,
#                               # and bills, for the next `podctl run`; 0: it does not wait
# on_failure = "terminate"      # after that; a pod that has the only copy of outputs is parked
# on_vanished = "ask"           # ask | retry: a pod with a job is gone, perhaps by your own hand
# cloud = "SECURE"              # SECURE | COMMUNITY; without it, what the stage says
# data_centers = []             # e.g. ["EU-RO-1"]; empty: any
# network_volume_id = "…"       # a volume that outlives pods; without it each pod has its own
# send = "pod"                  # pod | volume: large inputs go there before a pod is rented
# disk_gb = 30                  # container disk, wiped at every stop; without it, as the stage says
# volume_gb = 60                # volume, kept while parked; without it, as the stage says
# boot_minutes = 20             # a pod whose SSH does not answer by then is replaced
# settle_seconds = 300          # an unclear create is looked for this long before it is repeated

[upload]                        # what git ignores stays here; .podctlignore holds too
# include = ["src", "configs"]  # your own code: paths, globs, "!*.tmp" leaves out
# not_secret = []               # files that look like keys and are none: ["tests/fake.pem"]
# allow_secrets = false         # true sends whatever looks like a key (.env, id_rsa, …)

[notify]                        # messages of what happens while you are away
# on = ["passed", "failed", "question", "stuck", "budget"]   # none by default
# to = ["PODCTL_NOTIFY"]        # variables with an address each: https://ntfy.sh/TOPIC or any web
#                               # hook, "command:PROGRAM", or any Apprise URL (podctl[notify])

# One table a stage. Override parameters of a stage that comes with podctl:
#
# [stages.stage1c]
# hours = 2.0                   # expected; the estimate is made of it
# max_hours = 4.0               # the job's budget: at this it is stopped
# parameters = { learning_rate = 2e-4, epochs = 3 }
#
# [stages.stage1c.hardware]
# gpus = ["L40S", "A40"]        # ids or short names of `podctl gpus`
# max_usd_per_hour = 1.5        # no offer above it is taken,
# max_price_ratio = 3.0         # and none above so many times the cheapest accepted one
#
# or define one of your own:
#
# [stages.tokenize]
# title = "Tokenise the corpus"
# command = ["python", "src/tokenize.py"]
# env = { TOKENIZERS_PARALLELISM = "false" }   # no secrets: those are named in `secrets`
# inputs = ["data/corpus.jsonl"]   # paths or globs; what git ignores too, when it is named
# outputs = ["data/tokens/**", "!*.tmp"]
# hours = 0.2
# max_hours = 0.5
# criteria = [{ kind = "exists", path = "data/tokens/index.json" }]
# hardware = { cpu = "cpu5c", vcpu_count = 4 }
# environment = { kind = "lock", lock = "uv.lock", install = "." }   # or requirements.txt, …
"""
