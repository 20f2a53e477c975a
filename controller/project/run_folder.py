"""`.podctl/runs/<run>`: what one run left here, before and after it was installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from controller.transfer.manifest_check import STAGING, job_outputs
from remote import contract
from remote.contract import ContractError, Exit, FileEntry, Manifest
from remote.names import decode, encode
from state.atomic_files import write_atomically

ORDER = "order.json"
READY = "ready.json"  # the newest manifest of finished outputs of which all came
COMPUTED = "computed.json"  # statistics that were computed here, by the path of the pod's report
SAMPLES = "samples.jsonl"  # what the pod was busy with; same name on both sides
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What a run was begun as, and where: enough to find it again without the database."""

    lease: str
    pod: str
    code: str  # sha256 of the remote package on that pod
    at: float  # when the run was opened, Unix seconds
    spec: dict[str, Any]  # as the journal pins it


@dataclass(frozen=True)
class RunFolder:
    """Names and documents of one run's folder."""

    root: Path

    @property
    def files(self) -> Path:
        """Received artifacts, under their paths in the work folder."""
        return self.root / "files"

    def make(self) -> None:
        self.files.mkdir(parents=True, exist_ok=True, mode=0o700)

    def set_aside(self) -> None:
        """What was received is kept under another name, and is no longer this run's."""
        place = self.root / "aside"
        while place.exists():
            place = place.with_name(place.name + "~")
        self.files.rename(place)

    def whole_at(self) -> float | None:
        """Unix time at which all that was finished on the pod was here; None when it never was."""
        try:
            came = (self.root / READY).stat().st_mtime
        except OSError:  # of an older podctl
            return self.newest()
        ready = self._load(Manifest, READY)
        return came if ready and ready.files else None

    def newest(self) -> float | None:
        """Unix time at which the newest received artifact came; None when none did."""
        every = (path for path in self.files.rglob("*") if STAGING not in path.parts)
        return max((path.stat().st_mtime for path in every if path.is_file()), default=None)

    def keep(self, name: str, data: bytes) -> None:
        """A document as it came from the pod."""
        self.make()
        write_atomically(self.root / name, data)

    def manifest(self) -> Manifest | None:
        """What the final one lists of the job's, or None when it is not here or cannot be read."""
        found = self._load(Manifest, "manifest.json")
        return None if found is None else self.own(found)

    def own(self, manifest: Manifest) -> Manifest:
        """A manifest without what the job was sent and left alone."""
        sent = ((one.get("path"), one.get("sha256")) for one in self.inputs())
        return job_outputs(manifest, {str(path): str(sha256) for path, sha256 in sent})

    def own_names(self) -> dict[str, str]:
        """Path here to the path on the pod, for the files that have another name here."""
        kept = (self._load(Manifest, READY), self.manifest())
        return {here: path for one in kept if one for path, here in one.here.items()}

    def exit(self) -> Exit | None:
        return self._load(Exit, "exit.json")

    def _load(self, kind: type[T], name: str) -> T | None:
        try:
            return contract.load(kind, (self.root / name).read_bytes())
        except (OSError, ContractError):
            return None

    def keep_order(self, order: Order) -> None:
        self.keep(ORDER, json.dumps(asdict(order), sort_keys=True).encode() + b"\n")

    def order(self) -> Order | None:
        """None when it is not here or cannot be read."""
        try:
            found = json.loads((self.root / ORDER).read_bytes())
            named = {name: str(found[name]) for name in ("lease", "pod", "code")}
            return Order(**named, at=float(found["at"]), spec=dict(found["spec"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep_computed(self, documents: Mapping[str, Any]) -> None:
        self.keep(COMPUTED, json.dumps(documents).encode() + b"\n")

    def computed(self) -> dict[str, Any]:
        """By path of a report; empty when it is not here or cannot be read."""
        try:
            documents = json.loads((self.root / COMPUTED).read_bytes())
        except (OSError, ValueError):
            return {}
        return documents if isinstance(documents, dict) else {}

    def keep_inputs(self, entries: Iterable[FileEntry]) -> None:
        """What was sent to the job, with its hashes."""
        found = [asdict(entry) | {"path": encode(entry.path)} for entry in entries]
        self.keep("inputs.json", json.dumps(found, indent=1).encode() + b"\n")

    def inputs(self) -> list[dict[str, Any]]:
        try:
            found = json.loads((self.root / "inputs.json").read_bytes())
            assert isinstance(found, list)
        except (OSError, ValueError, AssertionError):
            return []
        return [one | {"path": decode(one["path"])} for one in found if isinstance(one, dict)]
