"""Whose certificates are trusted, whatever the environment says about files that are not there."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Mapping, MutableMapping

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # more authorities, of a company's proxy perhaps
FILES = ("SSL_CERT_FILE", "SSL_CERT_DIR", *BUNDLES)
KEY_LOG = "SSLKEYLOGFILE"


def forget_key_log(environ: MutableMapping[str, str]) -> None:
    """TLS keys are written nowhere: with them the account's key could be read from the traffic.

    Libraries open the file as they are imported, and fail where it cannot be written.
    """
    environ.pop(KEY_LOG, None)


def context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """The system's certificate authorities; those of certifi where the system shows none."""
    found = ssl.create_default_context()
    for name in BUNDLES:
        with contextlib.suppress(OSError):  # doctor names a file that is not there
            if path := environ.get(name):
                found.load_verify_locations(path)
    if not found.cert_store_stats()["x509_ca"]:
        import certifi

        found.load_verify_locations(certifi.where())
    return found


def absent(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables that name a file or folder which cannot be read."""
    return tuple(
        name for name in FILES if environ.get(name) and not os.access(environ[name], os.R_OK)
    )
