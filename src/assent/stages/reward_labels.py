"""What a reward model learns from and is measured on: people's rankings, or a file of samples, frozen as a dataset."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assent.data.samples import Sample, read_samples
from assent.feedback import bradley_terry_weights, capped_weights, reliability_weights
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.sample import sample_run
from assent.store import Completion, find, get_completions, get_prompts, judged_tasks, rankings
from assent.store.runs import finish_run, get_run
from assent.training.reward_examples import (
    Example,
    example_of_ranking,
    is_order_unknown,
    standardised,
)
from assent.types.errors import DataError, WorkspaceError
from assent.types.feedback import LabelKind, Ranking
from assent.types.messages import Message, Prompt

_NOTHING = Prompt(())  # in place of the prompt of a text that is judged by itself


@dataclass(frozen=True)
class Labels:
    """Rankings or samples, one of them empty."""

    rankings: Sequence[Ranking] = ()
    samples: Sequence[Sample] = ()

    @property
    def text_only(self) -> bool:
        """Whether texts were labelled by themselves."""
        return bool(self.samples) and self.samples[0].prompt is None


def freeze_dataset(project: Project, round: int) -> str:
    """The dataset version of this round: every ranking so far by id, with its content hash; or the one given."""
    if (given := given_dataset(project)) is not None:
        return given
    run_id = f"round{round}-dataset"
    run = project.begin(run_id, "dataset", round, ("people",))
    if run.done:
        return str(run.result["dataset"])
    split = {purpose: read_rankings(project, round, purpose) for purpose in ("train", "holdout")}

    def write(folder: Path) -> None:
        for purpose, found in split.items():
            lines = [json.dumps(asdict(ranking), sort_keys=True) for ranking in found]
            (folder / f"{purpose}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    ids = [ranking.judgement_id for found in split.values() for ranking in found]
    card = {purpose: len(found) for purpose, found in split.items()}
    if not all(card.values()):
        raise DataError(f"no judgements to learn from: {card}", "collect judgements first (`assent simulate` or rank)")
    name = project.keep("dataset", run_id, write, card, judgement_ids=ids)
    finish_run(project.store, run_id, {"dataset": name, **card})
    return name


def freeze_samples(project: Project, round: int, reward_run: str) -> str:
    """The file of samples as a dataset version, divided into what is learnt and what measures.

    Raises:
        DataError: the file is wrong.
        WorkspaceError: it is no longer what it was when this run was begun.
    """
    settings = project.settings.reward_model
    path = project.resolve(str(settings.samples))
    found = read_samples(path, settings.loss == "binary", settings.criteria, settings.samples_holdout_share)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    run_id = f"{reward_run}-dataset"
    run = project.begin(run_id, "dataset", round, ("reward_model",))
    if run.done:
        if project.artifact(str(run.result["dataset"])).card["sha256"] != digest:
            raise WorkspaceError(
                f"{path}: the file has changed since {reward_run} was begun",
                "restore it, or train another reward model beside it: assent reward --run NAME",
            )
        return str(run.result["dataset"])
    split = {"train": [s for s in found if s.split == "train"], "holdout": [s for s in found if s.split == "test"]}

    def write(folder: Path) -> None:
        for purpose, samples in split.items():
            lines = [json.dumps(asdict(sample), sort_keys=True) for sample in samples]
            (folder / f"{purpose}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    card = {purpose: len(samples) for purpose, samples in split.items()}
    name = project.keep("dataset", run_id, write, {**card, "sha256": digest, "samples": path.name})
    finish_run(project.store, run_id, {"dataset": name, **card})
    return name


def read_rankings(project: Project, round: int, purpose: str, first: int = 1) -> list[Ranking]:
    """Every ranking of the rounds `first` to `round` for a purpose, in order of submission.

    Once the round's dataset is frozen, only what it holds; or what `reward_model.dataset` holds, whatever its rounds.
    """
    if (given := given_dataset(project)) is not None:
        return _frozen_rankings(project, given, purpose)
    frozen = get_run(project.store, f"round{round}-dataset")
    dataset = str(frozen.result["dataset"]) if frozen is not None and frozen.done else None
    runs = [sample_run(number) for number in range(first, round + 1)]
    return rankings(project.store, runs, purpose, dataset=dataset)


def _frozen_rankings(project: Project, dataset: str, purpose: str) -> list[Ranking]:
    path = project.folder(dataset) / f"{purpose}.jsonl"
    held = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lists = ("completion_ids", "ranks", "marks")
    return [
        Ranking(**{**line, **{name: tuple(line[name]) for name in lists}, "label": LabelKind(line["label"])})
        for line in held
    ]


def given_dataset(project: Project) -> str | None:
    """The id of the dataset version that `reward_model.dataset` names; None if it names none.

    Raises:
        DataError: there is no such artifact, or it holds no rankings to train on and to measure by.
    """
    if (text := project.settings.reward_model.dataset) is None:
        return None
    found = find(project.store, text)
    card = project.artifact(found.id).card if found.kind == "artifact" else {}
    if not {"train", "holdout"} <= set(card) or "sha256" in card:  # a hash of their file is what samples have
        raise DataError(
            f"reward_model.dataset = {text} is no dataset version of rankings", "see them with `assent lineage`"
        )
    if not card["train"] or not card["holdout"]:
        raise DataError(
            f"reward_model.dataset = {text}: {card['train']} rankings to train on, {card['holdout']} to measure by",
            "freeze one that has both: tasks for holdout are judged too",
        )
    return found.id


def frozen_samples(project: Project, dataset: str, purpose: str) -> list[Sample]:
    """The samples that a dataset holds to learn from (`train`) or to measure by (`holdout`)."""
    path = project.folder(dataset) / f"{purpose}.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        held = json.loads(line)
        prompt = held.pop("prompt")
        found.append(Sample(prompt=None if prompt is None else _prompt(prompt), **held))
    return found


def texts_of(project: Project, found: Sequence[Ranking]) -> tuple[dict[int, Completion], dict[int, Prompt]]:
    """The completions of these rankings and the prompt of each, by completion id."""
    ids = sorted({i for ranking in found for i in ranking.completion_ids})
    completions = dict(zip(ids, get_completions(project.store, ids), strict=True))
    asked = get_prompts(project.store, [completions[i].prompt_id for i in ids])
    return completions, dict(zip(ids, asked, strict=True))


def asked_of(samples: Sequence[Sample]) -> list[Prompt]:
    """The prompts of samples, for a scorer; texts judged by themselves have one that is not read."""
    return [sample.prompt or _NOTHING for sample in samples]


def examples_of(
    project: Project, labels: Labels, scorer: RewardModelScorer, round: int
) -> tuple[list[Example], list[float], list[float]]:
    """Labels in the terms of the loss, with the means and deviations that rewards and marks had before.

    Raises:
        DataError: nothing in them can be learnt by this loss, or nothing differs.
    """
    settings = project.settings.reward_model
    if labels.samples:
        found = [
            Example(
                (scorer.encode(prompt, sample.text),),
                marks=(tuple(sample.values.get(name) for name in settings.criteria or ("value",)),),
            )
            for prompt, sample in zip(asked_of(labels.samples), labels.samples, strict=True)
        ]
    else:
        found = _examples_of_rankings(project, labels.rankings, scorer, round)
    return standardised(found) if settings.loss == "regression" else (found, [], [])


def _examples_of_rankings(
    project: Project, given: Sequence[Ranking], scorer: RewardModelScorer, round: int
) -> list[Example]:
    settings = project.settings.reward_model
    if settings.loss == "plackett-luce" and any(map(is_order_unknown, given)):
        raise DataError(
            "these judgements pick the best completion and leave the others unordered, which Plackett–Luce would read"
            " as ties",
            "learn from them with reward_model.loss = best-of-k, or pairwise",
        )
    completions, prompts = texts_of(project, given)
    sequences = {i: scorer.encode(prompts[i], completion.text) for i, completion in completions.items()}
    weights = person_weights(project, given, round)
    made = (example_of_ranking(ranking, sequences, settings, weights[ranking.person_id]) for ranking in given)
    found = [example for example in made if example is not None]
    _require_differences(project, found, len(given))
    return found


def person_weights(project: Project, given: Sequence[Ranking], round: int) -> dict[int, float]:
    """What each person's judgements count. Only held-out tasks are judged by several people, so they tell."""
    counts = Counter(ranking.person_id for ranking in given)
    settings = project.settings.reward_model
    if settings.reliability == "none":
        return dict.fromkeys(counts, 1.0)
    if settings.reliability == "bradley-terry":
        runs = [sample_run(number) for number in range(1, round + 1)]
        judged = [each for each in judged_tasks(project.store, runs) if each.ranking.person_id in counts]
        found = bradley_terry_weights(judged, settings.influence_cap)
    else:
        found = reliability_weights([*given, *read_rankings(project, round, "holdout")])
    weights = {person: found[person] for person in counts}
    if not any(weights.values()):
        return dict.fromkeys(counts, 1.0)
    return capped_weights(weights, counts, settings.influence_cap)


def _require_differences(project: Project, found: Sequence[Example], count: int) -> None:
    """That something can be learnt, by every head."""
    settings = project.settings.reward_model
    for head, name in enumerate(settings.criteria):
        marks = {row[head] for example in found for row in example.marks} - {None}
        preferences = {pair.preference for example in found for pair in example.pairs if pair.head == head} - {0.5}
        if len(marks) < 2 and not preferences:
            raise DataError(
                f"none of the {count} judgements tells completions apart by '{name}'",
                "people are asked for marks per criterion with people.criteria_marks = true; "
                "reward_model.criteria names those to learn",
            )
    if not found:
        lack = "names a single best completion" if settings.loss == "best-of-k" else "prefers any completion"
        raise DataError(f"none of the {count} judgements {lack}", "set reward_model.loss and reward_model.ties to fit")
    if not settings.criteria and all(len(set(example.ranks)) == 1 for example in found):
        raise DataError(
            f"all {count} judgements call their completions equal: there is nothing to learn",
            "gather judgements of completions that differ",
        )


def _prompt(held: dict[str, Any]) -> Prompt:
    return Prompt(tuple(Message(**message) for message in held["messages"]), held["split"], held["meta"])
