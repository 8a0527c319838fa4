"""A copy of a model's weights in bf16, laid out once for the processor's matrix products, to sample from.

Sampling reads all weights for every token. In bf16 that is half of the bytes, and a CPU multiplies bf16 matrices
several times as fast as fp32 ones, the more so if their weights need not be laid out anew for each product.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assent.models.packed import base_model

_ROWS = 64  # for products with so many rows the weights are laid out; others work as well
_WRAPPED = ".base_layer."
_OF_ONE_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # layers that are given the same


class Shadow:
    """A model that says the same as another one, in bf16 and without gradients.

    Args:
        source: a transformers causal LM, or one with a LoRA adapter, which is folded into the copy.
    """

    def __init__(self, source: nn.Module) -> None:
        self._source = source
        base = base_model(source)
        if base is source:  # the copy's weights are made below, one by one
            self.model: Any = copy.deepcopy(base, {id(weight): weight for weight in base.parameters()})
        else:
            self.model = type(base)(copy.deepcopy(base.config)).to(next(base.parameters()).device)
        self.model.eval()
        _keep_buffers(base, self.model)
        self._linears: list[tuple[list[str], _SideBySide]] = []  # their names, and what computes them
        if _lays_out(self.model):
            self._linears = [(names, _SideBySide(layers)) for names, layers in _of_one_input(self.model)]
        for _, together in self._linears:
            for layer in together.layers:
                layer.register_parameter("weight", None)  # what is laid out stands in its place
        _in_bf16(self.model)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the weights as they are now."""
        weights = plain_weights(self._source)
        for name, weight in self.model.named_parameters():
            weight.copy_(weights[name])
        for names, together in self._linears:
            together.lay_out([weights[f"{name}.weight"] for name in names])


class _SideBySide:
    """Linear layers that are given the same, computed as one, with weights kept as oneDNN wants them.

    The first of them to be called leaves for the others what they will be asked for.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers = layers
        self._sizes = [layer.out_features for layer in layers]
        self._given: Tensor | None = None
        self._left: dict[int, Tensor] = {}
        for place, layer in enumerate(layers):
            layer.__class__ = _LaidOut
            assert isinstance(layer, _LaidOut)
            layer.together, layer.place = self, place

    def lay_out(self, weights: Sequence[Tensor]) -> None:
        """Take these weights, of any dtype."""
        whole = torch.cat([weight.to(torch.bfloat16) for weight in weights])
        self._weight = torch.ops.mkldnn._reorder_linear_weight(whole, _ROWS)
        biases: list[Tensor] = [layer.bias for layer in self.layers if layer.bias is not None]
        self._bias = torch.cat(biases) if biases else None

    def whole(self, x: Tensor) -> Tensor:
        """What the layers make of it, one beside the other."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return found

    def part(self, x: Tensor, place: int) -> Tensor:
        """What one of the layers makes of it."""
        if len(self.layers) == 1:
            return self.whole(x)
        if self._given is not x or place not in self._left:
            self._given, self._left = x, dict(enumerate(torch.split(self.whole(x), self._sizes, dim=-1)))
        found = self._left.pop(place)
        if not self._left:
            self._given = None
        return found


class _LaidOut(nn.Linear):
    """A linear layer whose weight is laid out, alone or with those beside it."""

    together: _SideBySide
    place: int

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear` does, in bf16."""
        return self.together.part(x, self.place)


def side_by_side(layers: Sequence[Any]) -> Callable[[Tensor], Tensor]:
    """What gives the results of layers one beside the other: in one product if a shadow keeps just these together."""
    first = layers[0]
    if isinstance(first, _LaidOut) and len(first.together.layers) == len(layers):
        return first.together.whole
    return lambda x: torch.cat([layer(x) for layer in layers], dim=-1)


def _of_one_input(model: nn.Module) -> Iterator[tuple[list[str], list[nn.Linear]]]:
    """The linear layers with their names, those of one input together."""
    linears = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
    while linears:
        name = next(iter(linears))
        parent, _, last = name.rpartition(".")
        beside = next((group for group in _OF_ONE_INPUT if last in group), (last,))
        names = [f"{parent}.{each}" if parent else each for each in beside]
        layers = [linears[each] for each in names if each in linears]
        alike = {(layer.in_features, layer.bias is None) for layer in layers}
        if len(layers) < len(names) or len(alike) > 1:
            names, layers = [name], [linears[name]]
        for each in names:
            del linears[each]
        yield names, layers


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


def _in_bf16(model: nn.Module) -> None:
    """Weights of its own in bf16; those that are tied stay so."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if id(weight) not in made:
                own = weight.detach().to(torch.bfloat16, copy=True)
                made[id(weight)] = nn.Parameter(own, requires_grad=False)
            module.register_parameter(name, made[id(weight)])


def _keep_buffers(source: nn.Module, copied: nn.Module) -> None:
    """In their own precision: the frequencies of rotary positions, rounded, would turn a thousandth token elsewhere."""
    known = dict(copied.named_buffers())
    for name, buffer in source.named_buffers():
        if name in known:
            parent, _, last = name.rpartition(".")
            setattr(copied.get_submodule(parent), last, buffer.clone())


def _lays_out(model: nn.Module) -> bool:
    on_cpu = next(model.parameters()).device.type == "cpu"
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return on_cpu and known and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
