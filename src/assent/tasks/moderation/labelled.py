"""Texts with a label, toxic or not, for a classifier."""

from __future__ import annotations

import json
import random

from assent.tasks.moderation.gold import is_toxic
from assent.tasks.moderation.replies import reply
from assent.tasks.moderation.threads import SPLITS, prompts_of
from assent.types.seeds import derive_seed

TEST_SHARE = 5  # one text in so many is held out, by its content

FILE = "labelled.jsonl"
COUNTS = {"train": 4000, "test": 1000}
"""Split -> how many texts of it the file in a new workspace holds."""


def labelled_texts(split: str, seed: int, count: int) -> list[tuple[str, int]]:
    """Different replies as the internet writes them, with 1 for toxic and 0 for civil; as many of the one as the other.

    A text belongs to one split whatever the seed.

    Raises:
        ValueError: no such split, or an odd or non-positive count.
    """
    if split not in SPLITS or count < 2 or count % 2:
        raise ValueError(f"labelled_texts needs a split of {SPLITS} and a positive even count, got {split!r}, {count}")
    rng = random.Random(derive_seed("moderation", "labelled", split, seed))
    comments = prompts_of("train")
    wanted = {0: count // 2, 1: count // 2}
    found: dict[str, int] = {}
    while any(wanted.values()):
        text = reply("internet", rng.choice(comments), rng)
        label = int(is_toxic(text))
        if text not in found and wanted[label] and _is_test(text) == (split == "test"):
            found[text] = label
            wanted[label] -= 1
    return list(found.items())


def _is_test(text: str) -> bool:
    return derive_seed("moderation", "split", text) % TEST_SHARE == 0


def files(seed: int) -> dict[str, str]:
    """The file that a workspace of this task begins with: a line {"text", "label": 0 or 1, "split"} for each text."""
    lines = [
        json.dumps({"text": text, "label": label, "split": split})
        for split, count in COUNTS.items()
        for text, label in labelled_texts(split, seed, count)
    ]
    return {FILE: "".join(line + "\n" for line in lines)}
