"""The same RL without the KL penalty, for the over-optimisation panel: what the proxy gains, people lose."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from assent.config import OnlineDPOSettings, Settings
from assent.stages.improve import Start, run_rl
from assent.stages.project import Project
from assent.types.errors import SettingsError


def run_unpenalised(project: Project, round: int, start: Start) -> str | None:
    """RL without KL penalty and bound, and everything else alike; its policy is never promoted.

    None if no steps are asked for; or, which is said, without a reward model, of which the panel is, or of online DPO,
    whose loss has no meaning without the penalty.
    """
    settings = project.settings
    if settings.loop.unpenalised_steps == 0:
        return None
    if start.reward is None or isinstance(settings.algorithm, OnlineDPOSettings):
        why = "there is no reward model" if start.reward is None else "online-dpo is nothing without its penalty"
        project.progress.say(f"loop.unpenalised_steps: no run without the KL penalty, as {why}")
        return None
    # The run's record and its settings.toml say what holds for it, so it is started from a project with these settings.
    unbound = replace(project, settings=without_penalty(settings))
    return run_rl(unbound, round, start, f"round{round}-unpenalised", "unpenalised")


def without_penalty(settings: Settings) -> Settings:
    """These settings for a run of `loop.unpenalised_steps` without KL penalty and bound, held against every rule anew.

    Raises:
        SettingsError: they do not go together.
    """
    held = settings.model_dump()
    held["algorithm"] |= {"kl_coef": 0.0, "kl_target": None, "kl_budget": None}
    held["rl"] |= {"steps": settings.loop.unpenalised_steps, "keep": "last"}
    try:
        return Settings.model_validate(held)
    except ValidationError as error:
        said = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors(include_url=False))
        raise SettingsError(f"loop.unpenalised_steps, a run without the KL penalty: {said}") from None
