"""What a model's layers do between their products, done in fewer passes: RMS norms, rotary positions, gated units.

Each is taken only where it was seen to give what the model's own code gives; the others stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from assent.functional.gated_unit import silu_product
from assent.functional.rms_norm import rms_norm
from assent.functional.rotary import rotated
from assent.kernels import fits

_Forward = Callable[[Tensor], Tensor]
_ROTARY = "apply_rotary_pos_emb"  # what transformers calls it, in the file of each family of models
_known: WeakKeyDictionary[nn.Module, list[tuple[nn.Module, _Forward]]] = WeakKeyDictionary()
_rotaries: set[str] = set()  # files whose function was looked at
_on: ContextVar[bool] = ContextVar("quick_layers", default=False)


@contextmanager
def quick_layers(model: nn.Module) -> Iterator[None]:
    """Inside, the model's layers are computed so; results come in the dtype of the products that follow."""
    if model not in _known:
        like = next(model.parameters())
        _known[model] = [(each, quick) for each in model.modules() if (quick := _quick(each, like)) is not None]
        for module in model.modules():
            _look_at_rotary(type(module).__module__)
    for module, quick in _known[model]:
        module.forward = quick
    token = _on.set(True)
    try:
        yield
    finally:
        _on.reset(token)
        for module, _ in _known[model]:
            del module.forward  # the class's own shows again


class _Norm:
    def __init__(self, module: Any, epsilon: float) -> None:
        self._module, self._epsilon = module, epsilon

    def __call__(self, x: Tensor) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return rms_norm(x, self._module.weight, self._epsilon, dtype)


class _Gated:
    def __init__(self, module: Any) -> None:
        self._module = module

    def __call__(self, x: Tensor) -> Tensor:
        inner = self._module
        found: Tensor = inner.down_proj(silu_product(inner.gate_proj(x), inner.up_proj(x)))
        return found


@torch.no_grad()
def _quick(module: Any, like: Tensor) -> _Forward | None:
    """The quick way of a layer: told by its names, then by trying."""
    if "forward" in vars(module):
        return None
    if type(module).__name__.endswith("RMSNorm"):
        weight = getattr(module, "weight", None)
        epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
        if not isinstance(weight, Tensor) or weight.ndim != 1 or not isinstance(epsilon, float):
            return None
        return _same(module, _Norm(module, epsilon), len(weight), like)
    if all(hasattr(module, name) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")):
        width = getattr(module.gate_proj, "in_features", None)
        if isinstance(width, int):
            return _same(module, _Gated(module), width, like)
    return None


def _same(module: Any, quick: _Forward, width: int, like: Tensor) -> _Forward | None:
    """It, if it gives the same for two rows."""
    x = torch.linspace(-2.0, 3.0, 2 * width, device=like.device, dtype=like.dtype).view(2, -1)
    with torch.autocast(like.device.type, enabled=False):
        try:
            theirs = module(x)
        except (TypeError, RuntimeError):
            return None
        return quick if _near(quick(x), theirs) else None


def _near(ours: Tensor, theirs: Tensor) -> bool:
    near = 1e-5 if theirs.dtype in (torch.float32, torch.float64) else 1e-2
    return ours.shape == theirs.shape and float((ours - theirs).abs().max()) <= near * float(theirs.abs().max())


def _look_at_rotary(name: str) -> None:
    """Put ours in the place of a file's rotary function, once; outside of `quick_layers` it calls the file's own."""
    file = sys.modules.get(name)
    theirs = getattr(file, _ROTARY, None)
    if name in _rotaries or theirs is None:
        return
    _rotaries.add(name)
    if _rotates_halves(theirs):
        setattr(file, _ROTARY, _Rotary(theirs))


class _Rotary:
    """Queries and keys [B, H, L, D] turned by angles [B or 1, L, D]."""

    def __init__(self, theirs: Callable[..., tuple[Tensor, Tensor]]) -> None:
        self._theirs = theirs

    def __call__(
        self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **options: Any
    ) -> tuple[Tensor, Tensor]:
        if not _on.get() or args or options or not fits(q, k, cos, sin) or q.shape[-1] != cos.shape[-1]:
            return self._theirs(q, k, cos, sin, *args, **options)
        return _turned(q, cos, sin), _turned(k, cos, sin)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    rows, heads, length, size = x.shape
    cos, sin = (angles.expand(rows, *angles.shape[1:]).flatten(0, 1) for angles in (cos, sin))
    found = rotated(x.transpose(1, 2).reshape(rows * length, heads, size), cos, sin)
    return found.view(rows, length, heads, size).transpose(1, 2)


@torch.no_grad()
def _rotates_halves(theirs: Callable[..., tuple[Tensor, Tensor]]) -> bool:
    q, k = (torch.linspace(-2.0, 3.0, 2 * heads * 3 * 8).view(2, heads, 3, 8) for heads in (4, 2))
    cos, sin = torch.linspace(0.0, 1.0, 2 * 48).view(2, 2, 3, 8)
    try:
        return all(_near(_turned(x, cos, sin), found) for x, found in zip((q, k), theirs(q, k, cos, sin), strict=True))
    except (TypeError, RuntimeError, ValueError):
        return False
