"""Any causal transformer of transformers over a packed row: its own code, with our attention where it asks for one.

Whether a model can be read so is found out by trying (`reads_packed`): it must ask for its attention by name, pass on
what it is given, and say the same of a few tokens as it says of them padded. Others are read padded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from assent.functional.batching import TokenBatch, make_batch
from assent.functional.packed_attention import packed_attention
from assent.functional.packing import PackedRow, pack
from assent.models.quick_layers import quick_layers

if TYPE_CHECKING:
    from assent.models.slots import Slots

NAME = "assent_packed"
TOLERANCE = 1e-3  # relative to the largest hidden state, in fp32; a wrong mask is off by far more
WINDOWS = ("sliding_window", "attention_chunk_size")  # settings under which a token may not see all before it
_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_heads: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_packs: ContextVar[bool] = ContextVar("packs", default=True)


@contextmanager
def padded() -> Iterator[None]:
    """Inside, batches are read padded: the plain way, to compare with."""
    token = _packs.set(False)
    try:
        yield
    finally:
        _packs.reset(token)


def packed_row(model: nn.Module, batch: TokenBatch) -> PackedRow | None:
    """The batch as a packed row, or None where the model is to read it padded."""
    if not _packs.get() or batch.ids.device.type != "cpu" or not reads_packed(model):
        return None
    if base_model(model).get_output_embeddings() is not None and plain_head(model) is None:
        return None
    row = pack(batch)
    windows = [getattr(_config(model), name, None) for name in WINDOWS]
    return None if any(isinstance(w, int) and row.longest > w for w in windows) else row


def packed_states(model: nn.Module, row: PackedRow) -> Float[Tensor, "N D"]:
    """The last hidden states of the row's tokens."""
    with calling(model), quick_layers(base_model(model)):
        found = backbone(model)(
            input_ids=row.ids, position_ids=row.position_ids, use_cache=False, packed_row=row
        ).last_hidden_state
    states: Tensor = found[0]
    return states


def reads_packed(model: nn.Module) -> bool:
    """Whether this model gives the same hidden states for a packed row as for padded sequences; tried once."""
    inner = base_model(model)
    if getattr(inner, "is_gradient_checkpointing", False):
        return False  # what is computed again in the backward pass would not know of the row
    if inner not in _known:
        _known[inner] = tried(lambda: _agrees(model))
    return _known[inner]


def tried(agrees: Callable[[], bool]) -> bool:
    """What it says; False where the model's code cannot do it."""
    try:
        return agrees()
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, IndexError, KeyError):
        return False


def tolerance(plain: Tensor) -> float:
    """How far two ways of computing this may lie apart."""
    share = TOLERANCE if plain.dtype in (torch.float32, torch.float64) else 0.05
    return share * float(plain.abs().max())


def plain_head(model: nn.Module) -> nn.Linear | None:
    """The output head of a causal LM, where its logits are nothing but that head of the last hidden states."""
    inner = base_model(model)
    if inner not in _heads:
        _heads[inner] = _is_plain(model)
    return inner.get_output_embeddings() if _heads[inner] else None


def backbone(model: nn.Module) -> Any:
    """What makes hidden states of tokens, through a peft wrapper too."""
    inner = base_model(model)
    return getattr(inner, inner.base_model_prefix)


def base_model(model: nn.Module) -> Any:
    """The transformers model inside a peft wrapper, or the model itself."""
    wrapped: Any = model
    return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped


def _config(model: nn.Module) -> Any:
    return base_model(model).config


@contextmanager
def calling(model: nn.Module) -> Iterator[None]:
    """Inside, the model asks for our attention."""
    _register()
    config = _config(model)
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed_row: PackedRow | None = None,
    slots: Slots | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in place of its own attention.

    A packed row has [1, H, N, D] each and gives [1, N, H, D]; slots have [S, H, 1, D] and give [S, 1, H, D].
    """
    unknown = [name for name in ("softcap", "s_aux") if options.get(name) is not None]
    if attention_mask is not None or dropout or unknown:
        raise NotImplementedError(f"attention of {type(module).__name__} {unknown}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if slots is not None and slots.hidden is not None:
        grouped = query.shape[1] != key.shape[1]
        found = F.scaled_dot_product_attention(query, key, value, slots.hidden, scale=scale, enable_gqa=grouped)
        return found.transpose(1, 2), None
    if packed_row is None:
        raise NotImplementedError(f"{type(module).__name__} does not pass on what it is given")
    # Under autocast rotated queries and keys come in fp32 and values in bf16.
    q, k, v = (table[0].transpose(0, 1).to(value.dtype) for table in (query, key, value))
    return packed_attention(q, k, v, packed_row, scale)[None], None


def _register() -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(NAME, _attention)


@torch.no_grad()
def _agrees(model: nn.Module) -> bool:
    """Sequences of different lengths, two of which share a prompt, read both ways."""
    batch = _few_tokens(model)
    device = batch.ids.device
    with torch.autocast(device.type, enabled=False):
        plain = backbone(model)(
            input_ids=batch.ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        ).last_hidden_state
        for share in (True, False):
            row = pack(batch, share)
            error = packed_states(model, row)[row.places.clamp(min=0)] - plain
            error = error.abs().amax(-1)[batch.attention_mask.bool()].max()
            if not error <= tolerance(plain):
                return False
    return True


@torch.no_grad()
def _is_plain(model: nn.Module) -> bool:
    """No scale, cap or adapter at the head: told by a few tokens."""
    head = base_model(model).get_output_embeddings()
    if type(head) is not nn.Linear:
        return False
    batch = _few_tokens(model)
    with torch.autocast(batch.ids.device.type, enabled=False):
        found = base_model(model)(input_ids=batch.ids[:1], use_cache=False).logits
        plain = head(backbone(model)(input_ids=batch.ids[:1], use_cache=False).last_hidden_state)
    return bool((found - plain).abs().max() <= tolerance(plain))


def _few_tokens(model: nn.Module) -> TokenBatch:
    rows = base_model(model).get_input_embeddings().weight.shape[0]
    tokens = [number % rows for number in range(1, 20)]
    batch = make_batch([tokens[:5], tokens[:5], tokens[5:8]], [tokens[8:11], tokens[11:12], tokens[12:18]])
    return batch.to(next(model.parameters()).device)
