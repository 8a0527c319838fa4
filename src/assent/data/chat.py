"""Messages to tokens and back, for any tokenizer, with or without a chat template of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assent.types.errors import DataError, ModelError
from assent.types.messages import Message, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


MOST_KNOWN = 10_000  # texts whose tokens are kept


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation becomes tokens. The completion always ends with the tokenizer's end token.

    Args:
        tokenizer: must have an end-of-sequence token.
        template: text with `{prompt}`, used only if the tokenizer has no chat template, once for each exchange of
            the conversation. The completion then starts with a space, as it would in running text.

    Raises:
        ModelError: the tokenizer has no end token, so completions could never end.
    """

    tokenizer: PreTrainedTokenizerBase
    template: str = "Question: {prompt}\nAnswer:"
    _known: dict[tuple[str, bool], tuple[int, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer in {self.tokenizer.name_or_path} has no end-of-sequence token",
                "set one (tokenizer.eos_token = '...') and save the tokenizer again: without it no completion can end",
            )

    @property
    def end_id(self) -> int:
        """The token that ends a completion."""
        return int(self.tokenizer.eos_token_id)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """The tokens the policy continues."""
        if self.tokenizer.chat_template:
            messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
            ids = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            return [int(token) for token in ids]
        ids = self._ids(self._plain_text(prompt.messages), True)
        return ids[:-1] if ids and ids[-1] == self.end_id else ids

    def between_ids(self, before: Sequence[Message], after: Sequence[Message], last_token: int | None) -> list[int]:
        """The tokens between two of the policy's turns: what the environment answers, and the opening of the next turn.

        What the policy wrote stays as it sampled it: only what follows it is made into tokens here.

        Args:
            before: the conversation up to the policy's answer.
            after: the environment's messages.
            last_token: with which the policy ended its turn itself, not to be repeated; None if it was cut.

        Raises:
            DataError: the chat template refuses such a conversation, or leaves an assistant's words out of it.
        """
        if not self.tokenizer.chat_template:
            text = "\n" + self._asked([message.content for message in after])
        else:
            text = self._rendered_after(before, after)
        ids = self._ids(text, False)
        return ids[1:] if ids and ids[0] == last_token else ids

    def _ids(self, text: str, whole: bool) -> list[int]:
        """The tokens of a text; they are kept, as many games say the same.

        Args:
            whole: with what the tokenizer puts at the ends of a text; without in the middle of a conversation.
        """
        if (text, whole) not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self.tokenizer(text, add_special_tokens=whole)["input_ids"]
            self._known[text, whole] = tuple(int(token) for token in found)
        return list(self._known[text, whole])

    def _rendered_after(self, before: Sequence[Message], after: Sequence[Message]) -> str:
        """What the tokenizer's own template puts behind an assistant's answer."""
        mark = "(answer)"
        while any(mark in message.content for message in (*before, *after)):
            mark = f"({mark})"
        turns = [*before, Message("assistant", mark), *after]
        messages = [{"role": message.role, "content": message.content} for message in turns]
        try:
            text = str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except Exception as error:  # templates are programs: jinja2 raises what their authors chose
            roles = ", ".join(message.role for message in turns)
            raise DataError(
                f"the chat template of {self.tokenizer.name_or_path} refuses a conversation of {roles}: {error}",
                "let the environment answer with roles that the template knows, as a rule with 'user' alone",
            ) from error
        _, found, rest = text.rpartition(mark)
        if not found:
            raise DataError(
                f"the chat template of {self.tokenizer.name_or_path} leaves earlier answers out of a conversation",
                "an environment of several turns needs a template that keeps them",
            )
        return rest

    def completion_ids(self, text: str) -> list[int]:
        """The tokens of an answer, end token included."""
        lead = "" if self.tokenizer.chat_template else " "
        ids = self.tokenizer(lead + text.strip(), add_special_tokens=False)["input_ids"]
        return [*(int(token) for token in ids), self.end_id]

    def text_of(self, completion_ids: Sequence[int]) -> str:
        """The text people see: special tokens left out, outer white space stripped."""
        decoded = self.tokenizer.decode(list(completion_ids), skip_special_tokens=True)
        return str(decoded).strip()

    def encode_prompts(self, prompts: Sequence[Prompt], room: int, where: str) -> list[list[int]]:
        """Token ids of all prompts.

        Args:
            room: tokens a prompt may take so that a completion still fits into the context.
            where: the file or task they come from, for the error.

        Raises:
            DataError: a prompt is longer than `room`.
        """
        encoded = [self.prompt_ids(prompt) for prompt in prompts]
        for number, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True), start=1):
            if len(ids) > room:
                place = f"line {prompt.meta['line']}" if "line" in prompt.meta else f"prompt {number}"
                raise DataError(
                    f"{where}, {place}: the prompt has {len(ids)} tokens, but only {room} fit into the model's context"
                    " beside sampling.max_new_tokens",
                    f"shorten it, or lower sampling.max_new_tokens (it begins: {prompt.text[:60]!r})",
                )
        return encoded

    def _plain_text(self, messages: Sequence[Message]) -> str:
        return conversation_text(self.template, messages, answered=False)

    def _asked(self, contents: Sequence[str]) -> str:
        return _filled(self.template, contents)


def conversation_text(template: str, messages: Sequence[Message], answered: bool) -> str:
    """The template once for each answer: those that were given, as they stand in running text, and the open one.

    Args:
        template: text with `{prompt}`.
        answered: the last message is an answer, and none is open.
    """
    text, asked = "", list[str]()
    for message in messages:
        if message.role == "assistant":
            text += f"{_filled(template, asked)} {message.content.strip()}\n"
            asked = []
        else:
            asked.append(message.content)
    return text if answered else text + _filled(template, asked)


def _filled(template: str, contents: Sequence[str]) -> str:
    return template.replace("{prompt}", "\n".join(contents))
