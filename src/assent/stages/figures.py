"""The figures of the loop, read back from the store and the runs: the summary for scripts, and the report's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from assent.config import dump_settings
from assent.report.data import Headline, Health, Interval, ReportData, Round, TrainingStep, Verdict
from assent.report.wording import number, percent, percent_interval
from assent.stages.optimisation import PENALISED, UNPENALISED, final_figures, over_optimisation
from assent.stages.project import Project
from assent.stages.provenance import lineage
from assent.stages.rounds import (
    RoundRuns,
    Standing,
    health_of,
    interval,
    measured_round,
    rounds_so_far,
    standing,
    unmeasured,
)
from assent.stages.samples import samples
from assent.store import counts, get_run, list_people, rankings
from assent.training.loop import read_metrics
from assent.types.feedback import CRITERIA, PersonKind, marks_in_order

PREFERENCE_FIGURES = ("accuracy", "margin", "log_ratio")
STEP_FIGURES = ("kl", "score", "reward", "entropy", "kl_coef", "length", "clip_fraction", "heldout_proxy", "heldout_kl")


def summary(project: Project, outcome: Standing | None = None) -> dict[str, Any]:
    """The loop in a few figures, as JSON values; None for what is not there (yet).

    Win rates, KL and criteria are those of the policy in service against the initial one, on held-out prompts; while
    none was promoted, of the last round's. `measured` says of which round they are, and whether it was promoted.
    """
    rounds, stood = rounds_so_far(project), standing(project, outcome)
    final = measured_round(rounds, stood.policy)
    result = final.result("eval") if final else {}
    health = _last_health(project, rounds)
    versus = result.get("versus_reference", {})
    sampled = [each.runs["sample"].id for each in rounds if "sample" in each.runs]
    return {
        "gold_win_rate": interval(versus.get("gold")),
        "people_win_rate": interval(versus.get("people")),
        "kl": result.get("kl"),
        "measured": None if final is None else {"round": final.number, "promoted": bool(final.promoted)},
        "criteria": _mean_criteria(stood, final),
        "rm_accuracy": _value(health.get("accuracy")),
        "rm_ceiling": _value(health.get("ceiling")),
        "rankings_per_round": [counts(project.store, [run]).submitted for run in sampled],
        "comparisons_per_round": [
            sum(len(ranking.comparisons()) for ranking in rankings(project.store, [run])) for run in sampled
        ],
        "unpenalised": _final(project, UNPENALISED),
        "penalised": _final(project, PENALISED),
        "promoted": [each.promoted for each in rounds],
    }


def report_data(project: Project, outcome: Standing | None = None) -> ReportData:
    """Everything the report can show of the loop so far."""
    rounds, stood = rounds_so_far(project), standing(project, outcome)
    held = list_people(project.store)
    data: ReportData = {
        "title": f"RLHF on {_subject(project)}",
        "subtitle": _subtitle(rounds),
        "workspace": str(project.workspace.path),
        "finished": project.store.now().isoformat(timespec="seconds"),
        "simulated": any(person.kind is PersonKind.SIMULATED for person in held),
        "settings_toml": dump_settings(project.settings),
        "headline": _headline(project, summary(project, outcome)),
        "criteria": _criteria(rounds, stood),
        "rounds": [_round(project, each) for each in rounds],
        "over_optimisation": over_optimisation(project),
        "samples": samples(project, rounds, stood),
        "lineage": lineage(project, rounds),
        "notes": [*_notes(project), *unmeasured(project, rounds)],
    }
    return data


def _subject(project: Project) -> str:
    settings = project.settings
    return settings.task or settings.rl.environment or settings.model.path or project.workspace.path.name


def _last_health(project: Project, rounds: Sequence[RoundRuns]) -> dict[str, Any]:
    found = [health for each in rounds if (health := health_of(project, each))]
    return found[-1] if found else {}


def _value(found: Mapping[str, Any] | None) -> float | None:
    return None if not found else float(found["value"])


def _final(project: Project, run_id: str) -> dict[str, float | None]:
    figures = final_figures(get_run(project.store, run_id))
    return {name: figures.get(name) for name in ("gold", "proxy", "kl")}


def _marks_of(each: RoundRuns | None, policy: str) -> dict[str, Any]:
    """The gold judge's marks of a policy in a round's evaluation: intervals by criterion."""
    return {} if each is None else dict(each.result("eval").get("criteria", {}).get(policy, {}))


def _mean_criteria(stood: Standing, final: RoundRuns | None) -> dict[str, dict[str, float | None]]:
    """Mean marks of base, SFT and the new policy, from one and the same evaluation."""
    new = "" if final is None else final.input("eval", "new") or ""
    chosen = {"base": (final, stood.base), "sft": (final, stood.initial), "rlhf": (final, new)}
    found = {who: _marks_of(each, policy) for who, (each, policy) in chosen.items()}
    names = marks_in_order(name for marks in found.values() for name in marks) or [*CRITERIA, "fluency", "overall"]
    return {who: {name: _value(marks.get(name)) for name in names} for who, marks in found.items()}


def _criteria(rounds: Sequence[RoundRuns], stood: Standing) -> dict[str, dict[str, Interval]]:
    measured = [each for each in rounds if each.promoted is not None]
    if not measured:
        return {}
    chosen = {"base": (measured[-1], stood.base)}
    if stood.initial != stood.base:
        chosen["sft"] = (measured[-1], stood.initial)
    chosen |= {f"round {each.number}": (each, each.input("eval", "new") or "") for each in measured}
    found = {who: _marks_of(each, policy) for who, (each, policy) in chosen.items()}
    return {
        who: {name: mark for name in marks_in_order(marks) if (mark := interval(marks.get(name)))}
        for who, marks in found.items()
        if marks
    }


def _round(project: Project, each: RoundRuns) -> Round:
    health, verdict = health_of(project, each), each.result("eval").get("verdict")
    shown: Round = {
        "round": each.number,
        "agreement": interval((each.result("health") or health).get("ceiling")),
        "health": _health(health, forced="rl" in each.runs) if health else None,
        "training": _training(project, each),
        "verdict": _verdict(verdict) if verdict else None,
    }
    if "sample" in each.runs:
        shown["judgements"] = counts(project.store, [each.runs["sample"].id]).submitted
    return shown


def _health(found: Mapping[str, Any], forced: bool) -> Health:
    return {
        "healthy": found["healthy"],
        "reasons": list(found["reasons"]),
        "notes": list(found["notes"]),
        "forced": forced and not found["healthy"],
        "accuracy": interval(found["accuracy"]),
        "ceiling": interval(found["ceiling"]),
        "calibration": [
            {"predicted": each["predicted"], "observed": each["observed"], "pairs": each["pairs"]}
            for each in found["calibration"]
        ],
        "calibration_error": found["calibration_error"],
        "length_correlation": found["length_correlation"],
        "length_correlation_before": found.get("length_correlation_before"),
        "score_differences": dict(found["score_differences"]),
        "pairs": found["pairs"],
    }


def _training(project: Project, each: RoundRuns) -> list[TrainingStep]:
    """The figures by step of what made the round's policy; steps that were skipped have none."""
    work = next((work for work in ("rl", "preference") if work in each.runs), None)
    if work is None:
        return []
    steps, names = [], STEP_FIGURES if work == "rl" else PREFERENCE_FIGURES
    for row in read_metrics(project.run_dir(each.runs[work].id)):
        figures: dict[str, Any] = {name: row[name] for name in names if name in row}
        if "heldout_gold" in row:
            figures["gold"] = row["heldout_gold"]
        steps.append(cast(TrainingStep, {"step": int(row["step"]), **figures}))
    return steps


def _verdict(found: Mapping[str, Any]) -> Verdict:
    return {
        "promoted": found["promoted"],
        "reasons": list(found["reasons"]),
        "people": interval(found["people"]),
        "gold": interval(found["gold"]),
        "kl": found["kl"],
        "kl_budget": found["kl_budget"],
        "criteria": {name: {"old": means["old"], "new": means["new"]} for name, means in found["criteria"].items()},
    }


def _headline(project: Project, figures: Mapping[str, Any]) -> list[Headline]:
    """The tiles: what people and the gold judge prefer, what it cost, and what it rests on."""
    tiles: list[Headline] = []
    who = "simulated people" if project.settings.people.kind == "simulated" else "people"
    judge = "the gold judge" if project.marks is not None else "the scoring function"
    if project.environment is not None:
        judge = "what the environment pays"
    measured = figures["measured"]
    not_promoted = f"; of round {measured['round']}, not promoted" if measured and not measured["promoted"] else ""
    for key, name in (("people_win_rate", who), ("gold_win_rate", judge)):
        if found := figures[key]:
            tiles.append(
                {
                    "label": f"Preferred by {name}",
                    "value": percent(found["value"]),
                    "detail": f"of pairs against the first policy; 95 % interval {percent_interval(found)}"
                    + not_promoted,
                    "good": found["low"] > 0.5,
                }
            )
    if figures["kl"] is not None:
        budget = project.settings.loop.kl_budget
        detail = f"per sequence from the reference; the budget is {number(budget)}{not_promoted}"
        tiles.append(
            {"label": "KL", "value": f"{number(figures['kl'])} nats", "detail": detail, "good": figures["kl"] <= budget}
        )
    if (accuracy := figures["rm_accuracy"]) is not None:
        ceiling = figures["rm_ceiling"]
        beside = (
            "no pair was judged twice" if ceiling is None else f"people agree with one another in {percent(ceiling)}"
        )
        tiles.append(
            {"label": "Reward model's accuracy", "value": percent(accuracy), "detail": f"on held-out pairs; {beside}"}
        )
    if asked := figures["rankings_per_round"]:
        rounds = f"in {len(asked)} rounds" if len(asked) > 1 else "in one round"
        tiles.append({"label": "Rankings", "value": number(sum(asked)), "detail": f"by {who} {rounds}"})
    return tiles


def _subtitle(rounds: Sequence[RoundRuns]) -> str:
    verdicts = [each.promoted for each in rounds]
    if not verdicts:
        return "The loop has not begun."
    words = {True: "promoted", False: "not promoted", None: "under way"}
    return "; ".join(f"round {each.number} {words[each.promoted]}" for each in rounds)


def _notes(project: Project) -> list[str]:
    notes = []
    if project.marks is None:
        notes.append("There is no gold judge in this project: no mark by criterion was measured.")
    if project.settings.reward.function is not None:
        notes.append(f"Scores come from {project.settings.reward.function}, not from a reward model.")
    if project.settings.loop.improve == "preference":
        source = project.settings.preference.comparisons or "people's rankings"
        notes.append(f"Policies learn from {source} directly ({project.settings.preference.type}): no reward model.")
    if project.settings.rl.environment is not None:
        notes.append(
            f"What is paid in the environment {project.settings.rl.environment} takes the place of all scores."
        )
    return notes
