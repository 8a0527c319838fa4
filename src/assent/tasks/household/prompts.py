"""The questions, split so that test (item, intent) combinations are unseen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from assent.tasks.household.facts import CLASSES, INTENTS, ITEMS, QUESTIONS
from assent.types.errors import SettingsError
from assent.types.messages import Prompt, user_prompt

SPLITS = ("train", "test")


def combinations() -> Iterator[tuple[str, str]]:
    """All (item, intent) combinations."""
    return ((item, intent) for item in ITEMS for intent in INTENTS)


@cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """The test combinations: of each (class, intent) one item, in turn, so that every item is asked about in both."""
    held_out = []
    for shift, hazard in enumerate(CLASSES):
        members = [item for item, kind in ITEMS.items() if kind == hazard]
        held_out += [(members[(place + shift) % len(members)], intent) for place, intent in enumerate(INTENTS)]
    return frozenset(held_out)


def _of_combination(item: str, intent: str, split: str) -> list[Prompt]:
    return [
        user_prompt(question.format(item=item), split, item=item, intent=intent, phrasing=str(number))
        for number, question in enumerate(QUESTIONS[intent])
    ]


@cache
def prompts_of(split: str) -> tuple[Prompt, ...]:
    """All prompts of a split, in a fixed order.

    Raises:
        SettingsError: the split is neither train nor test.
    """
    if split not in SPLITS:
        raise SettingsError(f"unknown split {split!r} of the household world", f"use one of {', '.join(SPLITS)}")
    held_out = held_out_combinations()
    wanted = split == "test"
    return tuple(
        prompt
        for item, intent in combinations()
        if ((item, intent) in held_out) == wanted
        for prompt in _of_combination(item, intent, split)
    )
