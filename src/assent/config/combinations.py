"""Which settings of different sections go together: what would otherwise fail only after people have judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assent.config.worlds import WORLD_CRITERIA
from assent.types.feedback import CRITERIA

if TYPE_CHECKING:
    from assent.config.settings import Settings

OVERALL = "overall"  # the name of a reward model's only head


def require_readable_reward(settings: Settings) -> None:
    """The reward model that will be trained can be read as `reward` says.

    Raises:
        ValueError: pessimism of an ensemble of one, or weights or a cost that name none of its heads.
    """
    reward, model = settings.reward, settings.reward_model
    if not settings.learns_reward or reward.model is not None:
        return  # there is none, or only its files tell
    if reward.pessimism != "none" and model.ensemble == 1:
        raise ValueError(
            f"reward.pessimism is {reward.pessimism}, which reads members that can disagree, and reward_model.ensemble"
            " is 1: set reward_model.ensemble to 2 or more, or reward.pessimism to none"
        )
    heads = model.criteria or [OVERALL]
    if unknown := [name for name in reward.weights if name not in heads]:
        raise ValueError(
            f"reward.weights names {' and '.join(unknown)}, and the reward model has a head for {', '.join(heads)}"
            " only: name criteria of reward_model.criteria, or in reward.model the reward model that is meant"
        )
    if (cost := reward.cost_criterion) is not None and reward.cost_model is None and cost not in heads:
        raise ValueError(
            f"reward.cost_criterion is {cost}, and the reward model has a head for {', '.join(heads)} only: name one of"
            " reward_model.criteria, or in reward.cost_model the reward model that is meant"
        )


def require_marked_criteria(settings: Settings) -> None:
    """People are asked for the marks that the reward model's heads learn.

    Raises:
        ValueError: nobody marks anything, or not these criteria.
    """
    people, model = settings.people, settings.reward_model
    if not settings.learns_reward or settings.reward.model is not None:
        return
    if not model.criteria or model.of_samples or people.kind == "none":
        return
    if not people.criteria_marks:
        raise ValueError(
            f"reward_model.criteria {', '.join(model.criteria)} are learnt from marks, and people give none: set"
            " people.criteria_marks to true, or leave reward_model.criteria out"
        )
    known = _marked(settings)
    if known is not None and (unknown := [name for name in model.criteria if name not in known]):
        where = "people.marks" if people.kind == "simulated" and people.marks is not None else f"task {settings.task}"
        raise ValueError(
            f"reward_model.criteria names {' and '.join(unknown)}, and what is marked by {where} is {', '.join(known)}"
        )


def require_enough_people(settings: Settings) -> None:
    """No task asks for more simulated people than there are.

    Raises:
        ValueError: one does.
    """
    people, judges = settings.people, settings.evaluation.judges_per_pair
    if people.kind != "simulated":
        return
    if people.overlap > people.count:
        raise ValueError(f"people.overlap is {people.overlap}, and people.count {people.count}: raise people.count")
    if judges > people.evaluators:
        raise ValueError(
            f"evaluation.judges_per_pair is {judges}, and people.evaluators {people.evaluators}: raise"
            " people.evaluators"
        )


def require_one_temperature(settings: Settings) -> None:
    """A bound on the KL is one on that at `sampling.temperature`, which a step's own rollouts must then have.

    Raises:
        ValueError: the rollouts' temperature moves.
    """
    moved = [
        f"rl.{name}"
        for name in ("temperature_from", "temperature_to")
        if getattr(settings.rl, name) not in (None, settings.sampling.temperature)
    ]
    if settings.algorithm.kl_budget is not None and moved:
        raise ValueError(
            f"algorithm.kl_budget is measured on the rollouts, whose temperature {' and '.join(moved)} moves away from"
            f" sampling.temperature {settings.sampling.temperature:g}: at another temperature a policy's KL is another."
            f" Leave out {' and '.join(moved)}, or algorithm.kl_budget"
        )


def require_what_overlap_needs(settings: Settings) -> None:
    """Rollouts of one step before are corrected for, and nothing is asked of them that only the policy's own can tell.

    Raises:
        ValueError: something else that is set does not go with them.
    """
    if not settings.rl.overlap:
        return
    if settings.rl.environment is not None:
        raise ValueError("rl.overlap draws completions of prompts ahead, not games: leave it out with rl.environment")
    if settings.algorithm.rollout_correction == "none":
        raise ValueError(
            "rl.overlap trains on rollouts of the policy of one step before: set algorithm.rollout_correction"
            " (token-truncate, say), with an algorithm that has it, or leave rl.overlap out"
        )
    for name in ("kl_budget", "kl_target"):
        if getattr(settings.algorithm, name) is not None:
            raise ValueError(
                f"algorithm.{name} is measured on the policy's own rollouts, and with rl.overlap they are those of one"
                " step before: leave one of the two out"
            )


def require_room_to_warm_up(settings: Settings) -> None:
    """Every run is longer than its warm-up.

    Raises:
        ValueError: one would end before the policy's step size reaches its full height.
    """
    for name, steps in (("rl.steps", settings.rl.steps), ("loop.unpenalised_steps", settings.loop.unpenalised_steps)):
        if 0 < steps <= (warmup := settings.algorithm.warmup_steps):
            raise ValueError(
                f"algorithm.warmup_steps is {warmup}, and {name} {steps}: the policy's step size would never reach its"
                f" full height; set algorithm.warmup_steps below {name}"
            )


def require_what_is_mixed_in(settings: Settings) -> None:
    """The texts and demonstrations that are mixed in or measured are there, and the cost that is bounded.

    Raises:
        ValueError: one is not.
    """
    algorithm = settings.algorithm
    for field, wanted in {
        "algorithm.ptx_coef": algorithm.ptx_coef > 0,
        "rl.evaluate_texts": settings.rl.evaluate_texts,
    }.items():
        if wanted and settings.task is None and settings.pretrain.texts is None and settings.rl.environment is None:
            raise ValueError(
                f"{field} needs pretraining texts, and there are none: give pretrain.texts, or leave it out"
            )
    own = settings.task is not None and settings.prompts.path is None
    if algorithm.sft_coef > 0 and settings.sft.demonstrations is None and not own:
        raise ValueError("algorithm.sft_coef needs demonstrations, and there are none: give sft.demonstrations")
    if settings.rl.environment is not None and (costs := settings.reward.costs) is not None:
        raise ValueError(f"rl.environment pays for games, and {costs} judges completions: leave one out")
    if algorithm.cost_limit is not None and settings.reward.costs is None:
        raise ValueError(
            "algorithm.cost_limit bounds a cost, and there is none: give reward.cost_function, cost_model or"
            " cost_criterion"
        )


def _marked(settings: Settings) -> tuple[str, ...] | None:
    """What people mark; None where they can be asked about anything."""
    if settings.people.kind == "simulated" and settings.people.marks is not None:
        return CRITERIA
    return None if settings.task is None else WORLD_CRITERIA.get(settings.task)
