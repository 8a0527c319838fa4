"""Completions of the current policy, and the tasks in which people will rank them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from assent.data.chat import ChatFormat
from assent.data.holdout import is_held_out as of_holdout
from assent.models.loading import context_length, load_causal_lm
from assent.rollouts.collector import collect_rollouts
from assent.stages.generator import generator_of
from assent.stages.project import Project
from assent.stages.which_next import Written, choose_written, is_choosy, reward_before
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

        generator = generator_of(self.project, self.model, self.chat, lambda: self.artifact, tell)
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
    inputs = {"policy": policy}
    if is_choosy(project) and (before := reward_before(project, round)) is not None:
        inputs["reward"] = before
    run = project.begin(run_id, "sample", round, ("sampling", "people", "prompts"), inputs)
    if run.done:
        return run_id
    chosen = _choose_prompts(project, round)
    if is_choosy(project):
        return _sample_choosily(
            project, round, run_id, chosen, _authors(project, policy, initial), inputs.get("reward")
        )
    written = [_write(project, run_id, author, chosen, count) for author, count in _authors(project, policy, initial)]
    tasks = [
        _task(project, index, tuple(completion for by_author in written for completion in by_author[place]))
        for place, index in enumerate(chosen)
    ]
    add_tasks(project.store, run_id, tasks)
    finish_run(project.store, run_id, {"tasks": len(tasks), "judgements_wanted": sum(task.overlap for task in tasks)})
    return run_id


def _sample_choosily(
    project: Project,
    round: int,
    run_id: str,
    chosen: Sequence[int],
    authors: Sequence[tuple[str, int]],
    reward: str | None,
) -> str:
    """Held-out tasks as ever; for the others more is written than is asked about, and `people.arms` choose."""
    people, train = project.settings.people, project.prompts["train"]
    held_out = [index for index in chosen if is_held_out(project, train[index])]
    count = len(chosen) - len(held_out)
    pool = _more_prompts(project, round, count * people.candidates)
    old = authors[1][1] if len(authors) > 1 else 0
    half = people.completions_per_ranking // 2  # of the initial policy, which new-against-old may want
    amounts = [size if place == 0 else max(size, half) for place, (_, size) in enumerate(authors)]
    written = [
        _write(project, run_id, author, [*held_out, *pool], amount)
        for (author, _), amount in zip(authors, amounts, strict=True)
    ]
    places = [Written(tuple(each[0]), tuple(each[1]) if len(each) > 1 else ()) for each in zip(*written, strict=True)]
    first = len(held_out)
    found = choose_written(project, round, places[first:], old, count, reward)
    asked = [(index, (*each.new, *each.old[:old])) for index, each in zip(held_out, places, strict=False)]
    asked += [(pool[each.candidate.place], each.candidate.completion_ids) for each in found]
    ids = add_tasks(project.store, run_id, [_task(project, index, completions) for index, completions in asked])
    arms: dict[str, list[int]] = {}
    for task, each in zip(ids[first:], found, strict=True):
        arms.setdefault(each.arm, []).append(task)
    wanted = first * people.overlap + count
    finish_run(project.store, run_id, {"tasks": len(ids), "judgements_wanted": wanted, "arms": arms})
    return run_id


def _task(project: Project, index: int, completions: tuple[int, ...]) -> NewTask:
    people = project.settings.people
    held_out = is_held_out(project, project.prompts["train"][index])
    return NewTask(
        project.prompt_ids["train"][index],
        completions,
        LabelKind(people.label),
        overlap=people.overlap if held_out else 1,
        purpose="holdout" if held_out else "train",
    )


def _more_prompts(project: Project, round: int, count: int) -> list[int]:
    """Train prompts that are not held out, in the order in which `_choose_prompts` goes through them."""
    train = project.prompts["train"]
    order = endless(len(train), project.seed("tasks", round), "prompts")
    free = (index for index in order if not is_held_out(project, train[index]))
    return list(islice(free, count))


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
