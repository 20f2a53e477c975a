"""Where a stage's weights are loaded from, and reads them while the libraries are imported.

Imports take ten seconds and more and hardly touch the disk; reading weights takes as long and
hardly the processor. So `begin`, which every stage calls before it imports torch, reads them in a
thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import four_bit_copy, parallel_reading
from .download import fetch

_LONGEST = parallel_reading.LONGEST + 60.0  # seconds
_SHARE = 0.5  # of the memory that is available, for what is read ahead


@dataclass
class BaseWeights:
    """The weights of one base model. `say` gets a line for the job's log."""

    source: str
    copy_wanted: bool
    say: Callable[[str], None]
    folder: Path | None = None
    copy: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    fault: str | None = "absent"
    _decided: threading.Event = field(default_factory=threading.Event, repr=False)

    def begin(self) -> None:
        threading.Thread(target=self._run, name="weights", daemon=True).start()

    def _run(self) -> None:
        try:
            self._read()
        except OSError as error:  # loading meets it again, and says what it means
            self.say(f"weights were not read ahead: {error}")
        finally:
            self._decided.set()

    def _read(self) -> None:
        self.folder = _local(fetch(self.source))
        if self.folder is None:
            return
        if self.copy_wanted and _worth_a_copy(self.folder):
            device = "cuda" if has_cuda_driver() else "cpu"
            self.identity = four_bit_copy.identity_of(self.folder, device)
            self.copy = four_bit_copy.place_of(_cache(), self.source, self.identity)
            self.fault = four_bit_copy.fault(self.copy, self.identity)
            if self.fault is None:
                return
        self._decided.set()
        four_bit_copy.read_ahead(self.folder, int(_SHARE * _available_bytes()))

    def usable_copy(self, device: str) -> Path | None:
        """The copy to load, whole and made of this base on such a device; None without one."""
        if self.copy_wanted and not self._decided.wait(_LONGEST):
            self.say(f"the NF4 copy was not read within {_LONGEST:.0f} s: it is not used")
            self.copy_wanted = False
        if not self.copy_wanted or self.copy is None or self.identity["device"] != device:
            self.copy = None
            return None
        if self.fault not in (None, "absent"):
            self.say(f"the NF4 copy in {self.copy} is made anew: {self.fault}")
        if self.fault is not None:
            return None
        four_bit_copy.mark_used(self.copy)
        return self.copy

    def refuse(self, why: str) -> None:
        """Says that the copy is not usable after all; the next `keep_copy` writes it anew."""
        self.fault = why
        self.say(f"the NF4 copy in {self.copy} is made anew: {why}")

    def keep_copy(self, model: Any) -> None:
        """Writes the copy from the `model` that was just quantized, where one is wanted."""
        if not self.copy_wanted or self.copy is None or self.fault is None:
            return
        written = four_bit_copy.write(model, self.copy, self.identity)
        if isinstance(written, four_bit_copy.Refused):
            self.say(f"no NF4 copy of the model is kept: {written.why}")
        else:
            self.fault = None
            self.say(f"an NF4 copy of the model was written in {written:.0f} s: {self.copy}")


_begun: dict[str, BaseWeights] = {}


def begin(source: str, quantize: str, copy: bool, say: Callable[[str], None]) -> None:
    """Reads the weights of `source` in a thread; with `copy` those of its NF4 copy, where one is.

    `quantize` is the stage's parameter. Raises: StageError where the model cannot be fetched.
    """
    fetch(source)  # in this thread, so that its error ends the stage
    quantized = quantize == "nf4" or (quantize == "auto" and has_cuda_driver())
    weights = BaseWeights(source, copy and quantized, say)
    weights.begin()
    _begun[source] = weights


def begun(source: str) -> BaseWeights | None:
    """What `begin` was called for; None where it was not."""
    return _begun.get(source)


def has_cuda_driver() -> bool:
    """Whether a GPU may be there, without importing torch."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def _worth_a_copy(folder: Path) -> bool:
    large = four_bit_copy.base_bytes(folder) >= four_bit_copy.LEAST_BYTES
    return large and b'"quantization_config"' not in (folder / "config.json").read_bytes()


def _local(files: str) -> Path | None:
    """The folder of what `fetch` returned; None where its name alone is known."""
    if Path(files).is_dir():
        return Path(files)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(files, local_files_only=True))
    except (OSError, ValueError):
        return None


def _cache() -> Path:
    """The folder that models are kept in: on a pod, its volume."""
    home = os.environ.get("HF_HOME")
    return Path(home) if home else Path.home() / ".cache" / "huggingface"


def _available_bytes() -> int:
    """Of memory, as the kernel estimates it; a container's limit counts where it is lower."""
    available = 2**33
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(available, int(text)) if text.isdigit() else available
