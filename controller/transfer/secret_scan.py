"""Detects files that are, or contain, secrets, by file name and by content.

Findings give file, line and kind, never the value.
"""

from __future__ import annotations

import codecs
import fnmatch
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from state.secret_kinds import BEGIN_KEY, KINDS, PRIVATE_KEY, Kind

MAX_BYTES = 8 * 1024 * 1024  # larger files are not searched
MAX_FINDINGS = 20  # of one file
# Names of files that contain keys, by purpose; `a/b` matches the folder too.
NAMES: dict[str, tuple[str, ...]] = {
    "an environment file": (".env", ".env.*", "*.env", ".envrc", ".flaskenv"),
    PRIVATE_KEY: (
        *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.pkcs12", "*.p8"),
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"),
        *("*.kdb", "*.kdbx", "*.ovpn", "*.agekey", "identity.age"),
    ),
    "a file of credentials": (
        *("credentials", "credentials.*", "credentials-*", "credentials_*", "*.credentials"),
        *("*_credentials.*", "*-credentials.*", "client_secret*", "client-secret*"),
        *("service-account*.json", "service_account*.json", "serviceaccount*.json"),
        *(".netrc", "_netrc", ".git-credentials", ".pypirc", ".npmrc", ".pgpass", ".my.cnf"),
        *(".htpasswd", ".s3cfg", ".boto", "rclone.conf", ".vault-token", ".terraformrc"),
        *("terraform.rc", ".databrickscfg", ".dockercfg", ".docker/config.json", "kaggle.json"),
        *("kaggle/access_token", ".runpod/config.toml", "huggingface/token", "stored_tokens"),
        *(".huggingface/token", "hf_token", "hf_token.*", ".hf_token", "wandb_api_key*"),
        *(".modal.toml", ".snowsql/config", ".cargo/credentials.toml", ".ngrok2/ngrok.yml"),
        *("api_key", "api_key.txt", "api-key.txt", "apikey.txt", "api_keys.*", "*.token"),
    ),
    "a Kubernetes configuration": ("kubeconfig", "kubeconfig.*", "*.kubeconfig", ".kube/config"),
    "Terraform's values or state": (
        *("*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.backup", "*.tfstate.*.backup"),
    ),
    "a file of secrets": (
        *("secrets", "secret", ".secret", ".secrets", "*.secret", "*.secrets"),
        *(f"{stem}.{end}" for stem in ("secret", "secrets", "*.secrets", "*-secrets", "*_secrets")
          for end in ("toml", "yaml", "yml", "json", "ini", "cfg", "conf", "txt", "properties")),
    ),
}  # fmt: skip
# Names that are not suspicious; the content of such files is searched like any other.
HARMLESS = re.compile(
    r"(^|[._-])(example|sample|template|dist|defaults?|tmpl)([._-]|$)|\.pub$"
    r"|^[^.].*\.(py|pyi|ipynb|md|rst|html|js|ts|go|rs|c|h|cpp|java)$"
)
ALLOWED = re.compile(rb"pragma: ?allowlist[ -]secret|gitleaks:allow|nosecret\b")
# A line of an environment file, YAML or INI that assigns a value to a variable with such a name.
_SECRET_WORDS = (
    *(b"api_key", b"apikey", b"access_key", b"accesskey", b"secret", b"auth_token", b"_token"),
    *(b"password", b"passwd"),
)
_ASSIGNED = re.compile(
    rb"[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]*|env[ \t]+)?[\"']?"
    rb"([a-z0-9_.-]*(?:api_?key|access_?key|secret_?key|auth_token|_token|password|passwd|secret))"
    rb"[\"']?[ \t]*[:=][ \t]*[\"']?([a-z0-9_+/=.~-]{20,})[\"']?,?[ \t]*\r?",
    re.IGNORECASE,
)
# The same within a line of code or JSON, where quotes delimit the value.
_QUOTED = re.compile(
    rb"([a-z0-9_.-]*(?:api_?key|access_?key|secret_?key|auth_token|_token|password|passwd|secret))"
    rb"[\"']?\s*[:=]\s*[\"']([a-z0-9_+/=.~-]{20,})[\"']",
    re.IGNORECASE,
)
# Most names that end in `_token` are of a model's vocabulary (pad_token), not of a service.
_SERVICE_TOKEN = re.compile(
    rb"(?:^|_)(?:access|api|auth|bearer|bot|ci|client|comet|deploy|git(?:hub|lab)|hf|hub|neptune|npm"
    rb"|personal|pypi|refresh|secret|service|session|slack|user|wandb)_?token$",
    re.IGNORECASE,
)
MAX_LINE = 400  # bytes of a line that assigns a value
# Kinds without a typical prefix: required text, and an expression, which begins with plain letters
# where possible to keep the search fast.
_OTHERS: tuple[tuple[str, tuple[bytes, ...], re.Pattern[bytes]], ...] = tuple(
    (name, tuple(needed.split()), re.compile(expression))
    for name, needed, expression in (
        (PRIVATE_KEY, b"PRIVATE -----BEGIN", BEGIN_KEY.encode()),
        (PRIVATE_KEY, b"PuTTY-User-Key", BEGIN_KEY.encode()),
        ("an AWS key", b"aws_secret", rb"aws_secret_access_key\W{1,5}[A-Za-z0-9/+]{40}"),
        ("an AWS key", b"AWS_SECRET", rb"AWS_SECRET_ACCESS_KEY\W{1,5}[A-Za-z0-9/+]{40}"),
        ("a W&B key", b"wandb", rb"wandb\W[^\n]{0,60}\b[0-9a-f]{40}\b"),
        ("a W&B key", b"WANDB_API_KEY", rb"WANDB_API_KEY\W{1,6}[0-9a-f]{40}\b"),
        ("a Kaggle key", b'"username"', rb'"username"[^{}]{1,200}"key"\s*:\s*"[0-9a-f]{32}"'),
        ("a Kaggle key", b"KAGGLE_KEY", rb"KAGGLE_KEY\W{1,6}[0-9a-f]{32}\b"),
        (
            "a password of a .netrc",
            b"machine login password",
            rb"machine(?<![^\n]machine)\s+\S+\s+login\s+\S+\s+password\s+\S{6,}",
        ),
        ("an npm token", b"_auth", rb"_auth(?:Token)?\s*=\s*[A-Za-z0-9+/=_-]{16,}"),
        ("a Docker login", b'"auth"', rb'"auth"\s*:\s*"[A-Za-z0-9+/=]{12,}"'),
        ("a Kubernetes key", b"client-key-data", rb"client-key-data\W{1,4}[A-Za-z0-9+/=]{40,}"),
        ("a token", b"token: eyJ", rb"token:\s*[\"']?eyJ[A-Za-z0-9_.-]{40,}"),
        ("an Azure key", b"AccountKey", rb"AccountKey=[A-Za-z0-9+/]{80,}=*"),
        ("a Telegram token", b":AA", rb":AA(?<=\d{8}:AA)[A-Za-z0-9_-]{33}\b"),
        (
            "a password in an address",
            b":// @",
            rb"://(?<=[a-z]://)[^\s/:@\"'<>{}$]{1,64}:(?!\*|x+@|pass(?:word)?@|secret@)"
            rb"[^\s/:@\"'<>{}$]{6,}@[\w.-]+",
        ),
    )
)


@dataclass(frozen=True)
class Suspicion:
    """A file that looks like a secret. `line` is 0 if its name is suspicious, not its content."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        location = f"{self.path}, line {self.line}" if self.line else self.path
        return f"{location} looks like {self.kind}"


def by_name(path: str) -> Suspicion | None:
    """A suspicion if the file name is typical of files with secrets, else None."""
    parts = path.casefold().split("/")
    name = parts[-1]
    if HARMLESS.search(name):
        return None
    folder_and_name = "/".join(parts[-2:])
    for kind, patterns in NAMES.items():
        for pattern in patterns:
            if fnmatch.fnmatchcase(folder_and_name if "/" in pattern else name, pattern):
                return Suspicion(path, 0, f"{kind}, by its name")
    return None


def by_content(path: str, data: bytes) -> list[Suspicion]:
    """Suspicions about the content, one for each line and kind. UTF-16 and UTF-32 are decoded."""
    data = _as_utf8(data)
    suspicions: dict[tuple[int, str], Suspicion] = {}
    for kind, offset in _matches(data):
        line = data.count(b"\n", 0, offset) + 1
        if not ALLOWED.search(_line_at(data, offset)):
            suspicions.setdefault((line, kind), Suspicion(path, line, kind))
        if len(suspicions) > MAX_FINDINGS:
            break
    return [suspicions[key] for key in sorted(suspicions)]


def _matches(data: bytes) -> Iterator[tuple[str, int]]:
    """Kind and offset of everything that looks like a secret."""
    for kind in KINDS:
        if kind.start.encode() in data:
            for match in _expression(kind).finditer(data):
                if not _blank(match[0][len(kind.start) :]):
                    yield kind.name, match.start()
    for name, needed, expression in _OTHERS:
        if all(part in data for part in needed):
            yield from ((name, match.start()) for match in expression.finditer(data))
    yield from (("a value of a key or password", offset) for offset in _assigned(data))


def _assigned(data: bytes) -> Iterator[int]:
    lower = data.lower()
    for word in _SECRET_WORDS:
        offset = lower.find(word)
        while offset >= 0:
            line = _line_at(data, offset)
            if len(line) <= MAX_LINE:
                matches = [_ASSIGNED.fullmatch(line), *_QUOTED.finditer(line)]
                if any(match and _of_service(match[1]) and _random(match[2]) for match in matches):
                    yield offset
            end = data.find(b"\n", offset)
            offset = lower.find(word, end) if end >= 0 else -1


def _of_service(name: bytes) -> bool:
    word = name.lower().endswith(b"_token") and not name.isupper()
    return not word or _SERVICE_TOKEN.search(name) is not None


def _blank(value: bytes) -> bool:
    """Whether the value is a placeholder, as used in documentation."""
    return len(set(value)) < 2 and value[:1] in b"xX*.0_-" and len(value) < 40


def _random(value: bytes) -> bool:
    """Whether the value looks random: letters and digits with high entropy, and no word, path,
    version or placeholder."""
    if not re.search(rb"\d", value) or not re.search(rb"[A-Za-z]", value) or value[:1] in b"/.~":
        return False
    if re.search(rb"(?i)example|your|change|placeholder|dummy|xxxx|1234567890abc", value):
        return False
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts) > 3.2


@cache
def _expression(kind: Kind) -> re.Pattern[bytes]:
    start = re.escape(kind.start.encode())
    return re.compile(start + rb"(?<![A-Za-z0-9_]" + start + rb")" + kind.text.encode())


def _line_at(data: bytes, offset: int) -> bytes:
    start = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    return data[start : len(data) if end < 0 else end]


def _as_utf8(data: bytes) -> bytes:
    """UTF-16 and UTF-32, with or without a byte order mark, converted to UTF-8; else `data`."""
    head = data[:512]
    encoding = ""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encoding = "utf-32"
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif head.count(0) > len(head) // 3:
        odd, even = head[1::2].count(0), head[::2].count(0)
        encoding = "utf-16-le" if odd > 4 * even else "utf-16-be" if even > 4 * odd else ""
    return data.decode(encoding, "replace").encode("utf-8", "replace") if encoding else data
