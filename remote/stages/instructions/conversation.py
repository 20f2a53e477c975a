"""Reads the messages of one conversation: of any length, with the roles that templates know."""

from __future__ import annotations

from typing import Any

from ..common.failure import StageError
from ..common.jsonl import text_of

USER, ASSISTANT = ("user", "human"), ("assistant", "gpt", "model", "chatgpt", "bot")
SYSTEM = ("system", "developer")
_ROLES = {"user": USER, "assistant": ASSISTANT, "system": SYSTEM}


def conversation(messages: Any, where: str, name: str) -> list[dict[str, str]]:
    """The messages with role (system, user or assistant) and content; the last is an answer.

    Raises: StageError for another role, an answer without a question, or none at the end.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise StageError(f"{where}: {name} must be a list of messages", remedy=_REMEDY)
    read = [
        {"role": _role(message, where), "content": content_of(message, where)}
        for message in messages
    ]
    roles = [message["role"] for message in read]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise StageError(
            f"{where}: {name} are of {', '.join(roles[:6]) or 'nobody'}: wanted are user and "
            "assistant in turn, after a system message or none",
            remedy=_REMEDY,
        )
    return read


_REMEDY = "begin with the user's message (or a system message), and end with the assistant's"


def role_of(message: dict[str, Any]) -> str:
    """The role as the record has it."""
    return str(message.get("role", message.get("from")))


def _role(message: dict[str, Any], where: str) -> str:
    role = role_of(message)
    known = next((name for name, names in _ROLES.items() if role in names), None)
    if known is None:
        raise StageError(f"{where}: a message of {role!r}: its role is not known", remedy=_REMEDY)
    return known


def content_of(message: dict[str, Any], where: str) -> str:
    """The text of a message. Raises: StageError where it has none."""
    value = message.get("content", message.get("value"))
    if isinstance(value, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in value
    ):
        value = "".join(part["text"] for part in value)
    name = f"content of the {role_of(message)}"
    return text_of({name: value}, name, where)
