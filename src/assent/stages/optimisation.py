"""The over-optimisation panel: proxy and gold as KL grows, with the KL penalty and without it, from real runs."""

from __future__ import annotations

from collections.abc import Sequence

from assent.evaluation import OptimisationPoint, summarise_over_optimisation
from assent.report.data import OverOptimisation, ProxyGoldStep
from assent.report.wording import known, number
from assent.stages.project import Project
from assent.store import Run, get_run
from assent.training.loop import read_metrics

PENALISED, UNPENALISED = "round1-rl", "round1-unpenalised"
NOISE = 0.01  # of a mark: a smaller fall of gold is not called over-optimisation


def over_optimisation(project: Project) -> OverOptimisation | None:
    """The held-out figures of both runs; None if neither was measured."""
    penalised, unpenalised = (held_out_steps(project, name) for name in (PENALISED, UNPENALISED))
    if not penalised and not unpenalised:
        return None
    return {"penalised": penalised, "unpenalised": unpenalised, "summary": _summary(penalised, unpenalised)}


def held_out_steps(project: Project, run_id: str) -> list[ProxyGoldStep]:
    """What was measured on held-out prompts before step 0, during RL, and after the last step."""
    run = get_run(project.store, run_id)
    if run is None:
        return []
    steps: list[ProxyGoldStep] = []
    rows = read_metrics(project.run_dir(run_id))
    for row in rows:
        if "heldout_proxy" in row and "heldout_kl" in row:
            steps.append(
                _step(
                    int(row["step"]) - 1,
                    {k.removeprefix("heldout_"): v for k, v in row.items() if k.startswith("heldout_")},
                )
            )
    if final := final_figures(run):
        steps.append(_step(len(rows), final))
    return steps


def final_figures(run: Run | None) -> dict[str, float]:
    """Proxy, KL, and gold where there is a judge, of the finished policy on held-out prompts; empty before the end."""
    if run is None or not run.done:
        return {}
    return {name: float(value) for name, value in run.result.get("heldout", {}).items()}


def _step(step: int, figures: dict[str, float]) -> ProxyGoldStep:
    return {"step": step, "kl": figures.get("kl"), "proxy": figures.get("proxy"), "gold": figures.get("gold")}


def _summary(penalised: Sequence[ProxyGoldStep], unpenalised: Sequence[ProxyGoldStep]) -> str:
    told = ((penalised, "With the KL penalty"), (unpenalised, "Without it" if penalised else "Without the KL penalty"))
    return " ".join(filter(None, (_sentence(words, steps) for steps, words in told)))


def _sentence(words: str, steps: Sequence[ProxyGoldStep]) -> str:
    points = [point for step in steps if (point := _point(step)) is not None]
    if len(points) < 2:
        return ""
    found, start = summarise_over_optimisation(points, NOISE), points[0]
    rise = f"{words} the reward model's score went from {number(start.proxy)} to {number(found.proxy_end)}"
    fall = f"the gold judge's mark from {number(start.gold)} to {number(found.gold_end)} at {number(found.kl_end)} nats"
    if not found.over_optimised:
        return f"{rise} and {fall}."
    peak = f"its best was {number(found.gold_peak)} at {number(found.kl_at_peak)} nats"
    return f"{rise}, but {fall}; {peak}: from there on the policy learnt the reward model's mistakes."


def _point(step: ProxyGoldStep) -> OptimisationPoint | None:
    """None where something was not measured, or is no finite number."""
    kl, proxy, gold = known(step.get("kl")), known(step.get("proxy")), known(step.get("gold"))
    return None if kl is None or proxy is None or gold is None else OptimisationPoint(kl, proxy, gold)
