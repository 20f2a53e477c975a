"""The text of chat templates: a base model has no roles, and must not learn any from markup."""

from __future__ import annotations

import re

_TEMPLATE = re.compile(
    r"<\|[a-z0-9_]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\A\s*<s>|</s>\s*\Z"
    r"|^[ \t]*(?:system|user|human|assistant): ?$"
    r"|^[ \t]*### ?(?:instruction|response|human|assistant):",
    re.IGNORECASE | re.MULTILINE,
)


def template_text(text: str) -> str | None:
    """What in `text` is markup of a chat template, whether or not the tokenizer knows it."""
    match = _TEMPLATE.search(text)
    return match[0] if match else None
