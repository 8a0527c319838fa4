"""A copy of a model's weights in bf16, laid out once for the processor's matrix products, to sample from.

Sampling reads all weights for every token. In bf16 that is half of the bytes, and a CPU multiplies bf16 matrices
several times as fast as fp32 ones, the more so if their weights need not be laid out anew for each product.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from assent.models.packed import base_model

_ROWS = 64  # for products with so many rows the weights are laid out; others work as well
_WRAPPED = ".base_layer."


class Shadow:
    """A model that says the same as another one, in bf16 and without gradients.

    Args:
        source: a transformers causal LM, or one with a LoRA adapter, which is folded into the copy.
    """

    def __init__(self, source: nn.Module) -> None:
        self._source = source
        base = base_model(source)
        if base is source:
            self.model: Any = copy.deepcopy(base)
        else:
            self.model = type(base)(copy.deepcopy(base.config))
        self.model.to(device=next(base.parameters()).device, dtype=torch.bfloat16).eval().requires_grad_(False)
        self._linears: dict[str, _LaidOut] = {}
        if _lays_out(self.model):
            for name, module in self.model.named_modules():
                if type(module) is nn.Linear:
                    module.__class__ = _LaidOut
                    assert isinstance(module, _LaidOut)
                    self._linears[name] = module
        self.refresh()
        for module in self._linears.values():
            module.register_parameter("weight", None)  # what was laid out stands in its place

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the weights as they are now."""
        weights = plain_weights(self._source)
        for name, weight in self.model.named_parameters():
            weight.copy_(weights[name])
        for name, module in self._linears.items():
            module.lay_out(weights[f"{name}.weight"])


class _LaidOut(nn.Linear):
    """A linear layer whose weight is kept as oneDNN wants it."""

    _weight: Tensor

    def lay_out(self, weight: Tensor) -> None:
        """Take this weight, of any dtype."""
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(torch.bfloat16), _ROWS)

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear` does, in bf16."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self.bias, "none", [], "")
        return found


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights under the names of a plain checkpoint, tied ones under each; an adapter's products are added."""
    base = base_model(model)
    found: dict[str, Tensor] = {}
    for name, weight in base.named_parameters(remove_duplicate=False):
        if "lora_" in name or ".original_module." in name:
            continue
        if _WRAPPED in name and name.endswith(".weight"):
            layer = base.get_submodule(name.partition(_WRAPPED)[0])
            weight = weight + layer.get_delta_weight("default")
        found[name.replace(_WRAPPED, ".").replace(".modules_to_save.default", "")] = weight
    return found


def _lays_out(model: nn.Module) -> bool:
    on_cpu = next(model.parameters()).device.type == "cpu"
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return on_cpu and known and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
