"""Drawing tokens from logits with noise that the caller brings, so that a draw is a function of its inputs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.functional.logprobs import log_softmax_at


def sample_tokens(
    logits: Float[Tensor, "B V"], temperature: float, uniform: Float[Tensor, " B"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """Tokens [B] drawn from softmax(logits / temperature), and their log-probabilities [B] in nats, at least fp32.

    By inversion: the first token at which the cumulative probability (summed in float64) passes `uniform`, one number
    in [0, 1) per row. A row's token depends on its own number alone, so a sequence is drawn the same in any batch.
    Tokens of logit -inf are never drawn. Nothing but the temperature alters the distribution, so the
    log-probabilities are those of `logprobs_of` on the same logits. A row whose logits are no distribution (NaN, +inf,
    or -inf throughout) has the log-probability NaN and a token without meaning, and does not disturb the other rows.

    Raises:
        ValueError: the temperature is not positive (take the argmax yourself for a greedy choice).
    """
    log_p = log_softmax_at(logits, temperature)
    cumulative = log_p.double().exp().cumsum(dim=-1)
    total = cumulative[:, -1:]
    # Rounding may put uniform * total at or above the last sum; `right` then points past the end, or, where banned
    # tokens stand last, at one of them: the last token that adds probability is the right answer for both.
    threshold = torch.minimum(uniform.double()[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    # NaN sums are passed by no threshold, and an index past the end would be a fault that loses the whole CUDA context
    tokens = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
    return tokens, log_p.gather(-1, tokens[:, None]).squeeze(-1)


def likeliest_tokens(logits: Float[Tensor, "B V"], temperature: float) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The likeliest token of each row [B], the first among equals, and its log-probability [B] in nats, at least fp32.

    Raises:
        ValueError: the temperature is not positive; it moves the log-probabilities, not the choice.
    """
    log_p = log_softmax_at(logits, temperature)
    tokens = log_p.argmax(dim=-1)
    return tokens, log_p.gather(-1, tokens[:, None]).squeeze(-1)
