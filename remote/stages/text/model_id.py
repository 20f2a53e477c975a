"""Checks model ids by the rule of the Hugging Face hub, without a request."""

from __future__ import annotations

import re

SMALL = "small"  # the model that comes with podctl
SMOLLM2 = "smollm2"  # a real one of 135 million weights, from the package index
NOT_OF_HUB = (SMALL, SMOLLM2)
_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LONGEST = 96


def problem_of(name: str) -> str:
    """Why `name` cannot be a model id of the hub; empty where it can."""
    if name != name.strip() or not name:
        return "is empty" if not name.strip() else "has spaces around it"
    if "://" in name:
        return "is an address: only what follows the hub's name is the id, like Qwen/Qwen2.5-32B"
    if name.startswith((".", "/", "~")):
        return "is the path of a folder that is not in the project"
    parts = name.split("/")
    if len(parts) > 2:
        return "has more than one slash: an id is NAME or OWNER/NAME"
    if not all(_PART.fullmatch(part) for part in parts) or "--" in name or ".." in name:
        return (
            "must be of letters, digits, - _ and . only, begin and end with a letter or digit, "
            "and have no -- and no .. in it"
        )
    if len(parts[-1]) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    return "ends with .git, which no id does" if name.endswith(".git") else ""
