"""The same RL without the KL penalty, for the over-optimisation panel: what the proxy gains, people lose."""

from __future__ import annotations

from dataclasses import replace

from assent.config import OnlineDPOSettings
from assent.stages.improve import Start, run_rl
from assent.stages.project import Project


def run_unpenalised(project: Project, round: int, start: Start) -> str | None:
    """RL without KL penalty and bound, and everything else alike; its policy is never promoted.

    None if no steps are asked for, or of online DPO, whose loss has no meaning without the penalty.
    """
    settings = project.settings
    steps = settings.loop.unpenalised_steps
    if steps == 0 or isinstance(settings.algorithm, OnlineDPOSettings):
        return None
    algorithm = settings.algorithm.model_copy(update={"kl_coef": 0.0, "kl_target": None, "kl_budget": None})
    rl = settings.rl.model_copy(update={"steps": steps})
    # The run's record and its settings.toml say what holds for it, so it is started from a project with these settings.
    unbound = replace(project, settings=settings.model_copy(update={"algorithm": algorithm, "rl": rl}))
    return run_rl(unbound, round, start, f"round{round}-unpenalised", "unpenalised")
