"""Summaries of every quality: whole and partial, true and false, short and long."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from assent.tasks.grammar import Grammar
from assent.tasks.summaries.posts import ASIDES, BEGINNINGS, FACTS, INTRODUCTIONS, PROBLEMS, QUESTIONS
from assent.types.messages import Prompt

WHOLE = (
    "{name}'s {person} {trouble} since {time}, and {name} may {deed}.",
    "Since {time} {name}'s {person} {trouble}, and {name} may {deed}.",
)
NO_TIME = ("{name}'s {person} {trouble}, and {name} may {deed}.",)
NO_DEED = ("{name}'s {person} {trouble} since {time}.", "{name}'s {person} {trouble}.")
NO_TROUBLE = ("{name} may {deed}.", "{name} has trouble with the {person}.", "{name} asks about the {person}.")
VAGUE = ("Someone has trouble at home.", "A person asks what to do.", "It is about life with other people.")

MIX: Mapping[str, Mapping[str, float]] = {
    "internet": {"whole": 0.08, "no time": 0.12, "no deed": 0.25, "no trouble": 0.2, "vague": 0.15, "long": 0.2},
    "contractor": {"whole": 0.1, "no time": 0.15, "no deed": 0.35, "no trouble": 0.25, "vague": 0.0, "long": 0.15},
}
"""Who writes -> how often each sort of summary."""

FALSE_SHARE: Mapping[str, float] = {"internet": 0.35, "contractor": 0.15}
"""Who writes -> the share of summaries in which one fact is not the post's."""

_SORTS = {"whole": WHOLE, "no time": NO_TIME, "no deed": NO_DEED, "no trouble": NO_TROUBLE, "vague": VAGUE}
SORTS = (*_SORTS, "long")


@cache
def grammar() -> Grammar:
    """The language of posts and summaries, built once, on first use."""
    summaries = [template for templates in _SORTS.values() for template in templates]
    posts = [*INTRODUCTIONS, *PROBLEMS, *BEGINNINGS, *QUESTIONS, *ASIDES]
    return Grammar([*summaries, *posts], FACTS)


def summary(sort: str, facts: Mapping[str, str], rng: random.Random) -> str:
    """A summary of this sort that states these facts.

    Raises:
        ValueError: no such sort.
    """
    if sort == "long":  # the post over again, with something that does not matter
        parts = (INTRODUCTIONS[0], rng.choice(ASIDES), rng.choice(PROBLEMS), rng.choice(BEGINNINGS), QUESTIONS[0])
        return " ".join(parts).format(**facts)
    if sort not in _SORTS:
        raise ValueError(f"unknown sort of summary {sort!r}, known: {', '.join(SORTS)}")
    return rng.choice(_SORTS[sort]).format(**facts)


def written_by(who: str, prompt: Prompt, rng: random.Random) -> str:
    """A summary as the internet or a contractor would write it, false facts included."""
    facts = {name: prompt.meta[name] for name in FACTS}
    if rng.random() < FALSE_SHARE[who]:
        wrong = rng.choice(tuple(FACTS))
        facts[wrong] = rng.choice([filler for filler in FACTS[wrong] if filler != facts[wrong]])
    sort = rng.choices(tuple(MIX[who]), tuple(MIX[who].values()))[0]
    return summary(sort, facts, rng)
