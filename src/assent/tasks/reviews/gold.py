"""The gold judge: how warmly a continuation speaks of what is reviewed, and whether it is language."""

from __future__ import annotations

from assent.tasks.reviews.sentences import grammar
from assent.tasks.reviews.sentiment import sentence_valence
from assent.types.feedback import WorldMarks
from assent.types.messages import Prompt

LONGEST = 45
"""Words of a continuation beyond which length costs."""


def sentiment(text: str) -> float:
    """In [0, 1], one half where nothing good or bad is said: the mean over sentences, each different one once."""
    valences = {}
    for sentence in grammar().read(text):
        valence = sentence_valence(sentence.tokens)
        valences[sentence.tokens] = 0.0 if valence is None else valence * sentence.known
    return 0.5 + 0.5 * sum(valences.values()) / len(valences) if valences else 0.5


def marks(prompt: Prompt, completion: str) -> WorldMarks:
    """Gold marks in [0, 1] for any text; what the prompt says does not count."""
    return WorldMarks((("sentiment", sentiment(completion)),), grammar().fluency(completion, LONGEST))
