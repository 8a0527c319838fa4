"""Log-probabilities and entropies of the tokens, in nats, under the temperature that was sampled with.

Policy, reference and generator all come through here, so that sampling and training agree: logits are divided by the
temperature, and everything after that is at least fp32, whatever the model computes in.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.shapes import recurring
from assent.kernels import call, fits


def log_softmax_at(logits: Float[Tensor, "*S V"], temperature: float) -> Float[Tensor, "*S V"]:
    """log softmax(logits / temperature) over the vocabulary, in fp32 (float64 stays float64).

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.log_softmax(wide if temperature == 1.0 else wide / temperature, dim=-1)


def logprobs_of(
    logits: Float[Tensor, "B T V"], tokens: Int[Tensor, "B T"], temperature: float = 1.0
) -> Float[Tensor, "B T"]:
    """log π(token) in nats. `logits[:, t]` must be those that predict `tokens[:, t]`: shift before calling.

    Tokens under a mask must still be ids of the vocabulary (a pad id, not -100).

    Raises:
        ValueError: the temperature is not positive.
    """
    return _pick(log_softmax_at(logits, temperature), tokens)


def entropy_of(logits: Float[Tensor, "B T V"], temperature: float = 1.0) -> Float[Tensor, "B T"]:
    """Entropy in nats of each position's distribution, between 0 and log V. Logits of -inf (banned tokens) are fine.

    Raises:
        ValueError: the temperature is not positive.
    """
    return _entropy(log_softmax_at(logits, temperature))


def linear_logprobs(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    bias: Float[Tensor, " V"] | None,
    tokens: Int[Tensor, " N"],
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"] | None]:
    """Log-probabilities in nats, and entropies if asked for, straight from the last hidden states and the output head.

    The same numbers and gradients as `logprobs_of` and `entropy_of` on `hidden @ weight.T + bias`. The product with
    the head is in bf16 under autocast; log-softmax, its sums and its gradient are in fp32, a few rows at a time, so
    that nothing of [N, V] exists but the logits in the precision of the product, and of these at most `KEPT_BYTES`:
    more of them are computed again when the gradient is asked for.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    options = (temperature, entropy, dtype)
    count = len(tokens)
    more = recurring(count) - count
    found: tuple[Tensor, Tensor] = _LinearLogprobs.apply(  # type: ignore[no-untyped-call]
        F.pad(hidden, (0, 0, 0, more)), weight, bias, F.pad(tokens.long(), (0, more)), *options
    )
    return found[0][:count], found[1][:count] if entropy else None


KEPT_BYTES = 256 * 2**20  # of logits that wait for their gradient
_FEW_ROWS = 2**20  # logits that are worked on at once, so that they stay in the processor's cache


class _LinearLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tokens: Tensor,
        temperature: float,
        entropy: bool,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(dtype, torch.float32)
        logprobs, entropies, totals = (hidden.new_zeros(len(hidden), dtype=wide) for _ in range(3))
        narrow = _Head(hidden, weight, bias, dtype)
        kept = []
        for rows in narrow.parts():
            logits = narrow.logits(rows)
            _tell(logits, tokens[rows], temperature, totals[rows], logprobs[rows], entropies[rows] if entropy else None)
            kept.append(logits)
        gradient = any(ctx.needs_input_grad[:3])
        keeps = gradient and len(kept) == 1
        ctx.save_for_backward(hidden, weight, bias, tokens, totals, entropies)
        ctx.logits = kept if keeps else []  # used up by the first backward pass; another one computes them again
        ctx.options = temperature, entropy, dtype
        if not entropy:
            ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, tokens, totals, entropies = ctx.saved_tensors
        temperature, entropy, dtype = ctx.options
        narrow = _Head(hidden, weight, bias, dtype)
        in_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        in_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        in_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[2] else None
        for rows in narrow.parts():
            in_logits = ctx.logits.pop() if ctx.logits else narrow.logits(rows)
            given = (gradients[0][rows], gradients[1][rows] if entropy else None)
            _tell_back(in_logits, tokens[rows], temperature, totals[rows], entropies[rows], given)
            if in_hidden is not None:
                in_hidden[rows] = (in_logits @ narrow.weight).to(hidden.dtype)
            if in_weight is not None:
                in_weight += in_logits.T @ narrow.hidden[rows]
            if in_bias is not None:
                in_bias += in_logits.sum(dim=0, dtype=totals.dtype)
        return in_hidden, in_weight, in_bias, None, None, None, None


class _Head:
    """The last product, in one dtype, and the rows that are done at once."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.hidden, self.weight = hidden.to(dtype), weight.to(dtype)
        self.bias = None if bias is None else bias.to(dtype)

    def parts(self) -> list[slice]:
        rows = max(1, KEPT_BYTES // (self.weight.shape[0] * self.weight.element_size()))
        return _slices(len(self.hidden), rows)

    def logits(self, rows: slice) -> Tensor:
        return F.linear(self.hidden[rows], self.weight, self.bias)


def _tell(
    logits: Tensor, tokens: Tensor, temperature: float, totals: Tensor, logprobs: Tensor, entropies: Tensor | None
) -> None:
    """Write the log of each row's sum, its token's log-probability and, if asked for, its entropy."""
    if fits(logits):
        call("vocabulary.tell", logits, tokens, 1.0 / temperature, totals, logprobs)
        if entropies is not None:
            call("vocabulary.spread", logits, 1.0 / temperature, totals, entropies)
        return
    for few in _few(len(logits), logits.shape[1]):
        scaled = logits[few].to(totals.dtype, copy=True).div_(temperature)
        totals[few] = total = scaled.logsumexp(dim=-1)
        logprobs[few] = scaled.gather(-1, tokens[few, None])[:, 0] - total
        if entropies is not None:
            entropies[few] = _entropy(scaled.sub_(total[:, None]))


def _tell_back(
    logits: Tensor,
    tokens: Tensor,
    temperature: float,
    totals: Tensor,
    entropies: Tensor,
    gradients: tuple[Tensor, Tensor | None],
) -> None:
    """In place: the gradient of the logits from those of the log-probabilities and, if there are, of the entropies."""
    given, spread = gradients
    if fits(logits):
        sharpness = 1.0 / temperature
        if spread is None:
            call("vocabulary.tell_back", logits, tokens, sharpness, totals, given)
        else:
            call("vocabulary.tell_and_spread_back", logits, tokens, sharpness, totals, entropies, given, spread)
        return
    for few in _few(len(logits), logits.shape[1]):
        log_p = logits[few].to(totals.dtype, copy=True).div_(temperature).sub_(totals[few, None])
        weights = -given[few, None]
        if spread is not None:  # of Σ -p log p to the logits: -p (log p + entropy)
            inner = log_p.masked_fill(log_p == -torch.inf, 0.0).add_(entropies[few, None])
            part = log_p.exp_().mul_(weights - spread[few, None] * inner)
        else:
            part = log_p.exp_().mul_(weights)
        part.scatter_add_(-1, tokens[few, None], given[few, None])
        logits[few] = part.div_(temperature)


def _few(rows: int, vocabulary: int) -> list[slice]:
    return _slices(rows, max(16, _FEW_ROWS // vocabulary))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def _pick(log_p: Float[Tensor, "*S V"], tokens: Int[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    return log_p.gather(-1, tokens.long().unsqueeze(-1)).squeeze(-1)


def _entropy(log_p: Float[Tensor, "*S V"]) -> Float[Tensor, "*S"]:
    # p log p -> 0 as p -> 0, but 0 · -inf is NaN, in the value and in the gradient
    return -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(dim=-1)
