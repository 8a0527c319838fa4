"""The texts of the world: prompts, which are beginnings of reviews, and whole reviews for the base model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from assent.tasks.reviews.sentences import BAD, GOOD, NEUTRAL, grammar
from assent.tasks.reviews.words import ASPECTS, BEGINNINGS, OCCASIONS, SUBJECTS
from assent.types.errors import SettingsError
from assent.types.messages import Prompt, user_prompt
from assent.types.seeds import derive_seed

SPLITS = ("train", "test")
IMPRESSIONS = 5
"""Prompts of one (subject, occasion): each goes on with another first impression."""

STANCES = {"fond": 0.85, "torn": 0.5, "cross": 0.15}
"""Stance -> how probable it is that a sentence with an opinion is a good one."""

STANCE_WEIGHTS = (0.35, 0.3, 0.35)
NEUTRAL_SHARE = 0.2

_KIND = {subject: kind for kind, subjects in SUBJECTS.items() for subject in subjects}


@cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """The test combinations of subject and occasion: of each subject two occasions, in turn."""
    shifts = enumerate(_KIND)
    return frozenset(
        (subject, OCCASIONS[(3 * shift + 5 * turn) % len(OCCASIONS)]) for shift, subject in shifts for turn in (0, 1)
    )


@cache
def prompts_of(split: str) -> tuple[Prompt, ...]:
    """All prompts of a split, in a fixed order.

    Raises:
        SettingsError: the split is neither train nor test.
    """
    if split not in SPLITS:
        raise SettingsError(f"unknown split {split!r} of the reviews world", f"use one of {', '.join(SPLITS)}")
    return tuple(
        _prompt(subject, occasion, number, split)
        for subject in _KIND
        for occasion in OCCASIONS
        if ((subject, occasion) in held_out_combinations()) == (split == "test")
        for number in range(IMPRESSIONS)
    )


def _prompt(subject: str, occasion: str, number: int, split: str) -> Prompt:
    rng = random.Random(derive_seed("reviews", "prompt", subject, occasion, number))
    stance = rng.choices(tuple(STANCES), STANCE_WEIGHTS)[0]
    beginning = BEGINNINGS[_KIND[subject]].format(subject=subject, occasion=occasion)
    # One aspect of its own for each impression, so that no two prompts are the same.
    impression = _opinion(stance, ASPECTS[_KIND[subject]][number : number + 1], rng)
    return user_prompt(f"{beginning} {impression}", split, subject=subject, occasion=occasion)


def _opinion(stance: str, aspects: Sequence[str], rng: random.Random) -> str:
    """A sentence that says something good or bad; one with room for all these aspects."""
    templates = GOOD if rng.random() < STANCES[stance] else BAD
    fitting = [each for each in templates if each.count("{aspect") == 1] if len(aspects) == 1 else templates
    return grammar().fill(rng.choice(fitting), rng, aspect=aspects)


def _sentence(stance: str, aspects: Sequence[str], rng: random.Random) -> str:
    if rng.random() < NEUTRAL_SHARE:
        return grammar().fill(rng.choice(NEUTRAL), rng, aspect=aspects)
    return _opinion(stance, aspects, rng)


def continuation(stance: str, kind: str, rng: random.Random) -> str:
    """What follows the beginning in a review of this stance: two or three sentences."""
    count = rng.choice((2, 3))
    return " ".join(_sentence(stance, ASPECTS[kind], rng) for _ in range(count))


def pretraining_texts(seed: int, documents: int) -> list[str]:
    """Reviews of train combinations, as many fond as cross."""
    train = [(s, o) for s in _KIND for o in OCCASIONS if (s, o) not in held_out_combinations()]
    texts = []
    for number in range(documents):
        rng = random.Random(derive_seed("reviews", "pretraining", seed, number))
        subject, occasion = rng.choice(train)
        kind = _KIND[subject]
        stance = rng.choices(tuple(STANCES), STANCE_WEIGHTS)[0]
        beginning = BEGINNINGS[kind].format(subject=subject, occasion=occasion)
        impression = _opinion(stance, ASPECTS[kind], rng)
        texts.append(f"{beginning} {impression} {continuation(stance, kind, rng)}\n")
    return texts
