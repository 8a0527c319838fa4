"""Curves of a run: which figures belong together, what each means, and the limits drawn across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assent.report.wording import known
from assent.store import Run, Store, get_run
from assent.store.run_files import Course, Figures
from assent.web.admin.drawing import Series, lines

Level = tuple[str, str, float]
Levels = Mapping[str, Sequence[Level]]
# (title, what it means, unit, figures drawn together with their names)
Chart = tuple[str, str, str, tuple[tuple[str, str], ...]]
RL: tuple[Chart, ...] = (
    (
        "Score",
        "The reward model's mean score of what the policy writes; on prompts that RL never sees it should rise too.",
        "score",
        (("score", "training prompts"), ("heldout_proxy", "held-out prompts")),
    ),
    (
        "KL from the reference",
        "How far the policy has moved away from where it began.",
        "nats per sequence",
        (("kl", "training prompts"), ("heldout_kl", "held-out prompts")),
    ),
    ("Gold judge", "What the score stands in for, where a gold judge is known.", "mark", (("heldout_gold", "gold"),)),
    (
        "Entropy",
        "How undecided the policy still is; a fall to 0 ends exploration.",
        "nats per token",
        (("entropy", ""),),
    ),
    (
        "Length",
        "A policy that only grows longer has found the reward model's weakness.",
        "tokens",
        (("length", "training prompts"), ("heldout_length", "held-out prompts")),
    ),
    ("Reward after the penalty", "Score minus β times KL: what RL maximises.", "reward", (("reward", ""),)),
    ("Price of KL", "The coefficient β, adapted to its target.", "β (reward per nat)", (("kl_coef", ""),)),
)
LANGUAGE: tuple[Chart, ...] = (
    (
        "Loss",
        "Cross-entropy of the next token.",
        "nats per token",
        (("loss", "training"), ("heldout_loss", "held out")),
    ),
)
REWARD: tuple[Chart, ...] = (
    (
        "Right on pairs",
        "Share of the pairs in a step's batch that the reward model orders as people did. How often two people agree "
        "with each other is the ceiling: about as much as can be expected of it.",
        "share",
        (("accuracy", "batch"),),
    ),
    ("Loss", "Of the preferences, in a step's batch.", "nats per pair", (("loss", ""),)),
)
RANKED: tuple[Chart, ...] = (
    ("Right on learnt pairs", "The chosen one has the higher implicit reward.", "share", (("accuracy", ""),)),
    ("Margin", "By how much the implicit reward of the chosen is ahead.", "reward", (("margin", ""),)),
    ("Loss", "Of the preferences.", "nats per pair", (("loss", ""),)),
)
BY_KIND: Mapping[str, tuple[Chart, ...]] = {
    "rl": RL,
    "pretrain": LANGUAGE,
    "sft": LANGUAGE,
    "reward": REWARD,
    "preference": RANKED,
}


@dataclass(frozen=True)
class Curves:
    """Charts of a run, and how far it is."""

    main: tuple[Markup, ...]
    more: tuple[Markup, ...]
    step: int
    steps: int | None

    @property
    def share(self) -> float | None:
        """In [0, 1]; None where it is not known how many steps there will be."""
        return min(1.0, self.step / self.steps) if self.steps else None


def curves_of(kind: str, courses: Sequence[Course], levels: Levels, steps: int | None = None) -> Curves:
    """The curves of a run of this kind.

    Args:
        kind: of the run.
        courses: its figures by step.
        levels: what to hold them against, by the title of the chart: (name, hue, value) each.
        steps: how many it will take.
    """
    named = [(course.name, course.figures) for course in courses if course.figures]
    charts = BY_KIND.get(kind, ())
    main = [_chart(chart, named, levels.get(chart[0], ())) for chart in charts if _has(chart, named)]
    known = {figure for chart in charts for figure, _ in chart[3]} | {"step"}
    rest = dict.fromkeys(name for _, figures in named for row in figures for name in row if name not in known)
    more = [_chart((name.replace("_", " "), "", name, ((name, ""),)), named, ()) for name in rest]
    step = max((int(figures[-1].get("step", 0)) for _, figures in named), default=0)
    if not main and more:
        main, more = more, []
    return Curves(tuple(main), tuple(more), step, steps)


def levels_of(store: Store, run: Run) -> Levels:
    """What a run's charts are held against: for a reward model, people's agreement and its own held-out accuracy."""
    if run.kind == "rl":
        target = run.settings.get("algorithm", {}).get("kl_target")
        return {"KL from the reference": [("target", "c-base", float(target))]} if known(target) is not None else {}
    if run.kind != "reward":
        return {}
    health = get_run(store, f"{run.id.removesuffix('-reward')}-health") or get_run(store, f"{run.id}-health")
    found = []
    for key, words, hue in (("ceiling", "two people agree", "c-gold"), ("accuracy", "on held-out pairs", "c-2")):
        each = None if health is None else health.result.get(key)
        value = known(each.get("value")) if isinstance(each, dict) else None
        if value is not None:
            found.append((f"{words}: {100 * value:.1f} %", hue, value))
    return {"Right on pairs": found}


def _has(chart: Chart, named: Sequence[tuple[str, Figures]]) -> bool:
    return any(figure in row for figure, _ in chart[3] for _, figures in named for row in figures)


def _chart(chart: Chart, named: Sequence[tuple[str, Figures]], levels: Sequence[Level]) -> Markup:
    title, words, unit, drawn = chart
    series = [
        Series(
            " · ".join(filter(None, (course, name))) or title,
            f"c-{(place * len(drawn) + number) % 6 + 1}",
            [(row.get("step"), row[figure]) for row in figures if figure in row],
        )
        for place, (course, figures) in enumerate(named)
        for number, (figure, name) in enumerate(drawn)
    ]
    steps = [row["step"] for _, figures in named for row in figures if "step" in row]
    ends = (min(steps, default=0), max(steps, default=1))
    series += [Series(name, hue, [(step, value) for step in ends], dashed=True) for name, hue, value in levels]
    key = "curve-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return lines(key, title[0].upper() + title[1:], words, series, "step", unit)
