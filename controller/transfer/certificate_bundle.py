"""The certificate authorities that this machine trusts by a file, as a bundle for a pod."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_MOST = 8 * 1024 * 1024  # bytes of one file
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)


def named(environ: Mapping[str, str], more: Mapping[str, str]) -> dict[str, Path]:
    """Source to file: of the variables, and of `more`, such as a file of pip's."""
    found = {name: environ[name] for name in FILES if environ.get(name)} | dict(more)
    return {name: Path(path).expanduser() for name, path in found.items()}


def bundle(files: Mapping[str, Path]) -> tuple[str, tuple[str, ...]]:
    """The certificates of all files, and nothing else that stands in them, with the public ones;
    and the sources that have any. Empty where there is none."""
    import certifi

    blocks: dict[bytes, None] = {}
    sources = []
    for source, path in files.items():
        if own := _certificates(path):
            sources.append(source)
            blocks |= dict.fromkeys(own)
    if not blocks:
        return "", ()
    blocks |= dict.fromkeys(_certificates(Path(certifi.where())))
    return "\n".join(block.decode("ascii") for block in blocks) + "\n", tuple(sources)


def _certificates(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST)
    except OSError:
        return []
    return [re.sub(rb"\s*\n\s*", b"\n", certificate) for certificate in _CERTIFICATE.findall(data)]
