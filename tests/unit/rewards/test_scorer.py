from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.data.chat import ChatFormat
from assent.functional.batching import make_batch
from assent.models.loading import load_tokenizer
from assent.models.packed import packed_row, padded
from assent.models.scalar import load_scalar_model
from assent.rewards.scorer import CallableScorer, RewardModelScorer
from assent.types.errors import UnhealthyRewardError
from assent.types.messages import user_prompt
from tests.checkpoints import CONTEXT, SHAPES, Shape

Built = Callable[[Shape], Path]

PROMPTS = [user_prompt(f"How do I store thing {'very ' * i}{i}?") for i in range(8)]
TEXTS = [" ".join(["Keep it closed."] * (1 + 7 * i % 5)) for i in range(8)]


def scorer(path: Path, tokens: int = 8192) -> RewardModelScorer:
    return RewardModelScorer(
        load_scalar_model(path, fresh_head_seed=3).eval(), ChatFormat(load_tokenizer(path)), tokens
    )


def close(found: Sequence[Any], expected: Sequence[Any]) -> None:
    torch.testing.assert_close(torch.tensor(found).flatten(), torch.tensor(expected).flatten(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_text_scores_the_same_however_it_is_batched(shape: Shape, checkpoint: Built) -> None:
    model = scorer(checkpoint(shape))
    alone = [model.raw_scores([prompt], [text])[0] for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    assert max(alone) - min(alone) > 0.01, "scores that are all alike would prove nothing"
    close(model.raw_scores(PROMPTS, TEXTS), alone)
    close(scorer(checkpoint(shape), 64).raw_scores(PROMPTS, TEXTS), alone)
    close(model.raw_scores(PROMPTS[::-1], TEXTS[::-1])[::-1], alone)
    sequences = [model.encode(prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    left = make_batch([[*p, *c[:-1]] for p, c in sequences], [c[-1:] for _, c in sequences])
    right = make_batch([p[:1] for p, _ in sequences], [[*p[1:], *c] for p, c in sequences])
    close(model.batch_scores(left).tolist(), alone)
    close(model.batch_scores(right).tolist(), alone)


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_sequences_do_not_see_one_another(shape: Shape, checkpoint: Built) -> None:
    model = scorer(checkpoint(shape))
    sequences = [model.encode(prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    # A single token is the hardest case: its position is where the next sequence begins, too.
    for some in (sequences, [([5], []), ([6], []), ([5], [9])]):
        batch = make_batch([prompt for prompt, _ in some], [completion for _, completion in some])
        assert packed_row(model.model, batch) is not None
        with padded():
            expected = model.batch_scores(batch).tolist()
        close(model.batch_scores(batch).tolist(), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_ids_are_never_looked_at(shape: Shape, checkpoint: Built) -> None:
    model = scorer(checkpoint(shape))
    sequences = [model.encode(prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    prompts, completions = [p for p, _ in sequences], [c for _, c in sequences]
    plain = model.batch_scores(make_batch(prompts, completions, pad_id=0))
    assert torch.equal(plain, model.batch_scores(make_batch(prompts, completions, pad_id=77)))


def test_scores_are_normalised_with_what_the_model_carries(checkpoint: Built) -> None:
    model = scorer(checkpoint("llama"))
    raw = model.raw_scores(PROMPTS, TEXTS)
    model.model.config.assent_score_mean, model.model.config.assent_score_std = 0.5, 2.0
    again = RewardModelScorer(model.model, model.chat)
    assert again.score(PROMPTS, TEXTS) == pytest.approx([(value - 0.5) / 2.0 for value in raw], abs=1e-6)


def test_a_text_longer_than_the_context_keeps_its_end(checkpoint: Built) -> None:
    model = scorer(checkpoint("gpt2"))
    prompt, answer = model.encode(user_prompt("why " * 200), "because " * 20)
    assert len(prompt) + len(answer) == CONTEXT
    assert answer == model.chat.completion_ids("because " * 20)
    prompt, answer = model.encode(user_prompt("why?"), "because " * 400)
    assert (len(prompt), len(answer)) == (1, CONTEXT - 1)
    assert answer[-1] == model.chat.end_id
    model.raw_scores([user_prompt("why " * 200)], ["because " * 400])


def test_a_reward_model_with_damaged_weights_is_refused(checkpoint: Built) -> None:
    model = scorer(checkpoint("llama"))
    with torch.no_grad():
        model.model.score.weight[0, 0] = float("nan")
    with pytest.raises(UnhealthyRewardError, match="non-finite score"):
        model.score(PROMPTS[:1], TEXTS[:1])


def test_any_callable_gives_scores() -> None:
    def length(prompts: Sequence[str], completions: Sequence[str]) -> Any:
        assert prompts[0] == PROMPTS[0].text
        return torch.tensor([len(text) for text in completions])

    found = CallableScorer(length, "mine:length").score(PROMPTS, TEXTS)
    assert found == [float(len(text)) for text in TEXTS]
    assert all(type(value) is float for value in found)


def raising(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    raise KeyError("word list")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p, c: [float("nan")] * len(c), r"mine:bad gave nan for the completion 'Keep it"),
        (lambda p, c: [1.0] * (len(c) - 1) + [float("inf")], "mine:bad gave inf"),
        (lambda p, c: [None] * len(c), "mine:bad gave None"),
        (lambda p, c: ["good"] * len(c), "mine:bad gave 'good'"),
        (lambda p, c: [1.0], "gave 1 scores for 8 completions"),
        (lambda p, c: 1.0, "mine:bad raised TypeError"),
        (raising, "mine:bad raised KeyError: 'word list'"),
    ],
)
def test_a_callable_that_gives_no_scores_is_named(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(UnhealthyRewardError, match=message):
        CallableScorer(function, "mine:bad").score(PROMPTS, TEXTS)


@pytest.mark.parametrize("score", [1e16, -1e308])
def test_a_score_that_overflows_when_squared_is_refused(score: float) -> None:
    scorer = CallableScorer(lambda prompts, completions: [score], "own:huge")
    with pytest.raises(UnhealthyRewardError, match=r"own:huge gave .* for the completion 'x'") as raised:
        scorer.score([user_prompt("a")], ["x"])
    assert "scale them down" in raised.value.hint
