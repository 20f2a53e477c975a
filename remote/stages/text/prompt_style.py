"""How texts become tokens: as plain text, or in the turns of the tokenizer's chat template.

The style belongs to a tokenizer and is kept with it, so that whoever has the tokenizer tokenises
alike: the sampling, the training, and the checks. Texts never become special tokens here; the
special tokens are those of the style: a beginning of text, or the template's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.failure import StageError
from .chat_template import template_text

PLAIN, CHAT = "plain", "chat"  # values of parameter `template`
IGNORED = -100  # a label that no loss is computed for
_KEPT = "_podctl_prompt_style"
_PROBE = "Water freezes at zero degrees."
_TRIAL = ({"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."})

Message = Mapping[str, str]  # role (system, user, assistant) and content
Labelled = tuple[list[int], list[int]]  # tokens, and the label of each


@dataclass(frozen=True)
class PlainStyle:
    """Plain text, after the tokens that the tokenizer begins every text with: none, or one."""

    tokenizer: Any
    begins: tuple[int, ...] = ()

    def prompt(self, text: str) -> list[int]:
        return [*self.begins, *_tokens(self.tokenizer, text)]

    def labelled(self, messages: Sequence[Message], where: str) -> Labelled:
        """Prompt and answer; the answer and the end of text are learned."""
        question, answer = (message["content"] for message in messages)
        prompt = [*self.begins, *plain_tokens(self.tokenizer, question, where)]
        learned = [*plain_tokens(self.tokenizer, answer, where), self.tokenizer.eos_token_id]
        return [*prompt, *learned], [*[IGNORED] * len(prompt), *learned]


@dataclass(frozen=True)
class ChatStyle:
    """Turns of the chat template; an answer ends with the template's token `end`."""

    tokenizer: Any
    end: str
    begins: tuple[int, ...] = ()  # the template has its own beginning

    def prompt(self, text: str) -> list[int]:
        """`text` as the user's only message, and the beginning of the assistant's."""
        return _tokens(self.tokenizer, self._asked([{"role": "user", "content": text.strip()}]))

    def labelled(self, messages: Sequence[Message], where: str) -> Labelled:
        """A conversation in tokens: the assistant's messages are learned, each with its end.

        A template that renders earlier answers otherwise than the last one has only that learned.
        Raises: StageError.
        """
        stripped = [
            {"role": message["role"], "content": message["content"].strip()} for message in messages
        ]
        for message in stripped:
            plain_tokens(self.tokenizer, message["content"], where)
        answers = [n for n, message in enumerate(stripped) if message["role"] == "assistant"]
        labelled = self._turns(stripped, answers, where) or self._turns(
            stripped, answers[-1:], where
        )
        if labelled is None:
            raise StageError(
                f"{where}: the chat template renders an answer otherwise than it begins one",
                remedy='use another model\'s template, or template = "plain"',
            )
        return labelled

    def _turns(
        self, messages: Sequence[Message], answers: list[int], where: str
    ) -> Labelled | None:
        """None where a rendering does not continue the one before it."""
        tokens: list[int] = []
        labels: list[int] = []
        done = ""
        for place in answers:
            asked = self._asked(messages[:place], where)
            whole = self._rendered(messages[: place + 1], where)
            if not asked.startswith(done) or not whole.startswith(asked):
                return None
            context = _tokens(self.tokenizer, asked[len(done) :])
            answer, found, _ = whole[len(asked) :].partition(self.end)
            if not found:
                return None
            learned = _tokens(self.tokenizer, answer + self.end)
            tokens += [*context, *learned]
            labels += [*[IGNORED] * len(context), *learned]
            done = asked + answer + self.end
        return tokens, labels

    def _asked(self, messages: Sequence[Message], where: str = "") -> str:
        return self._rendered(messages, where, add_generation_prompt=True)

    def _rendered(self, messages: Sequence[Message], where: str, **more: Any) -> str:
        return rendered(self.tokenizer, messages, where, **more)


def style_of(tokenizer: Any) -> PlainStyle | ChatStyle:
    """The style that `choose_style` gave `tokenizer`; without one, plain text."""
    style: PlainStyle | ChatStyle = vars(tokenizer).get(_KEPT) or PlainStyle(tokenizer)
    return style


def choose_style(tokenizer: Any, template: str, source: str) -> None:
    """Gives `tokenizer` the style that parameter `template` names. Raises: StageError.

    With "plain" its chat template is taken off. With "chat" its end of text becomes the token that
    ends the template's answers.
    """
    if template == CHAT:
        end = _end_of_answers(tokenizer, source)
        tokenizer.eos_token = end
        style: PlainStyle | ChatStyle = ChatStyle(tokenizer, end)
    else:
        tokenizer.chat_template = None
        style = PlainStyle(tokenizer, _beginning(tokenizer, source))
    vars(tokenizer)[_KEPT] = style


def _beginning(tokenizer: Any, source: str) -> tuple[int, ...]:
    """The beginning-of-text token where the tokenizer adds it by itself, and nothing else."""
    plain = _tokens(tokenizer, _PROBE)
    added = [int(token) for token in tokenizer(_PROBE)["input_ids"]]
    begins = () if tokenizer.bos_token_id is None else (int(tokenizer.bos_token_id),)
    if added == plain:
        begins = ()
    if added != [*begins, *plain] or tokenizer.decode(plain).strip() != _PROBE:
        raise StageError(
            f"the tokenizer of {source} adds tokens of its own",
            remedy="use the base model's tokenizer, without a template or an end-of-text token",
        )
    return begins


def _end_of_answers(tokenizer: Any, source: str) -> str:
    """The special token after the assistant's message. Raises: StageError."""
    if not getattr(tokenizer, "chat_template", None):
        raise StageError(
            f"the tokenizer of {source} has no chat template",
            remedy='set template = "plain", or name an instruct model',
        )
    whole = rendered(tokenizer, _TRIAL, source)
    answer = _TRIAL[-1]["content"]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    after = _tokens(tokenizer, whole[whole.rindex(answer) + len(answer) :])
    end = next((token for token in after if token in special), None)
    if end is None:
        raise StageError(
            f"the chat template of {source} ends no answer with a special token",
            remedy='set template = "plain": no answer would ever end',
        )
    return str(tokenizer.convert_ids_to_tokens(end))


def rendered(tokenizer: Any, messages: Sequence[Message], where: str, **more: Any) -> str:
    """`messages` in the template, without a part for thinking. Raises: StageError."""
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, enable_thinking=False, **more
        )
    except (TemplateError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{where}: the chat template refuses the conversation: {str(error)[:200]}",
            remedy="give it the roles that the model's template knows, in their order",
        ) from error
    return text


def plain_tokens(tokenizer: Any, text: str, where: str) -> list[int]:
    """The tokens of `text`, none of them special. Raises: StageError."""
    tokens = _tokens(tokenizer, text)
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    leaked = tokenizer.decode([token for token in tokens if token in special][:1])
    if leaked or (leaked := template_text(text)):
        raise StageError(
            f"{where}: the text holds {leaked!r} of a chat template or tokenizer",
            remedy="a chat template leaked into the data: remove it; a base model has no roles",
        )
    return tokens


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
