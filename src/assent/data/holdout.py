"""Which prompts' judgements only ever measure the reward model."""

from __future__ import annotations

from assent.types.messages import Prompt
from assent.types.seeds import derive_seed


def is_held_out(prompt: Prompt, seed: int, share: float) -> bool:
    """True for `share` of all prompts; it depends on the prompt's text and the project's seed alone.

    So a prompt that comes again, in a later round or from an import, is on the same side.
    """
    return derive_seed(seed, "holdout", prompt.text) / 2.0**63 < share
