"""The gold judge: does a summary say what matters, nothing else, and shortly?"""

from __future__ import annotations

from collections.abc import Mapping

from assent.tasks.summaries.posts import FACTS
from assent.tasks.summaries.writing import grammar
from assent.types.feedback import WorldMarks
from assent.types.messages import Prompt

WORTH: Mapping[str, float] = {"name": 0.15, "person": 0.2, "trouble": 0.3, "time": 0.1, "deed": 0.25}
"""Fact -> its part in coverage."""

SHORT, LONG = 16, 40
"""Words up to which a summary is short, and from which on nothing is left of brevity."""

NEGATIONS = frozenset({"not", "never", "no"})
FOR_CHANCE = 0.6
"""Weight of the doubt in faithfulness: who claims nothing gets one half, not one."""


def claims(text: str) -> dict[str, set[str]]:
    """Fact -> what the text says it is; where a sentence denies something, what it says is turned into a falsehood."""
    fillers = {name: {filler.lower(): filler for filler in each} for name, each in FACTS.items()}
    found: dict[str, set[str]] = {name: set() for name in FACTS}
    for sentence in grammar().read(text):
        denied = bool(NEGATIONS & set(sentence.tokens))
        for token in sentence.tokens:
            if (name := grammar().slot_of.get(token)) is not None:
                found[name].add(f"not {token}" if denied else fillers[name][token])
    return found


def coverage(facts: Mapping[str, str], said: Mapping[str, set[str]]) -> float:
    """The worth of the facts that are stated and not contradicted beside it."""
    return sum(worth / len(said[name]) for name, worth in WORTH.items() if facts[name] in said[name])


def faithfulness(facts: Mapping[str, str], said: Mapping[str, set[str]]) -> float:
    """The share of claims that the post makes too, drawn towards one half when little is claimed."""
    true = sum(claim == facts[name] for name, stated in said.items() for claim in stated)
    total = sum(map(len, said.values()))
    return (0.5 * FOR_CHANCE + true) / (FOR_CHANCE + total)


def brevity(text: str) -> float:
    """One for a short line, falling to zero for a long one; half of it for several lines."""
    value = min(1.0, max(0.0, (LONG - len(text.split())) / (LONG - SHORT)))
    return value if "\n" not in text.strip() else 0.5 * value


def marks(prompt: Prompt, completion: str) -> WorldMarks:
    """Gold marks in [0, 1] for any text.

    Raises:
        ValueError: the prompt is not one of this world (its meta lacks the facts).
    """
    missing = [name for name in FACTS if name not in prompt.meta]
    if missing:
        raise ValueError(f"the summaries judge needs a post whose meta holds its facts; missing: {', '.join(missing)}")
    said = claims(completion)
    own = (
        ("coverage", coverage(prompt.meta, said)),
        ("faithfulness", faithfulness(prompt.meta, said)),
        ("brevity", brevity(completion)),
    )
    return WorldMarks(own, grammar().fluency(completion, LONG))
