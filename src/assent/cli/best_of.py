"""`assent best-of`: the best of n samples by the reward, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from assent.cli.options import HERE, AsJson, Force, Recipes, Reward, Round, RunName, Where
from assent.cli.single import at_work, named


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
        from assent.cli.standing import last_done, policy_before, reward_of
        from assent.stages.best_of import best_of as sample_best
        from assent.stages.reward_health import check_health

        number = round or last_done(project, "reward")
        scores = reward_of(project, number)
        if scores is not None:
            check_health(project, scores)
        name = named(run) or f"round{number}-best-of-{n}" + (f"-{policy}" if policy else "")
        result["round"] = number
        result.update(sample_best(project, number, policy or policy_before(project, number), scores, n, name))
