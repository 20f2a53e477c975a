"""What a user can do about an environment that could not be made on a pod. Pure."""

from __future__ import annotations

import re

MARK = "(environment: "  # in the reason of a run that ended so
_LOCK_AGAIN = "uv pip compile --generate-hashes locks again"
# The first that fits what pip or uv said; a certificate's failure is one of a connection, too.
_REMEDIES = (
    (
        r"certificate|UnknownIssuer|SSLError",
        "set SSL_CERT_FILE on this machine to the file with its authority: podctl sends it along",
    ),
    (
        r"\b40[13]\b|unauthorized|forbidden|credentials",
        "the index requires a login: export UV_DEFAULT_INDEX or UV_INDEX with one",
    ),
    (
        r"hash mismatch|hashes? (?:are|is) required|DO NOT MATCH|require-hashes",
        f"the index has another file than the lock says; {_LOCK_AGAIN}, if that is meant",
    ),
    (
        r"python abi tag|matching platform|matching python|requires-python|"
        r"no wheels|requires a different python|does not satisfy python",
        "lock for the Python of the image (--python-version), or take another pod.image",
    ),
    (
        r"failed to build|build backend|subprocess-exited|could not build|getting requirements",
        "the log has the build's full output; a wheel needs no build",
    ),
    (r"no space left|disk quota", "a larger volume: hardware.volume_gb, or disk_gb on a CPU pod"),
    (
        r"connect|timed out|timeout|dns|name resolution|error sending request|unreachable|proxy",
        "the pod does not reach the index or proxy: podctl plan names those of this machine, "
        "environment.settings = false installs without them",
    ),
    (
        r"not found in the package registry|no version of|no matching distribution|"
        r"could not find a version|no solution|\b404\b",
        "check name and version; an index of your own is named by UV_INDEX or [tool.uv] here",
    ),
    (r"not handed over", "podctl sync hands it over"),
    (r"not ready within", "podctl run tries again, and what was fetched is kept on a volume"),
)


def remedy(why: str) -> str:
    """For the reason that a run ended with; empty where it is no environment's."""
    _, found, said = why.partition(MARK)
    if not found:
        return ""
    fitting = (text for words, text in _REMEDIES if re.search(words, said, re.IGNORECASE))
    return next(fitting, "change [stages.….environment]")
