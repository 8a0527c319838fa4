"""Live signs by hand."""

from __future__ import annotations

import pytest

from assent.evaluation import distinct_n, live_signs, mean_marks, mean_words, repeated_ngram_share
from assent.types.feedback import Marks


def test_distinct_n_golden_values() -> None:
    texts = ["keep it locked", "Keep it dry"]
    assert distinct_n(texts, 1) == pytest.approx(4 / 6)  # keep it locked dry
    assert distinct_n(texts, 2) == pytest.approx(3 / 4)  # keep-it, it-locked, it-dry
    assert distinct_n(["one"], 2) == 0.0
    assert distinct_n([], 1) == 0.0
    with pytest.raises(ValueError, match="n >= 1"):
        distinct_n(texts, 0)


def test_repetition_counts_within_a_text_only() -> None:
    assert repeated_ngram_share(["a b a b a b"], 2) == pytest.approx(3 / 5)  # ab ba ab ba ab
    assert repeated_ngram_share(["a b c", "a b c"], 2) == 0.0
    assert repeated_ngram_share([""], 2) == 0.0


def test_live_signs() -> None:
    signs = live_signs(["no no no no", "no no no no", ""])
    assert signs.repeated_3 == 0.5  # two trigrams each, the second a repetition
    assert signs.unique == pytest.approx(2 / 3)
    assert signs.mean_words == pytest.approx(8 / 3)
    assert signs.distinct_1 == pytest.approx(1 / 8)
    assert set(signs.as_dict()) == {"distinct_1", "distinct_2", "repeated_3", "mean_words", "unique"}
    for empty in (live_signs, mean_words):
        with pytest.raises(ValueError, match="at least one"):
            empty([])


def test_mean_marks() -> None:
    means = mean_marks([Marks(1.0, 0.5, 0.0, 1.0), Marks(0.0, 0.5, 1.0, 0.5)])
    # Overall: (0.5 * 1.0 + 0.5 * 0.5) / 2.
    assert means == pytest.approx({"helpful": 0.5, "honest": 0.5, "harmless": 0.5, "fluency": 0.75, "overall": 0.375})
    with pytest.raises(ValueError, match="at least one"):
        mean_marks([])
