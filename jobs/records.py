"""Records of a file: JSON, one JSON document a line, CSV or TSV; each also as `.gz`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .file_formats import JSON_LINES, MAX_LINE, json_lines, parse_documents
from .format_check import MAX_JSON, InvalidFile

TABLES = {".csv": ",;\t", ".tsv": "\t"}  # suffix → what may divide its columns


def document(path: Path) -> Any:
    """The whole file as one value; lines and rows make a list. Raises InvalidFile, OSError."""
    kind = kind_of(path)
    if kind in JSON_LINES or kind in TABLES:
        values, size = [], 0
        for number, value in records(path):
            size += len(value) if isinstance(value, list | dict) else 1
            if number > MAX_JSON // 64 or size > MAX_JSON // 64:
                raise InvalidFile("too many records for one value: use a series or lines")
            values.append(value)
        return values
    return parse_documents(_read_document(path))


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, value) of each record; a row of a table is an object by its head's names.

    A JSON file that holds a list has its members as records.
    """
    kind = kind_of(path)
    if kind in TABLES:
        yield from _rows(path, TABLES[kind])
    elif kind in JSON_LINES:
        with _open(path) as stream:
            yield from json_lines(stream)
    else:
        value = parse_documents(_read_document(path))
        if not isinstance(value, list):
            raise InvalidFile("not a list, and not one JSON document a line")
        yield from enumerate(value, 1)


def kind_of(path: Path) -> str:
    """The suffix that says what is in it, below `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    from .containers import unpacked

    return io.BufferedReader(_Pieces(path.open("rb"), unpacked))


class _Pieces(io.RawIOBase):
    """A stream of what `unpack` gives of another one."""

    def __init__(self, source: BinaryIO, unpack: Any) -> None:
        self._source = source
        self._pieces = unpack(source)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = piece
        taken, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        self._source.close()
        super().close()


def _read_document(path: Path) -> bytes:
    with _open(path) as stream:
        raw = stream.read(MAX_JSON + 1)
    if len(raw) > MAX_JSON:
        raise InvalidFile(f"over {MAX_JSON} bytes of JSON")
    if not raw:
        raise InvalidFile("empty file")
    return raw


def _rows(path: Path, delimiters: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(path) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        try:
            head = text.readline(MAX_LINE)
            text_delimiter = max(delimiters, key=head.count)
            names = next(csv.reader([head], delimiter=text_delimiter), [])
            if not any(names):
                raise InvalidFile("a table without a head")
            lines = iter(lambda: text.readline(MAX_LINE), "")
            for number, row in enumerate(csv.reader(lines, delimiter=text_delimiter), 2):
                if row:
                    yield number, {n: _cell(v) for n, v in zip(names, row, strict=False)}
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidFile(f"not a table in UTF-8: {str(error)[:100]}") from error


def _cell(text: str) -> float | int | str | None:
    """A number where the text is one; nothing where it is empty."""
    text = text.strip()
    if not text:
        return None
    try:
        return int(text) if text.lstrip("+-").isdigit() and len(text) < 300 else float(text)
    except ValueError:
        return text
