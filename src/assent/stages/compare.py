"""The blind comparison on held-out prompts, and the promotion that hangs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation import PairVote, decide, gold_win_rate, mean_marks, pair_vote, people_win_rate
from assent.feedback import Interval, bootstrap_mean
from assent.models.policy import Policy
from assent.stages.environment import describe_play, play_as
from assent.stages.improve import mean_kl, scorer_of
from assent.stages.judge import EVALUATORS, collect_judgements
from assent.stages.project import Project
from assent.stages.sample import Writer
from assent.store import Judgements, NewTask, add_completions, add_tasks, get_tasks, rankings, record_promotion
from assent.store.runs import finish_run
from assent.types.feedback import AnyMarks, LabelKind, all_marks
from assent.types.messages import Prompt
from assent.types.rollout import Rollout


@dataclass(frozen=True)
class Contest:
    """Who is compared: artifact ids. `old` is the policy in service, `reference` what the KL is measured against."""

    new: str
    old: str
    reference: str
    base: str
    reward: str | None


def compare(project: Project, round: int, contest: Contest, run_id: str | None = None) -> dict[str, Any]:
    """Let people compare new with old (and with the reference) without knowing which is which; promote or not.

    Only the loop's own comparison can promote: an experiment, which has a `run_id` of its own, gets a verdict alone.
    Returns the result that is kept: `verdict`, `versus_reference`, `criteria` per policy, `kl`.
    """
    experiment, run_id = run_id is not None, run_id or f"round{round}-eval"
    inputs = {"new": contest.new, "old": contest.old, "reference": contest.reference}
    run = project.begin(run_id, "eval", round, ("sampling", "evaluation", "prompts", "model"), inputs)
    if run.done:
        return dict(run.result)
    if project.environment is not None:
        result = _compare_games(project, contest, run_id)
        return _finish(project, round, contest, run_id, result, experiment)
    prompts, prompt_ids = held_out_prompts(project)
    written = _write(project, contest, prompts, run_id)
    completions = {
        name: add_completions(project.store, run_id, prompt_ids, rollouts, project.sampling, name)
        for name, rollouts in written.items()
    }
    rivals = list(dict.fromkeys([contest.old, contest.reference]))
    votes: dict[str, list[PairVote]] = {}
    if project.settings.people.kind != "none":
        asked = [prompt_ids[rollout.prompt_index] for rollout in written[contest.new]]
        votes = _ask_people(project, run_id, asked, completions, contest.new, rivals)
    result = _result(project, round, contest, prompts, written, votes, run_id)
    return _finish(project, round, contest, run_id, result, experiment)


def _finish(
    project: Project, round: int, contest: Contest, run_id: str, result: dict[str, Any], experiment: bool
) -> dict[str, Any]:
    if not experiment:
        promoted = bool(result["verdict"]["promoted"])
        record_promotion(project.store, contest.new, round, promoted, result["verdict"])
    finish_run(project.store, run_id, result)
    return result


def _compare_games(project: Project, contest: Contest, run_id: str) -> dict[str, Any]:
    """Each policy plays the same held-out games, against the old one; who is paid more in a game has won that pair."""
    settings, seed = project.settings, project.seed(run_id, "intervals")
    count, resamples = settings.evaluation.prompts, settings.evaluation.bootstrap
    samples = settings.evaluation.samples_per_prompt
    names = dict.fromkeys([contest.new, contest.old, contest.reference, contest.base])
    played = {name: play_as(project, name, contest.old, count, samples) for name in names}
    index = [rollout.prompt_index for rollout in played[contest.new]]
    paid = {name: [rollout.score or 0.0 for rollout in rollouts] for name, rollouts in played.items()}

    def versus(rival: str) -> Interval:
        return gold_win_rate(paid[contest.new], paid[rival], index, seed, resamples)

    kl = _kl(project, contest, played[contest.new])
    verdict = decide(None, versus(contest.old), kl, settings.loop.kl_budget)
    return {
        "verdict": verdict.as_dict(),
        "versus_reference": {"gold": versus(contest.reference).as_dict(), "people": None},
        "criteria": {},
        "kl": kl,
        "played": {name: describe_play(rollouts) for name, rollouts in played.items()},
        "prompts": count,
        "games": len(index),
    }


def held_out_prompts(project: Project) -> tuple[list[Prompt], list[int]]:
    """At most `evaluation.prompts` of the test prompts, spread evenly over them, with their ids in the store."""
    prompts, ids = project.prompts["test"], project.prompt_ids["test"]
    step = max(1, len(prompts) // project.settings.evaluation.prompts)
    count = project.settings.evaluation.prompts
    return prompts[::step][:count], ids[::step][:count]


def _write(project: Project, contest: Contest, prompts: Sequence[Prompt], run_id: str) -> dict[str, list[Rollout]]:
    """Completions of each prompt by each policy that is compared, `samples_per_prompt` of each."""
    names = dict.fromkeys([contest.new, contest.old, contest.reference, contest.base])
    samples = project.settings.evaluation.samples_per_prompt
    return {
        name: Writer(project, name, f"answers of {name}").write(prompts, samples, project.seed(run_id, "answers", name))
        for name in names
    }


def _ask_people(
    project: Project,
    run_id: str,
    prompt_ids: Sequence[int],
    completions: Mapping[str, Sequence[int]],
    new: str,
    rivals: Sequence[str],
) -> dict[str, list[PairVote]]:
    """New against each rival, by evaluators who never labelled for training; a pair for each of `prompt_ids`."""
    judges = project.settings.evaluation.judges_per_pair
    tasks = [
        NewTask(prompt_id, (completions[new][i], completions[rival][i]), LabelKind.RANKING, judges, "evaluate")
        for rival in rivals
        for i, prompt_id in enumerate(prompt_ids)
    ]
    add_tasks(project.store, run_id, tasks)
    collect_judgements(project, run_id, EVALUATORS, "evaluate")
    rival_of = {completion: rival for rival in rivals for completion in completions[rival]}
    judgements = Judgements(project.store)
    task_of = {task.task.completion_ids: task.id for task in get_tasks(project.store, run_id, "evaluate")}
    votes: dict[str, list[PairVote]] = {rival: [] for rival in rivals}
    for ranking in rankings(project.store, [run_id], "evaluate"):
        shown = judgements.get(ranking.judgement_id).order_shown
        vote = pair_vote(ranking.prompt_id, task_of[ranking.completion_ids], ranking.ranks, shown, 0)
        votes[rival_of[ranking.completion_ids[1]]].append(vote)
    return votes


def _result(
    project: Project,
    round: int,
    contest: Contest,
    prompts: Sequence[Prompt],
    written: Mapping[str, Sequence[Rollout]],
    votes: Mapping[str, Sequence[PairVote]],
    run_id: str,
) -> dict[str, Any]:
    settings, seed = project.settings, project.seed(run_id, "intervals")
    resamples = settings.evaluation.bootstrap
    marks = _marks(project, prompts, written)
    measure = _measure(project, contest, prompts, written, marks)
    index = [rollout.prompt_index for rollout in written[contest.new]]

    def versus(rival: str) -> dict[str, Any]:
        gold = None if measure is None else gold_win_rate(measure[contest.new], measure[rival], index, seed, resamples)
        people = people_win_rate(votes[rival], seed, resamples) if votes.get(rival) else None
        return {"gold": gold, "people": people}

    old = versus(contest.old)
    kl = _kl(project, contest, written[contest.new])
    means = {name: mean_marks(found) for name, found in marks.items()}
    names = next(iter(marks.values()))[0].criteria() if marks else ()
    changes = {c: {"old": means[contest.old][c], "new": means[contest.new][c]} for c in names} if means else None
    verdict = decide(old["people"], old["gold"], kl, settings.loop.kl_budget, changes)
    first = versus(contest.reference)
    return {
        "verdict": verdict.as_dict(),
        "versus_reference": {name: None if each is None else each.as_dict() for name, each in first.items()},
        "criteria": {name: _intervals(found, index, seed, resamples) for name, found in marks.items()},
        "kl": kl,
        "length": {name: sum(len(r.completion_ids) for r in found) / len(found) for name, found in written.items()},
        "prompts": len(prompts),
    }


def _marks(
    project: Project, prompts: Sequence[Prompt], written: Mapping[str, Sequence[Rollout]]
) -> dict[str, list[AnyMarks]]:
    judge = project.marks
    if judge is None:
        return {}
    return {name: [judge(prompts[r.prompt_index], r.text) for r in rollouts] for name, rollouts in written.items()}


def _measure(
    project: Project,
    contest: Contest,
    prompts: Sequence[Prompt],
    written: Mapping[str, Sequence[Rollout]],
    marks: Mapping[str, Sequence[AnyMarks]],
) -> dict[str, list[float]] | None:
    """The gold judge's overall mark of each answer; without a judge, the user's reward function; else nothing."""
    if marks:
        return {name: [mark.overall for mark in found] for name, found in marks.items()}
    if project.reward_function is None:
        return None
    scorer = scorer_of(project, contest.reward)
    return {
        name: scorer.score([prompts[r.prompt_index] for r in rollouts], [r.text for r in rollouts])
        for name, rollouts in written.items()
    }


def _intervals(marks: Sequence[AnyMarks], index: Sequence[int], seed: int, resamples: int) -> dict[str, Any]:
    named = [all_marks(mark) for mark in marks]
    return {n: bootstrap_mean([each[n] for each in named], index, seed, resamples).as_dict() for n in named[0]}


def _kl(project: Project, contest: Contest, rollouts: Sequence[Rollout]) -> float:
    settings = project.settings.model
    policy = Policy(
        project.folder(contest.new), project.folder(contest.reference), settings.lora, settings.dtype, project.device, 0
    )
    return mean_kl(project, policy, list(rollouts))
