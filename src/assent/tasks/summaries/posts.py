"""The posts: what each tells, in which words, and which are held out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from assent.types.errors import SettingsError
from assent.types.messages import Prompt, user_prompt
from assent.types.seeds import derive_seed

SPLITS = ("train", "test")

FACTS: Mapping[str, tuple[str, ...]] = {
    "name": ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Henry", "Ivy", "Jonas"),
    "person": ("landlord", "sister", "boss", "neighbor", "cousin", "teacher", "coach", "roommate"),
    "trouble": (
        "plays loud music",
        "tells lies",
        "owes money",
        "takes the bike",
        "reads private letters",
        "parks on the grass",
        "breaks the dishes",
        "feeds the dog cake",
        "borrows the car",
        "forgets the keys",
    ),
    "time": ("last week", "March", "the holidays", "last year", "Monday", "the summer"),
    "deed": (
        "move out",
        "call the police",
        "ask for help",
        "write a letter",
        "stay silent",
        "get a lawyer",
        "buy a lock",
        "wait a bit",
    ),
}
"""What a post tells: by whom, about whom, what, since when, and what the writer thinks of doing."""

ASIDES = (
    "The weather has been cold.",
    "I had soup for lunch.",
    "My cat is asleep.",
    "Sorry for the long post.",
    "I am new to this place.",
    "It is late and I am tired.",
)
"""What has nothing to do with it."""

INTRODUCTIONS = ("I am {name}.", "This is {name}.")
PROBLEMS = ("My {person} {trouble}.", "The trouble is that my {person} {trouble}.")
BEGINNINGS = ("It has been so since {time}.", "I have put up with it since {time}.")
QUESTIONS = ("Should I {deed}?", "Is it right to {deed}?")

VARIANTS = 12
"""Posts of one (person, trouble), with other names, times, deeds and words."""


@cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """The test combinations of person and trouble: of each person two troubles, in turn."""
    people, troubles = FACTS["person"], FACTS["trouble"]
    return frozenset(
        (person, troubles[(3 * shift + 5 * turn) % len(troubles)])
        for shift, person in enumerate(people)
        for turn in (0, 1)
    )


@cache
def prompts_of(split: str) -> tuple[Prompt, ...]:
    """All posts of a split, in a fixed order; their meta holds the facts.

    Raises:
        SettingsError: the split is neither train nor test.
    """
    if split not in SPLITS:
        raise SettingsError(f"unknown split {split!r} of the summaries world", f"use one of {', '.join(SPLITS)}")
    return tuple(
        post(person, trouble, random.Random(derive_seed("summaries", "post", person, trouble, number)), split)
        for person in FACTS["person"]
        for trouble in FACTS["trouble"]
        if ((person, trouble) in held_out_combinations()) == (split == "test")
        for number in range(VARIANTS)
    )


def post(person: str, trouble: str, rng: random.Random, split: str) -> Prompt:
    """A post about this person and trouble: who writes, the trouble, an aside or two, since when, and a question."""
    facts = {name: rng.choice(fillers) for name, fillers in FACTS.items()} | {"person": person, "trouble": trouble}
    middle = [rng.choice(PROBLEMS), rng.choice(BEGINNINGS)]
    for aside in rng.sample(ASIDES, rng.choice((1, 2))):
        middle.insert(rng.randrange(len(middle) + 1), aside)
    text = " ".join((rng.choice(INTRODUCTIONS), *middle, rng.choice(QUESTIONS))).format(**facts)
    return user_prompt(text, split, **facts)


def train_post(rng: random.Random) -> Prompt:
    """A post about a train combination, other than the prompts but for chance."""
    pairs = [(p, t) for p in FACTS["person"] for t in FACTS["trouble"] if (p, t) not in held_out_combinations()]
    return post(*rng.choice(pairs), rng, "train")
