"""The stages one by one, each with what the store has by now."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assent.cli.opening import console_for, opened_project
from assent.cli.options import HERE, AsJson, Force, Recipes, Reward, Round, RunName, Where
from assent.types.errors import DataError, SettingsError

if TYPE_CHECKING:
    from assent.stages.project import Project


HEALTH_FIGURES = ("accuracy", "auc", "rmse", "explained")  # those that a kind of label has


def pretrain(
    context: typer.Context,
    run: RunName = None,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Next-token training from raw text, where no model is given."""
    with at_work(context, workspace, recipe, as_json) as (project, result):
        from assent.stages.language import base_model

        if (path := project.settings.model.path) is not None:
            raise SettingsError(f"nothing to pretrain: model.path gives {path}", "go on with `assent sft` or sample")
        result["base"] = base_model(project, named(run) or "pretrain")


def sft(
    context: typer.Context,
    run: RunName = None,
    rewrites: Annotated[
        bool, typer.Option("--rewrites", help="learn the better answers too that people wrote while they judged")
    ] = False,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Supervised fine-tuning on demonstrations.

    With --rewrites, what people wrote by then is frozen as a dataset version first. Beside the loop's own fine-tuning,
    give the model a name: assent sft --rewrites --run NAME.
    """
    with at_work(context, workspace, recipe, as_json) as (project, result):
        from assent.cli.standing import base_of
        from assent.stages.language import fine_tune, has_demonstrations
        from assent.stages.rewrites import freeze_rewrites

        if not has_demonstrations(project) and not rewrites:
            raise SettingsError(
                "no demonstrations to learn from: the base model is the first policy as it is",
                "go on with `assent sample`, or give --sft.demonstrations FILE",
            )
        name = named(run) or "sft"
        written = freeze_rewrites(project, name) if rewrites else None
        result["sft"] = fine_tune(project, base_of(project), name, written)


def sample(
    context: typer.Context,
    round: Round = None,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Let the policy write completions, and make tasks of them for people to rank."""
    with at_work(context, workspace, recipe, as_json) as (project, result):
        from assent.cli.standing import first_undone, initial_of, policy_before
        from assent.stages.sample import sample as write_tasks
        from assent.store import counts

        number = round or first_undone(project, "sample")
        run_id = write_tasks(project, number, policy_before(project, number), initial_of(project))
        found = counts(project.store, [run_id])
        result.update(round=number, run=run_id, tasks=found.tasks, judgements_wanted=found.wanted - found.submitted)


def simulate(
    context: typer.Context,
    round: Round = None,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Let simulated people judge the open tasks of a round; they are always shown as simulated."""
    with at_work(context, workspace, recipe, as_json) as (project, result):
        from assent.cli.tasks import require_open_runs
        from assent.stages.judge import EVALUATORS, LABELLERS, collect_judgements

        if project.settings.people.kind != "simulated":
            raise SettingsError(
                f"people.kind is {project.settings.people.kind}: simulated people would be mixed with them",
                "if that is meant, add --people.kind simulated",
            )
        runs = require_open_runs(project.store, round)
        for run in runs:
            crowd = EVALUATORS if run.kind == "eval" else LABELLERS
            result[run.id] = collect_judgements(project, run.id, crowd)
        result["round"] = runs[0].round


def reward(
    context: typer.Context,
    round: Round = None,
    run: RunName = None,
    force: Force = False,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Train the reward model on all rankings so far, or on a file of samples, and check its health.

    --reward_model.samples FILE with --reward_model.loss binary or regression needs no rankings.
    --reward_model.dataset ID learns from a dataset version that was frozen in the pages.
    """
    with at_work(context, workspace, recipe, as_json, force) as (project, result):
        from assent.cli.standing import first_undone, initial_of
        from assent.stages.reward import train_reward
        from assent.stages.reward_health import check_health

        if (function := project.settings.reward.function) is not None:
            raise SettingsError(f"no reward model is needed: reward.function {function} gives the scores")
        if (environment := project.settings.rl.environment) is not None:
            raise SettingsError(f"no reward model is needed: what rl.environment {environment} pays is the score")
        name = named(run)
        of_samples = project.settings.reward_model.of_samples
        number = round or _round_of(project, name, "reward") or (1 if of_samples else first_undone(project, "health"))
        if not of_samples and project.settings.reward_model.dataset is None:
            _require_judged(project, number)
        result["round"] = number
        result["reward"] = train_reward(project, number, initial_of(project), name)
        health = check_health(project, result["reward"])
        result["healthy"] = health["healthy"]
        result.update({name: found["value"] for name in HEALTH_FIGURES if (found := health.get(name))})


def rl(
    context: typer.Context,
    round: Round = None,
    run: RunName = None,
    reward: Reward = None,
    force: Force = False,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """RL against the reward under the KL penalty: PPO, or what --algorithm.type names.

    [bold]Which to choose[/] (more in docs/algorithms):

    [bold]ppo[/]: rewards within a completion, long ones, or one of each prompt; learns a value model beside.

    [bold]rloo[/]: one score for a whole completion, several of each prompt: as good there, simpler and smaller.

    [bold]grpo[/]: answers that are right or wrong, many of each prompt; by its settings DAPO, Dr. GRPO, GSPO, CISPO.

    [bold]reinforce++[/]: one completion of each prompt, and no memory for a value model.

    [bold]a2c[/], [bold]reinforce[/]: the plain forms of ppo and rloo, to understand or to check them.

    [bold]expert-iteration[/]: imitate the best of each group: hard to break, and slower to learn.

    [bold]online-dpo[/]: DPO on the best and the worst of each group, where only their order can be trusted.
    """
    with at_work(context, workspace, recipe, as_json, force, reward) as (project, result):
        from assent.cli.standing import first_undone, initial_of, policy_before, reward_of
        from assent.stages.improve import Start, improve
        from assent.stages.reward_health import check_health

        name = named(run)
        number = round or _round_of(project, name, "rl") or first_undone(project, "rl")
        start = Start(policy_before(project, number), initial_of(project), reward_of(project, number))
        if start.reward is not None:
            check_health(project, start.reward)
        result["round"] = number
        result["policy"] = improve(project, number, start, name)


def dpo(
    context: typer.Context,
    round: Round = None,
    run: RunName = None,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Learn from people's comparisons directly, without reward model or RL: DPO, or what preference.type names.

    What is learnt: the rankings of all rounds so far, or --preference.comparisons FILE. Which --preference.type:

    [bold]dpo[/] for pairs, unless there is a reason for another. Where many judgements are wrong add
    --preference.label-smoothing or --preference.flip-rate; where ties say something, --preference.ties learn.

    [bold]ipo[/] where people are nearly unanimous, or pairs are few: dpo would push the two apart without end.

    [bold]kto[/] where completions were judged one by one, thumb up or down.

    [bold]orpo[/] where there was no fine-tuning yet: it does both in one pass, and needs no reference.

    [bold]simpo[/] where dpo's answers grow too long, or memory for a reference is short; nothing but its step size
    holds it near where it began.

    RL (`assent rl`) where a reward can be had for texts that nobody has judged yet.
    """
    with at_work(context, workspace, recipe, as_json) as (project, result):
        from assent.cli.standing import first_unimproved, initial_of, policy_before
        from assent.stages.preference import learn_preferences

        name = named(run)
        number = round or _round_of(project, name, "sample") or first_unimproved(project)
        start, reference = policy_before(project, number), initial_of(project)
        if project.settings.preference.comparisons is None:
            _require_judged(project, number)
        result["round"] = number
        result["policy"] = learn_preferences(project, number, start, reference, name)
        card = project.artifact(result["policy"]).card
        result.update({name: card[name] for name in ("comparisons", "ties", "identical", "held_out_accuracy")})


def eval_(
    context: typer.Context,
    round: Round = None,
    run: RunName = None,
    reward: Reward = None,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Compare policies on held-out prompts, with intervals. With --run: that of `assent rl --run` or `dpo --run`."""
    with at_work(context, workspace, recipe, as_json, reward=reward) as (project, result):
        from assent.cli.standing import base_of, first_undone, improved, initial_of, policy_before, reward_of
        from assent.stages.compare import Contest, compare

        name = named(run)
        number = round or _round_of(project, name, "rl") or first_undone(project, "eval")
        new, work = improved(project, number, name)
        scores = reward_of(project, number) if work == "rl" else None
        contest = Contest(new, policy_before(project, number), initial_of(project), base_of(project), scores)
        found = compare(project, number, contest, name and f"{name}-eval")
        result.update(round=number, policy=new, promoted=found["verdict"]["promoted"], kl=found["kl"])
        result.update(found["versus_reference"])
        result["reasons"] = found["verdict"]["reasons"]


@contextmanager
def at_work(
    context: typer.Context,
    workspace: Path,
    recipe: list[Path] | None,
    as_json: bool,
    force: bool = False,
    reward: str | None = None,
) -> Iterator[tuple[Project, dict[str, Any]]]:
    """The open project, and a place for what comes of the stage, which is told at the end."""
    started = time.monotonic()
    console = console_for(as_json)
    result: dict[str, Any] = {}
    with opened_project(workspace, recipe, context.obj, console, force, reward) as project:
        yield project, result
    for name, value in result.items():
        console.print(f"{name}: {_words(value)}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print(json.dumps({"seconds": round(time.monotonic() - started, 1), **result}))


def named(run: str | None) -> str | None:
    """An experiment's name as a run's id.

    Raises:
        SettingsError: it is no plain name, or the loop's own.
    """
    if run is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", run):
        raise SettingsError(f"--run {run}: no name for a run", "use letters, digits, '-', '_' and '.'")
    if run in ("pretrain", "sft") or re.match(r"round\d+-", run):
        raise SettingsError(f"--run {run}: this name is the loop's own", "take another one")
    return run


def _round_of(project: Project, name: str | None, work: str) -> int | None:
    """The round of an experiment: that of its run if it was begun, else the last one that the loop has done."""
    if name is None:
        return None
    from assent.cli.standing import last_done
    from assent.store import get_run

    run = get_run(project.store, name)
    return last_done(project, work) if run is None else run.round


def _require_judged(project: Project, round: int) -> None:
    from assent.store import counts

    run_id = f"round{round}-sample"
    found = counts(project.store, [run_id])
    if found.tasks == 0:
        if _imported(project, round):
            return
        raise DataError(f"round {round} has no tasks yet", f"run `assent sample --round {round}` first")
    if found.submitted < found.wanted:
        who = "simulate" if project.settings.people.kind == "simulated" else "rank"
        raise DataError(
            f"{found.wanted - found.submitted} of {found.wanted} judgements of round {round} are still missing",
            f"run `assent {who} --round {round}` first",
        )


def _imported(project: Project, round: int) -> bool:
    """Whether imports take the place of the rounds' own judgements."""
    from assent.stages.imports import imported_runs

    return bool(imported_runs(project, round))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "; ".join(map(_words, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
