"""The parts of `ssh-keygen` that the image needs, for machines without it.

Run as `python keygen.py make KIND PATH COMMENT` or `python keygen.py fingerprint PATH.pub`; a copy
of this file lies in every pod, so it imports nothing of podctl.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


def make(kind: str, path: str, comment: str) -> None:
    """Write a key pair of the kind "ed25519" or "ecdsa" in OpenSSH's formats."""
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(private)
    Path(path + ".pub").write_text(f"{public.decode()} {comment}\n")


def fingerprint(public: str) -> str:
    """The line that `ssh-keygen -lf` prints for a public key; both kinds have 256 bits."""
    algorithm, blob, comment = public.split(None, 2)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode()
    kind = "ED25519" if algorithm == "ssh-ed25519" else "ECDSA"
    return f"256 SHA256:{digest.rstrip('=')} {comment.strip()} ({kind})"


def main(arguments: list[str]) -> int:
    if arguments[0] == "make":
        make(*arguments[1:])
    else:
        sys.stdout.write(fingerprint(Path(arguments[1]).read_text()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
