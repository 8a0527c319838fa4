"""The texts of the world: what the base model reads, what contractors demonstrate, and answers of a named quality."""

from __future__ import annotations

import random

from assent.tasks.household import sentences
from assent.tasks.household.answers import CONTRACTOR, INTERNET, QUALITIES, reaction, write
from assent.tasks.household.facts import AVOID, BODY_INTENTS, INTENTS, ITEMS
from assent.tasks.household.pieces import Role, fill, fitting
from assent.tasks.household.prompts import prompts_of
from assent.types.messages import Prompt
from assent.types.seeds import derive_seed

GIBBERISH = "gibberish"
ALL_QUALITIES = (*QUALITIES, GIBBERISH)

FACT_SHARE = 0.2
"""Share of the pretraining documents that state facts instead of asking for advice."""

REPLY_SHARE = 0.75
"""Share of the answers in a thread that a reader replies to."""

REPLY_TRUTH = 0.9
"""Share of the replies that fit the answer; the others are any reply."""


def reference_answer(prompt: Prompt, quality: str, rng: random.Random) -> str:
    """An answer of a named quality (one of `ALL_QUALITIES`), for tests and for calibrating simulated people.

    Raises:
        ValueError: no such quality.
    """
    if quality == GIBBERISH:
        words = write(QUALITIES["good"], prompt, rng).rstrip(".").split()
        rng.shuffle(words)
        return " ".join(words)
    if quality not in QUALITIES:
        raise ValueError(f"unknown quality {quality!r}, known: {', '.join(ALL_QUALITIES)}")
    return write(QUALITIES[quality], prompt, rng)


def _thread(rng: random.Random) -> str:
    """One to three questions with the answers that someone gave, and what a reader replied to most of them."""
    train = prompts_of("train")
    count = rng.choices((1, 2, 3), (0.4, 0.4, 0.2))[0]
    return "".join(_exchange(rng.choice(train), rng) for _ in range(count))


def _exchange(prompt: Prompt, rng: random.Random) -> str:
    plan = INTERNET.draw(rng)
    lines = [f"Question: {prompt.text}", f"Answer: {write(plan, prompt, rng)}"]
    if rng.random() < REPLY_SHARE:
        kind = reaction(plan) if rng.random() < REPLY_TRUTH else rng.choice(tuple(sentences.REPLIES))
        lines.append(f"Reply: {fill(rng.choice(sentences.REPLIES[kind]), prompt.meta['item'])}")
    return "\n".join(lines) + "\n"


def _reason(item: str, body: bool, rng: random.Random) -> str:
    intent = BODY_INTENTS[0] if body else INTENTS[0]
    piece = fitting(Role.REASON, intent, ITEMS[item])[0]
    return fill(rng.choice(piece.wordings), item)


def _facts(item: str, rng: random.Random) -> str:
    """What kind of thing an item is, why it is a hazard, and what it must not meet."""
    hazard = ITEMS[item]
    other = rng.choice([name for name, kind in ITEMS.items() if kind == hazard and name != item])
    partner = AVOID[item][0] if rng.random() < 0.75 else rng.choice(AVOID[item])
    lines = [
        _reason(item, False, rng),
        _reason(item, True, rng),
        fill(rng.choice(sentences.FACT_TEMPLATES), item, partner=partner),
        fill(rng.choice(sentences.KIN_TEMPLATES), item, other=other, kind=sentences.KIND_WORDS[hazard]),
    ]
    return " ".join(rng.sample(lines, rng.choice((2, 3)))) + "\n"


def pretraining_texts(seed: int, documents: int) -> list[str]:
    """Documents as on the internet: threads of all qualities about train combinations, and facts about all items."""
    texts = []
    items = tuple(ITEMS)
    for number in range(documents):
        rng = random.Random(derive_seed("household", "pretraining", seed, number))
        texts.append(_facts(items[number % len(items)], rng) if rng.random() < FACT_SHARE else _thread(rng))
    return texts


def demonstrations(seed: int, count: int) -> list[tuple[Prompt, str]]:
    """(train prompt, answer) pairs as contractors write them: better than the internet, and clearly imperfect."""
    rng = random.Random(derive_seed("household", "demonstrations", seed))
    train = prompts_of("train")
    order: list[Prompt] = []
    while len(order) < count:
        order.extend(rng.sample(train, len(train)))
    return [(prompt, write(CONTRACTOR.draw(rng), prompt, rng)) for prompt in order[:count]]
