"""What earlier runs of this project left on a network volume, as far as it is known here.

Nobody is asked: what was sent there is named by its content and stays, unless somebody removed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.planner.pod_spec import Shape
from controller.project.environment_files import files_of
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from controller.transfer.upload import code_digest
from jobs.stage import Stage

FAILED = ("environment", "preflight")  # endings after which nothing is known to be installed


@dataclass(frozen=True)
class Sent:
    """One run: when it was begun, as what, and what it was sent, as size by path."""

    run: str
    at: float
    code: str
    spec: Mapping[str, Any]
    sizes: Mapping[str, int]
    prepared: bool  # its environment was complete

    def has(self, path: str, source: Path) -> bool:
        """Whether that very content was sent: nobody touched the file since."""
        size = self.sizes.get(path)
        if size is None:
            return False
        try:
            about = source.stat()
        except OSError:
            return False
        return about.st_size == size and about.st_ctime < self.at


def sent_to(project: Project, volume: str | None) -> tuple[Sent, ...]:
    """The runs whose inputs went to the network volume, the newest first."""
    if not volume:
        return ()
    try:
        folders = [RunFolder(one) for one in project.runs.iterdir()]
    except OSError:
        return ()
    found = (one for folder in folders for one in _sent(folder, volume))
    return tuple(sorted(found, key=lambda one: -one.at))


def _sent(folder: RunFolder, volume: str) -> Iterator[Sent]:
    order = folder.order()
    shape = order.spec.get("shape") if order else None
    if order is None or not isinstance(shape, dict) or shape.get("network_volume_id") != volume:
        return
    sizes = {
        str(one["path"]): one["size"] for one in folder.inputs() if type(one.get("size")) is int
    }
    end = folder.exit()
    prepared = end is not None and end.reason not in FAILED
    yield Sent(folder.root.name, order.at, order.code, order.spec, sizes, prepared)


def there(runs: tuple[Sent, ...], files: Mapping[str, Path]) -> tuple[str, ...]:
    """Those of `files` whose content was sent there before."""
    return tuple(
        path for path, source in files.items() if any(one.has(path, source) for one in runs)
    )


def environment_of(project: Project, runs: tuple[Sent, ...], shape: Shape, stage: Stage) -> str:
    """The run whose environment the stage's would be; empty where none is known."""
    need = stage.environment
    if need.kind == "none":
        return ""
    lock = need.model_copy(update={"install": None})
    files = {path: project.root / path for path in files_of(project.root, lock)}
    wanted = json.loads(need.model_dump_json(include={"kind", "lock"}))
    for one in runs:
        before = one.spec.get("stage", {}).get("environment", {})
        same = {name: before.get(name) for name in wanted} == wanted
        image = one.spec["shape"].get("image") == shape.image
        whole = all(one.has(path, source) for path, source in files.items() if source.is_file())
        ours = need.kind != "training" or one.code == code_digest()
        if one.prepared and same and image and whole and ours:
            return one.run
    return ""
