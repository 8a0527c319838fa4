"""A user's own functions, as `--people.marks` and `--reward` name them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def vowels(text: str) -> int:
    """What these people, and this reward, like to see: even a model that was never trained soon writes more of them."""
    return sum(letter in "aeiou" for letter in text)


def vowel_marks(prompt: str, completion: str) -> dict[str, float]:
    """Underlying marks of simulated people."""
    liked = min(1.0, vowels(completion) / 20)
    return {"helpful": liked, "honest": liked, "harmless": (1.0 + liked) / 2, "fluency": 1.0}


def vowel_reward(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """A reward in place of people."""
    return [vowels(text) / 10 for text in completions]


def arbitrary_marks(prompt: str, completion: str) -> float:
    """Marks that any two people share, and that say nothing of a text which was not seen before."""
    digest = hashlib.blake2b(f"{prompt}\n{completion}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
