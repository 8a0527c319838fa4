"""The world of reviews: a review is continued so that people like its sentiment (Ziegler et al. 2019, first task).

There are no demonstrations: the pretrained model is the first policy, and all that it learns of people is what they
prefer. Nothing is shipped as a file: prompts, texts and the gold judge come from tables of words and sentences.
"""

from __future__ import annotations

from assent.config.worlds import TEMPLATES
from assent.tasks.reviews import corpus, gold
from assent.types.feedback import WorldMarks
from assent.types.messages import Prompt


class Reviews:
    """The reviews world (implements `assent.types.protocols.World`).

    Args:
        documents: number of pretraining documents.
    """

    name = "reviews"
    guidelines = "A review has been begun. Its continuation is the better the fonder it is of what it is about."
    template = TEMPLATES[name]

    def __init__(self, documents: int = 12000) -> None:
        if documents < 1:
            raise ValueError(f"documents must be positive, got {documents}")
        self._documents = documents

    def pretraining_texts(self, seed: int) -> list[str]:
        """Reviews of train combinations of what is reviewed and when, fond and cross ones alike."""
        return corpus.pretraining_texts(seed, self._documents)

    def demonstrations(self, seed: int) -> list[tuple[Prompt, str]]:
        """None: the first policy is the pretrained model."""
        return []

    def prompts(self, split: str) -> list[Prompt]:
        """All prompts of `train` or `test`; raises SettingsError for another split."""
        return list(corpus.prompts_of(split))

    def marks(self, prompt: Prompt, completion: str) -> WorldMarks:
        """The gold judge."""
        return gold.marks(prompt, completion)


__all__ = ["Reviews"]
