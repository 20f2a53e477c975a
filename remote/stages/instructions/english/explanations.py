"""Explanations, which no rule can check: for a critic only, scored apart, never a success."""

from __future__ import annotations

from collections.abc import Iterator

from ...verification.instruction import CRITIC, Instruction
from ...verification.verifier import Check
from .checks import words

JUDGED: Check = {"check": "critic"}  # no rule lets it pass
_QUESTIONS = """
why the sky looks blue|Air scatters blue sunlight more than red, so blue reaches us from all sides.
why leaves change colour in autumn|The green pigment breaks down and lets other colours show.
how a rainbow forms|Drops of water bend sunlight and split it into its colours.
why ice floats on water|Water expands as it freezes, so ice is lighter than the water around it.
how vaccines protect people|They show the body a harmless piece of a germ to train its defence.
why the moon has phases|We see different parts of its sunlit half as it moves around the earth.
how bread rises|Yeast eats sugar and gives off gas, which blows up the dough.
why we have leap years|A year is about a quarter of a day longer than 365 days.
how a bicycle stays upright|Small turns of the handlebar keep the wheels under the rider.
why the sea is salty|Rivers wash salts from rock into the sea, and only the water evaporates.
how bees find flowers|They follow colours and scents and tell each other with dances.
why metal feels colder than wood|Metal carries warmth away from the hand faster than wood does.
how a refrigerator works|A fluid takes up heat inside and gives it off behind the machine.
why birds migrate|They follow food and mild weather through the seasons.
how tides arise|The moon pulls the oceans towards it and the turning earth moves through the bulge.
why we yawn|Nobody is sure, but tiredness and seeing others yawn bring it about.
how a compass works|Its needle is a magnet that lines up with the field of the earth.
why old books smell|Paper and glue break down slowly and give off many scents.
how planes fly|The wings push air down, and the air pushes the wings up.
why onions make us cry|Cut onions release a gas that stings the eyes.
how glass is made|Sand is melted with soda and lime and cooled into a clear solid.
why deserts are cold at night|Dry air and clear skies let the heat of the day escape.
how a seed becomes a plant|It takes up water, sends down a root and unfolds leaves to the light.
why we see lightning before thunder|Light travels far faster than sound.
"""


def explanations() -> Iterator[Instruction]:
    """In a fixed order; their kind is `CRITIC`."""
    for line in _QUESTIONS.strip().split("\n"):
        topic, answer = line.split("|")
        text = f"Explain {topic} in two or three sentences."
        yield Instruction(text, "generation", CRITIC, answer, (words(8, 90), JUDGED))
