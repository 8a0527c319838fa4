"""The same RL without the KL penalty, for the over-optimisation panel: what the proxy gains, people lose."""

from __future__ import annotations

from assent.stages.improve import Start, run_rl
from assent.stages.project import Project


def run_unpenalised(project: Project, round: int, start: Start) -> str | None:
    """RL with kl_coef 0 and everything else alike; its policy is never promoted. None if no steps are asked for."""
    steps = project.settings.loop.unpenalised_steps
    if steps == 0:
        return None
    algorithm = project.settings.algorithm.model_copy(update={"kl_coef": 0.0, "kl_target": None})
    rl = project.settings.rl.model_copy(update={"steps": steps})
    return run_rl(project, round, start, f"round{round}-unpenalised", algorithm, rl, "unpenalised")
