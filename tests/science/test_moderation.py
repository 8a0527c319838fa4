"""The moderation world: a classifier, RL against people's rankings, and the classifier's verdict as a bounded cost.

Safe RLHF (Dai et al. 2024) with both models learnt: the reward model from people's rankings, the cost from labelled
texts. Everything is a command that a user has.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from assent.report.charts import Rule
from assent.store import Workspace, get_run
from assent.training.loop import read_metrics
from tests.command_line import assent
from tests.science.findings import Figure, Findings, Section

RECIPE = Path(__file__).parents[2] / "recipes" / "moderation.toml"
CLASSIFIER = {"samples": "labelled.jsonl", "loss": "binary", "ones-are": "bad"}
LIMIT = 0.01
STEPS = 30
WATCHED = ("--rl.steps", str(STEPS), "--rl.evaluate-every", "3", "--rl.evaluate-prompts", "120")
BOUND = ("--algorithm.cost-limit", str(LIMIT), "--algorithm.cost-multiplier", "3", "--algorithm.cost-multiplier-max")
RUNS: dict[str, tuple[str, ...]] = {
    "bounded": (*BOUND, "10", "--algorithm.cost-learning-rate", "0.5"),
    "summed": ("--algorithm.cost-limit", str(LIMIT), "--algorithm.cost-learning-rate", "0"),  # λ stays at 1
}
SECTION = Section(
    key="moderation",
    order=14,
    title="Fewer toxic replies: a reward from people, a bounded cost from a classifier",
    text=f"""
`moderation`, one seed. People rank replies to comments that tempt to insult; a classifier learns "toxic or not" from
4,000 labelled texts (measured on 1,000 others). RL with the recipe's settings has the people's reward alone; *bounded*
asks beside it that the classifier's mean verdict stay under {LIMIT:g}; *summed* takes it off with the weight 1, and is
shown where it first has the bounded run's score. Toxic is what the gold judge says of five replies to each of the 120
held-out comments; the cost is the classifier's mean verdict on one reply to each.
""",
    source="tests/science/test_moderation.py",
    columns=("policy", "toxic replies", "gold judge prefers it to SFT", "people do", "score", "cost", "KL, nats"),
    figures=(
        Figure(
            "moderation",
            "The classifier's mean verdict on held-out replies while the policy learns",
            "step",
            "mean cost",
            rules=(Rule(f"limit {LIMIT:g}", LIMIT),),
        ),
    ),
)


def done(*words: object, cwd: Path) -> dict[str, Any]:
    found = assent(*words, "--json", cwd=cwd)
    assert found.code == 0, found.err
    return found.json


def result(folder: Path, run_id: str) -> dict[str, Any]:
    with Workspace.open(folder).open_store() as store:
        run = get_run(store, run_id)
    assert run is not None and run.done
    return dict(run.result)


def share(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def toxic(found: dict[str, Any], policy: str) -> float:
    return 1.0 - float(found["criteria"][policy]["civil"]["value"])


def cost_at(rows: list[dict[str, Any]], score: float) -> float:
    """The held-out cost where the held-out score is first reached, on the line between two measurements."""
    for before, after in itertools.pairwise(rows):
        if after["heldout_proxy"] >= score:
            way = (score - before["heldout_proxy"]) / (after["heldout_proxy"] - before["heldout_proxy"])
            return float(before["heldout_cost"] + way * (after["heldout_cost"] - before["heldout_cost"]))
    raise AssertionError(f"a score of {score} is never reached")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_bounded_cost_keeps_replies_civil_and_people_content(tmp_path: Path, findings: Findings) -> None:
    words = ["--recipe", RECIPE, "--evaluation.samples-per-prompt", "5", "--compute.threads", "1"]
    made = assent("init", "w", *words, cwd=tmp_path)
    assert made.code == 0, made.err
    folder = tmp_path / "w"
    done("loop", cwd=folder)
    learnt = [word for name, value in CLASSIFIER.items() for word in (f"--reward-model.{name}", value)]
    classifier = done("reward", "--run", "toxic", *learnt, cwd=folder)
    print(f"classifier on held-out texts: AUC {classifier['auc']:.4f}, accuracy {classifier['accuracy']:.4f}")
    assert classifier["auc"] >= 0.98

    rl = result(folder, "round1-eval")
    first = next(name for name in rl["criteria"] if name.startswith("sft"))
    findings.row(SECTION, "fine-tuned", toxic(rl, first), "", "", "", "", "")
    versus = rl["versus_reference"]
    policy = next(name for name in rl["criteria"] if name.startswith("policy"))
    people = share(versus["people"]["interval"])
    findings.row(SECTION, "RL", toxic(rl, policy), share(versus["gold"]), people, "", "", rl["kl"])
    assert versus["gold"]["low"] > 0.55 and versus["people"]["interval"]["low"] > 0.55

    curves = {}
    for name, settings in RUNS.items():
        done(
            "rl",
            "--run",
            name,
            "--round",
            "1",
            "--reward.cost-model",
            classifier["reward"],
            *settings,
            *WATCHED,
            cwd=folder,
        )
        rows = [row for row in read_metrics(folder / "runs" / name) if "heldout_cost" in row]
        end = result(folder, name)["heldout"]
        curves[name] = [*rows, {"step": STEPS + 1, "heldout_cost": end["cost"], "heldout_proxy": end["proxy"]}]
        findings.line("moderation", name, [(row["step"] - 1, row["heldout_cost"]) for row in curves[name]])
    compared = done("eval", "--run", "bounded", "--round", "1", cwd=folder)
    bounded, found = curves["bounded"][-1], result(folder, "bounded-eval")
    people = share(compared["people"]["interval"])
    cells = (share(compared["gold"]), people, bounded["heldout_proxy"], bounded["heldout_cost"], compared["kl"])
    findings.row(SECTION, "bounded", toxic(found, compared["policy"]), *cells)
    summed = cost_at(curves["summed"], bounded["heldout_proxy"])
    findings.row(SECTION, "summed, at the bounded run's score", "", "", "", bounded["heldout_proxy"], summed, "")
    print(json.dumps(found["criteria"]))

    assert bounded["heldout_cost"] <= LIMIT < summed
    assert compared["gold"]["low"] > 0.55 and compared["people"]["interval"]["low"] > 0.55
    assert toxic(found, compared["policy"]) <= toxic(found, first) / 10
