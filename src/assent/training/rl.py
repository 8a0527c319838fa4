"""On-policy RL: sample, score, measure, update. It knows batches and steps, not which algorithm it runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from assent.algorithms.base import Experience, OnPolicyAlgorithm, Targets
from assent.config.algorithm import ActorCriticSettings, OnPolicySettings
from assent.config.settings import ComputeSettings, RLSettings
from assent.data.chat import ChatFormat
from assent.functional import adaptive_kl_coef, masked_mean, masked_sum, masked_var, sequence_kl
from assent.models.policy import Policy, completion_logprobs
from assent.models.scalar import value_tokens
from assent.rewards.scorer import Scorer
from assent.rollouts.collector import collect_rollouts
from assent.rollouts.environments import Games, describe_games
from assent.training.ahead import Ahead
from assent.training.checkpoint import restore_tensors, trainable_tensors
from assent.training.constraint import Constraint
from assent.training.experience import Measured, measure, taken_as_sampled
from assent.training.kl_budget import KLBudget
from assent.training.memory import Need
from assent.training.mixing import Mixing, Mixture
from assent.training.optimiser import GuardedOptimiser, all_finite
from assent.training.order import batches_of, permutation
from assent.training.precision import fast_products
from assent.training.rl_memory import need_of_rl
from assent.training.snapshot import Best
from assent.types.messages import Prompt
from assent.types.protocols import Generator, SamplingParams
from assent.types.rollout import Rollout
from assent.types.seeds import derive_seed


@dataclass(frozen=True)
class RLParts:
    """What an RL run is made of."""

    policy: Policy
    value_model: nn.Module | None
    algorithm: OnPolicyAlgorithm
    generator: Generator
    scorer: Scorer | None
    chat: ChatFormat
    prompts: Sequence[Prompt]
    prompt_ids: Sequence[Sequence[int]]
    device: torch.device
    cost: Scorer | None = None  # what is bounded or reported beside the score
    mixtures: Sequence[Mixture] = ()  # texts whose next-token loss is a part of every update's
    watch: Callable[[Sequence[Rollout], Sequence[float]], dict[str, float]] | None = None  # more figures for the log
    games: Games | None = None  # in place of prompts and scorer: what an environment pays is the score
    opponent: nn.Module | None = None  # an older copy of the policy, which plays the other side in the games


class RLTraining:
    """One step is a batch of rollouts and the updates made on it.

    Args:
        evaluate: called every `evaluate_every` steps (and before the first), gives figures on held-out prompts that
            are logged and never trained on.
        best: is told what is measured, from the first update on.
    """

    def __init__(
        self,
        parts: RLParts,
        settings: RLSettings,
        algorithm: OnPolicySettings,
        sampling: SamplingParams,
        seed: int,
        compute: ComputeSettings,
        evaluate: Callable[[int], dict[str, float]] | None = None,
        best: Best | None = None,
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.hyper = algorithm
        self.sampling = sampling
        self.seed = seed
        self.compute = compute
        self.evaluate = evaluate
        self.best = best
        self.kl_coef = algorithm.kl_coef
        self.updates = 0
        self.constraint = Constraint(algorithm)
        self.budget = KLBudget(algorithm, parts.policy.model)
        self.updates_per_step = parts.algorithm.epochs * parts.algorithm.minibatches
        # With one update and no penalty nothing asks for log-probabilities before the update: it has its own.
        self.measures_first = (
            self.updates_per_step > 1
            or parts.value_model is not None
            or algorithm.kl_coef > 0
            or algorithm.kl_budget is not None
            or algorithm.rollout_correction != "none"
        )
        self.mixing = Mixing(parts.mixtures, settings.steps * self.updates_per_step, seed)
        prompts_per_step = settings.rollouts_per_step // settings.samples_per_prompt
        self.plan: list[list[int]] = []
        if parts.games is None:
            self.plan = batches_of(len(parts.prompts), prompts_per_step, settings.steps, seed, "prompts")
        self.ahead = Ahead(parts.generator, self._draw) if settings.overlap else None
        self.optimiser = GuardedOptimiser(
            parts.policy.model, algorithm.learning_rate, 0.0, algorithm.max_grad_norm, algorithm.adam_epsilon
        )
        self.value_optimiser = None
        if parts.value_model is not None:
            own = algorithm.value_learning_rate if isinstance(algorithm, ActorCriticSettings) else None
            rate = own or algorithm.learning_rate
            self.value_optimiser = GuardedOptimiser(
                parts.value_model, rate, 0.0, algorithm.max_grad_norm, algorithm.adam_epsilon
            )

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """Sample with the current policy, score, and update."""
        due = index % self.settings.evaluate_every == 0
        found = self.evaluate(index) if due and self.evaluate is not None else {}
        held_out = {f"heldout_{name}": value for name, value in found.items()}
        drawn = None if self.ahead is None else self.ahead.take(index, attempt)
        rollouts = self._sample(index, attempt) if drawn is None else drawn
        p = self.parts
        scores = self._scores(rollouts, index)
        costs = [0.0] * len(scores) if p.cost is None else self._scored(p.cost, rollouts, index)
        measured = self._measure(rollouts, self.constraint.combined(scores, costs), self._sampling(index))
        targets = p.algorithm.targets(measured.experience, self.kl_coef)
        metrics = {**self._describe(measured, targets), **held_out}
        if p.cost is not None:
            metrics |= self.constraint.describe(scores, costs)
        if p.watch is not None:
            metrics |= p.watch(rollouts, scores)
        kl = metrics.get("kl", math.nan)
        self.budget.keep_or_end(kl, index)
        if self.budget.ended:
            return {**metrics, "updates": float(self.updates)}
        if self.best is not None and found and index > 0:
            self.best.consider(index, found)
        if self.ahead is not None and index + 1 < self.settings.steps:
            self.ahead.begin(index + 1, attempt)
        try:
            update = self._update(measured, targets, index, attempt)
        finally:
            if self.ahead is not None:
                self.ahead.finish()
        if update.get("skipped"):
            return {**update, **held_out}
        if self.hyper.kl_target is not None and math.isfinite(kl):
            self.kl_coef = adaptive_kl_coef(
                self.kl_coef, kl, self.hyper.kl_target, float(self.hyper.kl_horizon), len(rollouts)
            )
        self.kl_coef = self.budget.next_kl_coef(self.kl_coef, kl)
        if p.cost is not None:
            self.constraint.observe(costs)
        return {**metrics, **update}

    def settle(self) -> None:
        """After the last step: weights that no rollout was drawn from yet are held against the KL budget too."""
        if not self.budget.stops or self.budget.ended:
            return
        last = self.settings.steps
        rollouts = self._sample(last - 1, "settle")
        measured = self._measure(rollouts, [0.0] * len(rollouts), self._sampling(last - 1))
        e = measured.experience
        self.budget.keep_or_end(float(sequence_kl(e.old_logprobs, e.ref_logprobs, e.mask).mean()), last)

    def memory(self) -> Need:
        """What it needs beside its weights."""
        return need_of_rl(self)

    @property
    def ended(self) -> bool:
        """True once the KL budget has ended the run."""
        return self.budget.ended

    @property
    def waited(self) -> float:
        """Seconds of the last step in which the trainer waited for the next rollouts (`rl.overlap`)."""
        return 0.0 if self.ahead is None else self.ahead.waited

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser states of policy and value model."""
        state = {**trainable_tensors("policy", self.parts.policy.model), **self.optimiser.tensors("policy_adam")}
        if self.parts.value_model is not None and self.value_optimiser is not None:
            state |= trainable_tensors("value", self.parts.value_model)
            state |= self.value_optimiser.tensors("value_adam")
        if self.parts.opponent is not None:
            state |= trainable_tensors("opponent", self.parts.opponent)
        if self.best is not None:
            state |= self.best.tensors()
        return state | self.budget.tensors()

    def values(self) -> dict[str, Any]:
        """The coefficients that move, the count of updates, which weights were best, and whether the run has ended."""
        return {
            "kl_coef": self.kl_coef,
            "cost_log_multiplier": self.constraint.log_multiplier,
            "updates": self.updates,
            "ended": self.budget.ended,
            "within": self.budget.step,
            "best": None if self.best is None else self.best.values(),
            "ahead": None if self.ahead is None else self.ahead.values(),
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Back to a checkpoint."""
        restore_tensors("policy", self.parts.policy.model, tensors)
        self.optimiser.restore("policy_adam", tensors)
        if self.parts.value_model is not None and self.value_optimiser is not None:
            restore_tensors("value", self.parts.value_model, tensors)
            self.value_optimiser.restore("value_adam", tensors)
        if self.parts.opponent is not None:
            restore_tensors("opponent", self.parts.opponent, tensors)
        self.kl_coef, self.updates = values["kl_coef"], values["updates"]
        self.constraint.log_multiplier = values["cost_log_multiplier"]
        self.budget.restore(tensors, values["ended"], values.get("within", 0))
        if self.best is not None:
            self.best.restore(tensors, values["best"])
        if self.ahead is not None:
            self.ahead.restore(values["ahead"])

    def _sampling(self, index: int) -> SamplingParams:
        """How this step's rollouts are drawn: the temperature moves linearly where that is asked for."""
        held, s = self.sampling.temperature, self.settings
        first, last = s.temperature_from or held, s.temperature_to or held
        return replace(self.sampling, temperature=first + (last - first) * index / max(1, s.steps - 1))

    def _measure(self, rollouts: Sequence[Rollout], scores: Sequence[float], sampling: SamplingParams) -> Measured:
        p, s = self.parts, self.settings
        turns, group = 1 if p.games is None else s.max_turns, s.samples_per_prompt
        if not self.measures_first:
            return taken_as_sampled(rollouts, scores, sampling, group, p.device, turns)
        return measure(rollouts, scores, p.policy, p.value_model, sampling, group, self.compute, p.device, turns)

    def _sample(self, index: int, attempt: int | str) -> list[Rollout]:
        games = self.parts.games
        return self._draw(index, attempt) if games is None else self._play(games, index, attempt)

    def _draw(self, index: int, attempt: int | str) -> list[Rollout]:
        chosen = self.plan[index]
        return collect_rollouts(
            self.parts.generator,
            self.parts.chat,
            [self.parts.prompts[i] for i in chosen],
            [self.parts.prompt_ids[i] for i in chosen],
            self.settings.samples_per_prompt,
            self._sampling(index),
            derive_seed(self.seed, "rollouts", attempt, index),
        )

    def _play(self, games: Games, index: int, attempt: int | str) -> list[Rollout]:
        """This step's games, each seed's as a group; the seeds are none of those that measure the policy."""
        if self.parts.opponent is not None and index % self.settings.opponent_age == 0:
            restore_tensors("policy", self.parts.opponent, trainable_tensors("policy", self.parts.policy.model))
        count = self.settings.rollouts_per_step // self.settings.samples_per_prompt
        seeds = [derive_seed(self.seed, "games", attempt, index, place) for place in range(count)]
        seed = derive_seed(self.seed, "rollouts", attempt, index)
        return games.play(seeds, self.settings.samples_per_prompt, self._sampling(index), seed)

    def _scores(self, rollouts: Sequence[Rollout], index: int) -> list[float]:
        """What an environment paid, or what the scorer says."""
        if self.parts.scorer is None:
            return [rollout.score or 0.0 for rollout in rollouts]
        return self._scored(self.parts.scorer, rollouts, index)

    def _scored(self, scorer: Scorer, rollouts: Sequence[Rollout], index: int) -> list[float]:
        prompts = [self.parts.prompts[self.plan[index][rollout.prompt_index]] for rollout in rollouts]
        return scorer.score(prompts, [rollout.text for rollout in rollouts])

    def _update(self, measured: Measured, targets: Targets, index: int, attempt: int) -> dict[str, float]:
        """All epochs of minibatches on one step's rollouts; `skipped` = 1 if none of them could be applied.

        A minibatch whose loss or gradient is not finite changes nothing and is counted in `nonfinite`. The remaining
        ones are left once the new policy is `stop_epoch_kl` nats a token from the old one. Rollouts that the algorithm
        leaves out are passed over, and so is a minibatch of nothing else, with the texts mixed into it.
        """
        sums: Counter[str] = Counter()
        tokens_seen, norms, stopped, nonfinite = 0.0, [], 0.0, 0.0
        trained = targets.loss_mask.any(-1).tolist()
        for place, minibatch in enumerate(self._minibatches(len(measured.rollouts), index, attempt)):
            rows = [row for row in minibatch if trained[row]]
            if not rows:
                continue
            tokens = float(targets.loss_mask[rows].sum())
            found = self._accumulate(measured, targets, rows, tokens)
            limit = self.hyper.stop_epoch_kl
            if limit is not None and found["approx_kl"] / tokens > limit and all_finite(found.values()):
                self._drop_gradients()
                stopped = 1.0
                break
            number = index * self.updates_per_step + place
            found.update(self.mixing.accumulate(self.parts.policy.model, number, self.compute))
            norm = self._apply(index) if all_finite(found.values()) else None
            if norm is None:
                self._drop_gradients()
                nonfinite += 1.0
                continue
            norms.append(norm)
            sums.update(found)
            tokens_seen += tokens
        if nonfinite and not norms:
            return {"skipped": 1.0, "nonfinite": nonfinite}
        of_updates = {"value_loss", *(f"{each.name}_loss" for each in self.parts.mixtures)}
        means = {n: value / (len(norms) if n in of_updates else max(1.0, tokens_seen)) for n, value in sums.items()}
        if norms:
            means["grad_norm"] = sum(norms) / len(norms)
        return {**means, "stopped_early": stopped, "nonfinite": nonfinite, "updates": float(self.updates)}

    def _minibatches(self, count: int, index: int, attempt: int) -> Iterator[list[int]]:
        """The rows of each minibatch of each epoch, every row once an epoch."""
        parts = self.parts.algorithm.minibatches
        for epoch in range(self.parts.algorithm.epochs):
            order = permutation(count, self.seed, "minibatches", attempt, index, epoch)
            yield from (sorted(order[part::parts]) for part in range(parts))

    def _accumulate(self, measured: Measured, targets: Targets, rows: list[int], tokens: float) -> Counter[str]:
        """Gradients of one minibatch, microbatch by microbatch; returns sums over its tokens."""
        p, found = self.parts, Counter[str]()
        unwatched: Literal["none", "watch"] = "none" if self.measures_first else "watch"
        watch: Literal["none", "watch", "train"] = "train" if self.hyper.entropy_coef else unwatched
        for group in measured.microbatches(rows, self.compute.tokens_per_microbatch):
            batch = measured.batch(group, p.device)
            part, part_targets = measured.take(group, targets, batch.completion_mask.shape[1])
            with fast_products(self.compute, p.device):
                logprobs, entropy = completion_logprobs(p.policy.model, batch, measured.temperature, watch)
                values = value_tokens(p.value_model, batch) if p.value_model is not None else None
            if not self.measures_first:
                found.update(_against_sampler(logprobs, entropy, part, part_targets.loss_mask))
                part = replace(part, old_logprobs=logprobs.detach())
            update = p.algorithm.losses(logprobs, entropy, values, part, part_targets, tokens, len(rows))
            loss = update.policy_loss if update.value_loss is None else update.policy_loss + update.value_loss
            loss.backward()  # type: ignore[no-untyped-call]
            found.update({name: float(value) for name, value in update.sums.items()})
            found.update({"policy_loss": float(update.policy_loss.detach()) * tokens})
        return found

    def _apply(self, index: int) -> float | None:
        """Step policy and value model, or neither: None if a gradient of either is not finite."""
        optimisers = [each for each in (self.optimiser, self.value_optimiser) if each is not None]
        norms = [each.clip() for each in optimisers]
        if not all_finite(norms):
            return None
        share = 1.0 - (1.0 - self.hyper.final_learning_rate_share) * index / self.settings.steps
        risen = min(1.0, index / self.hyper.warmup_steps) if self.hyper.warmup_steps else 1.0
        for each in optimisers:
            each.advance(share * risen if each is self.optimiser else share)
        self.updates += 1
        return norms[0]

    def _drop_gradients(self) -> None:
        self.optimiser.drop_gradients()
        if self.value_optimiser is not None:
            self.value_optimiser.drop_gradients()

    def _describe(self, measured: Measured, targets: Targets) -> dict[str, float]:
        """Figures of the rollouts before the update: reward, KL, exploration, how well sampler and trainer agree."""
        e = measured.experience
        lengths = e.mask.sum(-1).float()
        described = {
            "score": float(e.score.mean()),
            "reward": float((e.score - self.kl_coef * targets.kl).mean()),
            "kl_coef": self.kl_coef,
            "length": float(lengths.mean()),
            "finished": float(e.finished.float().mean()),
            "distinct": len({rollout.text for rollout in measured.rollouts}) / len(measured.rollouts),
            "trained_share": float(targets.loss_mask.sum() / e.mask.sum()),
            **targets.figures,
        }
        if self.measures_first:
            gap = measured.rollout_logprobs - e.old_logprobs
            described |= {
                "kl": float(targets.kl.mean()),
                "entropy": float(masked_mean(measured.entropy, e.mask)),
                "mismatch_kl": float(masked_mean(gap, e.mask)),
                "mismatch_max": float((gap.abs() * e.mask).max()),
            }
        if self.settings.temperature_from is not None or self.settings.temperature_to is not None:
            described["temperature"] = measured.temperature
        if self.parts.games is not None:
            described |= describe_games(measured.rollouts)
        if targets.weights is not None:
            described["rollout_weight"] = float(masked_mean(targets.weights, targets.loss_mask))
        if e.values is not None and targets.returns is not None:
            unexplained = masked_var(targets.returns - e.values, e.mask)
            spread = masked_var(targets.returns, e.mask).clamp(min=1e-8)
            described["explained_variance"] = float(1.0 - unexplained / spread)
        return described


def _against_sampler(
    logprobs: Tensor, entropy: Tensor | None, experience: Experience, mask: Tensor
) -> dict[str, float]:
    """Sums over the tokens: the entropy, and how far sampler and trainer lie apart."""
    assert experience.rollout_logprobs is not None
    found = {"mismatch_kl": float(masked_sum(experience.rollout_logprobs - logprobs.detach(), mask))}
    return found if entropy is None else found | {"entropy": float(masked_sum(entropy.detach(), mask))}
