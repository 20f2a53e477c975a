"""Bundles the certificate authorities that this machine trusts by file, for use on a pod."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_MAX_BYTES = 8 * 1024 * 1024  # bytes of one file
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)


def named(environ: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, Path]:
    """Maps each source (an environment variable, or a key of `extra`) to its certificate file."""
    paths = {name: environ[name] for name in FILES if environ.get(name)} | dict(extra)
    return {name: Path(path).expanduser() for name, path in paths.items()}


def bundle(files: Mapping[str, Path]) -> tuple[str, tuple[str, ...]]:
    """Returns the certificates of all files and of certifi as PEM text, and the sources that
    contained any. Both are empty when no file has a certificate."""
    import certifi

    blocks: dict[bytes, None] = {}
    sources = []
    for source, path in files.items():
        if certificates := _certificates(path):
            sources.append(source)
            blocks |= dict.fromkeys(certificates)
    if not blocks:
        return "", ()
    blocks |= dict.fromkeys(_certificates(Path(certifi.where())))
    return "\n".join(block.decode("ascii") for block in blocks) + "\n", tuple(sources)


def _certificates(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError:
        return []
    return [re.sub(rb"\s*\n\s*", b"\n", certificate) for certificate in _CERTIFICATE.findall(data)]
