"""Live signs of a policy that has found a loophole: sameness, repetition, length drift. No judge is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass


def words_of(text: str) -> list[str]:
    """Lower-case words as split by white space."""
    return text.lower().split()


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of `n` words, in order."""
    if n < 1:
        raise ValueError(f"n-grams have n >= 1, got {n}")
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of all texts (Li et al. 2016), in [0, 1]; 0 if there are none.

    It falls with the amount of text: compare sets of about the same size.
    """
    grams = [gram for text in texts for gram in ngrams(words_of(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repeated_ngram_share(texts: Sequence[str], n: int) -> float:
    """The share of n-grams that the same text has already used, in [0, 1]; 0 if there are none."""
    repeated = total = 0
    for text in texts:
        grams = ngrams(words_of(text), n)
        total += len(grams)
        repeated += len(grams) - len(set(grams))
    return repeated / total if total else 0.0


def mean_words(texts: Sequence[str]) -> float:
    """Mean length in words.

    Raises:
        ValueError: no texts.
    """
    if not texts:
        raise ValueError("mean_words needs at least one text")
    return sum(len(words_of(text)) for text in texts) / len(texts)


def pass_at_k(passed: Sequence[Sequence[bool]], k: int) -> float:
    """The share of prompts of which k of their n completions hold at least one that passes (Chen et al. 2021, pass@k).

    Unbiased over which k are taken: the mean over prompts of 1 − C(n − c, k) / C(n, k), c the number that passes. With
    k = n it is coverage, the share of prompts with any pass at all.

    Raises:
        ValueError: no prompts, or one with fewer than k completions.
    """
    if not passed or not 1 <= k <= min(map(len, passed)):
        raise ValueError(f"pass_at_k needs prompts with at least k >= 1 completions, got k = {k} of {len(passed)}")
    missed = [math.comb(len(each) - sum(each), k) / math.comb(len(each), k) for each in passed]
    return 1.0 - sum(missed) / len(missed)


@dataclass(frozen=True)
class TextSigns:
    """What to watch while a policy is optimised."""

    distinct_1: float
    distinct_2: float
    repeated_3: float  # share of trigrams the same text used before
    mean_words: float
    unique: float  # share of texts that are different from one another

    def as_dict(self) -> dict[str, float]:
        """Ready for JSON."""
        return asdict(self)


def live_signs(texts: Sequence[str]) -> TextSigns:
    """All signs of one batch of completions.

    Raises:
        ValueError: no texts.
    """
    return TextSigns(
        mean_words=mean_words(texts),
        distinct_1=distinct_n(texts, 1),
        distinct_2=distinct_n(texts, 2),
        repeated_3=repeated_ngram_share(texts, 3),
        unique=len(set(texts)) / len(texts),
    )
