"""A small language made of templates with slots: it writes sentences, and says how much a text is written in it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

READ_CHARS = 2000
"""Text beyond this many characters is counted, not read: nothing useful here is that long."""

SENTENCE_CHARS = 300
START, END = "<s>", "</s>"

_SLOT = re.compile(r"\{([a-z]+)(?:_\d)?\}")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*|[.!?]+")


@dataclass(frozen=True)
class Sentence:
    """What was read of one sentence."""

    tokens: tuple[str, ...]  # lower case; a filler of several words is one token
    known: float  # share of known word pairs and triples, [0, 1]
    template: str | None  # the template of one sentence that it follows word for word, whatever is in the slots


class Grammar:
    """Templates such as "The {aspect} was {praise}, but the {aspect_2} was not.", and what may stand in their slots.

    A word pair or triple is known if some template has it, whatever stands in the slots: a grammar with many fillers
    stays small, and a sentence that the world never said can still be a sentence.

    Args:
        templates: each one sentence or several.
        slots: name -> fillers. Two slots of one sentence are told apart by a number: `{aspect}` and `{aspect_2}`.

    Raises:
        ValueError: a template names an unknown slot, or a filler stands in two slots.
    """

    def __init__(self, templates: Iterable[str], slots: Mapping[str, Sequence[str]]) -> None:
        self.slots = {name: tuple(fillers) for name, fillers in slots.items()}
        self.slot_of: dict[str, str] = {}
        for name, fillers in self.slots.items():
            for filler in fillers:
                if self.slot_of.setdefault(filler.lower(), name) != name:
                    raise ValueError(f"{filler!r} stands in the slots {self.slot_of[filler.lower()]!r} and {name!r}")
        names = sorted(self.slot_of, key=len, reverse=True)
        self._token = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b|[a-z0-9]+(?:'[a-z]+)?|[^\sa-z0-9]")
        framed = []
        self._template_of: dict[tuple[str, ...], str] = {}
        for template in templates:
            parts = list(self._framed(template))
            framed += parts
            if len(parts) == 1:
                self._template_of[parts[0]] = template
        self._pairs = frozenset(pair for tokens in framed for pair in pairwise(tokens))
        self._triples = frozenset(triple for tokens in framed for triple in _triples(tokens))
        self.read_sentence = lru_cache(maxsize=1 << 16)(self._read_sentence)

    def _framed(self, template: str) -> Iterator[tuple[str, ...]]:
        unknown = [name for name in _SLOT.findall(template) if name not in self.slots]
        if unknown:
            raise ValueError(f"template {template!r} names the unknown slots {unknown}")
        for part in _SENTENCE.findall(_SLOT.sub(lambda slot: self.slots[slot[1]][0], template)):
            yield self._frame(self.tokens_of(part))

    def fill(self, template: str, rng: random.Random, **given: Sequence[str]) -> str:
        """The template with every slot filled at random, no filler twice, and a capital at its beginning.

        Args:
            given: slot -> the fillers to choose from, in place of all of them.
        """
        used: set[str] = set()

        def choose(slot: re.Match[str]) -> str:
            fillers = [each for each in given.get(slot[1], self.slots[slot[1]]) if each not in used]
            used.add(chosen := rng.choice(fillers))
            return chosen

        text = _SLOT.sub(choose, template)
        return text[:1].upper() + text[1:]

    def tokens_of(self, text: str) -> tuple[str, ...]:
        """Lower-case words, marks, and fillers of several words."""
        return tuple(self._token.findall(text.lower()))

    def read(self, text: str) -> tuple[Sentence, ...]:
        """The sentences of a text (of its first `READ_CHARS` characters)."""
        parts = (part.strip() for part in _SENTENCE.findall(text[:READ_CHARS]))
        return tuple(self.read_sentence(part[:SENTENCE_CHARS]) for part in parts if part)

    def fluency(self, text: str, longest: int) -> float:
        """How much this is language as the world speaks it, in [0, 1]; 0 for an empty text.

        Args:
            longest: a text of more words than this loses in proportion.
        """
        sentences, words = self.read(text), len(text.split())
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
        return value * min(1.0, words / 4) * min(1.0, longest / words)

    def _frame(self, tokens: Sequence[str]) -> tuple[str, ...]:
        return (START, *(f"@{self.slot_of[token]}" if token in self.slot_of else token for token in tokens), END)

    def _read_sentence(self, text: str) -> Sentence:
        tokens = self.tokens_of(text)
        framed = self._frame(tokens)
        pairs, triples = list(pairwise(framed)), _triples(framed)
        pair_share = sum(pair in self._pairs for pair in pairs) / len(pairs)
        triple_share = sum(triple in self._triples for triple in triples) / max(1, len(triples))
        return Sentence(tokens, 0.5 * (pair_share + triple_share), self._template_of.get(framed))


def _triples(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(tokens, tokens[1:], tokens[2:], strict=False))


def _variety(sentences: Sequence[Sentence]) -> float:
    """The share of word triples that are not a repetition; a tenth may be, as in any good text."""
    triples = [triple for sentence in sentences for triple in _triples((START, *sentence.tokens, END))]
    return min(1.0, len(set(triples)) / (0.9 * max(1, len(triples))))
