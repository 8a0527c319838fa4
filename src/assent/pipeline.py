"""The whole loop on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assent.stages.compare import Contest, compare
from assent.stages.improve import Start, improve
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.language import base_model, fine_tune
from assent.stages.preference import learn_preferences
from assent.stages.project import Project
from assent.stages.reward import given_reward, train_reward
from assent.stages.reward_health import check_health
from assent.stages.sample import sample
from assent.stages.unpenalised import run_unpenalised
from assent.types.errors import SettingsError


@dataclass(frozen=True)
class Outcome:
    """Where the loop stands: artifact ids."""

    base: str
    initial: str  # after supervised fine-tuning: the first policy, and the reference of the KL penalty
    policy: str  # in service: the one promoted last, or the initial one


def run_loop(project: Project, rounds: int) -> Outcome:
    """Run the loop to round `rounds`, from wherever it stopped. Every stage that is done is left as it is.

    Raises:
        SettingsError: nobody could compare a new policy with the old one.
    """
    require_comparison(project, rounds)
    base = base_model(project)
    initial = fine_tune(project, base)
    policy = initial
    for round in range(1, rounds + 1):
        if project.settings.loop.improve == "preference":
            reward, new = None, learn_from_rankings(project, round, policy, initial)
        else:
            reward = learn_reward(project, round, policy, initial)
            new = improve(project, round, Start(policy, initial, reward))
        if round == 1:
            run_unpenalised(project, round, Start(policy, initial, reward))
        verdict = compare(project, round, Contest(new, policy, initial, base, reward))["verdict"]
        policy = new if verdict["promoted"] else policy
        announce(project, round, verdict)
    return Outcome(base, initial, policy)


def require_comparison(project: Project, rounds: int) -> None:
    """A round builds on what was promoted, so somebody must compare; only a single one can do without.

    Raises:
        SettingsError: there are neither people nor a gold judge nor a reward function.
    """
    if rounds > 1 and not project.settings.compares:
        raise SettingsError(
            "people.kind is none, and there is no gold judge (people.marks, or a bundled task): nobody could compare a"
            " new policy with the old one, so no round could build on the one before",
            "let people compare (people.kind = human), or give people.marks = module:function; or run a single"
            " round (--rounds 1), or the stages by themselves: assent reward, assent rl, assent dpo",
        )


def learn_reward(project: Project, round: int, policy: str, initial: str) -> str | None:
    """People rank the policy's completions, and a reward model learns from all rankings so far.

    Nobody is asked where a file of samples, a reward model that is there already, a callable or an environment takes
    their place.
    """
    settings = project.settings
    if not settings.learns_reward:
        return None
    if settings.reward.model is not None:
        reward = given_reward(project, settings.reward.model)
    elif settings.reward_model.of_samples:
        reward = train_reward(project, 1, initial)  # a file says the same in every round
    else:
        tasks = sample(project, round, policy, initial)
        collect_judgements(project, tasks, LABELLERS)
        reward = train_reward(project, round, initial)
    check_health(project, reward)
    return reward


def learn_from_rankings(project: Project, round: int, policy: str, initial: str) -> str:
    """People rank the policy's completions, unless a file is given, and a new policy learns from that directly."""
    if project.settings.preference.comparisons is None:
        collect_judgements(project, sample(project, round, policy, initial), LABELLERS)
    return learn_preferences(project, round, policy, initial)


def announce(project: Project, round: int, verdict: dict[str, Any]) -> None:
    """One line on what became of the round."""
    word = "promoted" if verdict["promoted"] else "not promoted"
    project.progress.say(f"round {round}: {word}: {'; '.join(verdict['reasons'])}")
