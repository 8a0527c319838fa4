"""What policies wrote for the same prompts, before and after: samples for people to look at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from assent.store.completions import completions_of_run
from assent.store.database import Store
from assent.store.prompts import get_prompts
from assent.store.runs import Run, get_run

ROLES = {"old": "before", "new": "after", "reference": "the first policy"}


@dataclass(frozen=True)
class Sample:
    """One prompt with each policy's answer: (who, artifact, text)."""

    prompt: str
    answers: tuple[tuple[str, str, str], ...]


def samples_of(store: Store, run: Run, most: int) -> list[Sample]:
    """Answers of an evaluation's policies to the same prompts, spread evenly over these; none is picked by its answer.

    A run that makes a policy has those of its round's evaluation, once there are any.
    """
    held = run if run.kind == "eval" else _evaluation_of(store, run)
    if held is None:
        return []
    written: dict[str, dict[int, str]] = defaultdict(dict)
    for completion in completions_of_run(store, held.id):
        written[completion.policy_version].setdefault(completion.prompt_id, completion.text)
    names = _names(held, list(written))
    shared = [prompt for prompt in next(iter(written.values()), {}) if all(prompt in by for by in written.values())]
    chosen = shared[:: max(1, len(shared) // most)][:most]
    prompts = get_prompts(store, chosen)
    return [
        Sample(text.text, tuple((who, version, written[version][prompt]) for version, who in names.items()))
        for prompt, text in zip(chosen, prompts, strict=True)
    ]


def _evaluation_of(store: Store, run: Run) -> Run | None:
    for name in (f"round{run.round}-eval", f"{run.id}-eval"):
        found = get_run(store, name)
        if found is not None and run.result.get("policy") in {artifact for _, artifact in found.inputs}:
            return found
    return None


def _names(run: Run, versions: list[str]) -> dict[str, str]:
    """Policy versions and what to call them, what was before first."""
    by_version: dict[str, list[str]] = defaultdict(list)
    for role, artifact in run.inputs:
        if role in ROLES:
            by_version[artifact].append(ROLES[role])
    names = {version: " and ".join(by_version.get(version, ["base"])) for version in versions}
    order = ("base", "the first policy", "before", "after")
    return dict(sorted(names.items(), key=lambda item: max(order.index(part) for part in item[1].split(" and "))))
