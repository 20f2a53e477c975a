"""Filters of generated responses, each on labelled examples of both kinds."""

from __future__ import annotations

import random

import pytest

from remote.stages.datagen.candidate import Candidate
from remote.stages.datagen.filters import FILTERS, may_be_short
from remote.stages.datagen.runaway import runaway
from remote.stages.datagen.selection import (
    DOUBTED,
    DUPLICATE,
    MEASURED,
    PASSED,
    WRONG,
    Policy,
    Selection,
    near_measured,
)
from remote.stages.instructions.sets import NAMES, load
from remote.stages.model.stop_reasons import CUT_OFF, DELIMITED, ENDED
from remote.stages.text.prompts import CompletionStylePrompts, bare
from remote.stages.verification.instruction import Instruction
from remote.stages.verification.verifier import Check

SHEET = (
    "Name the capital of Peru.\n The capital of Peru is Lima, on the coast.\n###\n"
    "List two colours.\n red, blue\n###\n"
)
LIMA: Check = {"check": "accepts", "values": ["Lima"]}


def candidate(
    response: str,
    text: str = "Explain why the sky is blue.",
    kind: str = "generation",
    finished: str = DELIMITED,
    checks: tuple[Check, ...] = (LIMA,),
    answer: str = "",
    margin: float | None = None,
) -> Candidate:
    made = Instruction(text, kind, kind, answer, checks)
    return Candidate(made, SHEET + bare(text), response, finished, margin=margin)


LONG = (
    "The sky is blue because air scatters short waves of light more than long ones. Sunlight "
    "holds every colour. When it meets the molecules of the air, blue light is thrown in all "
    "directions, while red light passes nearly undisturbed. Look up in any direction: what "
    "reaches your eye from there is scattered light. It is mostly blue. Why not violet, which is "
    "scattered even more? Because the sun sends less of it, the upper air takes some away, and "
    "our eyes see it badly. In the evening the way through the air is longer. Most of the blue "
    "is gone by then. What is left is orange and red. The same happens on other planets, with "
    "other gases and other colours. On Mars fine dust makes the day reddish and the sunset blue. "
    "So the colour of a sky tells what it is made of. That is how one knows about air far away."
)
STEPS = (
    "There are three reasons.\n\n1. Air scatters blue light.\n2. Our eyes see blue well.\n"
    "3. Violet is rare in sunlight.\n\nWhat does that mean? In the evening the way is longer.\n"
    "Write it down and you will remember it."
)
HEADINGS = (
    "# Why the sky is blue\n\n## What is light?\nLight is a wave.\n\n### Scattering\n"
    "Short waves are scattered most.\n\n---\n\nIn short: blue wins."
)
CODE = (
    "This prints the question and waits for a reply:\n```python\n# ask\n#\n"
    "print('What is the capital of Peru?')\n input()\nInstruction: int = 1\n```\nIt then ends."
)
POEM = "The sky is wide,\n the sea is deep,\nthe clouds go by,\n the meadows sleep."
PARTS = "Take these parts with you:\n 1. a lamp\n 2. a rope\nThen go before the sun is up."
TALK = (
    "Teacher: Why is the sky blue?\nStudent: Because air scatters blue light.\n"
    "Teacher: And in the evening?\nStudent: Then the way through the air is longer."
)
QUIZ = "Question: Which city is the capital of Peru?\nAnswer: Lima.\nQuestion: And of Chile?"

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "Sorry, I cannot help with that.",
    "I am not able to answer this.",
    "I\N{RIGHT SINGLE QUOTATION MARK}m afraid I can\N{RIGHT SINGLE QUOTATION MARK}t do that.",
    "As an AI language model, I have no opinion about the colour of the sky or of anything else.",
    "No idea, ask someone else.",
    "Unfortunately, I cannot provide an explanation of this at the moment.",
    "I don't know.",
    "I don't know the answer to that question.",
    "Sorry, that is not something I can explain to you here.",
    "I'd rather not answer that question, please ask me about something else instead.",
    "I must decline to answer this question because it is outside of what I am made for.",
    "Sorry, but this request goes against my guidelines, so there will be no answer to it.",
    "Unfortunately, this is beyond my abilities and I have to stop right here, please forgive.",
    "It is impossible for me to answer this, since I do not have access to the internet now.",
    "I cannot write this.",
    "I'm sorry, I can't create a poem about that.",
    "I will not reply to this message.",
]
NO_REFUSALS = [
    LONG,
    "Sorry is a word that people use when they apologise for something that they have done.",
    '"I cannot help you," said the fox, and went back into the forest without another word.',
    "I can't stand the heat of July, but the long evenings by the lake make up for all of it.",
    "I cannot swim, so the lake has always been a place to look at rather than to be in.",
    "I don't know why the caged bird sings, the poet says, and then she tells us after all.",
    "No idea in the history of physics has been tested as often as the theory of relativity.",
    "Unfortunately the train was late, so we waited for an hour in the cold hall and read.",
    "I cannot help laughing whenever my aunt tells the story of the goose and the baker.",
    "I can't help but admire how my aunt keeps her garden in such a dry summer.",
    "I can't help it, the old song makes me cry each time that I hear it on the radio.",
    "I will not write to my aunt again, since she never answers any of my letters.",
    "I cannot write fast enough to note down everything that my aunt tells us at dinner.",
    "I will not reply to my landlord before I have spoken with the other tenants.",
    "I would rather not swim in the lake in May, when it still is as cold as in winter.",
    "It is impossible for me to forget the day on which we first saw the sea together.",
    "Dear Anna, I am sorry that I missed your party. I cannot come on Sunday either, I am away.",
]
RUNAWAYS = [
    "Lima is the capital.\nWhat is the capital of Chile?\n Santiago is the capital of Chile.",
    "Lima is the capital.\n\nList three trees.\n oak, elm, ash",
    "Lima is the capital.\n##\nsomething else follows here",
    "Lima is the capital.\n#####\nGive two numbers.\n 1 and 2",
    "Lima is the capital.\n\nInstruction: Name a river.\nResponse: The Nile.",
    "Lima is the capital.\n### Instruction:\nName a river.",
    "Lima is the capital.\nHuman: and of Chile?",
    "Lima is the capital.\nQ: What about Chile?\nA: Santiago.",
    "Lima is the capital.\nName the capital of Peru.",
    "Blue light is scattered.\nExplain why the sky is blue.\nBecause blue light is scattered.",
    LONG + "\nComplete the pair: hot and\n cold",
    "Lima is fine.\nWhich animal gives us wool?\nThe animal that gives us wool is the sheep.",
    "Lima is the capital.\nWhat is the capital of France?\nThe capital of France is Paris.",
    "Lima is the capital.\n\nWho wrote Hamlet?\n\nShakespeare wrote Hamlet in London.",
    "Lima is fine.\n***\n\nWhich fruit is yellow?\nA banana is a yellow fruit.",
    "Lima is fine and lives alone.\n---\nWrite a poem about winter.\nWinter is cold and so on.",
    "A list:\n- one\n- two\nSort these numbers: 3, 1, 2\n 1. one",
]
NO_RUNAWAYS = [
    LONG,
    LONG + "\n\n" + LONG,
    STEPS,
    HEADINGS,
    CODE,
    POEM,
    PARTS,
    TALK,
    "Why?\nWhy not?",
    "Air scatters light.\nWhat makes light blue?\nBlue light has the shortest waves of the light.",
    "Air scatters light.\nWhy is the sky blue, and not the light?\nThe sky and the light are blue.",
    "Air scatters light.\n**What is violet?**\nViolet is a colour with short waves.",
    "The clouds go by.\nWhere has the summer gone?\nThe summer sleeps below the snow.",
    "- a lamp\n1. What is rain?\nRain is water from the clouds.",
    "The sky is blue.\n---\nAsk again if that is not clear.\nMaria",
    "Air scatters light.\n---\nTake the light as an example.\nThe light is scattered.",
    "The sky is blue.\nTake a prism into the garden.\nThe prism parts the light in the garden.",
    "Air scatters light.\nWhat else is there?\nNothing, really.",
    "# The sky\nIt is blue.\n---\nWhat remains is a clear picture.",
]
MALFORMED = [
    "",
    "  \n ",
    "<|im_start|>assistant\nThe sky is blue because air scatters blue light.",
    "The sky is blue because air scatters it.</s>",
    "[INST] Explain [/INST] The sky is blue because air scatters blue light.",
    "The sky is \ufffd blue because air scatters light of short waves most.",
    "Assistant: The sky is blue because air scatters light of short waves most.",
    "Response: The sky is blue because air scatters light of short waves most.",
    "This prints it:\n```python\nprint('blue')\n",
    "The sky is blue because of three things, namely the air, the light,",
    "It scatters light. It scatters light. It scatters light. It scatters light.",
]
NO_MALFORMED = [
    LONG,
    STEPS,
    HEADINGS,
    CODE,
    POEM,
    '{"sky": "blue", "because": ["air", "light"]}',
    "A smile for the sky, which is as blue as anything can be :)",
    "The answer is simple: blue light is scattered more than red light.",
    "Row, row, row your boat, gently down the stream, merrily, merrily, merrily, merrily.",
    "<b>Blue</b> is what is left when red has passed, if x < y and y > z.",
]


@pytest.mark.parametrize("response", REFUSALS)
def test_refusals_are_removed(response: str) -> None:
    """A response that begins by declining is none."""
    assert FILTERS["refusal"](candidate(response))


@pytest.mark.parametrize("response", NO_REFUSALS)
def test_words_of_refusals_are_kept(response: str) -> None:
    """Declining words inside a story, a letter or an explanation are no refusal."""
    assert FILTERS["refusal"](candidate(response)) is None


@pytest.mark.parametrize("response", RUNAWAYS)
def test_a_new_prompt_is_a_runaway(response: str) -> None:
    """Whatever begins a new instruction after the response is found."""
    assert runaway(candidate(response))


@pytest.mark.parametrize("response", NO_RUNAWAYS)
def test_long_good_explanations_are_no_runaways(response: str) -> None:
    """Neither length nor full stops, questions, headings, lists, code or verse make a runaway."""
    assert runaway(candidate(response)) is None


def test_labels_that_were_asked_for_are_no_runaway() -> None:
    """An instruction for a quiz or a dialogue is answered with its labels."""
    assert (
        runaway(candidate(QUIZ, "Write a quiz: one question with its answer, then another."))
        is None
    )
    assert runaway(candidate("Hi.\n" + QUIZ))

    wool = "Here is one.\nWhich animal gives us wool?\nThe animal that gives us wool is the sheep."

    assert runaway(candidate(wool, "Write a question about animals and answer it.")) is None
    assert runaway(candidate(wool))


@pytest.mark.parametrize("name", NAMES)
def test_canonical_answers_pass_every_filter(name: str) -> None:
    """No filter removes a right answer of the instruction sets, however short or long."""
    chosen = load(name)
    sheets = CompletionStylePrompts(chosen.pool)
    objections = [
        (one.text, found)
        for one in (*chosen.train, *chosen.development, *chosen.held_out, *chosen.pool)
        if one.answer
        for rule in FILTERS.values()
        if (found := rule(Candidate(one, sheets.render(one.text), one.answer, DELIMITED)))
    ]

    assert objections == []


@pytest.mark.parametrize("name", NAMES)
def test_sheets_that_go_on_are_found(name: str) -> None:
    """Of right answers that run on into another solved instruction, 98 of 100 are found."""
    chosen = load(name)
    sheets = CompletionStylePrompts(chosen.pool)
    draw = random.Random(0)
    some = draw.sample(chosen.train, 500)
    found = 0
    for one, other in zip(some, draw.sample(chosen.train, 500), strict=True):
        text = f"{one.answer}\n{bare(other.text)} {other.answer}"
        found += runaway(Candidate(one, sheets.render(one.text), text, CUT_OFF)) is not None

    assert found >= 490


@pytest.mark.parametrize("response", ["", "Lima", LONG, LONG[:200], POEM, CODE])
def test_only_the_end_says_what_was_cut_off(response: str) -> None:
    """Whatever the text: without delimiter or end of text it was cut off, with one it was not."""
    rule = FILTERS["cut_off"]

    assert rule(candidate(response, finished=CUT_OFF))
    assert rule(candidate(response, finished=DELIMITED)) is None
    assert rule(candidate(response, finished=ENDED)) is None


@pytest.mark.parametrize("response", MALFORMED)
def test_what_is_no_text_of_a_response_is_removed(response: str) -> None:
    """Blanks, template text, broken characters, labels, open code and loops are malformed."""
    assert FILTERS["malformed"](candidate(response))


@pytest.mark.parametrize("response", NO_MALFORMED)
def test_unusual_but_right_forms_are_kept(response: str) -> None:
    """JSON, code, verse, smileys, comparisons and refrains are well formed."""
    assert FILTERS["malformed"](candidate(response)) is None


def test_a_sentence_asked_for_often_may_come_often() -> None:
    """Saying the same four times is a loop unless the instruction has the sentence."""
    response = " ".join(["The sea is calm."] * 4)

    assert FILTERS["malformed"](candidate(response))
    assert FILTERS["malformed"](candidate(response, "Say 'The sea is calm.' four times.")) is None


@pytest.mark.parametrize(
    ("response", "kind", "answer", "checks", "removed"),
    [
        ("Blue.", "generation", "", (LIMA,), True),
        ("x" * 50, "generation", "", (LIMA,), True),
        ("x" * 51, "generation", "", (LIMA,), False),
        ("The sky is blue.", "response", "", (LIMA,), True),
        ("The sky is blue.", "response", LONG, (LIMA,), True),
        (
            "It is Lima.",
            "qa",
            "The capital of Peru is the city of Lima, on the coast.",
            (LIMA,),
            False,
        ),
        ("Lima.", "qa", "Lima.", (LIMA,), False),
        ("Lima.", "qa", "", (LIMA,), False),
        ("cold", "completion", "", (LIMA,), False),
        ("A blue sky.", "generation", "The sky is blue.", (LIMA,), False),
        ("A blue sky.", "generation", "", ({"check": "words", "exactly": 3},), False),
        ("A blue sky.", "generation", "", ({"check": "words", "at_most": 60},), True),
        ("BLUE", "response", "", ({"check": "answer", "values": ["BLUE"]},), False),
        (LONG, "generation", "", (LIMA,), False),
    ],
)
def test_short_depends_on_what_was_asked(
    response: str, kind: str, answer: str, checks: tuple[Check, ...], removed: bool
) -> None:
    """50 characters or fewer go only where the instruction allows more."""
    one = candidate(response, kind=kind, answer=answer, checks=checks)

    assert (FILTERS["short"](one) is not None) is removed


def test_the_small_world_allows_no_short_answers() -> None:
    """Each canonical answer there is longer than 50 characters, so a short one is a wrong one."""
    assert not any(may_be_short(one) for one in load("small").train)


MEASURED_TEXTS = [
    "What is the capital of Norway?",
    "List three trees that begin with b.",
    "Add one and two.",
]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("What is the capital of Norway?", LONG),
        ("what is the capital of norway", LONG),
        ("What is the capital of Norway??", LONG),
        ("List three trees that begin with c.", LONG),
        ("Explain light.", "It is a wave.\nWhat is the capital of Norway?\nOslo."),
        ("Explain light.", "What is the capital of Norway"),
        ("Please tell me: what is the capital of Norway?", LONG),
        ("What is the capital of Norway? Answer in a sentence.", LONG),
        ("Explain light.", "One may ask: what is the capital of Norway? It is Oslo."),
        ("Explain light.", "What is the capital\nof Norway?"),
        ("Add one and two. Then stop.", LONG),
    ],
)
def test_what_is_measured_on_is_removed(text: str, response: str) -> None:
    """The measured instruction, in another spelling, nearly, or inside a response, is found."""
    assert near_measured([candidate(response, text)], MEASURED_TEXTS) != [None]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("What is the capital of Peru?", LONG),
        (
            "Which trees lose their leaves?",
            "Birch, beech and oak are trees that begin to lose them.",
        ),
        ("Name the capital of Norway.", "The capital of Norway is Oslo."),
        ("Explain light.", LONG),
        ("List three fish.", "carp, cod, trout"),
        ("What is one plus two?", "When you add one and two together, the sum you get is three."),
        ("Explain light.", ""),
    ],
)
def test_what_only_shares_a_subject_is_kept(text: str, response: str) -> None:
    """Another question on the same subject is not near."""
    assert near_measured([candidate(response, text)], MEASURED_TEXTS) == [None]


@pytest.mark.parametrize(
    ("text", "response", "again"),
    [
        ("Explain why the sky is blue.", LONG, True),
        ("explain why the sky is blue", LONG, True),
        ("Explain why the sky is blue.", LONG.upper(), True),
        ("Explain  why the sky is blue.", f" {LONG} ", True),
        ("Explain why the sky is blue.", LONG.rstrip("."), True),
        ("Explain why the sky is blue!", LONG.replace(",", ""), True),
        ("Say why the sky has the colour blue.", LONG, False),
        ("Explain why the sky is blue.", LONG + " Really.", False),
        ("Explain why the sky is blue.", LONG.replace("three", "3").replace("air", "gas"), False),
        ("Explain why the sea is blue.", LONG, False),
        ("Explain why the sky is red.", LONG, False),
        ("Explain why the sky is blue.", STEPS, False),
    ],
)
def test_duplicates_are_removed(text: str, response: str, again: bool) -> None:
    """The same to the same instruction goes, in any spelling; nothing else does."""
    selection = Selection(Policy(()))
    selection.add([candidate(LONG)])
    judged = selection.add([candidate(response, text)])[0]

    assert (judged.removed_by == DUPLICATE) is again


def test_only_what_was_kept_makes_a_duplicate() -> None:
    """A response that another filter removed does not stand in the way of a better one."""
    selection = Selection(Policy(()))
    first, second = selection.add([candidate(LONG, finished=CUT_OFF), candidate(LONG)])

    assert first.removed_by == "cut_off"
    assert second.removed_by is None


def test_every_verdict_is_recorded_and_the_first_counts() -> None:
    """A short refusal is removed as a refusal, and that it is short is known too."""
    judged = Selection(Policy(())).add([candidate("I cannot help with that.")])[0]

    assert judged.removed_by == "refusal"
    assert judged.verdicts["short"] == "24 characters"
    assert judged.verdicts["runaway"] == PASSED


def test_verifier_and_critic_remove_only_when_asked() -> None:
    """A wrong or doubted response is kept, and said to be wrong, unless the policy removes it."""
    wrong = candidate(LONG, margin=-0.5)
    kept = Selection(Policy(())).add([wrong])[0]
    verified = Selection(Policy((), verified_only=True)).add([wrong])[0]
    doubted = Selection(Policy((), critic_margin=0.0)).add([wrong])[0]
    trusted = Selection(Policy((), critic_margin=-1.0)).add([wrong])[0]

    assert kept.removed_by is None
    assert kept.reasons
    assert verified.removed_by == WRONG
    assert doubted.removed_by == DOUBTED
    assert trusted.removed_by is None


def test_measured_instructions_are_removed_by_name() -> None:
    """The selection says which measured instruction was met."""
    measured = Instruction(MEASURED_TEXTS[0], "qa", "capital", "Oslo.", (LIMA,))
    judged = Selection(Policy((measured,))).add([candidate(LONG, MEASURED_TEXTS[0])])[0]

    assert judged.removed_by == MEASURED
    assert "100% the same" in judged.verdicts[MEASURED]
