"""The policy and the frozen reference that its KL penalty is measured against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from assent.config.settings import LoraSettings
from assent.functional.batching import TokenBatch
from assent.functional.logprobs import entropy_of, linear_logprobs, logprobs_of
from assent.functional.packing import PackedRow
from assent.models.loading import disable_dropout, load_causal_lm
from assent.models.packed import packed_row, packed_states, plain_head
from assent.types.errors import ModelError

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER_FOLDER = "adapter"


class Policy:
    """The model being trained with its reference.

    With LoRA the reference is the same base with its adapter switched off: there is no second copy of the weights.

    Args:
        path: the checkpoint to start from.
        reference_path: the checkpoint of the reference; the same as `path` in the first round.
        lora: rank 0 trains all weights.
    """

    def __init__(
        self, path: Path, reference_path: Path, lora: LoraSettings, dtype: str, device: torch.device, seed: int
    ) -> None:
        self.lora = lora.rank > 0
        self._frozen: nn.Module | None = None
        self.model: Any
        if self.lora:
            base = load_causal_lm(reference_path, dtype)
            adapter = path / ADAPTER_FOLDER
            if path != reference_path and not adapter.is_dir():
                raise ModelError(
                    f"{path}: has no {ADAPTER_FOLDER}/ folder, so it was not trained with LoRA",
                    "keep model.lora.rank as it was when the workspace was begun",
                )
            self.model = add_adapter(base, lora, "CAUSAL_LM", seed, adapter if adapter.is_dir() else None)
        else:
            self.model = load_causal_lm(path, dtype)
            self._frozen = load_causal_lm(reference_path, dtype).eval().requires_grad_(False).to(device)
        self.model.to(device).train()
        disable_dropout(self.model)

    @property
    def config(self) -> Any:
        """The transformers config of the underlying model."""
        return self.model.config

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """The reference model, for use inside the block."""
        if self._frozen is not None:
            yield self._frozen
            return
        if not self.lora:
            raise ValueError("the reference was dropped")
        with self.model.disable_adapter():
            yield self.model

    def drop_reference(self) -> None:
        """Free the memory of the frozen copy, once nothing is measured against it any more; LoRA has no copy."""
        self._frozen = None

    def reference_logprobs(self, batch: TokenBatch, temperature: float) -> Float[Tensor, "B T"]:
        """Log-probabilities of the completion tokens under the reference, in nats, without gradient."""
        with torch.no_grad(), self.reference() as model:
            return completion_logprobs(model, batch, temperature)[0]

    def save(self, folder: Path, base_name: str) -> None:
        """Full weights that plain transformers load; with LoRA the adapter too, in its own folder.

        Args:
            base_name: the artifact the adapter belongs on, recorded in its config in place of a local path.
        """
        if not self.lora:
            self.model.save_pretrained(folder)
            return
        self.model.peft_config["default"].base_model_name_or_path = base_name
        # Left to itself, peft asks the hub for `base_name` to learn whether embeddings were added.
        self.model.save_pretrained(folder / ADAPTER_FOLDER, save_embedding_layers=False)
        save_merged(self.model, folder)


def completion_logprobs(
    model: nn.Module, batch: TokenBatch, temperature: float, entropy: Literal["none", "watch", "train"] = "none"
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"] | None]:
    """Log-probabilities of the completion tokens, in nats, of the distribution that is sampled at `temperature`.

    Only the positions that predict a completion token go through the head. The entropy of these distributions comes
    too if it is to be watched (no gradient) or trained (with gradient).
    """
    row = packed_row(model, batch)
    if row is not None:
        return _packed_logprobs(model, batch, row, temperature, entropy)
    width = batch.ids.shape[1] - batch.start
    logits = model(
        input_ids=batch.ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    logprobs = logprobs_of(logits, batch.completion_ids, temperature)
    if entropy == "none":
        return logprobs, None
    with torch.set_grad_enabled(entropy == "train" and torch.is_grad_enabled()):
        return logprobs, entropy_of(logits, temperature)


def _packed_logprobs(
    model: nn.Module, batch: TokenBatch, row: PackedRow, temperature: float, entropy: Literal["none", "watch", "train"]
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"] | None]:
    """The same without padding: zero where there is no completion token."""
    mask = batch.completion_mask
    before = row.places[:, batch.start - 1 : -1][mask]
    states = packed_states(model, row)[before]
    head = plain_head(model)
    assert head is not None
    found = linear_logprobs(
        states, head.weight, head.bias, batch.completion_ids[mask], temperature, entropy=entropy != "none"
    )

    def spread(values: Tensor) -> Tensor:
        return values.new_zeros(mask.shape).masked_scatter(mask, values)

    logprobs, spreads = found
    if spreads is None:
        return spread(logprobs), None
    return spread(logprobs), spread(spreads if entropy == "train" else spreads.detach())


def add_adapter(model: Any, lora: LoraSettings, task: str, seed: int, saved: Path | None = None) -> PeftModel:
    """The model with a trainable low-rank adapter: a fresh one (seeded), or the one saved in a folder.

    Raises:
        ModelError: the saved adapter does not fit, or none of the targets exists in the model.
    """
    import peft

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if saved is not None:
                return peft.PeftModel.from_pretrained(model, str(saved), is_trainable=True)
            config = peft.LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                target_modules=lora.targets,
                lora_dropout=0.0,
                task_type=task,
                # GPT-2's Conv1D keeps its weights the other way round.
                fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
            )
            return peft.get_peft_model(model, config)
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"the LoRA adapter does not fit the model: {error}", "check model.lora.targets") from error


def save_merged(model: Any, folder: Path) -> None:
    """Save a peft model's weights with the adapter folded in, leaving the model itself as it was."""
    base = model.get_base_model()
    model.merge_adapter()
    try:
        base.save_pretrained(folder, state_dict=plain_state_dict(base))
    finally:
        model.unmerge_adapter()


def plain_state_dict(base: nn.Module) -> dict[str, Tensor]:
    """The weights under the names they had before peft wrapped the layers."""
    plain = {}
    for name, tensor in base.state_dict().items():
        if "lora_" in name or ".original_module." in name:
            continue
        plain[name.replace(".base_layer", "").replace(".modules_to_save.default", "")] = tensor
    return plain
