"""Reads training data in the common forms, as records of instruction and response.

    {"instruction", "response"}        stage1b's own; `completion` may stand for `response`
    {"prompt", "completion"}           texts, or lists of one message each
    {"instruction", "input", "output"} alpaca
    {"messages": [user, assistant]}    a chat of two; `conversations` (from, value) likewise

One object a line, or one JSON array of them; UTF-8, with or without a byte order mark. Standard
library only: what is accepted where the data lies is accepted on the pod.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.jsonl import MAX_LINE, parsed, text_of
from ..common.training_record import TrainingRecord
from .conversation import ASSISTANT, USER, content_of, conversation

OWN = "instruction and response"  # what needs no conversion, like the next
PLAIN = "prompt and completion"
ALPACA = "instruction, input and output"
CHAT = "chat messages"
CHAT_PAIR = "prompt and completion as message lists"

CONVERSATION = "conversation"  # the field of a converted record that has all messages

MAX_ARRAY = 512 * 1024 * 1024  # bytes of a file that is one JSON array
_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_BINARY = {b"PK\x03\x04": "a zip file", b"\x1f\x8b": "compressed by gzip", b"PAR1": "Parquet"}
_SPACE = re.compile(r"[ \t\r\n]*")
_FORMS = (
    f"a record has {OWN}, {PLAIN} (texts, or lists of one message), {ALPACA}, or two chat messages"
)


def read_training(path: Path, remedy: str, *, chat: bool = False) -> Iterator[TrainingRecord]:
    """Each record of the file at `path`, converted where it is of another form.

    With `chat` a conversation may have any number of messages, which are its CONVERSATION then.
    Raises: StageError for a missing file or one without a record (with `remedy`), and for whatever
    is no record of a form that is known.
    """
    for record, _ in _read(path, remedy, chat):
        yield record


def count_conversions(path: Path, remedy: str, *, chat: bool = False) -> dict[str, int]:
    """The number of converted records in `path`, by form. Raises: StageError."""
    forms = Counter(form for _, form in _read(path, remedy, chat))
    return {form: count for form, count in forms.items() if form not in (OWN, PLAIN)}


def describe_conversions(forms: dict[str, int]) -> str:
    """The counts in words; empty where nothing was converted."""
    return ", ".join(f"{count} records converted from {form}" for form, count in forms.items())


def _read(path: Path, remedy: str, chat: bool) -> Iterator[tuple[TrainingRecord, str]]:
    if not path.is_file():
        raise StageError(f"{path}: no such file", remedy=remedy)
    empty = True
    for where, record in _array(path) if _is_array(path) else _lines(path):
        empty = False
        form = _form(record, where)
        own = _conversation(record, form, where) if chat else _as_own(record, form, where)
        yield TrainingRecord(where, own), form
    if empty:
        raise StageError(f"{path}: no record in it", remedy=remedy)


# -- the file --------------------------------------------------------------------------------


def _is_array(path: Path) -> bool:
    """Whether the file begins with an array. Raises: StageError for a file that is not text."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    binary = head.startswith(tuple(_BINARY))
    if head.startswith(_WIDE) or (b"\0" in head[:200] and not binary):
        raise StageError(
            f"{path}, line 1: UTF-16 or UTF-32, and not UTF-8",
            remedy=f"iconv -f UTF-16 -t UTF-8 {path} > new, and put that in its place",
        )
    for start, what in _BINARY.items():
        if head.startswith(start):
            raise StageError(
                f"{path}, line 1: {what}, and not JSON Lines", remedy="write one JSON object a line"
            )
    first = head.removeprefix(_BOM).lstrip()
    # A line that is an array of something else is reported as that line.
    return first.startswith(b"[") and first[1:].lstrip()[:1] in (b"{", b"]", b"")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.removeprefix(_BOM) if number == 1 else raw
            if line.strip():
                where = f"{path}, line {number}"
                yield where, parsed(line, where)


def _array(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each element of the array, with the line on which it begins."""
    if path.stat().st_size > MAX_ARRAY:
        raise StageError(
            f"{path}: one JSON array over {MAX_ARRAY} bytes", remedy="write one JSON object a line"
        )
    text = _text(path)
    decoder = json.JSONDecoder()
    place = _skip(text, text.index("[") + 1)
    line, counted = 1, 0
    while text[place : place + 1] != "]":
        line, counted = line + text.count("\n", counted, place), place
        where = f"{path}, line {line}"
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise StageError(
                f"{where}: not JSON: {error}",
                remedy="correct the array, or write one object a line",
            ) from error
        if not isinstance(value, dict) or end - place > MAX_LINE:
            problem = "not an object" if not isinstance(value, dict) else f"over {MAX_LINE} letters"
            raise StageError(f"{where}: {problem}", remedy="an array of JSON objects")
        yield where, value
        place = _skip(text, end)
        if text[place : place + 1] == ",":
            place = _skip(text, place + 1)
        elif text[place : place + 1] != "]":
            raise StageError(
                f"{where}: the array is cut off or lacks a comma here",
                remedy="correct the array, or write one object a line",
            )
    if text[place + 1 :].strip():
        raise StageError(f"{path}: something stands after the array", remedy="remove it")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise StageError(
            f"{path}, line {line}: not UTF-8: {error.reason}", remedy="write the file as UTF-8"
        ) from error


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


# -- the record ------------------------------------------------------------------------------


def _form(record: dict[str, Any], where: str) -> str:
    """Which form the record has. Raises: StageError naming the keys that it has instead."""
    if "messages" in record or "conversations" in record:
        return CHAT
    if isinstance(record.get("prompt"), list) or isinstance(record.get("completion"), list):
        return CHAT_PAIR
    answered = "response" in record or "completion" in record
    if "output" in record and "instruction" in record and not answered:
        return ALPACA
    if record.get("instruction") is not None:
        return OWN
    if "prompt" in record or answered or record.get("chosen") is not None:
        return PLAIN
    keys = ", ".join(sorted(map(str, record))[:8]) or "nothing"
    raise StageError(f"{where}: a record of {keys}: its form is not known", remedy=_FORMS)


def _as_own(record: dict[str, Any], form: str, where: str) -> dict[str, Any]:
    """The record with `instruction` and `response`; its other fields are kept."""
    if form == ALPACA:
        question = text_of(record, "instruction", where).strip()
        more = record.get("input")
        if more is not None and not isinstance(more, str):
            raise StageError(f"{where}: input must be text", remedy='give it a text "input", or ""')
        instruction = f"{question}\n\n{more.strip()}" if more and more.strip() else question
        return _made(record, instruction, text_of(record, "output", where), "input", "output")
    if form == CHAT:
        name = "messages" if "messages" in record else "conversations"
        question, answer = _chat(record[name], where, name)
        return _made(record, question, answer, name)
    if form == CHAT_PAIR:
        both = [*_messages(record, "prompt", where), *_messages(record, "completion", where)]
        question, answer = _chat(both, where, "prompt and completion")
        return _made(record, question, answer, "prompt", "completion")
    if form == OWN and "response" not in record and "completion" in record:
        return record | {"response": record["completion"]}
    return record


def _conversation(record: dict[str, Any], form: str, where: str) -> dict[str, Any]:
    """Like `_as_own`, with all messages where there are more than a question and its answer."""
    if form not in (CHAT, CHAT_PAIR):
        return _as_own(record, form, where)
    names = [name for name in ("messages", "conversations", "prompt", "completion")
             if name in record]  # fmt: skip
    if form == CHAT:
        names = names[:1]
        said = record[names[0]]
    else:
        said = [*_messages(record, "prompt", where), *_messages(record, "completion", where)]
    messages = conversation(said, where, " and ".join(names))
    questions = [message["content"] for message in messages if message["role"] == "user"]
    if not questions:
        raise StageError(f"{where}: no message of a user", remedy=_FORMS)
    own = _made(record, "\n".join(questions), messages[-1]["content"], *names)
    return own | ({CONVERSATION: messages} if len(messages) != 2 else {})


def _made(record: dict[str, Any], instruction: str, answer: str, *taken: str) -> dict[str, Any]:
    rest = {name: value for name, value in record.items() if name not in taken}
    return rest | {"instruction": instruction, "response": answer}


def _messages(record: dict[str, Any], name: str, where: str) -> list[Any]:
    """The list at `name`; a text is a list of the one message that it means."""
    value = record.get(name)
    if isinstance(value, str):
        return [{"role": "user" if name == "prompt" else "assistant", "content": value}]
    if not isinstance(value, list):
        raise StageError(f"{where}: {name} is missing", remedy=_FORMS)
    return value


def _chat(messages: Any, where: str, name: str) -> tuple[str, str]:
    """The user's message and the assistant's answer. Raises: StageError."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise StageError(f"{where}: {name} must be a list of messages", remedy=_FORMS)
    roles = [str(message.get("role", message.get("from"))) for message in messages]
    if len(roles) != 2 or roles[0] not in USER or roles[1] not in ASSISTANT:
        raise StageError(
            f"{where}: {name} are of {', '.join(roles[:6]) or 'nobody'}: wanted are one of the "
            "user and one of the assistant",
            remedy="a base model has no roles: shorten the chat to one question and its answer",
        )
    question, answer = (content_of(message, where) for message in messages)
    return question, answer
