"""Dataset versions: judgements frozen as files with a content hash, from which a reward model learns."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assent.store.artifacts import Artifact, get_artifact, list_artifacts, register_artifact
from assent.store.atomic import atomic_dir
from assent.store.audit import record
from assent.store.database import Store
from assent.store.hashing import artifact_id, hash_folder
from assent.store.rankings import rankings
from assent.store.ruled import given_rulings
from assent.store.runs import finish_run, start_run
from assent.store.workspace import Workspace
from assent.types.errors import DataError, NotFoundError
from assent.types.feedback import Ranking
from assent.types.seeds import derive_seed

SPLITS = ("train", "holdout")
TIES = ("keep", "drop")
DISAGREEMENTS = ("votes", "ruling")


@dataclass(frozen=True)
class FreezeRules:
    """What goes into a dataset version.

    Attributes:
        run_ids: the runs whose tasks were judged.
        minimum_votes: tasks with fewer judgements are left out.
        ties: `drop` leaves out judgements that call all completions equal.
        without: people whose judgements are left out.
        disagreements: what counts of a task that somebody ruled on: its `votes`, or the `ruling` in their place.
        holdout_share: of the prompts that tasks do not hold out already, by their id, so many more are held out.
    """

    run_ids: tuple[str, ...]
    minimum_votes: int = 1
    ties: str = "keep"
    without: tuple[int, ...] = ()
    holdout_share: float = 0.0
    disagreements: str = "votes"

    def __post_init__(self) -> None:
        if not self.run_ids:
            raise DataError("run_ids: name at least one run")
        if self.minimum_votes < 1:
            raise DataError(f"minimum_votes: at least 1, got {self.minimum_votes}")
        if self.ties not in TIES:
            raise DataError(f"ties: {' or '.join(TIES)}, got {self.ties!r}")
        if self.disagreements not in DISAGREEMENTS:
            raise DataError(f"disagreements: {' or '.join(DISAGREEMENTS)}, got {self.disagreements!r}")
        if not 0 <= self.holdout_share < 1:
            raise DataError(f"holdout_share: from 0 to below 1, got {self.holdout_share}")


def chosen(store: Store, rules: FreezeRules) -> dict[str, list[Ranking]]:
    """The judgements that these rules let in, by split. No prompt is in both."""
    split = {name: rankings(store, rules.run_ids, name) for name in SPLITS}
    held_out = {ranking.prompt_id for ranking in split["holdout"]}
    share = rules.holdout_share
    moved = {
        ranking.prompt_id
        for ranking in split["train"]
        if derive_seed("holdout", ranking.prompt_id) / 2.0**63 < share or ranking.prompt_id in held_out
    }
    split["holdout"] += [ranking for ranking in split["train"] if ranking.prompt_id in moved]
    split["train"] = [ranking for ranking in split["train"] if ranking.prompt_id not in moved]
    kept = {name: _kept(found, rules) for name, found in split.items()}
    return kept if rules.disagreements == "votes" else _ruled(store, rules, kept)


def freeze(workspace: Workspace, store: Store, rules: FreezeRules, by: int | None = None) -> Artifact:
    """Freeze what these rules let in. Freezing the same again returns what is there.

    Raises:
        DataError: nothing is let in, or a run is unknown.
        ConflictError: a judgement was revised at this moment.
        WorkspaceError: full disk, read-only folder.
    """
    split = chosen(store, rules)
    if not any(split.values()):
        raise DataError("these rules let no judgement in", "Judge first, or loosen the rules.")
    aside = workspace.artifacts / "dataset" / f".freezing-{derive_seed(*map(str, asdict(rules).values())):x}"
    shutil.rmtree(aside, ignore_errors=True)
    with atomic_dir(aside) as folder:
        for name, found in split.items():
            lines = [json.dumps(asdict(ranking), sort_keys=True) for ranking in found]
            (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    try:
        digest = hash_folder(aside)
        final = workspace.artifact_dir("dataset", artifact_id("dataset", digest))
        with atomic_dir(final) as folder:
            for name in SPLITS:
                shutil.copyfile(aside / f"{name}.jsonl", folder / f"{name}.jsonl")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return _register(workspace, store, rules, split, digest, final, by)


def preview(workspace: Workspace, store: Store, dataset: str, split: str, first: int, count: int) -> list[Any]:
    """Some lines of a dataset version, from `first` (0 for the beginning) on.

    Raises:
        NotFoundError: no such dataset or split.
    """
    path = file_of(workspace, store, dataset, split)
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if first <= number < first + count]


def file_of(workspace: Workspace, store: Store, dataset: str, split: str) -> Path:
    """Where a split of a dataset version lies.

    Raises:
        NotFoundError: no such dataset or split.
    """
    try:
        found = get_artifact(store, dataset)
    except DataError:
        raise NotFoundError(f"no dataset {dataset!r}") from None
    path = workspace.path / found.path / f"{split}.jsonl"
    if found.kind != "dataset" or split not in SPLITS or not path.is_file():
        raise NotFoundError(f"no split {split!r} of dataset {dataset!r}")
    return path


def _kept(found: Sequence[Ranking], rules: FreezeRules) -> list[Ranking]:
    wanted = [ranking for ranking in found if ranking.person_id not in rules.without]
    votes = Counter((ranking.prompt_id, ranking.completion_ids) for ranking in wanted)
    return [
        ranking
        for ranking in wanted
        if votes[ranking.prompt_id, ranking.completion_ids] >= rules.minimum_votes
        and (rules.ties == "keep" or len(set(ranking.ranks)) > 1)
    ]


def _ruled(store: Store, rules: FreezeRules, kept: dict[str, list[Ranking]]) -> dict[str, list[Ranking]]:
    """With the rulings in place of the votes that they decide between."""
    rulings = _rulings(store, rules)
    decided = {(each.prompt_id, each.completion_ids) for each in rulings}
    chosen = {}
    for name, found in kept.items():
        asked = {(each.prompt_id, each.completion_ids) for each in found}
        votes = [each for each in found if (each.prompt_id, each.completion_ids) not in decided]
        instead = [each for each in rulings if (each.prompt_id, each.completion_ids) in asked]
        chosen[name] = sorted([*votes, *instead], key=lambda each: each.judgement_id)
    return chosen


def _rulings(store: Store, rules: FreezeRules) -> list[Ranking]:
    found = [each for name in SPLITS for each in given_rulings(store, rules.run_ids, name)]
    return [each for each in found if each.person_id not in rules.without]


def _register(
    workspace: Workspace,
    store: Store,
    rules: FreezeRules,
    split: dict[str, list[Ranking]],
    digest: str,
    final: Path,
    by: int | None,
) -> Artifact:
    name = artifact_id("dataset", digest)
    if any(artifact.id == name for artifact in list_artifacts(store, "dataset")):
        return get_artifact(store, name)
    counts = {split_name: len(found) for split_name, found in split.items()}
    said = asdict(replace(rules, run_ids=tuple(sorted(rules.run_ids))))
    said = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
    ids = [ranking.judgement_id for found in split.values() for ranking in found]
    people = len({ranking.person_id for found in split.values() for ranking in found})
    card = {"content": "rankings", **counts, "people": people, "rules": said}
    if rules.disagreements == "ruling":
        card["rulings"] = len(set(ids) & {each.judgement_id for each in _rulings(store, rules)})
    run_id = f"freeze-{digest[:12]}"
    run = start_run(store, run_id, "dataset", 0, {"rules": said})
    name = register_artifact(store, "dataset", digest, workspace.relative(final), card, run_id, judgement_ids=ids)
    if not run.done:
        finish_run(store, run_id, {"dataset": name, **counts})
    with store.write() as session:
        record(session, store, by, "freeze dataset", "artifact", name, counts)
    return get_artifact(store, name)
