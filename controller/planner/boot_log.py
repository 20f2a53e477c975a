"""Why a container does not start, and whether another host would help. Pure.

Reads the provider's system log. Its lines quote images, registries and drivers, so they are
untrusted: they are sanitised, and only used to end a wait early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from controller.terminal.sanitize import clean_line

MAX_LINE = 300  # characters of a line that are shown

# The image is at fault and fails on any host.
_IMAGE = re.compile(
    r"manifest unknown|manifest (?:for )?\S+ not found|no matching manifest|name unknown"
    r"|invalid reference format|repository name must be|could not parse (?:image )?reference"
    r"|pull access denied|repository does not exist|requested access to the resource is denied"
    r"|\bunauthorized\b|authentication required|no basic auth credentials|\b403 forbidden\b"
    r"|exec format error|executable file not found|unsupported media type",
    re.IGNORECASE,
)
# The host is at fault, or its driver is too old for the image, or its address pulled too much.
_HOST = re.compile(
    r"requirement error|unsatisfied condition|nvidia-container-(?:cli|runtime)|libnvidia-container"
    r"|error (?:creating|starting) container|failed to (?:create|start) (?:the )?(?:container|task)"
    r"|failed to create shim|oci runtime (?:create|exec) failed|error running (?:pre)?start hook"
    r"|no space left|disk quota exceeded|read-only file system|input/output error"
    r"|toomanyrequests|too many requests|pull rate limit"
    r"|could not select device driver|unknown runtime|driver/library version mismatch"
    r"|nvml:? |unresolvable cdi devices|no nvidia devices|failed to register layer"
    r"|layer does not exist|cannot connect to the docker daemon|error pulling image",
    re.IGNORECASE,
)
# Progress lines quote the image's name, which may contain anything.
_PROGRESS = re.compile(
    r"(?:create|start|pull)\w* (?:container|image)|still fetching", re.IGNORECASE
)
_TROUBLE = re.compile(r"\b(?:error|failed|denied|unknown|unsatisfied|not found)\b", re.IGNORECASE)
# After one of these the container did start, so earlier errors no longer count.
_STARTED = re.compile(
    r"\bstart container\b.*\bdone\b|\bcontainer (?:has )?started\b", re.IGNORECASE
)
_PULLED = re.compile(r"status: (?:downloaded newer image|image is up to date)", re.IGNORECASE)
_PULLING = re.compile(r"pull|manifest|unauthorized|toomanyrequests|register layer", re.IGNORECASE)


_DIGEST = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b", re.IGNORECASE)


def image_digest(lines: Iterable[str]) -> str:
    """The digest of the image by the newest pull; empty when the log has none."""
    found = [match[1] for line in lines if (match := _DIGEST.search(line[: 16 * MAX_LINE]))]
    return found[-1] if found else ""


@dataclass(frozen=True)
class BootFault:
    """The newest line that says why the container does not start."""

    line: str
    image: bool  # the image is at fault: another host would fail likewise


def fault(lines: Iterable[str]) -> BootFault | None:
    """The fault in a system log, oldest line first; None when nothing prevents the boot."""
    found: BootFault | None = None
    for line in lines:
        text = clean_line(line[: 16 * MAX_LINE])
        matches = _trouble(text)
        if matches:
            found = BootFault(_shown(text, matches[-1].start()), bool(_IMAGE.search(text)))
        elif found is not None and _resolved(found, text):
            found = None
    return found


def _trouble(line: str) -> tuple[re.Match[str], ...]:
    if _PROGRESS.match(line) and not _TROUBLE.search(line):
        return ()
    return (*_IMAGE.finditer(line),) or (*_HOST.finditer(line),)


def _resolved(found: BootFault, line: str) -> bool:
    pulled = _PULLED.search(line) and _PULLING.search(found.line)
    return bool(_STARTED.search(line) or pulled)


def _shown(line: str, where: int) -> str:
    """The part of a long line around `where`, where the reason starts."""
    if len(line) <= MAX_LINE:
        return line
    begin = max(0, min(where - MAX_LINE // 4, len(line) - MAX_LINE))
    cut = line[begin : begin + MAX_LINE]
    return ("… " if begin else "") + cut + ("…" if begin + MAX_LINE < len(line) else "")
