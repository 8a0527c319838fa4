from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from assent.config.settings import LoraSettings
from assent.functional.batching import TokenBatch, make_batch
from assent.models.scalar import load_scalar_model, score_sequences, value_tokens
from assent.models.value import value_from_reward
from tests.checkpoints import HIDDEN, SHAPES, Shape

Built = Callable[[Shape], Path]
PAD = 1  # <|pad|> of the test tokenizers


def batch() -> TokenBatch:
    return make_batch([[5, 6, 7], [8, 9, 10, 11, 12], [13]], [[20, 21], [22], [23, 24, 25, 26]])


def test_a_fresh_head_is_drawn_as_ziegler_drew_it(checkpoint: Built) -> None:
    first, again, other = (load_scalar_model(checkpoint("llama"), fresh_head_seed=seed).score for seed in (1, 1, 2))
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    draws = torch.cat([load_scalar_model(checkpoint("llama"), fresh_head_seed=s).score.weight for s in range(9)])
    # N(0, 1/sqrt(d + 1)); 9 * 64 draws know their deviation to about 3 %.
    assert float(draws.detach().std()) == pytest.approx((HIDDEN + 1) ** -0.5, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_saved_reward_model_scores_alike_in_plain_transformers(
    shape: Shape, checkpoint: Built, tmp_path: Path
) -> None:
    model = load_scalar_model(checkpoint(shape), fresh_head_seed=3)
    model.config.pad_token_id = PAD
    model.save_pretrained(tmp_path)
    sequences = [[5, 6, 7, 20, 21], [8, 9, 10, 11, 12, 22], [13, 23, 24, 25, 26]]
    width = max(map(len, sequences))
    ids = torch.tensor([[*sequence, *[PAD] * (width - len(sequence))] for sequence in sequences])
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert plain.config.num_labels == 1
    with torch.no_grad():
        expected = plain(input_ids=ids, attention_mask=(ids != PAD).long()).logits[:, 0]
        found = score_sequences(load_scalar_model(tmp_path), batch())[:, 0]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_is_that_of_the_state_before_its_token(shape: Shape, checkpoint: Built) -> None:
    """What a completion token's value says cannot depend on that token, nor on any after it."""
    model = load_scalar_model(checkpoint(shape), fresh_head_seed=3).eval()
    with torch.no_grad():
        values = value_tokens(model, batch())
        assert values.shape == batch().completion_mask.shape
        assert torch.equal(values == 0.0, ~batch().completion_mask)
        other = make_batch([[5, 6, 7], [8, 9, 10, 11, 12], [13]], [[20, 99], [98], [23, 24, 97, 96]])
        changed = value_tokens(model, other)
    torch.testing.assert_close(changed[0, :2], values[0, :2], atol=1e-6, rtol=0)
    torch.testing.assert_close(changed[1, :1], values[1, :1], atol=1e-6, rtol=0)
    torch.testing.assert_close(changed[2, :3], values[2, :3], atol=1e-6, rtol=0)
    assert abs(float(changed[2, 3] - values[2, 3])) > 1e-4


@pytest.mark.parametrize("rank", [0, 4])
def test_a_value_model_starts_at_the_normalised_reward(rank: int, checkpoint: Built) -> None:
    reward = load_scalar_model(checkpoint("gpt2"), fresh_head_seed=3).eval()
    reward.config.assent_score_mean, reward.config.assent_score_std = 0.4, 2.5
    with torch.no_grad():
        expected = (value_tokens(reward, batch()) - 0.4) / 2.5
        value = value_from_reward(reward, LoraSettings(rank=rank), seed=0)
        mask = batch().completion_mask
        torch.testing.assert_close(value_tokens(value, batch())[mask], expected[mask], atol=1e-5, rtol=0)
    trained = {name for name, weight in value.named_parameters() if weight.requires_grad}
    assert any("score" in name and name.endswith("bias") for name in trained)
    assert any("score" in name and name.endswith("weight") for name in trained)


def test_a_value_model_without_a_reward_model_starts_at_zero(checkpoint: Built) -> None:
    value = value_from_reward(
        load_scalar_model(checkpoint("llama"), fresh_head_seed=3), LoraSettings(), seed=0, zero=True
    )
    with torch.no_grad():
        assert torch.equal(value_tokens(value, batch()), torch.zeros(3, 4))
