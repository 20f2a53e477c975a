"""The name of a container image, as a registry takes it. Pure."""

from __future__ import annotations

import re

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REFERENCE = re.compile(
    rf"{_PART}(?::[0-9]+(?=/))?(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@[a-z0-9]+:[0-9a-fA-F]{32,})?"
)


def checked(image: str) -> str:
    """`image`. Raises: ValueError where no registry can have an image of this name."""
    if not _REFERENCE.fullmatch(image):
        raise ValueError('is no name of an image; one looks like "runpod/pytorch:1.0.3"')
    return image
