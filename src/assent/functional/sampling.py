"""Drawing tokens from logits with noise that the caller brings, so that a draw is a function of its inputs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.logprobs import log_softmax_at
from assent.kernels import call, fits


def sample_tokens(
    logits: Float[Tensor, "B V"], temperature: float, uniform: Float[Tensor, " B"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """Tokens [B] drawn from softmax(logits / temperature), and their log-probabilities [B] in nats, at least fp32.

    By inversion: the first token at which the cumulative probability passes `uniform`, one number in [0, 1) per row. A
    row's token depends on its own number alone, so a sequence is drawn the same in any batch. The sum runs over blocks
    of the vocabulary first, then, in float64, within the block where it passes.
    Tokens of logit -inf are never drawn. Nothing but the temperature alters the distribution, so the
    log-probabilities are those of `logprobs_of` on the same logits. A row whose logits are no distribution (NaN, +inf,
    or -inf throughout) has the log-probability NaN and a token without meaning, and does not disturb the other rows.

    Raises:
        ValueError: the temperature is not positive (take the argmax yourself for a greedy choice).
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if fits(logits):
        tokens, logprobs = torch.empty(len(logits), dtype=torch.long), torch.empty(len(logits))
        call("vocabulary.draw", logits, 1.0 / temperature, uniform.double(), _BLOCK, tokens, logprobs)
        return tokens, logprobs
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32), copy=True).div_(temperature)
    likeliest = scaled.amax(dim=-1, keepdim=True)
    weights = (scaled - likeliest).exp_()
    blocks = F.pad(weights, (0, -weights.shape[1] % _BLOCK)).view(len(weights), -1, _BLOCK)
    sums = blocks.sum(dim=-1).double()
    cumulative = sums.cumsum(dim=-1)
    total = cumulative[:, -1:]
    block, before = _passing(cumulative, uniform.double()[:, None] * total)
    inside = blocks[torch.arange(len(block), device=block.device), block].double().cumsum(dim=-1)
    token, _ = _passing(inside, uniform.double()[:, None] * total - before)
    tokens = (block * _BLOCK + token).clamp(max=logits.shape[-1] - 1)
    logprobs = (scaled.gather(-1, tokens[:, None]) - likeliest).squeeze(-1) - total.squeeze(-1).log().to(scaled.dtype)
    return tokens, logprobs


_BLOCK = 128


def _passing(
    cumulative: Float[Tensor, "B N"], threshold: Float[Tensor, "B 1"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, "B 1"]]:
    """The first place where a sum passes the threshold, or else the last that adds anything; the sum before it."""
    total = cumulative[:, -1:]
    # Rounding may put the threshold at or above the last sum; `right` then points past the end, or, where banned
    # tokens stand last, at one of them: the last place that adds something is the right answer for both.
    threshold = torch.minimum(threshold, torch.nextafter(total, torch.zeros_like(total))).clamp(min=0.0)
    # NaN sums are passed by no threshold, and an index past the end would be a fault that loses the whole CUDA context
    place = torch.searchsorted(cumulative, threshold, right=True).clamp(max=cumulative.shape[1] - 1)
    before = torch.where(place > 0, cumulative.gather(-1, (place - 1).clamp(min=0)), 0.0)
    return place.squeeze(-1), before


def likeliest_tokens(logits: Float[Tensor, "B V"], temperature: float) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The likeliest token of each row [B], the first among equals, and its log-probability [B] in nats, at least fp32.

    Raises:
        ValueError: the temperature is not positive; it moves the log-probabilities, not the choice.
    """
    log_p = log_softmax_at(logits, temperature)
    tokens = log_p.argmax(dim=-1)
    return tokens, log_p.gather(-1, tokens[:, None]).squeeze(-1)
