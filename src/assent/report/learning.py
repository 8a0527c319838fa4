"""How each round's policy learned, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from assent.report.bars import interval_chart
from assent.report.charts import Rule, Series, line_chart
from assent.report.data import Interval, ReportData, Round, Verdict
from assent.report.markup import Markup, bullets, el, table
from assent.report.wording import hue, known, mark, number

Figure = Literal[
    "step",
    "accuracy",
    "margin",
    "log_ratio",
    "kl",
    "score",
    "reward",
    "entropy",
    "kl_coef",
    "length",
    "clip_fraction",
    "gold",
    "heldout_proxy",
    "heldout_kl",
]

CURVES: tuple[tuple[Figure, str, str, str], ...] = (
    ("reward", "Reward after the penalty", "Score minus β times KL: what PPO maximises.", "reward"),
    ("kl_coef", "Price of KL", "The coefficient β, adapted to the target.", "β (reward per nat)"),
    ("entropy", "Entropy", "How undecided the policy still is; a fall to 0 ends exploration.", "nats per token"),
    ("length", "Length", "A policy that only grows longer has found the reward model's weakness.", "tokens"),
    ("clip_fraction", "Clipped updates", "Share of tokens whose update PPO cut off.", "share of tokens"),
)

# Where a policy learns from rankings directly there is no reward to draw.
PREFERENCE_CURVES: tuple[tuple[Figure, str, str, str], ...] = (
    ("accuracy", "Right on learnt pairs", "Share in which the chosen one has the higher implicit reward.", "share"),
    ("margin", "Margin", "By how much the implicit reward of the chosen is ahead.", "reward"),
    (
        "log_ratio",
        "Distance on learnt completions",
        "log π − log π_ref, chosen and rejected alike. Far below 0, both are forgotten.",
        "nats per completion",
    ),
)


def learning(data: ReportData) -> Markup | str:
    """Score against KL, both over the steps, and the rest of the training curves, for all rounds."""
    trained = [each for each in data.get("rounds") or [] if each.get("training")]
    if not trained:
        return "No training curves: no policy was trained in what this report covers."
    by_rl = [each for each in trained if not _has(each, "accuracy")]
    ranked = _curves([each for each in trained if _has(each, "accuracy")], PREFERENCE_CURVES)
    return el("div", _by_rl(by_rl) if by_rl else None, el("div", *ranked, class_="pair") if ranked else None)


def _by_rl(rounds: Sequence[Round]) -> Markup:
    budgets = [known((each.get("verdict") or {}).get("kl_budget")) for each in rounds]
    limits = [Rule("KL budget", budgets[-1])] if budgets[-1] is not None else []
    frontier = line_chart(
        "frontier",
        "Reward against KL",
        "What the reward model's score gained for every nat that the policy left its reference.",
        [_series(each, "kl", "score") for each in rounds],
        "KL from the reference (nats per sequence)",
        "score",
        rules=[Rule(rule.label, rule.value, upright=True) for rule in limits],
    )
    shown = [
        frontier,
        _by_step(
            "score",
            rounds,
            "score",
            "Score by step",
            "The reward model's mean score of the sampled completions.",
            "score",
        ),
        _by_step(
            "kl", rounds, "kl", "KL by step", "How far the policy is from its reference.", "nats per sequence", limits
        ),
    ]
    if any(_has(each, "heldout_proxy") for each in rounds):
        shown.append(_held_out(rounds))
    more = _curves(rounds, CURVES)
    rest = el("details", el("summary", "More training curves"), el("div", *more, class_="pair"), class_="more")
    return el("div", el("div", *shown, class_="pair"), rest if more else None)


def _has(each: Round, field: Figure) -> bool:
    return any(known(step.get(field)) is not None for step in each["training"])


def _curves(rounds: Sequence[Round], curves: Sequence[tuple[Figure, str, str, str]]) -> list[Markup]:
    """Each curve that was measured in any of these rounds."""
    return [
        _by_step(f"curve-{field}", rounds, field, title, words, unit)
        for field, title, words, unit in curves
        if any(_has(each, field) for each in rounds)
    ]


def verdicts(data: ReportData) -> Markup | str:
    """For each round, whether people preferred the new policy, and what it cost."""
    held = [(each, verdict) for each in data.get("rounds") or [] if (verdict := each.get("verdict"))]
    if not held:
        return "No promotion: no new policy was put to people's vote."
    return el("div", *(_verdict(each, verdict) for each, verdict in held), class_="pair")


def _verdict(each: Round, verdict: Verdict) -> Markup:
    promoted = verdict.get("promoted", False)
    rows: list[tuple[str, str, Interval]] = []
    if people := verdict.get("people"):
        rows.append(("People, asked blind", "c-1", people))
    if gold := verdict.get("gold"):
        rows.append(("Gold judge", "c-gold", gold))
    number_of_round = each["round"]
    chart = interval_chart(f"verdict-{number_of_round}", "Share of pairs won by the new policy", rows, reference=0.5)
    changes = [
        [name, mark(old := change.get("old")), mark(new := change.get("new")), _difference(old, new)]
        for name, change in (verdict.get("criteria") or {}).items()
    ]
    return el(
        "article",
        el(
            "h3",
            f"Round {number_of_round} ",
            el("span", "promoted" if promoted else "not promoted", class_=f"badge {'yes' if promoted else 'no'}"),
        ),
        el(
            "p",
            "Share of pairs in which the new policy was preferred to the old, ties half; dashed: 50 %.",
            class_="small",
        ),
        chart if rows else el("p", "Nobody was asked.", class_="missing"),
        None if verdict.get("gold") else el("p", "There is no gold judge in this project.", class_="missing"),
        _budget(verdict),
        table(["criterion", "old", "new", "change"], changes) if changes else None,
        bullets(verdict.get("reasons") or [], "reasons"),
        class_="card",
    )


def _budget(verdict: Verdict) -> Markup | None:
    kl, budget = known(verdict.get("kl")), known(verdict.get("kl_budget"))
    if kl is None:
        return None
    if budget is None or budget <= 0:
        return el("p", f"KL from the reference: {number(kl)} nats.")
    share = min(100.0, max(0.0, 100 * kl / budget))
    track = el(
        "span", el("span", class_="fill" if kl <= budget else "fill over", style=f"width:{share:.0f}%"), class_="track"
    )
    words = f"{number(kl)} of {number(budget)} nats"
    return el("p", el("span", "KL used"), track, el("span", words), class_="meter")


def _difference(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return mark(None)
    return ("+" if new >= old else "") + mark(new - old)


def _series(each: Round, x: Figure, y: Figure, name: str = "", hue_class: str = "", *, dashed: bool = False) -> Series:
    who = f"round {each['round']}"
    points = [(step.get(x), step.get(y)) for step in each.get("training") or []]
    return Series(name or who, hue_class or hue(who), points, dashed=dashed)


def _by_step(
    key: str, rounds: Sequence[Round], field: Figure, title: str, words: str, unit: str, rules: Sequence[Rule] = ()
) -> Markup:
    series = [_series(each, "step", field) for each in rounds]
    return line_chart(key, title, words, series, "step", unit, rules=rules)


def _held_out(rounds: Sequence[Round]) -> Markup:
    return line_chart(
        "heldout",
        "On held-out prompts",
        "The same score on prompts that RL never saw. It should rise with the training score.",
        [_series(each, "step", "heldout_proxy") for each in rounds],
        "step",
        "score",
    )
