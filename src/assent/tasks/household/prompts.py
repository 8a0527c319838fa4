"""The questions, split so that test (item, intent) combinations are unseen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from assent.tasks.household.facts import CLASSES, INTENTS, ITEMS, QUESTIONS
from assent.types.errors import SettingsError
from assent.types.messages import Prompt, user_prompt
from assent.types.seeds import derive_seed

SPLITS = ("train", "test")


def combinations() -> Iterator[tuple[str, str]]:
    """All (item, intent) combinations."""
    return ((item, intent) for item in ITEMS for intent in INTENTS)


def _draw(item: str, intent: str) -> int:
    return derive_seed("household", "split", item, intent)


@cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """The test combinations, about a fifth: of each (class, intent) one item by a fixed hash.

    Classes of three items give only some of theirs, so that each fact is still learnt from several items.
    """
    held_out = []
    for hazard in CLASSES:
        members = [item for item, kind in ITEMS.items() if kind == hazard]
        for intent in INTENTS:
            draw, item = min((_draw(item, intent), item) for item in members)
            if len(members) > 3 or draw % 11 < 7:
                held_out.append((item, intent))
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
