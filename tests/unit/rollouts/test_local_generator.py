from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from assent.functional.batching import make_batch
from assent.models.loading import load_causal_lm
from assent.models.policy import completion_logprobs
from assent.rollouts.local import LocalGenerator
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Generation, GenerationRequest
from tests.checkpoints import CONTEXT, SHAPES, Shape

Built = Callable[[Shape], Path]

# Every fifth token ends a completion, so that rows leave the batch at many different steps and it is compacted often.
STOPS = tuple(range(0, 400, 5))
RAGGED = [list(range(10, 10 + length)) for length in (3, 17, 1, 8, 29, 8, 2, 11)]


def generator(path: Path, stops: Sequence[int] = STOPS, batch_size: int = 256) -> LocalGenerator:
    return LocalGenerator(load_causal_lm(path).eval(), stops, lambda: "policy-1+0", batch_size)


def requests(n: int = 3) -> list[GenerationRequest]:
    return [GenerationRequest(prompt, n) for prompt in RAGGED]


def tokens_of(found: Sequence[Generation]) -> list[list[int]]:
    return [list(each.token_ids) for each in found]


def flat(found: Sequence[Generation]) -> torch.Tensor:
    return torch.tensor([value for each in found for value in each.rollout_logprobs])


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("shape", SHAPES)
def test_logprobs_are_those_the_trainer_finds(shape: Shape, temperature: float, checkpoint: Built) -> None:
    sampler = generator(checkpoint(shape))
    found = sampler.generate(requests(), SamplingParams(temperature, 24), seed=5)
    lengths = {len(each.token_ids) for each in found}
    assert len(lengths) > 5, "rows must end at different steps for this to test compaction"
    batch = make_batch([RAGGED[each.request] for each in found], [each.token_ids for each in found])
    with torch.no_grad():
        again, _ = completion_logprobs(sampler.model, batch, temperature)
    for row, each in enumerate(found):
        expected = again[row, : len(each.token_ids)]
        torch.testing.assert_close(torch.tensor(each.rollout_logprobs), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_depend_on_the_seed_and_not_on_the_batch(shape: Shape, checkpoint: Built) -> None:
    sampling = SamplingParams(1.0, 24)
    found = generator(checkpoint(shape)).generate(requests(), sampling, seed=5)
    again = generator(checkpoint(shape)).generate(requests(), sampling, seed=5)
    assert tokens_of(found) == tokens_of(again)
    torch.testing.assert_close(flat(found), flat(again), atol=0, rtol=0)
    assert tokens_of(found) != tokens_of(generator(checkpoint(shape)).generate(requests(), sampling, seed=6))
    for batch_size in (1, 5):
        alone = generator(checkpoint(shape), batch_size=batch_size).generate(requests(), sampling, seed=5)
        assert tokens_of(alone) == tokens_of(found)
        torch.testing.assert_close(flat(alone), flat(found), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_group_that_shares_its_prompt_equals_separate_requests(shape: Shape, checkpoint: Built) -> None:
    sampler, sampling = generator(checkpoint(shape)), SamplingParams(1.0, 24)
    together = sampler.generate(requests(4), sampling, seed=1)
    apart = sampler.generate([GenerationRequest(prompt) for prompt in RAGGED for _ in range(4)], sampling, seed=1)
    assert tokens_of(together) == tokens_of(apart)
    torch.testing.assert_close(flat(together), flat(apart), atol=1e-4, rtol=0)
    assert [each.request for each in together] == [index for index in range(len(RAGGED)) for _ in range(4)]


def test_the_stop_token_is_kept_and_nothing_follows_it(checkpoint: Built) -> None:
    found = generator(checkpoint("llama")).generate(requests(8), SamplingParams(1.0, 12), seed=2)
    reasons = {each.finish_reason for each in found}
    assert reasons == {FinishReason.STOP, FinishReason.LENGTH}
    for each in found:
        assert len(each.token_ids) == len(each.rollout_logprobs)
        stopped = [token in STOPS for token in each.token_ids]
        assert not any(stopped[:-1])
        assert stopped[-1] == (each.finish_reason is FinishReason.STOP)
        if each.finish_reason is FinishReason.LENGTH:
            assert len(each.token_ids) == 12
    assert {each.policy_version for each in found} == {"policy-1+0"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_completion_ends_where_the_context_ends(shape: Shape, checkpoint: Built) -> None:
    long, short = [3] * (CONTEXT - 4), [3, 4]
    sampler = generator(checkpoint(shape), stops=())
    cut, whole = sampler.generate([GenerationRequest(long), GenerationRequest(short)], SamplingParams(1.0, 20), 0)
    assert (len(cut.token_ids), cut.finish_reason) == (4, FinishReason.CONTEXT)
    assert (len(whole.token_ids), whole.finish_reason) == (20, FinishReason.LENGTH)
    # The short row went on beside a row that was full; its tokens are still what the model says of them alone.
    with torch.no_grad():
        expected, _ = completion_logprobs(sampler.model, make_batch([short], [whole.token_ids]), 1.0)
    torch.testing.assert_close(torch.tensor(whole.rollout_logprobs), expected[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("prompt", [[], [3] * CONTEXT])
def test_a_prompt_that_cannot_be_continued_is_refused(prompt: list[int], checkpoint: Built) -> None:
    with pytest.raises(ValueError, match="cannot be continued"):
        generator(checkpoint("llama")).generate([GenerationRequest(prompt)], SamplingParams(), 0)


def test_draws_follow_the_models_distribution(checkpoint: Built) -> None:
    """4,000 first tokens against softmax(logits / T): the total variation must be that of chance."""
    sampler = generator(checkpoint("gpt2"))
    found = sampler.generate([GenerationRequest([7, 8, 9], 4000)], SamplingParams(0.5, 1), seed=3)
    drawn = torch.bincount(torch.tensor([each.token_ids[0] for each in found]), minlength=400).double() / 4000
    with torch.no_grad():
        logits = sampler.model(torch.tensor([[7, 8, 9]])).logits[0, -1]
    expected = torch.softmax(logits.double() / 0.5, -1)
    drawn = drawn[: len(expected)]
    # E|p̂ - p| of a binomial share is about sqrt(2 p (1 - p) / (π n)); half their sum is the total variation of chance.
    chance = 0.5 * torch.sqrt(2 * expected * (1 - expected) / (torch.pi * 4000)).sum()
    assert 0.5 * (drawn - expected).abs().sum() < 1.2 * chance
