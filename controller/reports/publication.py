"""Writes the pages of a run's figures, and names pages that the pod rendered itself.

A page certifies nothing; the lock does, with the hash of the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from controller.locks.certificate import Certificate
from controller.terminal.sanitize import clean_line
from jobs.format_check import InvalidFile, parse_json
from state.atomic_files import write_atomically

MAX_FIGURES = 32 * 1024 * 1024  # bytes of JSON that a page is made of
MAX_PAGE = 16 * 1024 * 1024  # characters
SHOWN = 3  # names in one line
RENDERED = (".html", ".htm", ".xhtml", ".mhtml", ".svg", ".md", ".pdf", ".ipynb")
_ODD = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError,
)  # fmt: skip

Maker = Callable[[Mapping[str, Any], str], str]
Aside = Callable[[str, bytes], None]  # what stands under this path and is something else moves


@dataclass(frozen=True)
class Source:
    """Figures among a run's files: their path and origin.

    `computed` are statistics of this machine, which stand in place of the pod's own.
    """

    path: str
    origin: str
    program: str  # of podctl's own, that wrote them
    computed: Mapping[str, Any] = field(default_factory=dict)


def rendered_by_pod(paths: Iterable[str]) -> tuple[str, ...]:
    """Files that a reader would take for podctl's or anybody's page, and that came from a pod."""
    return tuple(path for path in paths if PurePosixPath(path).suffix.lower() in RENDERED)


def rendered_line(rendered: Iterable[str]) -> str:
    """The message about pages that the pod rendered; empty without any."""
    names = [clean_line(path) for path in rendered]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = f"{', '.join(names[:SHOWN])}{more}"
    return f"rendered by the pod, not by podctl: {shown}" if names else ""


def locked(lock: Certificate, computed: Mapping[str, Any] | None = None) -> tuple[Source, ...]:
    """The figures that a lock certifies and pages are made of; `computed` are by report."""
    again = any(request.get("kind") == "rescored" for request in lock.asked)
    judged = (
        "The verdict on every answer was given again on this machine"
        if again
        else "The criteria of the stage were judged on this machine"
    )
    return tuple(
        _source(
            artifact.path,
            f"Rendered by podctl from {artifact.path}, sha256 {artifact.sha256[:12]}, which "
            f"{lock.stage} is locked with by run {lock.run}. {judged}",
            "; every other",
            _program(lock.command),
            computed or {},
        )
        for artifact in lock.artifacts
        if _makers(artifact.path, _program(lock.command))
    )


def unlocked(
    run: str,
    command: Sequence[str],
    paths: Iterable[str],
    computed: Mapping[str, Any] | None = None,
) -> tuple[Source, ...]:
    """The figures of a run that is not locked."""
    program = _program(command)
    return tuple(
        _source(
            path,
            f"Rendered by podctl from {path} of run {run}, which is not locked",
            ": every",
            program,
            computed or {},
        )
        for path in paths
        if _makers(path, program)
    )


def _source(
    path: str, origin: str, claimed: str, program: str, computed: Mapping[str, Any]
) -> Source:
    """`claimed` says whose the figures are where nothing was computed here."""
    figures = computed.get(path)
    if not isinstance(figures, Mapping) or not figures:
        return Source(path, f"{origin}{claimed} figure is the pod's own word.", program)
    text = (
        f"{origin}; verdict, rates, intervals and tests were computed on this machine from the "
        "answers; training curves, settings, costs and times are the pod's own word."
    )
    return Source(path, text, program, figures)


def _program(command: Sequence[str]) -> str:
    return command[-1] if "-m" in command[:-1] else ""


def publish(
    root: Path, sources: Iterable[Source], kept_paths: Iterable[str], set_aside: Aside
) -> tuple[str, ...]:
    """Write the pages beside their figures below `root`; returns messages for the user.

    `kept_paths` are files that are not to be replaced: a pod's own, in a run of an earlier version.
    Nothing that the figures hold raises.
    """
    own, lines = set(kept_paths), []
    for source in sources:
        try:
            with (root / source.path).open("rb") as file:
                raw = file.read(MAX_FIGURES + 1)
        except OSError as error:
            lines.append(f"{source.path} cannot be read: {error.strerror or error}")
            continue
        for path, page in pages(source, raw).items():
            if path not in own:
                lines.append(_written(root, source, path, page, set_aside))
    return tuple(lines)


def pages(source: Source, raw: bytes) -> dict[str, bytes | str]:
    """By path each page that is made of the figures `raw`, or why it cannot be. Pure."""
    pages_of: dict[str, bytes | str] = {}
    for suffix, make in _makers(source.path, source.program).items():
        path = str(PurePosixPath(source.path).with_suffix(suffix))
        try:
            pages_of[path] = _page(raw, make, source)
        except _ODD as error:
            pages_of[path] = clean_line(f"{type(error).__name__}: {error}"[:1000])[:200]
    return pages_of


def _written(root: Path, source: Source, path: str, page: bytes | str, set_aside: Aside) -> str:
    if isinstance(page, str):
        return f"{path} is not written: {source.path} cannot be shown: {page}"
    try:
        set_aside(path, page)
        write_atomically(root / path, page, 0o644)
    except OSError as error:
        return f"{path} is not written: {error.strerror or error}"
    return f"{path} is rendered from {source.path}"


def _page(raw: bytes, make: Maker, source: Source) -> bytes:
    if len(raw) > MAX_FIGURES:
        raise InvalidFile(f"over {MAX_FIGURES} bytes")
    report = parse_json(raw)
    if not isinstance(report, dict):
        raise InvalidFile("no JSON object")
    page = make({**report, **source.computed}, source.origin)
    if len(page) > MAX_PAGE:
        raise InvalidFile(f"a page of over {MAX_PAGE} characters")
    return page.encode("utf-8", "replace")


def _html(report: Mapping[str, Any], origin: str) -> str:
    from controller.reports.figures import figures
    from controller.reports.html_page import page

    return page(report, figures(report), origin)


def _markdown(report: Mapping[str, Any], origin: str) -> str:
    from controller.reports.markdown_page import text

    return text(report, origin)


def _quality(report: Mapping[str, Any], origin: str) -> str:
    from controller.reports.quality_page import render

    return render(report, origin)


_MAKERS: dict[tuple[str, str], dict[str, Maker]] = {  # of a program's file
    ("remote.stages.evaluate", "stage1_report.json"): {".html": _html, ".md": _markdown},
    ("remote.stages.generate", "data_quality.json"): {".md": _quality},
}


def _makers(path: str, program: str) -> dict[str, Maker]:
    return _MAKERS.get((program, PurePosixPath(path).name), {})
