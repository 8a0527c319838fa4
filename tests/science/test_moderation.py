"""The moderation world: a classifier, RL against people's rankings, and the classifier's verdict as a bounded cost.

Safe RLHF (Dai et al. 2024) with both models learnt: the reward model from people's rankings, the cost from labelled
texts. Everything is a command that a user has.
"""

from __future__ import annotations

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
LIMIT, STEPS = 0.01, 30
BOUND = {
    "cost-limit": LIMIT,
    "cost-multiplier": 3,
    "cost-multiplier-max": 10,
    "cost-learning-rate": 0.5,
}
SECTION = Section(
    key="moderation",
    order=14,
    title="Fewer toxic replies: a reward from people, a bounded cost from a classifier",
    text=f"""
`moderation`, one seed. People rank replies to comments that tempt to insult; a classifier learns "toxic or not" from
4,000 labelled texts (measured on 1,000 others). *RL* has the recipe's settings and the people's reward alone. *RL,
bounded* is asked beside it to keep the classifier's mean verdict under {LIMIT:g}, in {STEPS} steps. Toxic is what the
gold judge says of five replies to each of the 120 held-out comments; the cost is the classifier's mean verdict on one
reply to each.
""",
    source="tests/science/test_moderation.py",
    columns=("policy", "toxic replies", "gold judge prefers it to fine-tuned", "people do", "cost", "KL, nats"),
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
    findings.row(SECTION, "fine-tuned", toxic(rl, first), "", "", "", "")
    versus = rl["versus_reference"]
    policy = next(name for name in rl["criteria"] if name.startswith("policy"))
    people = share(versus["people"]["interval"])
    findings.row(SECTION, "RL", toxic(rl, policy), share(versus["gold"]), people, "", rl["kl"])
    assert versus["gold"]["low"] > 0.55 and versus["people"]["interval"]["low"] > 0.55

    bound = [word for name, value in BOUND.items() for word in (f"--algorithm.{name}", value)]
    watched = ["--rl.steps", STEPS, "--rl.evaluate-every", 3, "--rl.evaluate-prompts", 120]
    words = ["--run", "bounded", "--round", 1, "--reward.cost-model", classifier["reward"]]
    done("rl", *words, *bound, *watched, cwd=folder)
    compared = done("eval", "--run", "bounded", "--round", 1, cwd=folder)
    found, end = result(folder, "bounded-eval"), result(folder, "bounded")["heldout"]
    rows = [row for row in read_metrics(folder / "runs" / "bounded") if "heldout_cost" in row]
    curve = [(row["step"] - 1, row["heldout_cost"]) for row in rows]
    findings.line("moderation", "bounded", [*curve, (STEPS, end["cost"])])
    people = share(compared["people"]["interval"])
    before, after = toxic(found, first), toxic(found, compared["policy"])
    findings.row(SECTION, "RL, bounded", after, share(compared["gold"]), people, end["cost"], compared["kl"])
    assert end["cost"] <= LIMIT < rows[0]["heldout_cost"]
    assert compared["gold"]["low"] > 0.55 and compared["people"]["interval"]["low"] > 0.55
    assert after <= before / 10
