"""The world of summaries: short posts are to be told in one line that says what matters, truly and shortly.

Nothing is shipped as a file: posts, summaries and the gold judge come from tables of facts and sentences.
"""

from __future__ import annotations

import random

from assent.tasks.summaries import gold
from assent.tasks.summaries.posts import prompts_of, train_post
from assent.tasks.summaries.writing import written_by
from assent.types.feedback import WorldMarks
from assent.types.messages import Prompt
from assent.types.seeds import derive_seed


class Summaries:
    """The summaries world (implements `assent.types.protocols.World`).

    Args:
        documents: number of pretraining documents.
        demonstrations: number of (post, summary) pairs for supervised fine-tuning.
    """

    name = "summaries"
    template = "Post: {prompt}\nSummary:"

    def __init__(self, documents: int = 16000, demonstrations: int = 3000) -> None:
        if documents < 1 or demonstrations < 1:
            raise ValueError(f"documents and demonstrations must be positive, got {documents} and {demonstrations}")
        self._documents = documents
        self._demonstrations = demonstrations

    def pretraining_texts(self, seed: int) -> list[str]:
        """Posts about train combinations, each with a summary as the internet writes it."""
        texts = []
        for number in range(self._documents):
            rng = random.Random(derive_seed("summaries", "pretraining", seed, number))
            post = train_post(rng)
            texts.append(f"{self.template.format(prompt=post.text)} {written_by('internet', post, rng)}\n")
        return texts

    def demonstrations(self, seed: int) -> list[tuple[Prompt, str]]:
        """(train post, summary) pairs as contractors write them: better than the internet, and clearly imperfect."""
        pairs = []
        for number in range(self._demonstrations):
            rng = random.Random(derive_seed("summaries", "demonstrations", seed, number))
            post = train_post(rng)
            pairs.append((post, written_by("contractor", post, rng)))
        return pairs

    def prompts(self, split: str) -> list[Prompt]:
        """All posts of `train` or `test`; raises SettingsError for another split."""
        return list(prompts_of(split))

    def marks(self, prompt: Prompt, completion: str) -> WorldMarks:
        """The gold judge."""
        return gold.marks(prompt, completion)


__all__ = ["Summaries"]
