"""The parameters of an adapter (LoRA), which 1C chooses and 1D takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ALL_LINEAR = "all-linear"
LISTS = ("lora_targets",)  # parameters that may be written as a list of names
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


def joined(names: Sequence[Any]) -> str | None:
    """A list of names as one text with commas; None for anything else in the list."""
    if not names or not all(isinstance(name, str) and "," not in name for name in names):
        return None
    return ",".join(name.strip() for name in names)


def targets_of(text: str) -> str | list[str]:
    """`lora_targets` as peft takes it."""
    return text if text == ALL_LINEAR else [name.strip() for name in text.split(",")]


def problem_of_targets(text: str) -> str:
    """Why `text` cannot be `lora_targets`; empty where it can."""
    targets = targets_of(text)
    if isinstance(targets, str):
        return ""
    wrong = [name for name in targets if not _NAME.fullmatch(name)]
    if wrong:
        return f'must be "{ALL_LINEAR}" or names of layers such as ["q_proj", "v_proj"]'
    return "names a layer twice" if len(set(targets)) < len(targets) else ""


def differences(wanted: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """In words, where an adapter's configuration is not what a stage's parameters say.

    A parameter that is 0 or empty says nothing. Names of layers are compared as sets; all linear
    layers are what peft wrote down for them.
    """
    found = []
    for parameter, key in (("lora_rank", "r"), ("lora_alpha", "lora_alpha")):
        if wanted[parameter] and wanted[parameter] != config.get(key):
            found.append(f"{parameter} {wanted[parameter]}, it has {config.get(key)}")
    targets = targets_of(str(wanted["lora_targets"]))
    if isinstance(targets, list) and targets != [""]:
        has = config.get("target_modules")
        named = sorted(map(str, has)) if isinstance(has, list) else [str(has)]
        if sorted(targets) != named:
            found.append(f"lora_targets {', '.join(sorted(targets))}, it has {', '.join(named)}")
    return found
