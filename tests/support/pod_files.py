"""Files as a job on a pod wrote them, and what became of them here."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from remote.contract import FileEntry, Layout, Manifest

MB = 10**6


def content(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def wrote(layout: Layout, files: dict[str, bytes], *, final: bool = True) -> Manifest:
    """As if a job had written `files` on the pod."""
    for name, data in files.items():
        path = Path(layout.work("r")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    entries = [FileEntry(k, len(v), hashlib.sha256(v).hexdigest()) for k, v in files.items()]
    return Manifest("r", 1, final, tuple(entries))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".partial" not in path.parts
    }


SMALL = {
    "trainer_state.json": b'{"step": 100}\n' * 500,
    "empty": b"",
    "logs/a b.txt": b"x" * 100,
    "adapter.safetensors": content(1, 300_000),
}
BIG = {
    "ckpt/adapter_model.safetensors": content(2, 9 * MB + 1),
    "ckpt/optimizer.pt": content(3, 10 * MB),
    "ckpt/config.json": b"{}",
}
