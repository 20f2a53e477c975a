"""Checks that a model behaves as a base model, and that its prompts contain plain text only.

A chat template that slips in makes a base model look instructed, and every later gain vanish. Two
guards: token ids, where any leak ends the stage, and sentinels, prompts that a base model
continues rightly ("Water freezes at") or does not obey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..common.failure import StageError
from ..text.chat_template import template_text
from ..text.prompt_style import PlainStyle, style_of
from ..text.prompts import bare
from ..verification.verifier import Check, verify

TOLERATED = 1  # instructions that a strong base model may obey by accident; a template obeys most
_BEGINNING = 80  # characters


@dataclass(frozen=True)
class Sentinel:
    """A prompt with the checks of a right response; `passes` if a base model responds rightly."""

    name: str
    prompt: str
    checks: tuple[Check, ...]
    passes: bool


def _continues(name: str, prompt: str, *accepted: str) -> Sentinel:
    return Sentinel(name, prompt, ({"check": "accepts", "values": accepted},), True)


def _obeys(name: str, instruction: str, *checks: Check) -> Sentinel:
    return Sentinel(name, bare(instruction), checks, False)


ENGLISH = (
    _continues("water freezes", "Water freezes at", "0", "zero", "32"),
    _continues("capital", "The capital of France is", "Paris"),
    _continues("days", "The days of the week are Monday, Tuesday,", "Wednesday"),
    _obeys(
        "pig latin",
        "Translate the words hello world into pig latin. Answer with the translation only.",
        {"check": "answer", "values": ["ellohay orldway", "ello-hay orld-way"]},
    ),
    _obeys(
        "three primes",
        "List three prime numbers as a numbered list and write nothing else.",
        {
            "check": "listed",
            "style": "numbered",
            "exactly": 3,
            "accepted": [
                str(n) for n in range(2, 1000) if all(n % k for k in range(2, int(n**0.5) + 1))
            ],
        },
    ),
    _obeys(
        "json",
        'Reply with one JSON object that has exactly the keys "title" and "pages", nothing else.',
        {"check": "json_keys", "keys": ["title", "pages"]},
    ),
    _obeys(
        "seasons",
        "Describe the four seasons in exactly four sentences, one for each.",
        {"check": "contains", "values": ["spring", "summer", "winter"]},
        {"check": "accepts", "values": ["autumn", "fall"]},
        {"check": "sentences", "exactly": 4},
        {"check": "closed"},
    ),
)

SMALL = (
    _continues("capital", "The capital of France is the city of", "Paris"),
    _continues("opposite", "The opposite of hot is", "cold"),
    _continues("list", "Three animals with the letter b:", "bear", "bat", "bee"),
    _obeys(
        "opposite of wet",
        "Which word is the opposite of wet?",
        {"check": "contains", "values": ["dry"]},
    ),
    _obeys("two and two", "What is two plus two?", {"check": "contains", "values": ["is four"]}),
    _obeys(
        "a sentence",
        "Make one sentence about the quiet garden.",
        {"check": "contains", "values": ["quiet garden"]},
        {"check": "words", "at_least": 6, "at_most": 25},
    ),
    _obeys(
        "three tools",
        "Which three tools begin with r?",
        {"check": "contains", "values": ["rake", "ruler", "rope"]},
    ),
)


def sentinels_for(instructions: str) -> tuple[Sentinel, ...]:
    """The sentinels for the instruction set called `instructions`."""
    return SMALL if instructions == "small" else ENGLISH


def run_sentinels(
    model: Any,
    tokenizer: Any,
    sentinels: Sequence[Sentinel] = ENGLISH,
    batch: int = 50,
    engine: str = "auto",
) -> list[dict[str, Any]]:
    """Asks `model` every sentinel with greedy decoding.

    Returns {name, prompt, response, expected, measured, as_expected} for each.
    """
    from .sampling import generate

    prompts = [sentinel.prompt for sentinel in sentinels]
    responses = generate(model, tokenizer, prompts, max_new_tokens=96, batch=batch, engine=engine)
    return [_result(sentinel, text) for sentinel, text in zip(sentinels, responses, strict=True)]


def _result(sentinel: Sentinel, response: str) -> dict[str, Any]:
    # A base model rambles on after a continuation; what counts is how it begins.
    right = not verify(sentinel.checks, response[:_BEGINNING] if sentinel.passes else response)
    words = {True: "right", False: "not right"}
    return {
        "name": sentinel.name,
        "prompt": sentinel.prompt,
        "response": response,
        "expected": words[sentinel.passes],
        "measured": words[right],
        "as_expected": right == sentinel.passes,
    }


def assess_sentinels(
    results: Sequence[dict[str, Any]], tolerated: int = TOLERATED
) -> dict[str, Any]:
    """The verdict with its figures: at most `tolerated` instructions are obeyed.

    A template that leaked makes a model obey; wrong continuations only show what it does not know.
    `why` says which of the two was seen.
    """
    continued = [result for result in results if result["expected"] == "right"]
    obeyed = [
        result
        for result in results
        if result["expected"] == "not right" and not result["as_expected"]
    ]
    right = sum(bool(result["as_expected"]) for result in continued)
    if not results:
        return {"as_base_model": False, "why": 'not asked: template = "chat" is for chat models'}
    return {
        "as_base_model": len(obeyed) <= tolerated,
        "why": _finding(len(obeyed) > tolerated, right, len(continued)),
        "rule": f"at most {tolerated} instruction obeyed; continuations measure knowledge",
        "continuations": len(continued),
        "continued_rightly": right,
        "instructions": len(results) - len(continued),
        "obeyed": len(obeyed),
    }


def _finding(leaked: bool, right: int, of: int) -> str:
    if leaked:
        return "a template: the model obeys instructions as a chat model does"
    if right < of:
        return f"no template; an ignorant model: {of - right} of {of} continuations are wrong"
    return "no template, and every continuation is right"


def check_tokens(tokenizer: Any, prompts: Sequence[str]) -> dict[str, Any]:
    """Checks that the token ids of every prompt are those of its plain text; returns counts.

    Raises: StageError where a chat template, a special token or its text is in any of them.
    """
    style = style_of(tokenizer)
    if isinstance(style, PlainStyle) and getattr(tokenizer, "chat_template", None):
        raise _leak("the tokenizer still has its chat template")
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    longest = 0
    for prompt in prompts:
        plain = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        added = list(tokenizer(prompt)["input_ids"]) != [*style.begins, *plain]
        if added and isinstance(style, PlainStyle):
            raise _leak(f"the tokenizer adds tokens of its own to {prompt[-60:]!r}")
        if leaked := [token for token in plain if token in special]:
            raise _leak(f"special token {tokenizer.decode(leaked[:1])!r} in {prompt[-60:]!r}")
        if marker := template_text(prompt):
            raise _leak(f"text of a chat template, {marker!r}, in {prompt[-60:]!r}")
        longest = max(longest, len(style.prompt(prompt)))
    return {
        "prompts": len(prompts),
        "special_tokens": 0,
        "tokens_added": 0,
        "template_text": 0,
        "longest_prompt_tokens": longest,
    }


def _leak(what: str) -> StageError:
    return StageError(
        f"a chat template leaked: {what}",
        remedy="use the base model's own tokenizer and plain instructions, without roles or markup",
    )
