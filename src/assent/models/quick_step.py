"""A step of writing in slots for decoders of the most common build, in a few calls a block instead of a hundred.

The build: RMS norms before attention and before a gated unit, rotary positions, keys and values that queries may share,
norms of queries and keys or none. It is told by the names of its parts, and whether all of it was understood is found
out by trying (`assent.models.slots`). The products are the model's own layers; what lies between them is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from assent.kernels import array, call, fits
from assent.models.packed import backbone, base_model
from assent.models.shadow import side_by_side

_BLOCK = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_HEAD_NORMS = ("q_norm", "k_norm")
_UNIT = {"gate_proj", "up_proj", "down_proj"}
_LATE = "llama_4_scaling_beta"  # what changes queries only where no trial comes: some ten thousand tokens on
_MOVING = ("dynamic", "longrope")  # kinds of rotary positions whose angles depend on the longest sequence

_Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Norm:
    weight: Any
    epsilon: float


@dataclass(frozen=True)
class _Layer:
    before: _Norm
    given: _Product  # queries, keys and values
    weights: Any  # [2, D], of the norms of queries and keys
    normed: bool
    epsilon: float
    scale: float
    out: _Product
    between: _Norm
    opened: _Product  # gates and values
    down: _Product


class QuickStep:
    """One more token of each sequence. `quick_step` makes it, for models that have all it needs.

    Made for one call of a generator: it need not see what becomes of the weights.
    """

    def __init__(self, model: nn.Module) -> None:
        inner = backbone(model)
        self._embed, self._rotary = inner.embed_tokens, inner.rotary_emb
        self._layers = [_layer(each) for each in inner.layers]
        self._last = _norm(inner.norm)
        self._size = int(inner.layers[0].self_attn.head_dim)
        self._head: _Product = base_model(model).get_output_embeddings()
        self._angles: tuple[Tensor, Tensor] | None = None  # cosines and sines by position
        self._fixed = getattr(self._rotary, "rope_type", "default") not in _MOVING

    def __call__(
        self,
        tokens: Int[Tensor, " S"],
        positions: Int[Tensor, " S"],
        lengths: Int[Tensor, " S"],
        tables: dict[int, tuple[Tensor, Tensor]],
    ) -> Float[Tensor, "S V"]:
        """Logits of the next tokens; keys and values of these ones are put into the tables, behind what is there.

        Args:
            tokens: the newest of each sequence.
            positions: theirs.
            lengths: tokens that each slot holds so far.
            tables: of each layer keys and values, [slots, K, columns, D].
        """
        new: Tensor = self._embed(tokens)
        stream = torch.zeros(new.shape)  # the residual stream is kept in fp32
        x = torch.empty_like(new)  # what a product is given, each in turn
        kept = array(stream), array(x)
        where = (*self._turns(positions, tables[0][0].shape[2]), array(lengths))
        gated: Tensor | None = None
        self._add(kept, new, self._layers[0].before)
        for index, layer in enumerate(self._layers):
            given = layer.given(x)
            keys, values = tables[index]
            seen = given.new_empty(len(given), given.shape[1] - 2 * keys.shape[1] * keys.shape[3])
            norms = (layer.weights, layer.normed, layer.epsilon)
            call("writing.attend", given, *where[:3], *norms, layer.scale, where[3], keys, values, seen)
            self._add(kept, layer.out(seen), layer.between)
            both = layer.opened(x)
            gated = both.new_empty(len(both), both.shape[1] // 2) if gated is None else gated
            call("writing.gate_halves", both, gated)
            following = self._layers[index + 1].before if index + 1 < len(self._layers) else self._last
            self._add(kept, layer.down(gated), following)
        return self._head(x)

    def _add(self, kept: tuple[Any, Any], more: Tensor, norm: _Norm) -> None:
        """Add to the residual stream; the norm of it is what the next product is given."""
        call("writing.add_norm", kept[0], more, norm.weight, norm.epsilon, kept[1])

    def _turns(self, positions: Tensor, columns: int) -> tuple[Any, Any, Any]:
        """Which rows of the angles are these positions', and the angles in fp32, made once where they stay the same."""
        if not self._fixed:
            cosines, sines = self._rotary(torch.zeros(1), positions[None])
            self._require(cosines)
            return array(torch.arange(len(positions))), array(cosines[0]), array(sines[0])
        if self._angles is None or len(self._angles[0]) < columns:
            cosines, sines = self._rotary(torch.zeros(1), torch.arange(columns)[None])
            self._require(cosines)
            self._angles = cosines[0].contiguous(), sines[0].contiguous()
        return array(positions), array(self._angles[0]), array(self._angles[1])

    def _require(self, angles: Tensor) -> None:
        if angles.shape[-1] != self._size:
            raise ValueError(f"angles for {angles.shape[-1]} of a head's {self._size} values")


def quick_step(model: nn.Module) -> QuickStep | None:
    """The quick way for this model, if it has the parts; whether it says the same is still to be tried."""
    if not all(fits(weight) for weight in model.parameters()) or base_model(model).get_output_embeddings() is None:
        return None
    inner = backbone(model)
    if not all(hasattr(inner, name) for name in ("embed_tokens", "rotary_emb", "layers", "norm")):
        return None
    if _LATE in (getattr(inner.config, "rope_parameters", None) or {}):
        return None
    return QuickStep(model) if all(_is_known(layer) for layer in inner.layers) else None


def _is_known(layer: Any) -> bool:
    if _parts(layer) != _BLOCK or _parts(layer.mlp) - {"act_fn"} != _UNIT:
        return False
    attention, x = layer.self_attn, torch.linspace(-3.0, 3.0, 61)
    if not torch.allclose(layer.mlp.act_fn(x), F.silu(x), rtol=0, atol=1e-6):
        return False
    if _parts(attention) not in (_ATTENTION, _ATTENTION | set(_HEAD_NORMS)) or not hasattr(attention, "scaling"):
        return False
    of_heads = [getattr(attention, name) for name in _HEAD_NORMS if hasattr(attention, name)]
    norms = [layer.input_layernorm, layer.post_attention_layernorm, *of_heads]
    if not all(isinstance(getattr(norm, "weight", None), Tensor) and _epsilon(norm) > 0 for norm in norms):
        return False
    return all(len(norm.weight) == attention.head_dim for norm in of_heads)


def _parts(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}


def _epsilon(norm: Any) -> float:
    return float(getattr(norm, "variance_epsilon", getattr(norm, "eps", 0.0)))


def _norm(norm: Any) -> _Norm:
    return _Norm(array(norm.weight), _epsilon(norm))


def _layer(layer: Any) -> _Layer:
    attention, unit = layer.self_attn, layer.mlp
    normed = hasattr(attention, _HEAD_NORMS[0])
    norms = [getattr(attention, name) for name in _HEAD_NORMS] if normed else []
    size = attention.head_dim
    weights = torch.stack([norm.weight.detach().float() for norm in norms]) if normed else torch.ones(2, size)
    return _Layer(
        before=_norm(layer.input_layernorm),
        given=side_by_side((attention.q_proj, attention.k_proj, attention.v_proj)),
        weights=array(weights),
        normed=normed,
        epsilon=_epsilon(norms[0]) if normed else 1.0,
        scale=float(attention.scaling),
        out=attention.o_proj,
        between=_norm(layer.post_attention_layernorm),
        opened=side_by_side((unit.gate_proj, unit.up_proj)),
        down=unit.down_proj,
    )
