"""Instructions to reply to somebody."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from ...verification.instruction import Instruction
from ...verification.verifier import Check
from .checks import has_thing, written
from .replacements import LENT
from .topics import PEOPLE, THINGS

make = partial(Instruction, type="response")

_LOOKED_FOR: Check = {
    "check": "accepts",
    "values": ["seen", "saw", "see", "found", "find", "looked", "look", "looking", "noticed"],
}
_REPLIES = (
    "Dear {who}, I am sorry, but I have not seen the {thing} anywhere.",
    "Dear {who}, I saw the {thing} near the station this morning.",
    "Dear {who}, the {thing} is here in my kitchen, so come and get it.",
    "Dear {who}, nobody here has seen the {thing}, but we will keep looking.",
    "Dear {who}, yes, I found the {thing} yesterday and kept it for you.",
)


def politeness(draw: random.Random) -> Iterator[Instruction]:
    phrasings = (
        'Reply to {who}, who asks whether you have seen the {thing}. Begin with "Dear {who}".',
        'Answer {who}\'s question about the lost {thing}; your reply begins with "Dear {who}".',
    )
    for _ in range(60):
        who, thing = draw.choice(PEOPLE), draw.choice(THINGS)
        thing = LENT.get(thing, thing)
        text = draw.choice(phrasings).format(who=who, thing=thing)
        yield make(
            text=text,
            kind="reply",
            answer=_REPLIES[len(who + thing) % len(_REPLIES)].format(who=who, thing=thing),
            checks=(
                {"check": "starts_with", "value": f"Dear {who}"},
                {"check": "any", "of": [[has_thing(thing)], [has_thing("it"), _LOOKED_FOR]]},
                {"check": "words", "at_least": 6, "at_most": 60},
                {"check": "closed", "signed": True},
                written(text, letter=True),
            ),
        )
