"""Completions of the current policy, and the tasks in which people will rank them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.data.chat import ChatFormat
from assent.data.holdout import is_held_out as of_holdout
from assent.models.loading import context_length, load_causal_lm, stop_ids
from assent.rollouts.collector import collect_rollouts
from assent.rollouts.local import LocalGenerator
from assent.stages.project import Project
from assent.store import NewTask, add_completions, add_tasks
from assent.store.runs import finish_run
from assent.training.interrupt import raise_if_stopped
from assent.training.order import endless
from assent.types.errors import SettingsError
from assent.types.feedback import LabelKind
from assent.types.messages import Prompt
from assent.types.rollout import Rollout


@dataclass
class Writer:
    """A policy that is only sampled from."""

    project: Project
    artifact: str
    name: str = "sample"

    def __post_init__(self) -> None:
        self.chat: ChatFormat = self.project.chat(self.artifact)
        self.model: Any = load_causal_lm(
            self.project.folder(self.artifact), self.project.settings.model.dtype, tokenizer=self.chat.tokenizer
        )
        self.model.to(self.project.device).eval()

    def write(self, prompts: Sequence[Prompt], samples: int, seed: int) -> list[Rollout]:
        """`samples` rollouts of each prompt."""
        progress = self.project.progress

        def tell(done: int, total: int) -> None:
            progress.advance(done, f"of {total} completions")
            raise_if_stopped("all finished stages are saved")

        generator = LocalGenerator(
            self.model,
            stop_ids(self.model, self.chat.tokenizer),
            lambda: self.artifact,
            self.project.settings.sampling.batch_size,
            tell,
        )
        ids = self.project.encode(self.chat, prompts, context_length(self.model))
        progress.start(self.name, samples * len(prompts))
        rollouts = collect_rollouts(generator, self.chat, prompts, ids, samples, self.project.sampling, seed)
        progress.finish()
        return rollouts


def sample_run(round: int) -> str:
    """The name of a round's sampling run, which its tasks hang on."""
    return f"round{round}-sample"


def sample(project: Project, round: int, policy: str, initial: str | None = None) -> str:
    """Sample K completions for each of the round's tasks and put the tasks up for people. Returns the run's id.

    Args:
        policy: the current policy.
        initial: the initial policy, which writes `people.initial_share` of each task's completions once the two
            differ: people then also say what the reward model should make of the ground that RL came from.
    """
    if (environment := project.settings.rl.environment) is not None:
        raise SettingsError(
            f"nothing for people to rank: rl.environment {environment} pays for what the policy does",
            "go on with `assent rl`",
        )
    run_id = sample_run(round)
    run = project.begin(run_id, "sample", round, ("sampling", "people", "prompts"), {"policy": policy})
    if run.done:
        return run_id
    chosen = _choose_prompts(project, round)
    written = [_write(project, run_id, author, chosen, count) for author, count in _authors(project, policy, initial)]
    tasks = []
    for place, index in enumerate(chosen):
        held_out = is_held_out(project, project.prompts["train"][index])
        tasks.append(
            NewTask(
                project.prompt_ids["train"][index],
                tuple(completion for by_author in written for completion in by_author[place]),
                LabelKind(project.settings.people.label),
                overlap=project.settings.people.overlap if held_out else 1,
                purpose="holdout" if held_out else "train",
            )
        )
    add_tasks(project.store, run_id, tasks)
    finish_run(project.store, run_id, {"tasks": len(tasks), "judgements_wanted": sum(task.overlap for task in tasks)})
    return run_id


def _authors(project: Project, policy: str, initial: str | None) -> list[tuple[str, int]]:
    """Who writes how many of a task's K completions."""
    people = project.settings.people
    if initial is None or initial == policy:
        return [(policy, people.completions_per_ranking)]
    old = min(people.completions_per_ranking - 1, round_half_up(people.completions_per_ranking * people.initial_share))
    shares = [(policy, people.completions_per_ranking - old), (initial, old)]
    return [(author, count) for author, count in shares if count]


def round_half_up(value: float) -> int:
    """The nearest whole number; halves go up."""
    return int(value + 0.5)


def _write(project: Project, run_id: str, author: str, chosen: Sequence[int], count: int) -> list[list[int]]:
    """`count` completions of every chosen prompt by one author: their ids in the store, prompt by prompt."""
    prompts = [project.prompts["train"][index] for index in chosen]
    prompt_ids = [project.prompt_ids["train"][index] for index in chosen]
    rollouts = Writer(project, author).write(prompts, count, project.seed(run_id, "tokens", author))
    ids = add_completions(project.store, run_id, prompt_ids, rollouts, project.sampling, author)
    return [ids[first : first + count] for first in range(0, len(ids), count)]


def is_held_out(project: Project, prompt: Prompt) -> bool:
    """True for the prompts whose judgements only ever measure the reward model; the same in every round."""
    return of_holdout(prompt, project.settings.seed, project.settings.people.holdout_share)


def _choose_prompts(project: Project, round: int) -> list[int]:
    """Train prompts, every one before any comes again, until the round's judgements are spent."""
    people = project.settings.people
    train = project.prompts["train"]
    chosen: list[int] = []
    spent = 0
    for index in endless(len(train), project.seed("tasks", round), "prompts"):
        cost = people.overlap if is_held_out(project, train[index]) else 1
        if spent + cost > people.rankings_per_round:
            break
        chosen.append(index)
        spent += cost
    kinds = {is_held_out(project, train[index]) for index in chosen}
    if kinds != {True, False}:
        raise SettingsError(
            f"people.rankings_per_round = {people.rankings_per_round} with {len(train)} training prompts leaves none"
            f" {'to train the reward model' if kinds == {True} else 'held out to measure it'}",
            "raise people.rankings_per_round, give more prompts, or change people.holdout_share",
        )
    return chosen
