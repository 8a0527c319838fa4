"""`assent best-of`: the best of n samples by the reward, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from assent.cli.options import HERE, AsJson, Force, Recipes, Reward, Round, RunName, Where
from assent.cli.single import at_work, named
from assent.types.errors import SettingsError


def best_of(
    context: typer.Context,
    n: Annotated[int, typer.Option("--n", min=2, help="samples of each held-out prompt")] = 16,
    policy: Annotated[
        str | None, typer.Option("--policy", help="the artifact to sample", show_default="the one in service")
    ] = None,
    round: Round = None,
    run: RunName = None,
    reward: Reward = None,
    force: Force = False,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """The best of n samples by the reward, on held-out prompts: what RL has to beat.

    Tells the reward, the gold judge's mark where there is one, and the bound of the KL, for 1, 2, 4, … n samples.
    """
    with at_work(context, workspace, recipe, as_json, force, reward) as (project, result):
        from assent.cli.standing import last_done, outcome_so_far, policy_before, reward_of
        from assent.stages.best_of import best_of as sample_best
        from assent.stages.reward_health import check_health

        if (environment := project.settings.rl.environment) is not None:
            raise SettingsError(f"there are no prompts to answer: rl.environment {environment} pays for games")
        number = round or last_done(project, "reward")
        scores = reward_of(project, number)
        if scores is not None:
            check_health(project, scores)
        if policy is None:
            stands = outcome_so_far(project) if round is None else None
            policy = policy_before(project, number) if stands is None else stands.policy
        name = named(run) or f"round{number}-best-of-{n}-{policy}"
        result["round"] = number
        result.update(sample_best(project, number, policy, scores, n, name))
