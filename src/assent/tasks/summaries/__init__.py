"""The world of summaries: short posts are to be told in one line that says what matters, truly and shortly.

Nothing is shipped as a file: posts, summaries and the gold judge come from tables of facts and sentences.
"""

from __future__ import annotations

import random

from assent.config.worlds import TEMPLATES
from assent.tasks.answered import AnsweredWorld, Author
from assent.tasks.summaries import gold
from assent.tasks.summaries.posts import prompts_of, train_post
from assent.tasks.summaries.writing import written_by
from assent.types.feedback import WorldMarks
from assent.types.messages import Prompt


class Summaries(AnsweredWorld):
    """The summaries world (implements `assent.types.protocols.World`)."""

    name = "summaries"
    guidelines = """
A post is to be told in one line. A line is the better the more it

- **covers**: it has what matters;
- is **faithful**: it says nothing that the post does not;
- is **brief**.
"""
    template = TEMPLATES[name]

    def __init__(self, documents: int = 16000, demonstrations: int = 3000) -> None:
        super().__init__(documents, demonstrations)

    def train_prompt(self, rng: random.Random) -> Prompt:
        """A post about a train combination."""
        return train_post(rng)

    def answer(self, author: Author, prompt: Prompt, rng: random.Random) -> str:
        """A summary of it."""
        return written_by(author, prompt, rng)

    def prompts(self, split: str) -> list[Prompt]:
        """All posts of `train` or `test`; raises SettingsError for another split."""
        return list(prompts_of(split))

    def marks(self, prompt: Prompt, completion: str) -> WorldMarks:
        """The gold judge."""
        return gold.marks(prompt, completion)


__all__ = ["Summaries"]
