"""What a policy is asked: messages and prompts, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Prompt:
    """What the policy is given: one or more messages, the last of which it answers."""

    messages: tuple[Message, ...]
    split: str = "train"  # "train" or "test"; test prompts are only ever used to evaluate
    meta: Mapping[str, str] = field(default_factory=dict)  # e.g. the item and the intent in a bundled task

    @property
    def text(self) -> str:
        """The last user message, for people to read."""
        return self.messages[-1].content


def user_prompt(text: str, split: str = "train", **meta: str) -> Prompt:
    """A prompt of a single user message."""
    return Prompt((Message("user", text),), split, meta)
