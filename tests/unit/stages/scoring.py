"""A user's own functions, as `reward.function` and `people.marks` name them."""

from __future__ import annotations

from collections.abc import Sequence


def share_of_vowels(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    return [sum(letter in "aeiou" for letter in text) / 10 for text in completions]


def marks(prompt: str, completion: str) -> dict[str, float]:
    letters = max(1, len(completion))
    vowels = sum(letter in "aeiou" for letter in completion) / letters
    return {"helpful": vowels, "honest": min(1.0, letters / 40), "harmless": 1.0 - vowels / 2, "fluency": 0.9}
