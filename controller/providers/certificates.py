"""Trusted certificates, also when environment variables name files that do not exist."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

BUNDLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)  # additional authorities, for example of a company's proxy
FILES = ("SSL_CERT_FILE", "SSL_CERT_DIR", *BUNDLES)
KEY_LOG = "SSLKEYLOGFILE"


def forget_key_log(environ: MutableMapping[str, str]) -> None:
    """Prevent TLS session keys from being written: they would reveal the API key in captured
    traffic.

    Libraries open the file on import, and fail if it cannot be written.
    """
    environ.pop(KEY_LOG, None)


def context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """An SSL context with the system's certificate authorities, or certifi's if there are none."""
    import ssl  # 10 ms, which no command spends that asks nobody

    ssl_context = ssl.create_default_context()
    for name in BUNDLES:
        with contextlib.suppress(OSError):  # doctor reports a missing file
            if path := environ.get(name):
                ssl_context.load_verify_locations(path)
    if not ssl_context.cert_store_stats()["x509_ca"]:
        import certifi

        ssl_context.load_verify_locations(certifi.where())
    return ssl_context


def unreadable(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables that name a file or folder which cannot be read."""
    return tuple(
        name for name in FILES if environ.get(name) and not os.access(environ[name], os.R_OK)
    )
