from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from assent.config.settings import LoraSettings
from assent.functional.batching import TokenBatch, make_batch
from assent.models.loading import load_causal_lm
from assent.models.policy import ADAPTER_FOLDER, Policy, add_adapter, completion_logprobs, save_merged
from assent.types.errors import ModelError
from tests.checkpoints import SHAPES, Shape

Built = Callable[[Shape], Path]
CPU = torch.device("cpu")
FULL, LORA = LoraSettings(), LoraSettings(rank=4, alpha=8.0)


def batch() -> TokenBatch:
    return make_batch([[5, 6, 7], [8, 9, 10, 11, 12], [13]], [[20, 21], [22], [23, 24, 25, 26]])


def policy(path: Path, lora: LoraSettings, reference: Path | None = None) -> Policy:
    return Policy(path, reference or path, lora, "float32", CPU, seed=7)


def logprobs(found: Policy) -> torch.Tensor:
    with torch.no_grad():
        return completion_logprobs(found.model, batch(), 0.7)[0] * batch().completion_mask


def reference_logprobs(found: Policy) -> torch.Tensor:
    return found.reference_logprobs(batch(), 0.7) * batch().completion_mask


def disturb(found: Policy) -> None:
    """What training does: every trainable weight moves."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in found.model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn(weight.shape, generator=generator))


def plain_logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = AutoModelForCausalLM.from_pretrained(folder).eval()(torch.arange(3, 40)[None]).logits
    return logits


@pytest.mark.parametrize("lora", [FULL, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fresh_policy_is_its_reference(shape: Shape, lora: LoraSettings, checkpoint: Built) -> None:
    found = policy(checkpoint(shape), lora)
    torch.testing.assert_close(logprobs(found), reference_logprobs(found), atol=1e-6, rtol=0)
    before = reference_logprobs(found)
    disturb(found)
    assert (logprobs(found) - before).abs().max() > 0.01
    assert torch.equal(reference_logprobs(found), before)


@pytest.mark.parametrize("shape", SHAPES)
def test_lora_keeps_no_second_copy(shape: Shape, checkpoint: Built) -> None:
    plain = sum(weight.numel() for weight in load_causal_lm(checkpoint(shape)).parameters())
    adapted = policy(checkpoint(shape), LORA)
    trained = sum(weight.numel() for weight in adapted.model.parameters() if weight.requires_grad)
    everything = {id(w): w.numel() for w in adapted.model.parameters()}
    assert 0 < trained < plain / 3
    assert sum(everything.values()) == plain + trained
    with adapted.reference() as reference:
        assert {id(weight) for weight in reference.parameters()} == set(everything)
    assert all("lora_" in name for name, weight in adapted.model.named_parameters() if weight.requires_grad)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_hidden_matrix_is_adapted(shape: Shape, checkpoint: Built) -> None:
    """GPT-2's layers are Conv1D, not Linear: "all-linear" must find them too."""
    adapted = policy(checkpoint(shape), LORA).model
    wrapped = {name.rsplit(".lora_A", 1)[0] for name, _ in adapted.named_parameters() if ".lora_A" in name}
    per_layer = 4 if shape == "gpt2" else 7  # qkv, out, up, down; or q, k, v, o, gate, up, down
    assert len(wrapped) == 2 * per_layer


@pytest.mark.parametrize("lora", [FULL, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_saved_policy_is_a_plain_checkpoint(
    shape: Shape, lora: LoraSettings, checkpoint: Built, tmp_path: Path
) -> None:
    found = policy(checkpoint(shape), lora)
    disturb(found)
    with torch.no_grad():
        expected = found.model(torch.arange(3, 40)[None]).logits
    found.save(tmp_path, "sft-123")
    torch.testing.assert_close(plain_logits(tmp_path), expected, atol=1e-5, rtol=0)
    assert (plain_logits(tmp_path) - plain_logits(checkpoint(shape))).abs().max() > 0.01
    # Saving changes nothing in the policy, to the bit with full weights, to rounding where an adapter was folded in.
    with torch.no_grad():
        again = found.model(torch.arange(3, 40)[None]).logits
    torch.testing.assert_close(again, expected, atol=0 if lora is FULL else 1e-5, rtol=0)
    if lora is LORA:
        assert "sft-123" in (tmp_path / ADAPTER_FOLDER / "adapter_config.json").read_text()
        assert str(checkpoint(shape)) not in (tmp_path / ADAPTER_FOLDER / "adapter_config.json").read_text()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_later_round_goes_on_with_the_adapter(shape: Shape, checkpoint: Built, tmp_path: Path) -> None:
    first = policy(checkpoint(shape), LORA)
    disturb(first)
    first.save(tmp_path, "sft-123")
    second = policy(tmp_path, LORA, reference=checkpoint(shape))
    torch.testing.assert_close(logprobs(second), logprobs(first), atol=1e-6, rtol=0)
    torch.testing.assert_close(reference_logprobs(second), reference_logprobs(first), atol=1e-6, rtol=0)
    assert any(weight.requires_grad for weight in second.model.parameters())


def test_full_weights_measure_against_another_checkpoint(checkpoint: Built, tmp_path: Path) -> None:
    first = policy(checkpoint("qwen3"), FULL)
    disturb(first)
    first.save(tmp_path, "unused")
    second = policy(tmp_path, FULL, reference=checkpoint("qwen3"))
    torch.testing.assert_close(logprobs(second), logprobs(first), atol=1e-6, rtol=0)
    torch.testing.assert_close(reference_logprobs(second), reference_logprobs(first), atol=1e-6, rtol=0)


def test_lora_on_a_policy_that_was_trained_whole(checkpoint: Built, tmp_path: Path) -> None:
    policy(checkpoint("llama"), FULL).save(tmp_path, "unused")
    with pytest.raises(ModelError, match="was not trained with LoRA"):
        policy(tmp_path, LORA, reference=checkpoint("llama"))


def test_lora_targets_that_do_not_exist(checkpoint: Built) -> None:
    with pytest.raises(ModelError, match="does not fit the model"):
        policy(checkpoint("llama"), LoraSettings(rank=2, targets=["no_such_layer"]))


def test_an_adapter_is_a_function_of_its_seed(checkpoint: Built) -> None:
    def weights(seed: int) -> torch.Tensor:
        model = add_adapter(load_causal_lm(checkpoint("llama")), LORA, "CAUSAL_LM", seed)
        return torch.cat([w.flatten() for name, w in model.named_parameters() if "lora_A" in name])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_completion_logprobs_are_those_of_all_positions(checkpoint: Built) -> None:
    """Only the positions that are trained go through the head; the numbers are those of the whole forward pass."""
    model, tokens = load_causal_lm(checkpoint("llama")).eval(), batch()
    with torch.no_grad():
        found, entropy = completion_logprobs(model, tokens, 0.7, "watch")
        for row, (prompt, completion) in enumerate(
            [([5, 6, 7], [20, 21]), ([8, 9, 10, 11, 12], [22]), ([13], [23, 24, 25, 26])]
        ):
            full = torch.log_softmax(model(torch.tensor([[*prompt, *completion]])).logits[0] / 0.7, -1)
            at = full[len(prompt) - 1 : -1]
            expected = at.gather(-1, torch.tensor(completion)[:, None])[:, 0]
            torch.testing.assert_close(found[row, : len(completion)], expected, atol=1e-5, rtol=0)
            assert entropy is not None
            torch.testing.assert_close(entropy[row, : len(completion)], -(at.exp() * at).sum(-1), atol=1e-5, rtol=0)


def test_entropy_is_trained_only_when_asked(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama"))
    for mode, grad in (("watch", False), ("train", True)):
        logprobs_, entropy = completion_logprobs(model, batch(), 1.0, mode)  # type: ignore[arg-type]
        assert logprobs_.requires_grad
        assert entropy is not None and entropy.requires_grad is grad
    assert completion_logprobs(model, batch(), 1.0)[1] is None


def test_a_merged_classifier_is_plain(checkpoint: Built, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from assent.models.scalar import load_scalar_model

    base = load_scalar_model(checkpoint("gpt2"), fresh_head_seed=1)
    base.config.pad_token_id = 1
    model = add_adapter(base, LORA, "SEQ_CLS", 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        expected = model(torch.arange(3, 40)[None]).logits
        save_merged(model, tmp_path)
        plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=1).eval()
        torch.testing.assert_close(plain(torch.arange(3, 40)[None]).logits, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(model(torch.arange(3, 40)[None]).logits, expected, atol=1e-5, rtol=0)
