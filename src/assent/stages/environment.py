"""Playing the project's environment: in RL, on held-out seeds, in its own examination, and policy against policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assent.data.chat import ChatFormat
from assent.models.loading import context_length, load_causal_lm
from assent.rollouts.environments import Games, describe_games
from assent.stages.generator import generator_of
from assent.stages.project import Project
from assent.types.protocols import ExaminedEnvironment, Generator, TwoPlayerEnvironment
from assent.types.rollout import Rollout
from assent.types.seeds import derive_seed

PAID, LOST = "_mean", "_lost_games"  # after the name of an examination's part


def games_of(
    project: Project, model: Any, chat: ChatFormat, generator: Generator, opponent: Generator | None = None
) -> Games:
    """The project's environment, to be played by this policy.

    Raises:
        ValueError: the project uses none.
    """
    rl = project.settings.rl
    if project.environment is None or rl.environment is None:
        raise ValueError("the project plays no environment")
    return Games(project.environment, rl.environment, generator, chat, context_length(model), rl.max_turns, opponent)


def against(project: Project, games: Games, opponent: str) -> Games:
    """The same player's games in which this policy, as it is kept, writes the other side's turns in self-play.

    Against itself the better policy would be paid no more, and figures of one run could not be compared.
    """
    if not isinstance(games.make(), TwoPlayerEnvironment):
        return games
    other = _player(project, opponent)[2]
    return Games(games.make, games.name, games.generator, games.chat, games.context, games.max_turns, other)


def held_out_games(project: Project, games: Games, count: int, samples: int = 1) -> list[Rollout]:
    """`samples` games of each of `count` seeds that no training uses; the same, with the same chance, every time."""
    seeds = [project.seed("held-out games", number) for number in range(count)]
    return games.play(seeds, samples, project.sampling, project.seed("held-out games"))


def describe_play(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Mean pay of a game, shares won and lost, turns, and tokens that the policy wrote."""
    return {
        "proxy": sum(rollout.score or 0.0 for rollout in rollouts) / len(rollouts),
        **describe_games(rollouts),
        "length": sum(sum(rollout.written or ()) for rollout in rollouts) / len(rollouts),
    }


def examine(project: Project, games: Games) -> dict[str, float]:
    """What the environment's own examination says of the greedy policy: by part, mean pay, and games won and lost."""
    environment = games.make()
    if not isinstance(environment, ExaminedEnvironment):
        return {}
    sampling = project.greedy_sampling
    figures: dict[str, float] = {}
    for part, each in environment.examinations().items():
        rollouts = games.play_these(each, range(len(each)), sampling, derive_seed(0, part))
        scores = [rollout.score or 0.0 for rollout in rollouts]
        figures |= {
            f"{part}{PAID}": sum(scores) / len(scores),
            f"{part}_won": sum(score > 0 for score in scores) / len(scores),
            f"{part}{LOST}": float(sum(score < 0 for score in scores)),
        }
    return figures


def standing(figures: Mapping[str, float]) -> tuple[float, float] | None:
    """What `examine` said in two numbers, higher is better: minus the games lost, and the means of all parts added up.

    None if there was no examination.
    """
    lost = [value for name, value in figures.items() if name.endswith(LOST)]
    paid = [value for name, value in figures.items() if name.endswith(PAID)]
    return (-sum(lost), sum(paid)) if lost else None


def play_as(project: Project, artifact: str, opponent: str, count: int, samples: int = 1) -> list[Rollout]:
    """The held-out games of a policy that is only played with, `samples` of each of `count` seeds.

    Args:
        opponent: writes the other side's turns in self-play. Against itself the better policy would be paid no more.
    """
    model, chat, generator = _player(project, artifact)
    other = generator if opponent == artifact else _player(project, opponent)[2]
    return held_out_games(project, games_of(project, model, chat, generator, other), count, samples)


def _player(project: Project, artifact: str) -> tuple[Any, ChatFormat, Generator]:
    chat = project.chat(artifact)
    model: Any = load_causal_lm(project.folder(artifact), project.settings.model.dtype, tokenizer=chat.tokenizer)
    model.to(project.device).eval()
    return model, chat, generator_of(project, model, chat, lambda: artifact)
