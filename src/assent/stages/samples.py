"""The same held-out prompts as answered by the base, by SFT and by each round's policy, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.report.data import Answer, Sample
from assent.stages.project import Project
from assent.stages.rounds import RoundRuns, Standing
from assent.store import completions_of_run, get_prompts
from assent.types.messages import Prompt

SAMPLES = 10


def samples(project: Project, rounds: Sequence[RoundRuns], stood: Standing) -> list[Sample]:
    """Answers to prompts spread evenly over those of the evaluations, none picked by what was answered."""
    written = answers_by_policy(project, rounds, stood)
    if not written:
        return []
    shared = [i for i in next(iter(written.values())) if all(i in texts for texts in written.values())]
    step = max(1, len(shared) // SAMPLES)
    chosen = shared[::step][:SAMPLES]
    prompts = get_prompts(project.store, chosen)
    return [
        {"prompt": prompt.text, "answers": [_answer(project, who, prompt, written[who][i]) for who in written]}
        for i, prompt in zip(chosen, prompts, strict=True)
    ]


def answers_by_policy(project: Project, rounds: Sequence[RoundRuns], stood: Standing) -> dict[str, Mapping[int, str]]:
    """For each policy, its texts by prompt id: base and SFT from the last evaluation, each round's from its own."""
    measured = [each for each in rounds if each.promoted is not None]
    if not measured:
        return {}
    texts: dict[tuple[int, str], dict[int, str]] = {}
    for each in measured:
        for completion in completions_of_run(project.store, each.runs["eval"].id):
            held = texts.setdefault((each.number, completion.policy_version), {})
            held.setdefault(completion.prompt_id, completion.text)
    last = measured[-1].number
    wanted = {"base": (last, stood.base), **({"sft": (last, stood.initial)} if stood.initial != stood.base else {})}
    wanted |= {f"round {each.number}": (each.number, each.input("eval", "new") or "") for each in measured}
    return {who: texts[key] for who, key in wanted.items() if key in texts}


def _answer(project: Project, who: str, prompt: Prompt, text: str) -> Answer:
    judge = project.marks
    if judge is None:
        return {"who": who, "text": text, "marks": None}
    marks = judge(prompt, text)
    return {"who": who, "text": text, "marks": {**marks.criteria(), "fluency": marks.fluency}}
