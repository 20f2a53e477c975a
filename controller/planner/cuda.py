"""Which CUDA a host's driver must support, by the image's name or `min_cuda`. Pure.

A container whose CUDA is newer than the host's driver does not start: `nvidia-container-cli:
requirement error: unsatisfied condition: cuda>=12.8`. The provider filters hosts by that version.
"""

from __future__ import annotations

import re

ANY = "any"  # min_cuda that turns the image's own requirement off
LAST_MINOR = {9: 2, 10: 2, 11: 8, 12: 9}  # the last release of each major version that is complete

_VERSION = re.compile(r"(?:>=\s*)?(?:cuda[\s:=_-]*)?(\d{1,2})(?:\.(\d{1,2}))?(?:\.\d{1,3})?\+?")
_PACKED = re.compile(r"cu(\d{2,4})")
# In a tag: cuda12.9, cuda-12.4.1, cuda-12-8, cuda12; cu121, cu1290, cu12, cu13.0, cuda128.
_NAMED = re.compile(
    r"(?<![a-z0-9])cuda[-_.]?v?(\d{1,2})(?:\.(\d{1,2})|[-_](\d)(?![0-9.]))?(?![0-9])"
)
_SHORT = re.compile(r"(?<![a-z0-9])cu(?:da)?(\d{2,4})(?:\.(\d{1,2}))?(?![0-9])")
# 12.4.1-cudnn-devel-ubuntu22.04 of nvidia/cuda and of images whose tags follow it.
_LEADING = re.compile(r"(?<![0-9.])(\d{1,2})\.(\d{1,2})(?:\.\d{1,2})?(?![0-9.])")
_FLAVOR = re.compile(r"[0-9.]{4,8}-cudnn\d*(?![a-z0-9])")
# nvcr.io/nvidia/pytorch:24.05-py3 by NVIDIA's support matrix: from this release on, this CUDA.
_MONTHLY = (
    ("25.12", "13.1"), ("25.08", "13.0"), ("25.04", "12.9"), ("25.01", "12.8"), ("24.08", "12.6"),
    ("24.06", "12.5"), ("24.03", "12.4"), ("23.11", "12.3"), ("23.08", "12.2"), ("23.03", "12.1"),
    ("22.12", "11.8"),
)  # fmt: skip
_MONTH = re.compile(r"(\d\d\.\d\d)(?:-[a-z0-9.]+)*-py3(?![a-z0-9])")


def parse(text: str) -> str | None:
    """`text` as major.minor: "12.8.1", "CUDA 12.8", "cu128", a bare "12"; None: no version."""
    word = " ".join(text.split()).casefold()
    if packed := _PACKED.fullmatch(word):
        return _unpacked(packed[1], None)
    found = _VERSION.fullmatch(word)
    return _joined(found[1], found[2] or "0") if found else None


def of_image(image: str) -> str | None:
    """The CUDA version in an image's name; None when it has none."""
    name, tag = _parts(image)
    if found := _NAMED.search(tag) or _NAMED.search(name):
        return _joined(found[1], found[2] or found[3] or "0")
    if found := _SHORT.search(tag) or _SHORT.search(name):
        return _unpacked(found[1], found[2])
    base = name.rpartition("/")[2]
    if name.startswith("nvcr.io/nvidia/") and (found := _MONTH.match(tag)):
        return next((cuda for since, cuda in _MONTHLY if found[1] >= since), None)
    if "cuda" in base or _FLAVOR.match(tag):
        found = _LEADING.search(tag)
        version = _joined(found[1], found[2]) if found else None
        # Elsewhere the number may be the image's own version.
        return version if version and (base == "cuda" or _plausible(version)) else None
    return None


def floor(wanted: str | None, image: str) -> str | None:
    """The CUDA version that a host must support: `wanted` (min_cuda), else the image's."""
    if wanted is None:
        return of_image(image)
    if wanted.strip().casefold() == ANY:
        return None
    return parse(wanted) or wanted


def order(version: str) -> tuple[int, ...]:
    """A sort key: 12.11 is above 12.2, and anything but a version is below all versions."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def released(version: str) -> bool:
    """Whether NVIDIA can have released it: 12.12 not, because 12 ended with 12.9."""
    return order(version)[0] > max(LAST_MINOR) or _complete(version)


def _plausible(version: str) -> bool:
    """Whether it belongs to a complete major version or to the next one."""
    return _complete(version) or order(version)[0] == max(LAST_MINOR) + 1


def _complete(version: str) -> bool:
    major, minor = (*order(version), 0)[:2]
    return minor <= LAST_MINOR.get(major, -1)


def _parts(image: str) -> tuple[str, str]:
    """Name and tag in lower case, without a digest: a registry's port is no tag."""
    text = image.strip().casefold().partition("@")[0]
    head, colon, tag = text.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (text, "")


def _unpacked(digits: str, minor: str | None) -> str | None:
    """cu121 is 12.1, cu1290 and cu1281 are 12.9 and 12.8, cu92 is 9.2, cu12 is 12."""
    if minor is not None:
        return _joined(digits, minor)
    if len(digits) == 2:
        return _joined(digits, "0") if digits < "20" else _joined(digits[0], digits[1])
    return _joined(digits[:2], digits[2])


def _joined(major: str, minor: str) -> str | None:
    """None for what is another number: CUDA's major versions in use are 9 and more."""
    return f"{int(major)}.{int(minor)}" if 9 <= int(major) < 30 else None
