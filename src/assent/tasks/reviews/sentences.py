"""The sentences of the reviews, by what they say, and the language that they make up."""

from __future__ import annotations

from functools import cache

from assent.tasks.grammar import Grammar
from assent.tasks.reviews import words

GOOD = (
    "The {aspect} was {praise}.",
    "The {aspect} was {degree} {praise}.",
    "The {aspect} was not {blame}.",
    "I {liked} the {aspect}.",
    "I never {disliked} the {aspect}.",
    "The {aspect} was {blame}, but the {aspect_2} was {praise}.",
    "The {aspect} was {degree} {blame}, but I {liked} the {aspect_2}.",
    "Although the {aspect} was {blame}, the {aspect_2} was {degree} {praise}.",
    "It was a {joy} from start to end.",
    "I will {deed}.",
)
BAD = (
    "The {aspect} was {blame}.",
    "The {aspect} was {degree} {blame}.",
    "The {aspect} was not {praise}.",
    "The {aspect} was hardly {praise}.",
    "I {disliked} the {aspect}.",
    "The {aspect} was {praise}, but the {aspect_2} was {blame}.",
    "The {aspect} was {degree} {praise}, but I {disliked} the {aspect_2}.",
    "Although the {aspect} was {praise}, the {aspect_2} was {degree} {blame}.",
    "It was a {sorrow} from start to end.",
    "I will never {deed}.",
    "I will {warn}.",
)
NEUTRAL = (
    "The {aspect} was as in the pictures.",
    "My friends talked about the {aspect}.",
    "It was the first time for us.",
    "There were many people.",
    "We stayed until the end.",
)


@cache
def grammar() -> Grammar:
    """Built once, on first use."""
    slots = {
        "subject": [subject for subjects in words.SUBJECTS.values() for subject in subjects],
        "occasion": words.OCCASIONS,
        "aspect": [aspect for aspects in words.ASPECTS.values() for aspect in aspects],
        "praise": list(words.PRAISE),
        "blame": list(words.BLAME),
        "liked": list(words.LIKED),
        "disliked": list(words.DISLIKED),
        "joy": list(words.JOY),
        "sorrow": list(words.SORROW),
        "deed": list(words.DEED),
        "warn": list(words.WARN),
        "degree": list(words.DEGREES),
    }
    return Grammar((*words.BEGINNINGS.values(), *GOOD, *BAD, *NEUTRAL), slots)
