"""What worlds have in common whose texts are prompts with answers: those of the internet, and those of contractors."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Literal

from assent.types.messages import Prompt
from assent.types.seeds import derive_seed

Author = Literal["internet", "contractor"]


class AnsweredWorld(ABC):
    """The texts of such a world (half of `assent.types.protocols.World`).

    Args:
        documents: number of pretraining documents.
        demonstrations: number of (prompt, answer) pairs for supervised fine-tuning.
    """

    name: str
    guidelines: str
    template: str

    def __init__(self, documents: int, demonstrations: int) -> None:
        if documents < 1 or demonstrations < 1:
            raise ValueError(f"documents and demonstrations must be positive, got {documents} and {demonstrations}")
        self._documents = documents
        self._demonstrations = demonstrations

    @abstractmethod
    def train_prompt(self, rng: random.Random) -> Prompt:
        """A prompt about a combination that is not held out."""

    @abstractmethod
    def answer(self, author: Author, prompt: Prompt, rng: random.Random) -> str:
        """An answer to it, as good as this author's are."""

    def pretraining_texts(self, seed: int) -> list[str]:
        """Prompts about train combinations, each with an answer as the internet writes it."""
        texts = []
        for number in range(self._documents):
            rng = random.Random(derive_seed(self.name, "pretraining", seed, number))
            prompt = self.train_prompt(rng)
            texts.append(f"{self.template.format(prompt=prompt.text)} {self.answer('internet', prompt, rng)}\n")
        return texts

    def demonstrations(self, seed: int) -> list[tuple[Prompt, str]]:
        """(train prompt, answer) pairs as contractors write them: better than the internet, and clearly imperfect."""
        pairs = []
        for number in range(self._demonstrations):
            rng = random.Random(derive_seed(self.name, "demonstrations", seed, number))
            prompt = self.train_prompt(rng)
            pairs.append((prompt, self.answer("contractor", prompt, rng)))
        return pairs
