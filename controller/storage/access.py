"""Where a volume's storage API is, and the key pair for it. Pure but for the environment.

endpoint  RUNPOD_S3_ENDPOINT_URL, in which {data_center} is replaced; else RunPod's own, of the
          volume's data center; for the emulator its own
key       RUNPOD_S3_ACCESS_KEY and RUNPOD_S3_SECRET_KEY (or …_FILE: a private file); the
          emulator's follows from its API key. Other providers' AWS_* variables are never used
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.credentials.key_file import read_key
from controller.credentials.secret import Secret
from controller.errors import Refused, UsageError

# docs.runpod.io/storage/s3-api, November 2026
DATA_CENTERS = (
    "EU-CZ-1", "EU-RO-1", "EUR-IS-1", "EUR-NO-1", "US-CA-2", "US-GA-2", "US-IL-1", "US-KS-2",
    "US-MD-1", "US-MO-1", "US-MO-2", "US-NC-1", "US-NC-2", "US-NE-1", "US-WA-1",
)  # fmt: skip
ENDPOINT = "https://s3api-{data_center}.runpod.io"
ACCESS, SECRET, URL = "RUNPOD_S3_ACCESS_KEY", "RUNPOD_S3_SECRET_KEY", "RUNPOD_S3_ENDPOINT_URL"
MADE_UNDER = "S3 keys are made in the console under Settings > S3 API Keys"


@dataclass(frozen=True)
class StorageAccess:
    """One data center's storage API and the key pair for it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: Secret


def storage_access(data_center: str, environ: Mapping[str, str]) -> StorageAccess:
    """The storage API of a RunPod data center.

    Raises UsageError for a data center without one, Refused without a key pair.
    """
    template = environ.get(URL, ENDPOINT)
    if template == ENDPOINT and data_center not in DATA_CENTERS:
        raise UsageError(
            f"data center {data_center} has no storage API: files there need a pod",
            cause=f"it exists in {', '.join(DATA_CENTERS)}",
            hint="podctl ssh, or a volume in one of these data centers",
        )
    access, secret = _key(ACCESS, environ), _key(SECRET, environ)
    endpoint = template.replace("{data_center}", data_center.lower()).rstrip("/")
    return StorageAccess(endpoint, data_center, access.reveal(), secret)


def _key(name: str, environ: Mapping[str, str]) -> Secret:
    if value := environ.get(name, "").strip():
        return Secret(value)
    if path := environ.get(f"{name}_FILE"):
        return read_key(Path(os.path.expanduser(path)))
    raise Refused(
        f"no key for files on network volumes: {name} is not set",
        cause=f"the storage API has its own key pair, other than the API key; {MADE_UNDER}",
        hint=f"export {ACCESS}=user_… {SECRET}=rps_…",
    )
