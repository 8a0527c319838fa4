"""What an RL run needs of memory: two models' passes, sequences that are being written, weights to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from assent.functional.batching import TokenBatch
from assent.models.policy import completion_logprobs
from assent.models.scalar import value_tokens
from assent.training.memory import Longest, Need, need_of, vocabulary_of
from assent.training.precision import fast_products
from assent.types.seeds import derive_seed

if TYPE_CHECKING:
    from assent.training.rl import RLTraining

_TRIED_GAMES = 8


def need_of_rl(training: RLTraining) -> Need:
    """How long games are is told by playing some; others are taken to be twice as long at most."""
    p, s, compute = training.parts, training.settings, training.compute
    if p.games is None:
        prompt, completion = max(map(len, p.prompt_ids)), training.sampling.max_new_tokens
    else:
        seed = derive_seed(training.seed, "tried games")
        played = p.games.play(range(_TRIED_GAMES), 1, training.sampling, seed)
        prompt = max(len(game.prompt_ids) for game in played)
        completion = min(2 * max(len(game.completion_ids) for game in played), p.games.context - prompt)
    rows = -(-s.rollouts_per_step // p.algorithm.minibatches)
    tokens = min(compute.tokens_per_microbatch, rows * (prompt + completion))
    watch: Literal["watch", "train"] = "train" if training.hyper.entropy_coef else "watch"

    def forward(batch: TokenBatch) -> Tensor:
        with fast_products(compute, p.device):
            found = completion_logprobs(p.policy.model, batch, training.sampling.temperature, watch)[0]
            return found if p.value_model is None else found + value_tokens(p.value_model, batch)

    models = [p.policy.model] if p.value_model is None else [p.policy.model, p.value_model]
    optimisers = [each for each in (training.optimiser, training.value_optimiser) if each is not None]
    longest = Longest(prompt, completion, tokens, vocabulary=vocabulary_of(p.policy.model))
    copies = training.budget.memory() + (0 if training.best is None else training.best.memory())
    sampling = p.generator.memory(s.rollouts_per_step, prompt + completion, s.overlap)
    return need_of(forward, optimisers, models, longest, sampling, copies, s.overlap)
