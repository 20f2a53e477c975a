"""What keys and tokens look like: one list, for what is never shown and what is never sent.

A kind's `start` is what its values begin with: it is searched for before the expression is, and it
stays to be seen when the rest is hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Kind:
    """`text` matches a whole value after its `start`; `shown` a shorter one, to be hidden."""

    name: str
    start: str
    text: str
    shown: str = ""

    @property
    def hidden(self) -> str:
        return self.shown or self.text


def _kinds(name: str, starts: str, text: str, shown: str = "") -> tuple[Kind, ...]:
    return tuple(Kind(name, start, text, shown) for start in starts.split())


WORD = r"[A-Za-z0-9_-]"
KINDS: tuple[Kind, ...] = (
    *_kinds("a RunPod key", "rpa_ rps_", r"[A-Za-z0-9]{20,}", r"[A-Za-z0-9]{8,}"),
    # hf_hub_download is no token
    *_kinds("a Hugging Face token", "hf_ api_org_", r"[A-Za-z0-9]{30,}", r"[A-Za-z0-9]{20,}"),
    *_kinds("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{30,}", rf"{WORD}{{20,}}"),
    *_kinds("a GitHub token", "github_pat_", r"[A-Za-z0-9_]{22,}", rf"{WORD}{{20,}}"),
    *_kinds(
        "a GitLab token",
        "glpat- glptt- gldt- glrt- glcbt- glsoat- glimt- glft- glagent- GR1348941",
        rf"{WORD}{{20,}}",
    ),
    *_kinds("an Anthropic key", "sk-ant-", rf"{WORD}{{32,}}", rf"{WORD}{{20,}}"),
    *_kinds("an OpenAI key, or one of its form", "sk-", rf"{WORD}{{32,}}", rf"{WORD}{{20,}}"),
    *_kinds("an AWS key", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    *_kinds("a Slack token", "xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp-", r"[A-Za-z0-9-]{20,}"),
    *_kinds("a Slack webhook", "hooks.slack.com/services/", r"T[A-Za-z0-9_/]{20,}"),
    *_kinds("a Discord webhook", "discord.com/api/webhooks/", rf"\d{{10,}}/{WORD}{{30,}}"),
    *_kinds("a W&B key", "wandb_v1_", rf"{WORD}{{20,}}"),
    *_kinds("a Kaggle token", "KGAT_", r"[A-Za-z0-9]{24,}"),
    *_kinds("an npm token", "npm_", r"[A-Za-z0-9]{36,}"),
    *_kinds("a PyPI token", "pypi-AgE", rf"{WORD}{{40,}}"),
    *_kinds("a Docker token", "dckr_pat_ dckr_oat_", rf"{WORD}{{20,}}"),
    *_kinds("a Google key", "AIza", rf"{WORD}{{35}}(?!{WORD})"),
    *_kinds("a Google secret", "GOCSPX- ya29.", rf"{WORD}{{24,}}"),
    *_kinds("a Groq key", "gsk_", r"[A-Za-z0-9]{40,}"),
    *_kinds("an xAI key", "xai-", r"[A-Za-z0-9]{60,}"),
    *_kinds("a Perplexity key", "pplx-", r"[A-Za-z0-9]{40,}"),
    *_kinds("a Replicate token", "r8_", r"[A-Za-z0-9]{37,}"),
    *_kinds("an NVIDIA key", "nvapi-", rf"{WORD}{{40,}}"),
    *_kinds("a Databricks token", "dapi", r"[0-9a-f]{32}(?![0-9a-f])"),
    *_kinds("a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
    *_kinds("a Stripe key", "sk_live_ rk_live_ sk_test_ rk_test_ whsec_", r"[A-Za-z0-9]{24,}"),
    *_kinds("a SendGrid key", "SG.", rf"{WORD}{{20,24}}\.{WORD}{{39,50}}"),
    *_kinds("a Vault token", "hvs. hvb. hvr.", rf"{WORD}{{24,}}"),
    *_kinds("a Tailscale key", "tskey-", rf"{WORD}{{20,}}"),
    *_kinds("a Linear key", "lin_api_", r"[A-Za-z0-9]{32,}"),
    *_kinds("a Notion token", "ntn_", r"[A-Za-z0-9]{40,}"),
    *_kinds("a signed token", "eyJ", rf"{WORD}{{10,}}\.eyJ{WORD}{{10,}}\.{WORD}{{16,}}"),
    *_kinds("an age key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{50,}"),
)
PRIVATE_KEY = "a private key"  # pragma: allowlist secret
BEGIN_KEY = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d"


BEARER = re.compile(r"\b(bearer)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_BEARER = re.compile(BEARER.pattern.encode(), re.IGNORECASE)


def hide(text: str, placeholder: str) -> str:
    """`text` with `word` in the place of what looks like a key; what kind it was stays."""
    for kind in KINDS:
        if kind.start in text:
            text = _hide(kind, text, placeholder)
    return BEARER.sub(lambda match: f"{match[1]} {placeholder}", text)


def _hide(kind: Kind, text: str, placeholder: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        if _within_word(text[match.start() - 1 : match.start()]):
            return kind.start + _hide(kind, match[0][len(kind.start) :], placeholder)
        return kind.start + placeholder

    return _expression(kind).sub(replaced, text)


def redact(data: bytes, mark: bytes) -> bytes:
    """`data` with as many marks in the place of what looks like a key."""
    for kind in KINDS:
        if kind.start.encode() in data:
            data = _blot(kind, data, mark)
    return _BEARER.sub(lambda match: mark * len(match[0]), data)


def _blot(kind: Kind, data: bytes, mark: bytes) -> bytes:
    start = kind.start.encode()

    def replaced(match: re.Match[bytes]) -> bytes:
        before = data[match.start() - 1 : match.start()].decode("latin-1")
        if _within_word(before):
            return start + _blot(kind, match[0][len(start) :], mark)
        return mark * len(match[0])

    return _raw_expression(kind).sub(replaced, data)


def _within_word(before: str) -> bool:
    return before.isalnum() or before == "_"


@cache
def _expression(kind: Kind) -> re.Pattern[str]:
    return re.compile(re.escape(kind.start) + kind.hidden)


@cache
def _raw_expression(kind: Kind) -> re.Pattern[bytes]:
    return re.compile((re.escape(kind.start) + kind.hidden).encode())
