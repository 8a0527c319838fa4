"""The better answers that people wrote while they judged, as demonstrations for fine-tuning."""

from __future__ import annotations

import json
from pathlib import Path

from assent.stages.project import Project
from assent.store.listing import Demonstration, demonstrations
from assent.store.runs import finish_run
from assent.types.errors import DataError
from assent.types.messages import Message, Prompt

LEARNT = ("train", "holdout")  # an evaluation's prompts are never learnt, and a gold task asks the same as another
_PAGE = 1000


def freeze_rewrites(project: Project, run_id: str) -> str:
    """What people have written by now, frozen as a dataset version for this run of fine-tuning; returns its id.

    Raises:
        DataError: nobody has written anything.
    """
    name = f"{run_id}-rewrites"
    run = project.begin(name, "dataset", 0, ("prompts",))
    if run.done:
        return str(run.result["dataset"])
    held_out = {prompt.messages for prompt in project.prompts["test"]}
    found = [each for each in _all(project) if _prompt(each.messages).messages not in held_out]
    if not found:
        raise DataError(
            "nobody has written a better answer yet", "people do so on the judging page (R), or leave --rewrites out"
        )

    def write(folder: Path) -> None:
        lines = [json.dumps(vars(each), sort_keys=True) for each in found]
        (folder / "train.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    card = {"content": "rewrites", "train": len(found), "people": len({each.person_id for each in found})}
    dataset = project.keep("dataset", name, write, card, judgement_ids=[each.judgement_id for each in found])
    finish_run(project.store, name, {"dataset": dataset, "train": len(found)})
    return dataset


def read_rewrites(project: Project, dataset: str) -> list[tuple[Prompt, str]]:
    """(prompt, answer) of each, in order of submission."""
    lines = (project.folder(dataset) / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [(_prompt(each["messages"]), each["answer"]) for each in map(json.loads, lines)]


def _all(project: Project) -> list[Demonstration]:
    found: list[Demonstration] = []
    while page := demonstrations(
        project.store, after=found[-1].judgement_id if found else 0, limit=_PAGE, purposes=LEARNT
    ):
        found += page
    return found


def _prompt(messages: object) -> Prompt:
    assert isinstance(messages, list | tuple)
    return Prompt(tuple(Message(each["role"], each["content"]) for each in messages))
