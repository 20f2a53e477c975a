"""The checks themselves, run one to a process by any Python: `python probe.py CHECK ARGUMENT…`.

Stands alone on purpose: it is started by file name with the job's interpreter. Exits 0 when all
is well; otherwise the last line of its output says what is wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import site
import sys
import tempfile
from typing import Callable, Dict, Optional  # noqa: UP035 - the job's Python may be old

GB = 1e9
QUOTA_BYTES = 16 * 1024 * 1024


def disk(folder: str, need_gb: str) -> str | None:
    """The volume takes a write and has room. A quota shows only when one writes."""
    info = os.statvfs(folder)
    free = info.f_bavail * info.f_frsize
    if free < float(need_gb) * GB:
        return f"{free / GB:.1f} GB free on {folder}, need {need_gb} GB"
    length = min(QUOTA_BYTES, max(4096, free // 8))
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(4096) * (length // 4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"cannot write to {folder}: {error.strerror}"
    return None


def imports(*names: str) -> str | None:
    """Every module imports."""
    for name in names:
        print(f"importing {name}", flush=True)
        try:
            importlib.import_module(name)
        except BaseException as error:  # a broken native library raises anything
            return f"import {name}: {type(error).__name__}: {error}"
    return None


def cuda() -> str | None:
    """torch can use the GPU: driver, CUDA version and memory are tried, not asked."""
    print("importing torch", flush=True)
    torch = importlib.import_module("torch")
    print("starting CUDA", flush=True)
    try:
        torch.cuda.init()
        for index in range(torch.cuda.device_count()):
            torch.zeros(1, device=f"cuda:{index}").item()
    except Exception as error:  # torch raises many types; the text is the finding
        return f"torch cannot use the GPU: {' '.join(str(error).split())}"
    return None if torch.cuda.device_count() else "torch sees no GPU"


def has(*names: str) -> str | None:
    """Prints which top-level modules this interpreter would find."""
    for name in names:
        with contextlib.suppress(ImportError, ValueError):
            if importlib.util.find_spec(name.partition(".")[0]) is not None:
                print(f"has {name}")
    return None


def describe() -> str | None:
    """Prints what an environment built on this interpreter depends on."""
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"tag {platform.python_implementation()}-{version}")
    print(f"machine {platform.machine()}")
    with contextlib.suppress(Exception):  # what is built for one torch does not run with another
        print(f"torch {importlib.metadata.version('torch')}")
    if sys.prefix != sys.base_prefix:
        for folder in site.getsitepackages():
            print(f"site {folder}")
    return None


CHECKS: Dict[str, Callable[..., Optional[str]]] = {  # noqa: UP006, UP045 - evaluated, see above
    "disk": disk,
    "imports": imports,
    "cuda": cuda,
    "has": has,
    "describe": describe,
}

if __name__ == "__main__":
    sys.path.pop(0)  # our own folder must not hide anybody's modules
    finding = CHECKS[sys.argv[1]](*sys.argv[2:])
    if finding:
        print(finding, flush=True)
        sys.exit(1)
