from __future__ import annotations

from itertools import product

import pytest

from assent.tasks.chain import Chain
from assent.types.messages import Message
from assent.types.protocols import StepResult


def walked(chain: Chain, words: list[str]) -> tuple[StepResult, int]:
    """The last answer, and how many words were used."""
    chain.reset(0)
    used = 0
    for word in words:
        result = chain.step(word)
        used += 1
        if result.done:
            break
    return result, used


def test_only_the_far_end_pays() -> None:
    chain = Chain(4, 5)
    assert chain.reset(7) == (Message("user", "state 1"),)
    assert walked(chain, ["right", "right"]) == (StepResult((Message("user", "state 3"),), 0.0, False), 2)
    assert walked(chain, ["right"] * 5) == (StepResult((), 1.0, True), 3)
    assert walked(chain, ["left", "right", "left", "right", "right"])[0].messages == (Message("user", "state 3"),)
    assert walked(chain, ["left", "right", "left", "right", "right"])[0].done
    assert walked(chain, ["up", " right ", "Right", "right"])[0].messages == (Message("user", "state 3"),)


def arriving(length: int, steps: int) -> float:
    """The share of walks by chance that arrive, from the chances of being anywhere."""
    where, arrived = {1: 1.0}, 0.0
    for _ in range(steps):
        after: dict[int, float] = {}
        for place, share in where.items():
            for next_place in (place + 1, max(1, place - 1)):
                after[next_place] = after.get(next_place, 0.0) + share / 2
        arrived += after.pop(length, 0.0)
        where = after
    return arrived


def test_a_walk_of_chance_rarely_arrives() -> None:
    short = Chain(6, 8)
    paid = [walked(short, list(words))[0].reward for words in product(("left", "right"), repeat=8)]
    assert sum(paid) / len(paid) == arriving(6, 8) == 28 / 256
    whole = Chain()
    assert round(arriving(whole.length, whole.steps), 3) == 0.034  # as the documents say


def test_conversations_name_the_words_and_not_the_way() -> None:
    talks = Chain().conversations(1)
    assert talks == Chain().conversations(1) != Chain().conversations(2)
    words = [message.content for talk in talks for message in talk if message.role == "assistant"]
    assert set(words) == {"left", "right"} and 0.47 < words.count("right") / len(words) < 0.53
    assert all(talk[0].content == "state 1" and talk[-1].role == "assistant" for talk in talks)


def test_one_that_cannot_be_walked_is_refused() -> None:
    with pytest.raises(ValueError, match="8 states cannot be walked in 6 steps"):
        Chain(8, 6)
