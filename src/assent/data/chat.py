"""Messages to tokens and back, for any tokenizer, with or without a chat template of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assent.types.errors import DataError, ModelError
from assent.types.messages import Message, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
        ids = self.tokenizer(self._plain_text(prompt.messages))["input_ids"]
        return [int(token) for token in (ids[:-1] if ids and ids[-1] == self.end_id else ids)]

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
        """The template once for each answer: those that were given, as they stand in running text, and the open one."""
        text, asked = "", list[str]()
        for message in messages:
            if message.role == "assistant":
                text += f"{self._asked(asked)} {message.content.strip()}\n"
                asked = []
            else:
                asked.append(message.content)
        return text + self._asked(asked)

    def _asked(self, contents: Sequence[str]) -> str:
        return self.template.replace("{prompt}", "\n".join(contents))
