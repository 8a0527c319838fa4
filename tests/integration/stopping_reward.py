"""A user's reward during which the process is asked to stop, once, if a file says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.integration.own_functions import vowel_reward

STOP = "stop-once"


def score(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """Vowels, and a SIGTERM where the file stands in the current folder."""
    if (file := Path(STOP)).exists():
        file.unlink()
        os.kill(os.getpid(), signal.SIGTERM)
    return vowel_reward(prompts, completions)
