"""A stage's hardware held against the provider's catalog, before anything is rented; for free.

A name that the catalog does not have is an error, and so is a mixture of known and unknown ones: a
typing mistake must not narrow the choice without a word. A catalog that cannot be read is no
reason to refuse: that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.errors import NoCapacity, UsageError
from controller.planner import cuda
from controller.planner import pod_spec as order
from controller.planner.pod_spec import Shape
from controller.preflight.hardware_fit import Exclusion, exclusions
from controller.project.project import FILE, Project
from controller.providers.base import Hardware, Inventory, Provider, ProviderError
from controller.providers.hardware_names import HardwareName as CatalogEntry
from controller.providers.hardware_names import data_center, matching_ids, suggestions
from jobs.catalog import built_in
from jobs.stage import Stage

_LISTED = "podctl gpus --cpu lists every type by both of its names"
MOST_LISTED = 20  # names, where nothing is near the unknown one


@dataclass(frozen=True)
class Finding:
    """What is wrong with the value at `path` of podctl.toml."""

    path: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Check:
    """The stages that share a pod, what they ask for, and what the catalog has."""

    project: Project
    stages: Sequence[Stage]
    shape: Shape
    inventory: Inventory

    @property
    def need(self) -> Hardware:
        return order.hardware(self.stages, self.shape)

    def unknown(self) -> Iterator[Finding]:
        """Names that nothing in the catalog has. An empty list of it proves nothing."""
        need = self.need
        if self.inventory.types:
            words = (need.cpu,) if need.cpu is not None else need.gpus
            kind, key = ("CPU flavor", "cpu") if need.cpu is not None else ("GPU type", "gpus")
            if key == "cpu" or self._written(key):
                yield from self._names(kind, key, words)
            yield from self._unknown_cuda()
        if self.inventory.data_centers:
            yield from self._unknown_places(need)

    def _names(self, kind: str, key: str, words: Sequence[str]) -> Iterator[Finding]:
        for word in words:
            if not matching_ids(word, self.inventory.types):
                text = f"unknown {kind} {word!r}{_near(word, self.inventory.types)}"
                yield Finding(self._path(key), text)

    def _unknown_places(self, need: Hardware) -> Iterator[Finding]:
        known = self.inventory.data_centers
        in_pod = bool(self.shape.data_centers)
        path = ("pod", "data_centers") if in_pod else self._path("data_centers")
        for word in need.data_centers:
            if word not in {data_center(one.id) for one in known}:
                yield Finding(path, f"unknown data center {word!r}{_near(word, known)}")

    def _unknown_cuda(self) -> Iterator[Finding]:
        wanted = self.stages[0].hardware.min_cuda
        listed = {version for one in self.inventory.types for version in one.cuda}
        if wanted is None or not listed or (version := cuda.parse(wanted)) is None:
            return
        newest = max(listed, key=cuda.order)
        too_new = cuda.order(version) > cuda.order(newest)
        if too_new or (not cuda.released(version) and version not in listed):
            have = ", ".join(sorted(listed, key=cuda.order))
            text = f"unknown CUDA version {wanted!r}; hosts support {have}"
            yield Finding(self._path("min_cuda"), text)

    def taken(self) -> Iterator[str]:
        """What the words that are no catalog ids were understood as."""
        need, types = self.need, self.inventory.types
        for word in (need.cpu,) if need.cpu is not None else need.gpus:
            ids = matching_ids(word, types)
            if ids and word not in ids:
                yield f"{word.strip()} is taken as {' or '.join(ids)}"
            elif types and not ids:
                yield f"the catalog has no {word}"  # of --gpu, or of a stage that podctl brings

    def _path(self, key: str) -> tuple[str, ...]:
        return ("stages", self.stages[0].name, "hardware", key)

    def _written(self, key: str) -> bool:
        """Whether the value is the user's own, or came with podctl."""
        if _typed(self.project, self._path(key)):
            return True
        hardware = self.project.config.stages.get(self.stages[0].name, {}).get("hardware")
        return isinstance(hardware, dict) and key in hardware


def check(
    project: Project, provider: Provider, stages: Sequence[Stage], shape: Shape
) -> tuple[str, ...]:
    """Remarks about what was understood how. `stages` share a pod.

    Raises: UsageError for an unknown name; NoCapacity when the names are known and no type of the
    catalog fulfils the other conditions.
    """
    check_cuda(project, stages)
    try:
        inventory = provider.inventory(order.hardware(stages, shape))
    except ProviderError as error:
        return (f"the names of hardware are not checked: {error.what}",)
    found = Check(project, stages, shape, inventory)
    if not inventory.types:
        return ("the names of hardware are not checked: the provider's catalog is empty",)
    if wrong := tuple(found.unknown()):
        raise _unknown(project, wrong)
    if excluded := exclusions(inventory, found.need):
        raise _nothing(found, excluded)
    return tuple(found.taken())


def check_cuda(project: Project, stages: Sequence[Stage]) -> None:
    """Raise UsageError for a `min_cuda` that is no version; needs no catalog."""
    for stage in stages:
        wanted = stage.hardware.min_cuda
        if wanted is None or wanted.strip().casefold() == cuda.ANY or cuda.parse(wanted):
            continue
        text = f"{wanted!r} is no CUDA version; one looks like 12.8, and {cuda.ANY!r} asks for none"
        raise _unknown(project, (Finding(("stages", stage.name, "hardware", "min_cuda"), text),))


def _near(word: str, entries: Sequence[CatalogEntry]) -> str:
    if found := suggestions(word, entries):
        return f"; did you mean {' or '.join(found)}?"
    region = word.partition("-")[0]
    beside = sorted(one.id for one in entries if one.id.startswith(f"{region}-"))
    names = beside or sorted(one.name for one in entries)
    rest = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"; there are {', '.join(names[:MOST_LISTED])}{rest}"


def _unknown(project: Project, found: Sequence[Finding]) -> UsageError:
    from controller.project.config import line_of

    text = project.file.read_text(encoding="utf-8-sig")
    lines = []
    typed = {path for path in (one.path for one in found) if _typed(project, path)}
    for one in found:
        line = None if one.path in typed else line_of(list(one.path), text)
        place = f" (line {line})" if line else ""
        lines.append(f"{'.'.join(one.path)}{place}: {one.text}")
    who = "the command line" if typed else FILE
    return UsageError(
        f"{who} asks for hardware that the provider does not know",
        where="" if typed else str(project.file),
        cause="\n".join(lines),
        hint=f"{'' if typed else f'edit {FILE}; '}{_LISTED}",
    )


def _typed(project: Project, path: tuple[str, ...]) -> bool:
    """Whether the value at `path` is of the command line: `--gpu`, or all that `up` has."""
    if path[0] != "stages":
        return False
    own = path[1] in project.config.stages or path[1] in built_in()
    return not own or ".".join(path[2:]) in project.changes.keys


def _nothing(found: Check, excluded: Sequence[Exclusion]) -> NoCapacity:
    name = found.stages[0].name
    lines = [f"{_key(found, one.key)}: {one.text}" for one in excluded]
    keys = " or ".join(dict.fromkeys(f"hardware.{one.key}" for one in excluded))
    return NoCapacity(
        f"no hardware of the provider fits {name}",
        where=str(found.project.file),
        cause="\n".join(lines),
        hint=f"change {keys} in {FILE}; podctl plan {name} --offers",
    )


def _key(found: Check, key: str) -> str:
    """With where the value comes from, when it is not the key itself."""
    need, given = found.need, found.stages[0].hardware
    if key == "min_cuda" and given.min_cuda is None:
        return f"min_cuda {need.min_cuda} (by the tag of {found.shape.image})"
    if key == "min_gpu_memory_gb" and given.min_gpu_memory_gb != need.min_gpu_memory_gb:
        return "GPU memory (estimated)"
    if key == "cloud" and found.shape.cloud:
        return "pod.cloud"
    return f"hardware.{key}"
