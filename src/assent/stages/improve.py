"""RL: improve the current policy against the scores, under a KL penalty to the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from assent.algorithms.choice import algorithm_of
from assent.config.algorithm import OnPolicySettings
from assent.config.settings import RLSettings
from assent.functional import sequence_kl
from assent.functional.batching import split_by_tokens
from assent.models.loading import context_length
from assent.models.policy import Policy, completion_logprobs
from assent.models.scalar import load_scalar_model, member_folders
from assent.models.value import value_from_reward
from assent.rewards.scorer import Scorer
from assent.rollouts.collector import collect_rollouts
from assent.stages.environment import against, describe_play, examine, games_of, held_out_games, standing
from assent.stages.generator import generator_of
from assent.stages.mixed import exploration, held_out_texts, mixtures_of, passes, watch_of
from assent.stages.project import Project
from assent.stages.reward import cost_artifact, load_cost, load_scorer
from assent.store.runs import finish_run
from assent.training.experience import rollout_batch
from assent.training.language_model import mean_nll
from assent.training.loop import LoopSettings, read_metrics, run_steps
from assent.training.rl import RLParts, RLTraining
from assent.training.snapshot import Best
from assent.types.messages import Prompt
from assent.types.rollout import Rollout


@dataclass(frozen=True)
class Start:
    """What RL starts from: artifact ids, and no reward model where a callable gives the scores."""

    policy: str
    reference: str
    reward: str | None


def improve(project: Project, round: int, start: Start, run_id: str | None = None) -> str:
    """One round of RL. Returns the new policy's id."""
    return run_rl(project, round, start, run_id or f"round{round}-rl", "policy")


def run_rl(project: Project, round: int, start: Start, run_id: str, kind: str) -> str:
    """RL with the project's settings; the outcome is kept as an artifact of this kind."""
    algorithm, rl = project.settings.algorithm, project.settings.rl
    inputs = {"policy": start.policy, "reference": start.reference}
    if start.reward is not None:
        inputs["reward"] = start.reward
    if (cost := cost_artifact(project)) is not None:
        inputs["cost"] = cost
    sections = ["model", "sampling", "algorithm", "rl", "reward", "prompts"]
    sections += ["pretrain"] * (algorithm.ptx_coef > 0) + ["sft"] * (algorithm.sft_coef > 0)
    run = project.begin(run_id, "rl", round, sections, inputs)
    if run.done:
        return str(run.result["policy"])
    parts, version = _parts(project, start, algorithm, run_id)
    best = Best(parts.policy.model, partial(_worth, kl_coef=algorithm.kl_coef)) if rl.keep == "best" else None
    training = RLTraining(
        parts,
        rl,
        algorithm,
        project.sampling,
        project.seed(run_id),
        project.settings.compute,
        evaluate := _evaluation(project, parts, rl, start.policy),
        best,
    )
    version.training = training
    project.require_memory(run_id, training.memory)
    loop = LoopSettings(rl.steps, rl.checkpoint_every, rl.max_nonfinite_steps, headline="reward")
    run_steps(
        training,
        project.run_dir(run_id),
        loop,
        project.progress,
        kind if kind != "policy" else f"rl ({algorithm.type})",
    )
    training.settle()
    final = evaluate(rl.steps)
    if best is not None:
        final = _keep_best(project, best, training.budget.step if training.budget.ended else rl.steps, final)
    _tell_bounds(project, training, final)

    def write(folder: Path) -> None:
        parts.policy.save(folder, base_name=start.reference)
        parts.chat.tokenizer.save_pretrained(folder)

    parents = list(dict.fromkeys(inputs.values()))
    kept = {} if best is None else {"kept_step": best.step}
    card = {"steps": len(read_metrics(project.run_dir(run_id))), **kept, "algorithm": algorithm.type, **final}
    name = project.keep(kind, run_id, write, card, parents)
    finish_run(project.store, run_id, {"policy": name, "heldout": final})
    project.tidy(run_id)
    return name


def _worth(figures: Mapping[str, float], kl_coef: float) -> tuple[float, ...]:
    """By an examination, fewest games lost, then most paid; without one the held-out reward less its KL penalty."""
    if (examined := standing(figures)) is not None:
        return examined
    return (figures["proxy"] - kl_coef * figures["kl"],)


def _keep_best(project: Project, best: Best, step: int, last: dict[str, float]) -> dict[str, float]:
    """Puts the best weights that were measured in place of the last, and returns what was measured of them."""
    best.consider(step, last)
    if not best.put_back():
        return last
    project.progress.say(f"rl.keep: of the weights that were measured those after step {best.step} of {step} are kept")
    return best.figures


def _tell_bounds(project: Project, training: RLTraining, final: dict[str, float]) -> None:
    """Say what became of the bounds that were asked for."""
    hyper = training.hyper
    if training.budget.ended:
        project.progress.say(
            f"algorithm.kl_budget of {hyper.kl_budget:g} nats was passed: the last policy within it is kept"
            if training.budget.learnt
            else "nothing was learnt: the policy that RL starts from is past algorithm.kl_budget already"
        )
    if hyper.cost_limit is not None and final["cost"] > hyper.cost_limit:
        project.progress.say(
            f"the mean cost on held-out prompts is {final['cost']:.3f}, above algorithm.cost_limit {hyper.cost_limit:g}"
            f" (λ ended at {training.constraint.multiplier:.2f}): train longer, raise algorithm.cost_learning_rate or"
            " algorithm.cost_multiplier_max, or the limit"
        )


@dataclass
class _Version:
    """Names the weights in use: the run and how many updates they have had."""

    run_id: str
    training: RLTraining | None = None

    def __call__(self) -> str:
        return f"{self.run_id}+{self.training.updates if self.training else 0}"


def _parts(project: Project, start: Start, algorithm: OnPolicySettings, run_id: str) -> tuple[RLParts, _Version]:
    settings = project.settings
    chat = project.chat(start.policy)
    policy = Policy(
        project.folder(start.policy),
        project.folder(start.reference),
        settings.model.lora,
        settings.model.dtype,
        project.device,
        project.seed(run_id, "adapter"),
    )
    version = _Version(run_id)
    generator = generator_of(project, policy.model, chat, version)
    train = project.prompts["train"]
    chosen = algorithm_of(algorithm)
    opponent, games = None, None
    if project.environment is not None:
        opponent = deepcopy(policy.model) if settings.rl.opponent_age else None
        other = None if opponent is None else generator_of(project, opponent, chat, version)
        games = games_of(project, policy.model, chat, generator, other)
    return (
        RLParts(
            policy=policy,
            value_model=_value_model(project, start, run_id) if chosen.needs_values else None,
            algorithm=chosen,
            generator=generator,
            scorer=None if games is not None else scorer_of(project, start.reward),
            chat=chat,
            prompts=train,
            prompt_ids=project.encode(chat, train, context_length(policy.model)),
            device=project.device,
            cost=load_cost(project, start.reward) if games is None else None,
            mixtures=mixtures_of(project, chat, policy.model),
            watch=watch_of(project),
            games=games,
            opponent=opponent,
        ),
        version,
    )


def scorer_of(project: Project, reward: str | None) -> Scorer:
    """The user's callable, or the reward model."""
    if project.reward_function is not None:
        return project.reward_function
    if reward is None:
        raise ValueError("neither a reward model nor reward.function")
    return load_scorer(project, reward)


def _value_model(project: Project, start: Start, run_id: str) -> Any:
    """Initialised from the reward model where there is one, else from the reference with a head of zeros."""
    source = start.reward or start.reference
    fresh = None if start.reward else project.seed(run_id, "value head")
    folder = member_folders(project.folder(source))[0]
    model = load_scalar_model(folder, project.settings.model.dtype, fresh_head_seed=fresh)
    lora, seed, weights = project.settings.model.lora, project.seed(run_id, "value"), project.settings.reward.weights
    return value_from_reward(model, lora, seed, zero=not start.reward, weights=weights).to(project.device)


def _evaluation(project: Project, parts: RLParts, rl: RLSettings, first: str) -> Callable[[int], dict[str, float]]:
    """Figures on held-out prompts, or of held-out games: the same ones and the same random numbers every time.

    Args:
        first: the policy that RL begins with, which is the other side of every held-out game of two players.
    """
    texts = held_out_texts(project, parts.chat, parts.policy.model)

    def perplexity() -> dict[str, float]:
        if not texts:
            return {}
        nll = mean_nll(parts.policy.model, texts, project.settings.compute.tokens_per_microbatch)
        return {"perplexity": math.exp(nll)}

    if parts.games is not None:
        games = against(project, parts.games, first)

        def evaluate_games(_: int) -> dict[str, float]:
            rollouts = held_out_games(project, games, rl.evaluate_prompts, rl.evaluate_samples)
            figures = {**describe_play(rollouts), "kl": mean_kl(project, parts.policy, rollouts)}
            if rl.pass_score is not None:
                paid = [rollout.score or 0.0 for rollout in rollouts]
                figures |= passes(paid, rl.evaluate_samples, rl.pass_score)
            return {**figures, **examine(project, games), **perplexity()}

        return evaluate_games
    scorer = parts.scorer
    if scorer is None:
        raise ValueError("neither a scorer nor an environment")
    prompts = project.prompts["test"][:: max(1, len(project.prompts["test"]) // rl.evaluate_prompts)]
    prompts = prompts[: rl.evaluate_prompts]
    ids = project.encode(parts.chat, prompts, context_length(parts.policy.model))
    seed = project.seed("rl evaluation")

    def evaluate(_: int) -> dict[str, float]:
        samples = rl.evaluate_samples
        rollouts = collect_rollouts(parts.generator, parts.chat, prompts, ids, samples, project.sampling, seed)
        return {**_describe(project, parts, scorer, prompts, rollouts), **perplexity()}

    return evaluate


def _describe(
    project: Project, parts: RLParts, scorer: Scorer, prompts: list[Prompt], rollouts: list[Rollout]
) -> dict[str, float]:
    """Mean proxy score, KL in nats per sequence, length in tokens, diversity; gold marks and costs where there are."""
    asked = [prompts[rollout.prompt_index] for rollout in rollouts]
    texts = [rollout.text for rollout in rollouts]
    rl = project.settings.rl
    scores = scorer.score(asked, texts)
    figures = {
        "proxy": sum(scores) / len(scores),
        "kl": mean_kl(project, parts.policy, rollouts),
        "length": sum(len(rollout.completion_ids) for rollout in rollouts) / len(rollouts),
        **exploration(rollouts, scores, rl.evaluate_samples, rl.pass_score),
    }
    if parts.cost is not None:
        figures["cost"] = sum(parts.cost.score(asked, texts)) / len(texts)
    if (marks := project.marks) is not None:
        gold = [marks(prompt, text).overall for prompt, text in zip(asked, texts, strict=True)]
        figures["gold"] = sum(gold) / len(gold)
        if rl.pass_gold is not None:
            found = passes(gold, rl.evaluate_samples, rl.pass_gold)
            figures |= {f"gold_{name}": value for name, value in found.items()}
    return figures


@torch.no_grad()
def mean_kl(project: Project, policy: Policy, rollouts: list[Rollout]) -> float:
    """Mean over sequences of log π − log π_ref summed over tokens, in nats (the k1 estimate on fresh samples)."""
    lengths = [len(rollout.prompt_ids) + len(rollout.completion_ids) for rollout in rollouts]
    total = 0.0
    temperature = project.sampling.temperature
    for group in split_by_tokens(lengths, project.settings.compute.tokens_per_microbatch):
        chosen = [rollouts[i] for i in group]
        batch = rollout_batch(chosen, project.device)
        logprobs, _ = completion_logprobs(policy.model, batch, temperature)
        ref = policy.reference_logprobs(batch, temperature)
        total += float(sequence_kl(logprobs, ref, batch.completion_mask).sum())
    return total / len(rollouts)
