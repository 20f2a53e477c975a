"""Detects the markup of chat templates, which a base model must not learn."""

from __future__ import annotations

import re

_TEMPLATE = re.compile(
    r"<\|[a-z0-9_]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\A\s*<s>|</s>\s*\Z"
    r"|^[ \t]*(?:system|user|human|assistant): ?$"
    r"|^[ \t]*### ?(?:instruction|response|human|assistant):",
    re.IGNORECASE | re.MULTILINE,
)


def template_text(text: str) -> str | None:
    """The first markup of a chat template in `text`, or None."""
    match = _TEMPLATE.search(text)
    return match[0] if match else None
