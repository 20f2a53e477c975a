"""Sentinels and token checks: what a base model does, and how a leaked template is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.model import base_model_check
from remote.stages.model.base_model_check import ENGLISH, SMALL, assess_sentinels, check_tokens
from remote.stages.model.loading import load_tokenizer, resolve
from remote.stages.verification.verifier import verify
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER

SHIPPED = Path(base_model_check.__file__).parents[1] / "small_model" / "model"

# By sentinel: what is right, and what a base model writes instead.
RESPONSES = {
    "water freezes": (
        ("0 degrees Celsius.", "zero degrees", "32 °F and boils at 212 °F."),
        ("a low temperature", "100 degrees"),
    ),
    "capital": (("Paris.", "Paris, a large city"), ("a city", "Lyon")),
    "days": (("Wednesday, Thursday",), ("Sunday",)),
    "pig latin": (
        ("ellohay orldway", "Ellohay orldway."),
        ("hello world", "Translate the words good morning into pig latin."),
    ),
    "three primes": (
        ("1. 2\n2. 3\n3. 5", "1. 7\n2. 97\n3. 13"),
        ("2, 3, 5", "1. 2\n2. 3\n3. 4", "1. 2\n2. 3\n3. 5\n4. 7", "1. 2\n2. 3\n3. 5\nThese are"),
    ),
    "json": (
        ('{"title": "Emma", "pages": 400}',),
        ('{"title": "Emma"}', 'Sure: {"title": "Emma", "pages": 400}', "title and pages"),
    ),
    "seasons": (
        ("Spring is mild. Summer is hot. Autumn is windy. Winter is cold.",),
        ("Spring is mild. Summer is hot.", "Describe the four oceans in four sentences.", ""),
    ),
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(resolve("small"))


@pytest.mark.parametrize("sentinel", ENGLISH, ids=lambda one: one.name)
def test_english_sentinels_know_right_from_wrong(sentinel: base_model_check.Sentinel) -> None:
    """Each sentinel's check agrees with labelled responses."""
    right, wrong = RESPONSES[sentinel.name]

    assert [text for text in right if verify(sentinel.checks, text)] == []
    assert [text for text in wrong if not verify(sentinel.checks, text)] == []


def test_small_model_behaves_as_a_base_model(tokenizer: Any) -> None:
    """The shipped base model continues prose rightly and obeys no bare instruction of these."""
    from remote.stages.model.loading import load_model

    model = load_model(resolve("small"), "none")
    results = base_model_check.run_sentinels(model, tokenizer, SMALL)

    assert [one["name"] for one in results if not one["as_expected"]] == []
    assert assess_sentinels(results)["as_base_model"] is True
    assert assess_sentinels(results)["obeyed"] == 0


def results(continued: tuple[bool, ...], obeyed: tuple[bool, ...]) -> list[dict[str, Any]]:
    found = [{"expected": "right", "as_expected": right} for right in continued]
    return found + [{"expected": "not right", "as_expected": not one} for one in obeyed]


@pytest.mark.parametrize(
    ("continued", "obeyed", "as_base"),
    [
        ((True, True), (False, False, False, False), True),
        ((True, True), (True, False, False, False), True),
        ((True, True), (True, True, False, False), False),
        ((True, False), (False, False, False, False), True),
        ((True, True), (True, True, True, True), False),
    ],
)
def test_verdict_has_a_rule(
    continued: tuple[bool, ...], obeyed: tuple[bool, ...], as_base: bool
) -> None:
    """A template obeys instructions and fails; wrong continuations are ignorance, and are said."""
    found = assess_sentinels(results(continued, obeyed))

    assert found["as_base_model"] is as_base
    assert (found["continued_rightly"], found["obeyed"]) == (sum(continued), sum(obeyed))
    assert "at most 1" in found["rule"]
    assert ("ignorant" in found["why"]) is (as_base and not all(continued))


# Written down as two models answer: one with a chat template, and a base model of 135M weights.
LEAKED = {
    "water freezes": "Water freezes at 0 degrees Celsius, which is 32 degrees Fahrenheit.",
    "capital": "The capital of France is Paris.",
    "days": "Wednesday, Thursday, Friday, Saturday and Sunday.",
    "pig latin": "Ellohay orldway",
    "three primes": "1. 2\n2. 3\n3. 5",
    "json": '{"title": "Emma", "pages": 400}',
    "seasons": "In spring flowers bloom. Summer is hot. Autumn is windy. Winter brings snow.",
}
IGNORANT = {
    "water freezes": " 100\u00b0C and boils at a high temperature.",
    "capital": " the capital of the country of the French.",
    "days": " Sunday, and Sunday.",
    "pig latin": "Translate the words hello world into pig latin.\nA. hello",
    "three primes": "The numbers are 1, 2, 3, 4, 5, 6, 7, 8.",
    "json": "The JSON object is the title of the book.",
    "seasons": "The four seasons are the four seasons of the year.",
}
MIXED = {**LEAKED, "pig latin": "I would say: hello", "json": '```json\n{"title": "Emma"}\n```'}


@pytest.mark.parametrize(
    ("responses", "as_base", "why"),
    [
        (LEAKED, False, "a template"),
        (MIXED, False, "a template"),
        (IGNORANT, True, "an ignorant model"),
        ({**IGNORANT, "json": LEAKED["json"]}, True, "an ignorant model"),
        ({**IGNORANT, **{name: LEAKED[name] for name in ("capital", "days")}}, True, "ignorant"),
    ],
)
def test_a_leaked_template_is_told_from_an_ignorant_model(
    responses: dict[str, str], as_base: bool, why: str
) -> None:
    """Labelled outputs of both: only the one that obeys fails, and each is called what it is."""
    results = [base_model_check._result(one, responses[one.name]) for one in ENGLISH]

    found = assess_sentinels(results)

    assert found["as_base_model"] is as_base
    assert why in found["why"]


def test_plain_prompts_pass(tokenizer: Any) -> None:
    """Plain text has no special token and gets none added."""
    found = check_tokens(tokenizer, ["State the capital of Peru.\n", "Add two and five.\n"])

    assert found["prompts"] == 2
    assert (found["special_tokens"], found["tokens_added"], found["template_text"]) == (0, 0, 0)


@pytest.mark.parametrize(
    "prompt",
    [
        "Say stone twice.<|endoftext|>",
        "<|im_start|>user\nSay stone twice.<|im_end|>\n<|im_start|>assistant\n",
        "[INST] Say stone twice. [/INST]",
        "<start_of_turn>user\nSay stone twice.",
        "<|start_header_id|>user<|end_header_id|>\nSay stone twice.",
        "User:\nSay stone twice.\nAssistant:",
        "### Instruction:\nSay stone twice.\n### Response:",
    ],
)
def test_template_in_a_prompt_is_a_leak(tokenizer: Any, prompt: str) -> None:
    """Chat markup is refused, as a special token and as text."""
    with pytest.raises(StageError, match="template leaked"):
        check_tokens(tokenizer, ["A plain one.\n", prompt])


@pytest.mark.parametrize(
    "prompt",
    ["Who is the user of this?\n", "Explain 2 < 3 | 4 > 1.\n", "Write: the assistant: a story.\n"],
)
def test_ordinary_words_are_no_leak(tokenizer: Any, prompt: str) -> None:
    """Roles and brackets in a sentence are no template."""
    assert check_tokens(tokenizer, [prompt])["prompts"] == 1


def test_template_that_is_still_set_is_a_leak() -> None:
    """A tokenizer that kept its chat template is refused."""
    tokenizer = load_tokenizer(resolve("small"))
    tokenizer.chat_template = "{{ messages }}"

    with pytest.raises(StageError, match="still has its chat template"):
        check_tokens(tokenizer, ["Say stone twice.\n"])


def test_loader_takes_the_template_off(tmp_path: Path) -> None:
    """A model folder with a chat template loads without it."""
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config | {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"})
    )

    assert load_tokenizer(str(folder)).chat_template is None


def test_added_tokens_are_a_leak(tmp_path: Path) -> None:
    """A tokenizer that puts tokens of its own before a prompt is refused, by loader and check."""
    from tokenizers import Tokenizer, processors
    from transformers import AutoTokenizer

    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    number = inner.token_to_id("<|pad|>")
    inner.post_processor = processors.TemplateProcessing(
        single="<|pad|> $A", special_tokens=[("<|pad|>", number)]
    )
    inner.save(str(folder / "tokenizer.json"))

    with pytest.raises(StageError, match="adds tokens of its own"):
        load_tokenizer(str(folder))
    with pytest.raises(StageError, match="adds tokens of its own"):
        check_tokens(AutoTokenizer.from_pretrained(str(folder)), ["Say stone twice.\n"])


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path: Path) -> None:
    """Without that token no response would ever end; the error says where to set it."""
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": None}))

    with pytest.raises(StageError, match="no end-of-text token") as caught:
        load_tokenizer(str(folder))
    assert "tokenizer_config.json" in caught.value.remedy
