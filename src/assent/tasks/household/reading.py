"""How the judge reads: splitting any text into sentences, recognising them, and measuring how fluent they are.

A sentence is recognised by the overlap of its words with the known wordings (Jaccard index), and only by a wording
that agrees with it on whether it negates. Fluency is the share of word pairs and triples that the world's own
sentences contain, less what is repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from assent.tasks.household.facts import AVOID, ITEMS
from assent.tasks.household.pieces import PIECES
from assent.tasks.household.sentences import FACT_TEMPLATES, KIN_TEMPLATES, KIND_WORDS

READ_CHARS = 3000
"""Text beyond this many characters is counted, not read: no useful answer is that long."""

SENTENCE_CHARS = 400
RECOGNISED_FROM = 0.5
"""Word overlap at which a sentence starts to earn credit; full overlap earns full credit."""

SLOT = "@"  # stands for any item or partner, and for "it" in its place
NEGATIONS = frozenset({"no", "not", "never"})
START, END = "<s>", "</s>"

_NAMES = sorted({*ITEMS, *(partner for partners in AVOID.values() for partner in partners)}, key=len, reverse=True)
_TOKEN = re.compile(rf"\b(?:{'|'.join(map(re.escape, _NAMES))})\b|\b[a-z]+(?:'[a-z]+)?\b|[^\sa-z]")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*|[.!?]+")
_KNOWN_NAMES = frozenset(_NAMES)


@dataclass(frozen=True)
class Sentence:
    """What was read: the piece it is (-1: none), how closely it follows it, and the names in it."""

    piece: int  # index into PIECES
    credit: float  # [0, 1]
    names: frozenset[str]
    tokens: tuple[str, ...]  # with START and END
    known: float  # share of known word pairs and triples, [0, 1]


@dataclass(frozen=True)
class _Wording:
    words: int  # bit set over the lexicon
    size: int
    negated: bool
    piece: int


@dataclass(frozen=True)
class _Grammar:
    """All that the world's own sentences contain."""

    bits: dict[str, int]  # word -> its bit
    wordings: tuple[_Wording, ...]
    pairs: frozenset[tuple[str, ...]]
    triples: frozenset[tuple[str, ...]]


def tokens_of(text: str) -> tuple[list[str], frozenset[str]]:
    """Lower-case tokens with items and partners replaced by a slot, and the names that were replaced."""
    found = _TOKEN.findall(text.lower())
    names = frozenset(token for token in found if token in _KNOWN_NAMES)
    return [SLOT if token in names else token for token in found], names


def _content(tokens: list[str]) -> set[str]:
    """The words a sentence is recognised by: all but the slots, and "it", which may stand in for one."""
    return {token for token in tokens if token[0].isalpha() and token != "it"}


def _triples(tokens: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(zip(tokens, tokens[1:], tokens[2:], strict=False))


def _framed_sentences() -> Iterator[tuple[str, ...]]:
    """Every sentence that the world says, as framed tokens: all pieces, and the declarative texts."""
    templates = [wording for piece in PIECES for wording in piece.wordings]
    templates += FACT_TEMPLATES
    templates += [kin.replace("{kind}", kind) for kin in KIN_TEMPLATES for kind in KIND_WORDS.values()]
    for template in templates:
        for item in (SLOT, "it"):
            yield (START, *tokens_of(template.format(item=item, partner=SLOT, other=SLOT))[0], END)


@cache
def grammar() -> _Grammar:
    """Built once, on first use."""
    bits: dict[str, int] = {}
    wordings: list[_Wording] = []
    for index, piece in enumerate(PIECES):
        for wording in piece.wordings:
            words = _content(tokens_of(wording.format(item=SLOT, partner=SLOT))[0])
            mask = sum(bits.setdefault(word, 1 << len(bits)) for word in sorted(words))
            wordings.append(_Wording(mask, len(words), bool(words & NEGATIONS), index))
    framed = list(_framed_sentences())
    pairs = frozenset(pair for tokens in framed for pair in pairwise(tokens))
    triples = frozenset(triple for tokens in framed for triple in _triples(tokens))
    return _Grammar(bits, tuple(wordings), pairs, triples)


def _recognise(words: set[str]) -> tuple[int, float]:
    """The piece whose wording overlaps most with these words, and the credit for it; (-1, 0) if none does."""
    known = grammar()
    mask = sum(known.bits.get(word, 0) for word in words)
    negated = bool(words & NEGATIONS)
    best, best_overlap = -1, RECOGNISED_FROM
    for wording in known.wordings:
        common = (mask & wording.words).bit_count()
        overlap = common / (len(words) + wording.size - common)
        if overlap > best_overlap and negated == wording.negated:
            best, best_overlap = wording.piece, overlap
    return best, (best_overlap - RECOGNISED_FROM) / (1.0 - RECOGNISED_FROM)


@lru_cache(maxsize=1 << 16)
def read_sentence(text: str) -> Sentence:
    """Read one sentence; cached, since answers share most of theirs."""
    tokens, names = tokens_of(text)
    words = _content(tokens)
    piece, credit = _recognise(words) if words else (-1, 0.0)
    framed = (START, *tokens, END)
    pairs, triples = list(pairwise(framed)), _triples(framed)
    known = grammar()
    pair_share = sum(pair in known.pairs for pair in pairs) / len(pairs)
    triple_share = sum(triple in known.triples for triple in triples) / max(1, len(triples))
    return Sentence(piece, credit, names, framed, 0.5 * (pair_share + triple_share))


def sentences_of(text: str) -> tuple[tuple[Sentence, ...], int]:
    """The sentences of a text (of its first `READ_CHARS` characters), and its number of words, all counted."""
    parts = (part.strip() for part in _SENTENCE.findall(text[:READ_CHARS]))
    return tuple(read_sentence(part[:SENTENCE_CHARS]) for part in parts if part), len(text.split())


def _variety(sentences: tuple[Sentence, ...]) -> float:
    """The share of word triples that are not a repetition; a tenth may be, as in any good answer."""
    triples = [triple for sentence in sentences for triple in _triples(sentence.tokens)]
    return min(1.0, len(set(triples)) / (0.9 * max(1, len(triples))))


def fluency(text: str, sentences: tuple[Sentence, ...], words: int) -> float:
    """How much this is language as the world speaks it, in [0, 1]; 0 for an empty text."""
    if not sentences or not words:
        return 0.0
    total = sum(len(sentence.tokens) for sentence in sentences)
    known = sum(sentence.known * len(sentence.tokens) for sentence in sentences) / total
    value = math.pow(known * _variety(sentences), 1.5)
    stripped = text.strip()
    if stripped[-1] not in ".!?":
        value *= 0.85
    if not stripped[0].isupper():
        value *= 0.95
    return value * min(1.0, words / 4) * min(1.0, 90 / words)
