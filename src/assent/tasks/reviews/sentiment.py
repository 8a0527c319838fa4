"""How pleasant a sentence is: the valence of its words, turned and scaled by the words around them.

"not bad" is mildly good, "truly superb" is better than "superb", and "the room was awful, but the view was superb" is
good on the whole, as what follows "but" weighs more. To know the words is therefore not enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from assent.tasks.reviews.words import (
    CONCESSIONS,
    CONTRASTS,
    DEGREES,
    FAINT_PRAISE,
    MAIN_CLAUSE,
    NEGATION_REACH,
    NEGATIONS,
    VALENCE,
)


def sentence_valence(tokens: Sequence[str]) -> float | None:
    """In [-1, 1]; None if nothing in it is pleasant or unpleasant."""
    minor, main = _clauses(tokens)
    first, second = _clause_valence(minor), _clause_valence(main)
    if first is None or second is None:
        return first if second is None else second
    return (1.0 - MAIN_CLAUSE) * first + MAIN_CLAUSE * second


def _clauses(tokens: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """(what weighs less, what weighs more); the first is empty where there is no contrast."""
    for place, token in enumerate(tokens):
        if token in CONTRASTS:
            return tokens[:place], tokens[place + 1 :]
    if tokens and tokens[0] in CONCESSIONS and "," in tokens:
        comma = list(tokens).index(",")
        return tokens[1:comma], tokens[comma + 1 :]
    return (), tokens


def _clause_valence(tokens: Sequence[str]) -> float | None:
    """The mean over its pleasant and unpleasant words."""
    found = [_word_valence(tokens, place) for place, token in enumerate(tokens) if token in VALENCE]
    return sum(found) / len(found) if found else None


def _word_valence(tokens: Sequence[str], place: int) -> float:
    value = VALENCE[tokens[place]]
    before = tokens[max(0, place - NEGATION_REACH) : place]
    negations = [token for token in before if token in NEGATIONS]
    for negation in negations:
        value *= NEGATIONS[negation] if value > 0 else FAINT_PRAISE
    if not negations and before and before[-1] in DEGREES:
        value *= DEGREES[before[-1]]
    return min(1.0, max(-1.0, value))
