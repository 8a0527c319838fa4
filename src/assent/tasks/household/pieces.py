"""Every sentence the world knows, as pieces: what role it plays, and where it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from assent.tasks.household import sentences
from assent.tasks.household.advice import ADVICE
from assent.tasks.household.facts import AVOID, BODY_INTENTS, CLASSES, INTENTS, ITEMS, MILD


class Role(StrEnum):
    """What a sentence does in an answer."""

    CORE = "core"
    REASON = "reason"
    CAVEAT = "caveat"
    HEDGE = "hedge"
    CLOSING = "closing"
    VAGUE = "vague"
    EVASIVE = "evasive"
    RUDE = "rude"
    FILLER = "filler"
    ASSURANCE = "assurance"
    DANGER = "danger"


@dataclass(frozen=True)
class Piece:
    """One thing that can be said, with its wordings; `classes` are those for which it is right (or due)."""

    role: Role
    wordings: tuple[str, ...]
    intents: tuple[str, ...] = INTENTS
    classes: tuple[str, ...] = CLASSES
    fair: tuple[str, ...] = ()  # classes for which it is sensible, though not the best to say

    def truth(self, hazard: str) -> float:
        """How right this is for a hazard class, in [0, 1]; for a mild item all care is merely more than it needs."""
        if hazard in self.classes:
            return 1.0
        if hazard in self.fair:
            return 0.75
        return 0.4 if hazard == MILD and self.classes else 0.0

    @property
    def lax(self) -> bool:
        """True for advice that is right for mild items at most."""
        return not self.classes or MILD in self.classes

    def fits(self, intent: str, hazard: str) -> bool:
        """True if this is the right (or due) thing to say about this hazard class when asked with this intent."""
        return intent in self.intents and hazard in self.classes


PLACE_INTENTS = tuple(intent for intent in INTENTS if intent not in BODY_INTENTS)


def _core_pieces() -> list[Piece]:
    return [Piece(Role.CORE, entry.wordings, (entry.intent,), entry.classes, entry.fair) for entry in ADVICE]


def _supporting_pieces() -> list[Piece]:
    reasons = [Piece(Role.REASON, w, PLACE_INTENTS, (c,)) for c, w in sentences.PLACE_REASONS.items()]
    reasons += [Piece(Role.REASON, w, BODY_INTENTS, (c,)) for c, w in sentences.BODY_REASONS.items()]
    caveats = [
        Piece(Role.CAVEAT, wordings, (intent,), classes)
        for intent, cells in sentences.CAVEATS.items()
        for classes, wordings in cells
    ]
    hedges = [
        Piece(Role.HEDGE, sentences.HEDGES["body"], BODY_INTENTS),
        Piece(Role.HEDGE, sentences.HEDGES["place"], PLACE_INTENTS),
    ]
    return [*reasons, *caveats, *hedges, Piece(Role.CLOSING, sentences.CLOSINGS)]


def _vice_pieces() -> list[Piece]:
    dangers = [Piece(Role.DANGER, wordings, (intent,)) for intent, wordings in sentences.DANGERS.items()]
    vices = {
        Role.VAGUE: sentences.VAGUE,
        Role.EVASIVE: sentences.EVASIVE,
        Role.RUDE: sentences.RUDE,
        Role.FILLER: sentences.FILLERS,
        Role.ASSURANCE: sentences.ASSURANCES,
    }
    return [*dangers, *(Piece(role, wordings) for role, wordings in vices.items())]


PIECES: tuple[Piece, ...] = (*_core_pieces(), *_supporting_pieces(), *_vice_pieces())


@cache
def fitting(role: Role, intent: str, hazard: str) -> tuple[Piece, ...]:
    """The pieces of this role that are right (or due) here, in the order in which they are written down."""
    return tuple(piece for piece in PIECES if piece.role is role and piece.fits(intent, hazard))


def core_piece(intent: str, hazard: str) -> Piece:
    """The one right core advice."""
    return fitting(Role.CORE, intent, hazard)[0]


def caveat_piece(intent: str, hazard: str) -> Piece | None:
    """The caveat that is due, if one is."""
    due = fitting(Role.CAVEAT, intent, hazard)
    return due[0] if due else None


def fill(wording: str, item: str, named: bool = True, **slots: str) -> str:
    """The sentence as text: the item named (or "it"), the partner it must avoid, and a capital letter."""
    slots.setdefault("partner", AVOID[item][0])
    text = wording.format(item=item if named else "it", **slots)
    return text[0].upper() + text[1:]


def hazard_of(meta: Mapping[str, str]) -> str:
    """The hazard class of the item a prompt asks about."""
    return ITEMS[meta["item"]]
