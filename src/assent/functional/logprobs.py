"""Log-probabilities and entropies of the tokens, in nats, under the temperature that was sampled with.

Policy, reference and generator all come through here, so that sampling and training agree: logits are divided by the
temperature, and everything after that is at least fp32, whatever the model computes in.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


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


def chunked_logprobs_and_entropy(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    bias: Float[Tensor, " V"] | None,
    tokens: Int[Tensor, " N"],
    temperature: float = 1.0,
    chunk: int = 1024,
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Log-probabilities and entropies, both [N] in nats, straight from the last hidden states and the output head.

    The same numbers and gradients as `logprobs_of` and `entropy_of` on `hidden @ weight.T + bias`, but at most
    `chunk` rows of logits exist at a time: each chunk's are recomputed when its gradient is asked for. Peak memory is
    O(chunk · V) instead of O(N · V), for one more product with the head.

    Raises:
        ValueError: the temperature or the chunk is not positive.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")

    def of_rows(rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        log_p = log_softmax_at(F.linear(rows, weight, bias), temperature)
        return _pick(log_p, targets), _entropy(log_p)

    parts = [
        checkpoint(of_rows, rows, targets, use_reentrant=False, preserve_rng_state=False)
        for rows, targets in zip(torch.split(hidden, chunk), torch.split(tokens, chunk), strict=True)
    ]
    return torch.cat([logprobs for logprobs, _ in parts]), torch.cat([entropy for _, entropy in parts])


def _pick(log_p: Float[Tensor, "*S V"], tokens: Int[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    return log_p.gather(-1, tokens.long().unsqueeze(-1)).squeeze(-1)


def _entropy(log_p: Float[Tensor, "*S V"]) -> Float[Tensor, "*S"]:
    # p log p -> 0 as p -> 0, but 0 · -inf is NaN, in the value and in the gradient
    return -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(dim=-1)
