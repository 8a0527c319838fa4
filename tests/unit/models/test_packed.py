"""The packed way of reading equals the padded one, for models as they come; what cannot be packed is read padded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from assent.config.settings import LoraSettings
from assent.functional.batching import TokenBatch, make_batch
from assent.models.loading import load_causal_lm
from assent.models.packed import packed_row, padded, plain_head, reads_packed
from assent.models.policy import Policy, completion_logprobs
from assent.models.scalar import load_scalar_model, score_sequences, value_tokens
from assent.models.slots import works_in_slots
from tests.checkpoints import SHAPES, Shape

Built = Callable[[Shape], Path]
NATS = 1e-4  # between the two, in fp32
RELATIVE = 1e-5  # of the gradient of all weights together


def batch() -> TokenBatch:
    """Five completions of one prompt and three of others, one of them empty."""
    prompts = [list(range(20, 33))] * 5 + [[7, 8], [9, 10, 11, 12], [13]]
    completions = [[41, 42, 43], [44], [45] * 9, [46, 47], [], [48, 49], [50] * 12, [51]]
    return make_batch(prompts, completions)


def gradient(model: nn.Module, loss: Tensor) -> Tensor:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, trained, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_log_probabilities_and_gradients_are_the_same(shape: Shape, rank: int, checkpoint: Built) -> None:
    path = checkpoint(shape)
    model = Policy(path, path, LoraSettings(rank=rank), "float32", torch.device("cpu"), seed=0).model
    row = packed_row(model, batch())
    assert row is not None
    assert row.blocks[-1].above.numel(), "the prompt of five is to be shared"
    weights = torch.randn(batch().completion_mask.shape, generator=torch.Generator().manual_seed(0))
    weights = weights * batch().completion_mask
    found = []
    for plainly in (False, True):
        with padded() if plainly else torch.enable_grad():
            logprobs, entropy = completion_logprobs(model, batch(), 0.7, "train")
            assert entropy is not None
            loss = ((logprobs + 0.3 * entropy) * weights).sum()
            found.append((logprobs * batch().completion_mask, gradient(model, loss)))
    (ours, our), (theirs, their) = found
    assert float((ours - theirs).detach().abs().max()) < NATS
    assert float((our - their).norm() / their.norm()) < RELATIVE


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_and_values_are_the_same(shape: Shape, checkpoint: Built) -> None:
    model = load_scalar_model(checkpoint(shape), fresh_head_seed=3)
    assert packed_row(model, batch()) is not None
    with torch.no_grad():
        ours = score_sequences(model, batch()), value_tokens(model, batch())
        with padded():
            theirs = score_sequences(model, batch()), value_tokens(model, batch())
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_models_own_attention_is_given_back(shape: Shape, checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint(shape))
    before = model.config._attn_implementation
    completion_logprobs(model, batch(), 1.0)
    assert model.config._attn_implementation == before


def test_sequences_longer_than_a_sliding_window_are_read_padded(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("qwen3"))
    longest = int(batch().attention_mask.sum(-1).max())
    model.config.sliding_window = longest
    assert packed_row(model, batch()) is not None
    model.config.sliding_window = longest - 1
    assert packed_row(model, batch()) is None


def test_a_model_that_computes_its_layers_again_is_read_padded(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama"))
    model.gradient_checkpointing_enable()
    assert packed_row(model, batch()) is None


def test_a_model_that_sees_what_comes_after_is_found_out(checkpoint: Built) -> None:
    """Its attention is asked for by name, and does not do what its own does."""
    model = load_causal_lm(checkpoint("llama"))
    own = model.model.layers[0].self_attn

    class Twisted(type(own)):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor, *args: object, **kwargs: object) -> object:
            kwargs.pop("packed_row", None)
            return super().forward(hidden_states, *args, **kwargs)

    own.__class__ = Twisted
    assert not reads_packed(model)
    assert packed_row(model, batch()) is None
    logprobs, _ = completion_logprobs(model, batch(), 1.0)
    assert torch.isfinite(logprobs).all()


def test_logits_that_are_capped_are_no_plain_head(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama"))
    assert plain_head(model) is model.get_output_embeddings()
    other = load_causal_lm(checkpoint("llama"))
    other.lm_head.register_forward_hook(lambda module, args, out: 3.0 * torch.tanh(out / 3.0))
    forward = other.forward
    other.forward = lambda *args, **kwargs: _capped(forward(*args, **kwargs))  # type: ignore[method-assign]
    assert plain_head(other) is None
    assert packed_row(other, batch()) is None


def _capped(found: object) -> object:
    found.logits = torch.tanh(found.logits)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_that_has_written_reads_as_one_that_has_not(shape: Shape, checkpoint: Built) -> None:
    """To the bit, in bf16 too: policy and reference begin with a KL of zero."""
    path = checkpoint(shape)
    policy = Policy(path, path, LoraSettings(), "float32", torch.device("cpu"), seed=0)
    with torch.inference_mode():
        works_in_slots(policy.model)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = completion_logprobs(policy.model, batch(), 1.0)[0]
        assert torch.equal(found, policy.reference_logprobs(batch(), 1.0))
