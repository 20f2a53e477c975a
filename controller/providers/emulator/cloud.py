"""The emulated account: state, meter and faults behind one lock."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from controller.providers.emulator.billing.meter import Meter
from controller.providers.emulator.catalog import OFFICIAL_TEMPLATES
from controller.providers.emulator.errors import not_found
from controller.providers.emulator.faults.faults import FaultBook
from controller.providers.emulator.records import Pod, State, Template
from controller.providers.emulator.settings import EmulatorSettings
from controller.providers.emulator.store import Store

PUBLIC_TEMPLATES = {
    id_: Template(
        id=id_,
        name=name,
        image=image,
        disk=20 if category == "CPU" else 50,
        ports=["8888/http", "22/tcp"],
        public=True,
        category=category,
        startJupyter=category != "CPU",
    )
    for id_, name, image, category in OFFICIAL_TEMPLATES
}


class Cloud:
    """State, meter and faults of one account. Hold `lock` to read or change the state."""

    def __init__(self, folder: Path, settings: EmulatorSettings, api_key: str) -> None:
        self.folder = folder
        self.settings = settings
        self.api_key = api_key
        self.lock = threading.RLock()
        self.faults = FaultBook()
        self._store = Store(folder)
        self._make_folders()
        self.state = self._store.load(settings.balance_usd)
        self.meter = Meter(self.state)

    def reset(self) -> None:
        """Delete all state, on disk too."""
        with self.lock:
            self.state = State(credit=self.settings.balance_usd)
            self.meter = Meter(self.state)
            self.save()
            for name in ("pods", "volumes"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self._make_folders()

    def _make_folders(self) -> None:
        """Create the folders, readable by this user only."""
        for name in ("pods", "volumes"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)

    @staticmethod
    def now() -> float:
        return time.time()

    def save(self) -> None:
        self._store.save(self.state)

    def pod_folder(self, pod_id: str) -> Path:
        return self.folder / "pods" / pod_id

    def volume_folder(self, pod: Pod) -> Path | None:
        """The local folder of the pod's volume; None if it has none."""
        if pod.network_volume:
            return self.folder / "volumes" / pod.network_volume
        return self.pod_folder(pod.id) / "volume" if pod.volume_gb else None

    def template(self, template_id: str) -> Template:
        """A template of the account or a public one; 404 if there is none."""
        template = self.state.templates.get(template_id) or PUBLIC_TEMPLATES.get(template_id)
        if template is None:
            raise not_found("template")
        return template

    def balance(self) -> float:
        with self.lock:
            return self.meter.balance(self.now())
