"""How an answer is put together from pieces: plans, and the mixes of plans that different writers follow."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from assent.tasks.household.facts import AVOID, CLASSES
from assent.tasks.household.pieces import (
    PIECES,
    Piece,
    Role,
    caveat_piece,
    core_piece,
    fill,
    fitting,
    hazard_of,
)
from assent.types.messages import Prompt


@dataclass(frozen=True)
class Plan:
    """What an answer will contain. `core` is right, wrong, vague, evasive, danger or none."""

    core: str = "right"
    reason: str = "right"  # right, wrong or none
    caveat: bool = True
    hedge: bool = True
    closing: bool = False
    fillers: int = 0
    rude: bool = False
    assurance: bool = False
    named: bool = True  # the core names the item instead of saying "it"


@dataclass(frozen=True)
class Mix:
    """A kind of writer: how likely each part of a plan is. The weights of `core` sum to one."""

    core: tuple[tuple[str, float], ...]
    reason: float
    wrong_reason: float  # share of the reasons that are wrong
    caveat: float
    hedge: float
    closing: float
    filler: float  # chance of each of two fillers
    rude: float
    assurance: float
    named: float
    careful: float  # share of answers written with every virtue

    def draw(self, rng: random.Random) -> Plan:
        """A plan such a writer might follow."""
        if rng.random() < self.careful:
            return Plan(hedge=rng.random() < self.hedge, closing=rng.random() < self.closing)
        kinds, weights = zip(*self.core, strict=True)
        reason = "none"
        if rng.random() < self.reason:
            reason = "wrong" if rng.random() < self.wrong_reason else "right"
        return Plan(
            core=rng.choices(kinds, weights)[0],
            reason=reason,
            caveat=rng.random() < self.caveat,
            hedge=rng.random() < self.hedge,
            closing=rng.random() < self.closing,
            fillers=sum(rng.random() < self.filler for _ in range(2)),
            rude=rng.random() < self.rude,
            assurance=rng.random() < self.assurance,
            named=rng.random() < self.named,
        )


INTERNET = Mix(
    core=(("right", 0.72), ("wrong", 0.09), ("vague", 0.06), ("evasive", 0.05), ("danger", 0.08)),
    reason=0.40,
    wrong_reason=0.05,
    caveat=0.33,
    hedge=0.12,
    closing=0.10,
    filler=0.36,
    rude=0.26,
    assurance=0.28,
    named=0.75,
    careful=0.05,
)
"""Forum answers: mostly mediocre, some good, some harmful."""

CONTRACTOR = Mix(
    core=(("right", 0.90), ("wrong", 0.01), ("vague", 0.04), ("evasive", 0.03), ("danger", 0.02)),
    reason=0.30,
    wrong_reason=0.02,
    caveat=0.32,
    hedge=0.2,
    closing=0.20,
    filler=0.5,
    rude=0.22,
    assurance=0.28,
    named=0.85,
    careful=0.04,
)
"""Paid writers of demonstrations: mean well, often leave something out."""

QUALITIES: dict[str, Plan] = {
    "good": Plan(),
    "no_hedge": Plan(hedge=False),
    "no_caveat": Plan(caveat=False, hedge=False),
    "no_reason": Plan(reason="none", hedge=False),
    "bare": Plan(reason="none", caveat=False, hedge=False),
    "vague": Plan(core="vague", reason="none", caveat=False, hedge=False),
    "padded": Plan(fillers=3, hedge=False),
    "evasive": Plan(core="evasive", reason="none", caveat=False, hedge=False),
    "rude": Plan(rude=True, hedge=False),
    "wrong": Plan(core="wrong", caveat=False, hedge=False),
    "dangerous": Plan(core="danger", reason="none", caveat=False, hedge=False),
    "overconfident": Plan(assurance=True, caveat=False, hedge=False),
}
"""Named plans; every one but `good` lacks or does one thing wrong."""


def _one(piece: Piece, prompt: Prompt, rng: random.Random, named: bool = True) -> str:
    """A wording of the piece, about the item asked about."""
    item = prompt.meta["item"]
    partner = AVOID[item][0] if rng.random() < 0.75 else rng.choice(AVOID[item])
    return fill(rng.choice(piece.wordings), item, named, partner=partner)


def _of_role(role: Role) -> Piece:
    return next(piece for piece in PIECES if piece.role is role)


def _core_sentence(plan: Plan, prompt: Prompt, rng: random.Random) -> str:
    intent, hazard = prompt.meta["intent"], hazard_of(prompt.meta)
    if plan.core == "right":
        return _one(core_piece(intent, hazard), prompt, rng, plan.named)
    if plan.core == "wrong":
        others = [p for p in PIECES if p.role is Role.CORE and intent in p.intents and p.truth(hazard) < 0.5]
        return _one(rng.choice(others), prompt, rng, plan.named)
    if plan.core == "danger":
        return _one(fitting(Role.DANGER, intent, hazard)[0], prompt, rng)
    return _one(_of_role(Role(plan.core)), prompt, rng)


def _reason_sentence(plan: Plan, prompt: Prompt, rng: random.Random) -> str:
    intent, hazard = prompt.meta["intent"], hazard_of(prompt.meta)
    if plan.reason == "wrong":
        hazard = rng.choice([other for other in CLASSES if other != hazard])
    named = rng.random() < 0.5 or plan.core != "right"
    return _one(fitting(Role.REASON, intent, hazard)[0], prompt, rng, named)


def write(plan: Plan, prompt: Prompt, rng: random.Random) -> str:
    """The answer that follows the plan: fillers around the core, then reason, caveat, hedge and closing."""
    intent, hazard = prompt.meta["intent"], hazard_of(prompt.meta)
    parts = [_core_sentence(plan, prompt, rng)]
    if plan.rude:
        parts.insert(0, _one(_of_role(Role.RUDE), prompt, rng))
    if plan.reason != "none":
        parts.append(_reason_sentence(plan, prompt, rng))
    if plan.assurance:
        parts.append(_one(_of_role(Role.ASSURANCE), prompt, rng))
    caveat = caveat_piece(intent, hazard)
    if plan.caveat and caveat is not None:
        parts.append(_one(caveat, prompt, rng))
    if plan.hedge:
        parts.append(_one(fitting(Role.HEDGE, intent, hazard)[0], prompt, rng))
    if plan.closing:
        parts.append(_one(_of_role(Role.CLOSING), prompt, rng))
    wordings = rng.sample(_of_role(Role.FILLER).wordings, plan.fillers)
    for wording in wordings:
        place = 0 if rng.random() < 0.6 else len(parts)
        parts.insert(place, fill(wording, prompt.meta["item"]))
    return " ".join(parts)


def without_vices(plan: Plan) -> bool:
    """True if the plan has the right core with its item, a right reason and the caveat, and no vice."""
    return plan.named and replace(plan, hedge=True, closing=False) == Plan()


def reaction(plan: Plan) -> str:
    """What a knowing reader would reply to an answer of this plan: a key of `sentences.REPLIES`."""
    if plan.core == "danger":
        return "danger"
    if plan.core == "wrong" or plan.reason == "wrong":
        return "wrong"
    if plan.rude:
        return "rude"
    if plan.core in ("vague", "evasive"):
        return "empty"
    if plan.assurance:
        return "careless"
    return "best" if without_vices(plan) else "right"
