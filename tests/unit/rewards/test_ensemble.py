"""Ensembles and several heads: one score from many, and each told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.config.settings import LoraSettings
from assent.data.chat import ChatFormat
from assent.functional.batching import make_batch
from assent.models.loading import load_tokenizer
from assent.models.scalar import load_scalar_model, score_sequences
from assent.models.value import value_from_reward
from assent.rewards.ensemble import EnsembleScorer
from assent.rewards.scorer import RewardModelScorer
from assent.types.errors import SettingsError, UnhealthyRewardError
from assent.types.messages import user_prompt
from tests.checkpoints import Shape

Built = Callable[[Shape], Path]
PROMPTS = [user_prompt(f"How do I store thing {i}?") for i in range(6)]
TEXTS = [" ".join(["Keep it closed."] * (1 + 3 * i % 5)) for i in range(6)]
CRITERIA = ["helpful", "harmless"]


def member(path: Path, seed: int, heads: int = 1, weights: dict[str, float] | None = None) -> RewardModelScorer:
    model: Any = load_scalar_model(path, fresh_head_seed=seed, heads=heads).eval()
    model.config.assent_score_mean = [0.1, -0.2][:heads] if heads > 1 else 0.1 * seed
    model.config.assent_score_std = [2.0, 0.5][:heads] if heads > 1 else 1.0 + seed
    if heads > 1:
        model.config.assent_criteria = CRITERIA
    return RewardModelScorer(model, ChatFormat(load_tokenizer(path)), weights=weights)


def test_pessimism_by_hand(checkpoint: Built) -> None:
    members = [member(checkpoint("llama"), seed) for seed in (1, 2, 3)]
    table = torch.tensor([each.score(PROMPTS, TEXTS) for each in members], dtype=torch.float64)
    assert table.std(dim=0).min() > 0.01, "members that agree would prove nothing"
    mean, std = table.mean(dim=0), table.std(dim=0, correction=0)
    expected = {"none": mean, "mean-std": mean - 0.5 * std, "worst-case": table.amin(dim=0)}
    for pessimism, scores in expected.items():
        found = EnsembleScorer(members, pessimism, 0.5).score(PROMPTS, TEXTS)  # type: ignore[arg-type]
        assert found == pytest.approx(scores.tolist(), abs=1e-9)
    assert EnsembleScorer(members).disagreement(PROMPTS, TEXTS) == pytest.approx(std.tolist(), abs=1e-9)
    assert EnsembleScorer(members).logit_scale == pytest.approx((2 + 3 + 4) / 3)
    with pytest.raises(ValueError, match="at least one member"):
        EnsembleScorer([])


def test_a_member_with_damaged_weights_is_noticed(checkpoint: Built) -> None:
    members = [member(checkpoint("llama"), seed) for seed in (1, 2)]
    with torch.no_grad():
        members[1].model.score.weight[0, 0] = float("nan")
    with pytest.raises(UnhealthyRewardError, match="non-finite"):
        EnsembleScorer(members, "worst-case").score(PROMPTS, TEXTS)


def test_heads_are_normalised_weighed_and_told_apart(checkpoint: Built) -> None:
    alike = member(checkpoint("qwen3"), 3, heads=2)
    raw = torch.tensor(alike.raw_outputs(PROMPTS, TEXTS), dtype=torch.float64)
    helpful, harmless = (raw[:, 0] - 0.1) / 2.0, (raw[:, 1] + 0.2) / 0.5
    assert alike.score(PROMPTS, TEXTS) == pytest.approx(((helpful + harmless) / 2).tolist(), abs=1e-9)
    found = alike.criteria_scores(PROMPTS, TEXTS)
    assert found["helpful"] == pytest.approx(helpful.tolist()) and found["harmless"] == pytest.approx(harmless.tolist())
    assert alike.logit_scale is None
    weighed = member(checkpoint("qwen3"), 3, 2, {"harmless": -3.0})
    assert weighed.score(PROMPTS, TEXTS) == pytest.approx((-3 * harmless).tolist(), abs=1e-9)
    assert weighed.criteria_scores(PROMPTS, TEXTS) == found, "weights have no part in them"
    both = EnsembleScorer([alike, weighed])
    assert both.criteria_scores(PROMPTS, TEXTS)["helpful"] == pytest.approx(helpful.tolist(), abs=1e-9)
    assert member(checkpoint("qwen3"), 3).criteria_scores(PROMPTS, TEXTS).keys() == {"overall"}


def test_a_weight_without_a_head_is_refused_with_the_nearest_name(checkpoint: Built) -> None:
    with pytest.raises(SettingsError, match="did you mean 'harmless'"):
        member(checkpoint("qwen3"), 3, 2, {"harmles": 1.0})
    with pytest.raises(SettingsError, match="all 0"):
        member(checkpoint("qwen3"), 3, 2, {"harmless": 0.0})


def test_a_value_model_starts_at_the_weighed_heads(checkpoint: Built) -> None:
    weights = {"helpful": 2.0, "harmless": -1.0}
    scorer = member(checkpoint("llama"), 3, 2, weights)
    sequences = [scorer.encode(prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    batch = make_batch([p for p, _ in sequences], [c for _, c in sequences])
    expected = scorer.score(PROMPTS, TEXTS)
    with torch.no_grad():
        value = value_from_reward(scorer.model, LoraSettings(), seed=0, weights=weights)
        found = score_sequences(value, batch)[:, 0]
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)
