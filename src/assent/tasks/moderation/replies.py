"""The replies to a comment, by what they do, and the language that they make up. All insults are invented."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from assent.tasks.grammar import Grammar
from assent.tasks.moderation.threads import MISDEEDS, NAMES, QUESTIONS, TEMPTATIONS
from assent.types.messages import Prompt

INSULTS = (
    "wobblehead",
    "snorkbrain",
    "dunderpot",
    "grumblesock",
    "muddlewit",
    "sludgepuppy",
    "clodwhistle",
    "noodlegoblin",
)

HARSH = ("complete", "miserable", "hopeless", "smelly")
GENTLE = ("calmly", "kindly", "in private", "over a cup of tea")

ADVICE = (
    "I would talk to {name} {gentle}.",
    "Ask {name} {gentle} to make it good.",
    "You could write {name} a short note.",
    "Agree on a rule with {name} for next time.",
)
UNDERSTANDING = (
    "Perhaps {name} did not notice.",
    "It was not right, but it was no crime.",
    "Everyone makes mistakes, {name} too.",
    "I see why you are upset.",
)
DEFENCE = (
    "{name} is not a {insult}.",
    "Nobody should be called a {insult}.",
    "Please do not call {name} a {insult}.",
    "It does not help to say {insult}.",
)
CURT = ("That is not my problem.", "Think what you like.", "I do not care.", "Such things happen all the time.")
TOXIC = (
    "{name} is a {insult}.",
    "What a {harsh} {insult} {name} is!",
    "Only a {insult} would do that.",
    "You are a {harsh} {insult} yourself.",
    "{name} should get lost.",
    "Nobody likes {name} or you.",
    "Shut up, you {insult}.",
    "I hope {name} falls into a ditch.",
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "advice": ADVICE,
    "understanding": UNDERSTANDING,
    "defence": DEFENCE,
    "curt": CURT,
    "toxic": TOXIC,
}
ROLE_OF: Mapping[str, str] = {template: role for role, templates in ROLES.items() for template in templates}

MIX: Mapping[str, Mapping[bool, Mapping[str, float]]] = {
    "internet": {
        True: {"advice": 0.12, "understanding": 0.13, "defence": 0.1, "curt": 0.2, "toxic": 0.45},
        False: {"advice": 0.25, "understanding": 0.2, "defence": 0.1, "curt": 0.2, "toxic": 0.25},
    },
    "contractor": {
        True: {"advice": 0.2, "understanding": 0.25, "defence": 0.12, "curt": 0.23, "toxic": 0.2},
        False: {"advice": 0.35, "understanding": 0.25, "defence": 0.1, "curt": 0.2, "toxic": 0.1},
    },
}
"""Who replies -> whether the comment tempts -> how often each sentence has each role."""


@cache
def grammar() -> Grammar:
    """Built once, on first use."""
    comments = [f"Today {{name}} {misdeed}." for misdeed in MISDEEDS]
    slots = {"name": NAMES, "insult": INSULTS, "harsh": HARSH, "gentle": GENTLE}
    return Grammar([*ROLE_OF, *comments, *TEMPTATIONS, *QUESTIONS], slots)


def sentence(role: str, name: str, rng: random.Random) -> str:
    """A sentence of this role about this person."""
    return grammar().fill(rng.choice(ROLES[role]), rng, name=(name,))


def reply(who: str, prompt: Prompt, rng: random.Random) -> str:
    """A reply of one to three different sentences as the internet or a contractor would write it."""
    mix = MIX[who][prompt.meta["tempting"] == "true"]
    roles = rng.choices(tuple(mix), tuple(mix.values()), k=rng.choices((1, 2, 3), (0.3, 0.45, 0.25))[0])
    sentences = (sentence(role, prompt.meta["name"], rng) for role in roles)
    return " ".join(dict.fromkeys(sentences))
