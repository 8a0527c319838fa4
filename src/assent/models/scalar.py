"""Models that give numbers: reward models and value models, as plain transformers sequence classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from assent.functional.batching import TokenBatch
from assent.functional.masking import last_token_index
from assent.models.loading import DTYPES, disable_dropout, load_weights
from assent.models.packed import backbone, base_model, packed_row, packed_states
from assent.types.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


MEMBER = "member-"  # folders of an ensemble's members


def load_scalar_model(
    path: str | Path,
    dtype: str = "float32",
    fresh_head_seed: int | None = None,
    revision: str | None = None,
    heads: int = 1,
) -> PreTrainedModel:
    """A sequence classifier from a causal LM (with a fresh head) or from a saved reward model.

    Args:
        fresh_head_seed: seed of a new head with weights N(0, 1/√(d+1)) (Ziegler et al. 2019); None keeps the saved one.
        heads: numbers that a new head gives; a saved one gives as many as it was trained to.

    Raises:
        ModelError: no checkpoint there, or an architecture whose classifier has no per-token scalar head.
    """
    from transformers import AutoModelForSequenceClassification

    model = load_weights(
        AutoModelForSequenceClassification,
        path,
        new_heads=fresh_head_seed is not None,
        dtype=DTYPES[dtype],
        revision=revision,
        **({} if fresh_head_seed is None else {"num_labels": heads}),
    )
    head = getattr(model, "score", None)
    if not isinstance(head, nn.Linear):
        raise ModelError(
            f"{path}: {type(model).__name__} has no per-token scalar head named 'score'",
            "use a decoder-only architecture (Llama, Qwen, GPT-2, Mistral, Gemma, …)",
        )
    if fresh_head_seed is not None:
        init_head(head, fresh_head_seed)
    disable_dropout(model)
    return model


def init_head(head: nn.Linear, seed: int) -> None:
    """Weights N(0, 1/√(d+1)), bias 0 (Ziegler et al. 2019, lm-human-preferences)."""
    noise = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        head.weight.copy_(noise / (head.in_features + 1) ** 0.5)
        if head.bias is not None:
            head.bias.zero_()


def member_folders(folder: Path) -> list[Path]:
    """The folders of a saved reward model's members, in order; of one that is no ensemble, its own."""
    return sorted(folder.glob(f"{MEMBER}*")) or [folder]


@dataclass(frozen=True)
class States:
    """What a backbone makes of a batch's tokens, however they were laid out."""

    table: Float[Tensor, "N D"]
    places: Int[Tensor, "B L"]  # of each of the batch's tokens in the table

    def before_completions(self, batch: TokenBatch) -> Float[Tensor, "M D"]:
        """The states from which the M tokens of the completions (`batch.completion_mask`) are told."""
        return self.table[self.places[:, batch.start - 1 : -1][batch.completion_mask]]

    def last(self, batch: TokenBatch) -> Float[Tensor, "B D"]:
        """The state of each sequence's last real token."""
        found = last_token_index(batch.attention_mask.bool())
        return self.table[self.places[torch.arange(len(found), device=found.device), found]]


def hidden_states(model: nn.Module, batch: TokenBatch) -> States:
    """What the backbone makes of every token."""
    row = packed_row(model, batch)
    if row is not None:
        return States(packed_states(model, row), row.places)
    found = backbone(model)(
        input_ids=batch.ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
    ).last_hidden_state
    places = torch.arange(batch.ids.numel(), device=batch.ids.device).view(batch.ids.shape)
    return States(found.flatten(0, 1), places)


def score_sequences(model: nn.Module, batch: TokenBatch, states: States | None = None) -> Float[Tensor, "B H"]:
    """The output of each head at each sequence's last real token, found by mask, [B, H], in fp32.

    Args:
        states: of this batch, where they were computed for something else too.
    """
    states = hidden_states(model, batch) if states is None else states
    return base_model(model).score(states.last(batch)).float()  # type: ignore[no-any-return]


def value_tokens(model: nn.Module, batch: TokenBatch) -> Float[Tensor, "B T"]:
    """The value of the state before each completion token, [B, T], in fp32; zero where there is none."""
    found = base_model(model).score(hidden_states(model, batch).before_completions(batch)).float()[:, 0]
    spread: Tensor = found.new_zeros(batch.completion_mask.shape).masked_scatter(batch.completion_mask, found)
    return spread
