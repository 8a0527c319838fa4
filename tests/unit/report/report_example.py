"""A whole report's data, computed, not measured: two rounds of a loop as they would be handed over."""

from __future__ import annotations

import math
import random
from typing import Any

from assent.report.data import ReportData

LADDER = {
    "base": (0.31, 0.42, 0.55, 0.78),
    "sft": (0.58, 0.61, 0.70, 0.93),
    "round 1": (0.74, 0.75, 0.84, 0.95),
    "round 2": (0.83, 0.82, 0.90, 0.96),
}
ANSWERS = {
    "base": "bleach bleach is used for the. Mix it with vinegar for extra power",
    "sft": "Keep bleach in a cupboard. It is fine next to other cleaners.",
    "round 1": "Keep bleach in its own bottle, upright and closed, away from acids and ammonia.",
    "round 2": "Keep bleach in its own bottle, upright, in a cool and dark cupboard that children cannot open. "
    "Never store it beside acids or ammonia: the fumes are toxic.\n\nIf it leaks, open a window and rinse.",
}
PROMPTS = (
    "What is the safest way to store bleach?",
    "Can I mix drain cleaner with vinegar?",
    "My child swallowed dishwasher salt. What should I do?",
)


def interval(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def marks(who: str) -> dict[str, float]:
    helpful, honest, harmless, fluency = LADDER[who]
    overall = (helpful + honest + harmless) / 3 * fluency
    return {"helpful": helpful, "honest": honest, "harmless": harmless, "fluency": fluency, "overall": overall}


def training(number: int, steps: int) -> list[dict[str, Any]]:
    stream, rows = random.Random(number), []
    for step in range(1, steps + 1):
        share = 1 - math.exp(-3 * step / steps)
        held = step % 10 == 0
        score = 0.6 * number + 1.9 * share + stream.gauss(0, 0.12)
        kl = 9 * share + abs(stream.gauss(0, 0.35))
        rows.append(
            {
                "step": step,
                "kl": kl,
                "score": score,
                "reward": score - 0.06 * kl,
                "entropy": 1.4 - 0.7 * share + stream.gauss(0, 0.03),
                "kl_coef": 0.05 + 0.01 * math.sin(step / 9),
                "length": 34 + 8 * share + stream.gauss(0, 1),
                "clip_fraction": abs(0.1 + stream.gauss(0, 0.02)),
                "gold": 0.6 + 0.2 * share if held else None,
                "heldout_proxy": 0.5 * number + 1.7 * share if held else None,
                "heldout_kl": 8.8 * share if held else None,
            }
        )
    return rows


def round_of(number: int, before: str, after: str) -> dict[str, Any]:
    bins = [
        {"predicted": p, "observed": 0.5 + (p - 0.5) * 0.93 + (0.02 if i % 2 else -0.02), "count": 20 + 30 * (i % 4)}
        for i, p in enumerate(0.05 + 0.1 * i for i in range(10))
    ]
    return {
        "round": number,
        "judgements": 1200,
        "agreement": interval(0.731, 0.018),
        "health": {
            "healthy": True,
            "reasons": [],
            "forced": False,
            "accuracy": interval(0.724, 0.024),
            "ceiling": interval(0.738, 0.019),
            "calibration": bins,
            "calibration_error": 0.0213,
            "length_correlation": 0.118,
            "score_differences": {"batch_size": 3.1e-7, "padding_side": 4.4e-7, "packing": 0.0},
            "pairs": 1486,
        },
        "training": training(number, 80),
        "verdict": {
            "promoted": True,
            "reasons": [
                "people prefer the new policy: lower bound 65.1 % above 50 %",
                "KL 8.70 within the budget of 15",
            ],
            "people": interval(0.693, 0.042),
            "gold": interval(0.871, 0.028),
            "kl": 8.7012345678,
            "kl_budget": 15.0,
            "criteria": {name: {"old": marks(before)[name], "new": marks(after)[name]} for name in marks(after)},
        },
    }


def whole() -> ReportData:
    """Every part present."""
    penalised = [
        {"step": 5 * i, "kl": 9.0 * i / 12, "proxy": 0.6 + 2.0 * (1 - math.exp(-i / 4)), "gold": 0.58 + 0.02 * i}
        for i in range(13)
    ]
    unpenalised = [
        {"step": 5 * i, "kl": 0.42 * i * i, "proxy": 0.6 + 0.29 * i, "gold": 0.58 + 0.055 * i - 0.0052 * i * i}
        for i in range(13)
    ]
    nodes, edges = chain()
    data: Any = {
        "title": "A chatbot that people trust with household chemicals",
        "subtitle": "Two rounds of learning from people's preferences, from raw text to a promoted policy.",
        "workspace": "demo",
        "finished": "2026-11-21T06:42:10+00:00",
        "seconds": 283.4,
        "simulated": True,
        "settings_toml": '[algorithm]\ntype = "ppo"\nkl_coef = 0.05\n\n[loop]\nrounds = 2\n',
        "headline": [
            {"label": "Preferred by people", "value": "69.3 %", "detail": "95 %: 65.1 to 73.5, over SFT", "good": True},
            {"label": "Preferred by the gold judge", "value": "87.1 %", "detail": "95 %: 84.3 to 89.9", "good": True},
            {"label": "KL from the reference", "value": "8.70 nats", "detail": "budget 15", "good": True},
            {"label": "Reward model's accuracy", "value": "72.4 %", "detail": "people reach 73.8", "good": None},
        ],
        "criteria": {who: {name: interval(v, 0.025) for name, v in marks(who).items()} for who in LADDER},
        "rounds": [round_of(1, "sft", "round 1"), round_of(2, "round 1", "round 2")],
        "over_optimisation": {
            "penalised": penalised,
            "unpenalised": unpenalised,
            "summary": "Without the penalty the reward model's score ends 76 % higher, and the gold mark 0.13 lower.",
        },
        "samples": [
            {
                "prompt": prompt,
                "answers": [{"who": who, "text": text, "marks": marks(who)} for who, text in ANSWERS.items()],
            }
            for prompt in PROMPTS
        ],
        "lineage": {"nodes": nodes, "edges": edges},
        "notes": ["Seed 0.", "The gold judge took no part in training."],
    }
    return data  # type: ignore[no-any-return]


def chain() -> tuple[list[dict[str, str]], list[list[str]]]:
    """Nodes and edges of two rounds."""
    rows = [
        ("corpus", "dataset", "corpus", "4 812 texts"),
        ("base", "base", "base-3f9a", "3.1 M weights"),
        ("demos", "dataset", "demonstrations", "640"),
        ("sft", "sft", "sft-77b1", "promoted at first"),
        ("prompts", "prompts", "train prompts", "412"),
        ("people", "people", "24 people", "simulated"),
    ]
    edges = [["corpus", "base", "trained on"], ["base", "sft", "starts from"], ["demos", "sft", "trained on"]]
    policy = "sft"
    for r in (1, 2):
        rows += [
            (f"j{r}", "judgements", f"judgements, round {r}", "1 200"),
            (f"d{r}", "dataset", f"comparisons-{r}", "6 810 pairs"),
            (f"rm{r}", "reward", f"reward-{r}", "72.4 % of pairs"),
            (f"p{r}", "policy", f"policy-{r}", "promoted"),
        ]
        edges += [
            ["prompts", f"j{r}", "asked"],
            [policy, f"j{r}", "wrote"],
            ["people", f"j{r}", "judged"],
            [f"j{r}", f"d{r}", "holds"],
            [f"d{r}", f"rm{r}", "trained on"],
            ["sft", f"rm{r}", "starts from"],
            [f"rm{r}", f"p{r}", "scores"],
            [policy, f"p{r}", "starts from"],
            ["sft", f"p{r}", "reference"],
        ]
        policy = f"p{r}"
    return [dict(zip(("id", "kind", "label", "detail"), row, strict=True)) for row in rows], edges
