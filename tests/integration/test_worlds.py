"""The bundled worlds as a user meets them: a workspace of each, people with a world's own criteria, no fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from assent.config import load_settings
from assent.config.worlds import TEMPLATES
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.project import Project
from assent.store import NewTask, Workspace, add_completions, add_tasks, list_people, list_runs, rankings, start_run
from assent.tasks import WORLDS
from assent.types.feedback import LabelKind
from assent.types.rollout import FinishReason, Rollout
from tests.command_line import TINY, assent, flags

RECIPES = Path(__file__).parents[2] / "recipes"
OWN_FORM = sorted(TEMPLATES)


@pytest.mark.parametrize("task", sorted(WORLDS))
def test_every_world_has_a_recipe_and_its_texts_are_put_as_they_stand(task: str) -> None:
    settings = load_settings([RECIPES / f"{task}.toml"])
    assert settings.task == task
    world = WORLDS[task]()
    text = next(text for text in world.pretraining_texts(0) if task != "household" or text.startswith("Question"))
    before, _, after = settings.prompts.template.partition("{prompt}")
    assert text.startswith(before)
    assert after in text


@pytest.mark.parametrize("task", OWN_FORM)
def test_init_writes_the_form_of_the_task(task: str, tmp_path: Path) -> None:
    done = assent("init", "made", "--task", task, "--people.kind", "simulated", cwd=tmp_path)
    assert done.code == 0, done.err
    assert load_settings([tmp_path / "made" / "assent.toml"]).prompts.template == TEMPLATES[task]
    own = assent("init", "other", "--task", task, "--prompts.template", "{prompt} ->", cwd=tmp_path)
    assert own.code == 0, own.err
    assert load_settings([tmp_path / "other" / "assent.toml"]).prompts.template == "{prompt} ->"


def test_init_on_moderation_writes_labelled_texts(tmp_path: Path) -> None:
    assert assent("init", "made", "--task", "moderation", cwd=tmp_path).code == 0
    lines = (tmp_path / "made" / "labelled.jsonl").read_text().splitlines()
    assert len(lines) == 5000
    assert sum(json.loads(line)["label"] for line in lines) == 2500


def test_the_demo_takes_a_task_and_keeps_it(tmp_path: Path) -> None:
    wrong = assent("demo", "d", "--task", "revews", cwd=tmp_path)
    assert wrong.code == 2 and "did you mean 'reviews'" in wrong.err
    assert list(tmp_path.iterdir()) == []
    Workspace.create(tmp_path / "d", 'task = "reviews"\n')
    other = assent("demo", "d", "--task", "summaries", cwd=tmp_path)
    assert other.code == 6 and "another project" in other.err


def test_a_world_without_demonstrations_goes_without_fine_tuning(tmp_path: Path) -> None:
    asked = {**TINY, "people.label": "best-of-k", "reward-model.loss": "best-of-k"}
    done = assent("demo", "d", "--task", "reviews", *flags(asked), "--force", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    with Workspace.open(tmp_path / "d").open_store() as store:
        kinds = [run.kind for run in list_runs(store)]
        assert "sft" not in kinds and kinds.count("rl") == 2  # with the penalty and without it
        assert {ranking.label for ranking in rankings(store, ["round1-sample"])} == {LabelKind.BEST_OF_K}
    nothing = assent("sft", cwd=tmp_path / "d")
    assert nothing.code == 2 and "no demonstrations" in nothing.err


TEXTS = {
    "reviews": ("The view was truly superb. I loved the bed.", "The view was good.", "It was a disaster from start."),
    "summaries": ("Anna may stay silent.", "{name}'s {person} {trouble} since {time}, and {name} may {deed}.", "so so"),
    "moderation": ("You are a smelly dunderpot yourself.", "I would talk to {name} kindly.", "I do not care."),
}


@pytest.mark.parametrize("task", OWN_FORM)
def test_people_judge_by_the_criteria_of_the_world(task: str, tmp_path: Path) -> None:
    settings = load_settings([RECIPES / f"{task}.toml"], ["--people.label", "ranking", "--people.agreement", "0.7"])
    workspace = Workspace.create(tmp_path / "w")
    with workspace.open_store() as store:
        project = Project(workspace, store, settings)
        prompts, ids = project.prompts["train"][:40], project.prompt_ids["train"][:40]
        start_run(store, "round1-sample", "sample", 1, {}, {})
        completions = add_completions(
            store, "round1-sample", ids, _written(task, [dict(p.meta) for p in prompts]), project.sampling, "base-0"
        )
        tasks = [NewTask(i, tuple(completions[3 * n : 3 * n + 3])) for n, i in enumerate(ids)]
        add_tasks(store, "round1-sample", tasks)
        assert collect_judgements(project, "round1-sample", LABELLERS) == 40
        criteria = project.world.marks(prompts[0], "").criteria() if project.world else {}
        people = list_people(store)
        assert {frozenset(dict(person.profile)["values"]) for person in people} == {frozenset(criteria)}
        best = {"reviews": 0, "summaries": 1, "moderation": 1}[task]
        found = rankings(store, ["round1-sample"])
        assert sum(ranking.ranks[best] == 1 for ranking in found) > 20  # 13 by chance


def _written(task: str, facts: Sequence[dict[str, str]]) -> list[Rollout]:
    return [
        Rollout(p, [1], [2, 3], [-0.5, -0.1], FinishReason.STOP, text.format(**meta), "base-0", group=p)
        for p, meta in enumerate(facts)
        for text in TEXTS[task]
    ]


def test_a_file_of_the_users_own_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    own = tmp_path / "m" / "labelled.jsonl"
    own.write_text("mine\n", encoding="utf-8")
    done = assent("init", "m", "--task", "moderation", cwd=tmp_path)
    assert done.code == 6 and "move it away" in done.err
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["labelled.jsonl"]
    assert own.read_text(encoding="utf-8") == "mine\n"


def test_the_labelled_texts_may_be_named_at_once(tmp_path: Path) -> None:
    words = ["--reward-model.samples", "labelled.jsonl", "--reward-model.loss", "binary"]
    done = assent("init", "m", "--task", "moderation", *words, cwd=tmp_path)
    assert done.code == 0, done.err
