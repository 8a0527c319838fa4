"""Drawing tokens: by hand, by frequency, and against the log-probabilities that training computes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from assent.functional import likeliest_tokens, logprobs_of, sample_tokens

BANNED = -math.inf


def test_inversion_by_hand() -> None:
    # cumulative probabilities 0.125, 0.375, 1: the first one above u
    uniform = torch.tensor([0.0, 0.124, 0.126, 0.374, 0.376, 0.999])
    logits = torch.log(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)).expand(6, 3)
    tokens, logprobs = sample_tokens(logits, 1.0, uniform)
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]
    expected = torch.tensor([1 / 8, 1 / 8, 2 / 8, 2 / 8, 5 / 8, 5 / 8], dtype=torch.float64).log()
    torch.testing.assert_close(logprobs, expected)


def test_frequencies_follow_the_tempered_softmax() -> None:
    count = 20_000
    logits = torch.log(torch.tensor([1.0, 2.0, 0.0, 3.0, 4.0])).expand(count, 5)
    tokens, _ = sample_tokens(logits, 0.5, torch.rand(count, generator=torch.Generator().manual_seed(0)))
    seen = torch.bincount(tokens, minlength=5).tolist()
    assert seen.pop(2) == 0  # logit -inf
    expected = [count * weight / 30 for weight in (1, 4, 9, 16)]  # temperature ½ squares the odds
    assert stats.chisquare(seen, expected).pvalue > 0.01


def test_logprobs_are_those_that_training_recomputes() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 100, generator=generator).bfloat16()
    tokens, logprobs = sample_tokens(logits, 0.7, torch.rand(64, generator=generator))
    assert logprobs.dtype == torch.float32
    torch.testing.assert_close(logprobs, logprobs_of(logits[:, None], tokens[:, None], 0.7)[:, 0], rtol=0, atol=2e-6)


def test_a_row_is_drawn_the_same_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, uniform = torch.randn(32, 50, generator=generator), torch.rand(32, generator=generator)
    together, _ = sample_tokens(logits, 1.0, uniform)
    alone = [sample_tokens(logits[i : i + 1], 1.0, uniform[i : i + 1])[0].item() for i in range(32)]
    assert together.tolist() == alone


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-24, 1.0])
def test_banned_tokens_at_either_end_are_not_drawn_at_the_ends_of_the_noise(uniform: float) -> None:
    logits = torch.tensor([[BANNED, 0.3, 0.1, 0.2, BANNED]])
    tokens, logprobs = sample_tokens(logits, 1.0, torch.tensor([uniform]))
    assert tokens.tolist() == [1 if uniform == 0.0 else 3]
    assert torch.isfinite(logprobs).all()


@pytest.mark.parametrize("row", [[0.0, math.nan], [0.0, math.inf], [BANNED, BANNED]])
def test_a_row_that_is_no_distribution_says_so_and_leaves_the_others_alone(row: list[float]) -> None:
    tokens, logprobs = sample_tokens(torch.tensor([row, [0.0, 0.0]]), 1.0, torch.tensor([0.4, 0.4]))
    assert logprobs.isnan().tolist() == [True, False]
    assert tokens[1].item() == 0
    assert 0 <= tokens[0].item() < 2


def test_temperature_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        sample_tokens(torch.zeros(1, 2), 0.0, torch.zeros(1))


def test_the_likeliest_token_is_drawn_by_nobody() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, BANNED, 3.0]])
    for temperature in (0.5, 1.0, 2.0):
        tokens, logprobs = likeliest_tokens(logits, temperature)
        assert tokens.tolist() == [1, 0]
        torch.testing.assert_close(logprobs, logprobs_of(logits[:, None], tokens[:, None], temperature)[:, 0])
    with pytest.raises(ValueError, match="temperature must be positive"):
        likeliest_tokens(logits, 0.0)
