"""What came of what, as nodes and edges: artifacts, the judgements between them, and the people who gave them."""

from __future__ import annotations

from collections.abc import Sequence

from assent.report.data import Lineage, LineageNode
from assent.stages.project import Project
from assent.stages.rounds import RoundRuns
from assent.store import Artifact, Run, get_run, list_artifacts, list_people, rankings

NAMES = {"base": "base model", "sft": "SFT", "reward": "reward model"}


def lineage(project: Project, rounds: Sequence[RoundRuns]) -> Lineage:
    """Every artifact with what it was made from, and each round's judgements with whose completions they are about."""
    nodes: list[LineageNode] = []
    links: dict[tuple[str, str], list[str]] = {}
    for artifact in list_artifacts(project.store):
        run = get_run(project.store, artifact.run_id) if artifact.run_id else None
        nodes.append(_artifact_node(artifact, run))
        roles = {source: role for role, source in (run.inputs if run else ())}
        for role, source in run.inputs if run else ():
            links.setdefault((source, artifact.id), []).append(role)
        for parent in artifact.parents:
            if parent not in roles:
                links.setdefault((parent, artifact.id), []).append("parent")
    for each in rounds:
        _add_judgements(project, each, rounds, nodes, links)
    return {"nodes": nodes, "edges": [[a, b, ", ".join(dict.fromkeys(roles))] for (a, b), roles in links.items()]}


def _artifact_node(artifact: Artifact, run: Run | None) -> LineageNode:
    name = NAMES.get(artifact.kind, artifact.kind)
    label = f"{name}, round {run.round}" if run is not None and run.round else name
    return {"id": artifact.id, "kind": artifact.kind, "label": label, "detail": artifact.id}


def _add_judgements(
    project: Project,
    each: RoundRuns,
    rounds: Sequence[RoundRuns],
    nodes: list[LineageNode],
    links: dict[tuple[str, str], list[str]],
) -> None:
    """The rankings of a round's samples lead to the datasets; those of its evaluation, to the verdict on its policy."""
    for work, read, label in (("sample", ("policy",), "rankings"), ("eval", ("new", "old"), "blind votes")):
        run = each.runs.get(work)
        found = rankings(project.store, [run.id]) if run else []
        if run is None or not found:
            continue
        body = f"judgements:{run.id}"
        judges = {ranking.person_id for ranking in found}
        nodes.append(
            {
                "id": body,
                "kind": "judgements",
                "label": f"{label}, round {each.number}",
                "detail": f"{len(found)} judgements",
            }
        )
        _add_people(project, judges, body, nodes, links)
        for role, source in run.inputs:
            if role in read:
                links.setdefault((source, body), []).append("wrote")
        if work == "sample":
            later = (other.result("dataset").get("dataset") for other in rounds if other.number >= each.number)
            for dataset in filter(None, later):
                links.setdefault((body, dataset), []).append("holds")


def _add_people(
    project: Project,
    judges: set[int],
    body: str,
    nodes: list[LineageNode],
    links: dict[tuple[str, str], list[str]],
) -> None:
    people = [person for person in list_people(project.store) if person.id in judges]
    for kind in sorted({person.kind for person in people}):
        group = [person for person in people if person.kind is kind]
        # One node for the same group of people, however many bodies of judgements they gave.
        name = "people:" + ",".join(str(person.id) for person in group)
        if all(node["id"] != name for node in nodes):
            word = "person" if len(group) == 1 else "people"
            nodes.append(
                {
                    "id": name,
                    "kind": "people",
                    "label": f"{len(group)} {kind.value} {word}",
                    "detail": f"{group[0].name} …" if len(group) > 1 else group[0].name,
                }
            )
        links.setdefault((name, body), []).append("judged")
