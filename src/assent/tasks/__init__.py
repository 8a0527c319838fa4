"""Bundled worlds: each a corpus, prompts and a gold judge."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from assent.tasks.household import Household
from assent.types.errors import SettingsError
from assent.types.protocols import World

WORLDS: Mapping[str, Callable[[], World]] = {Household.name: Household}
"""Name -> how to make the world in its default size."""


def load_world(name: str) -> World:
    """The bundled world of this name.

    Raises:
        SettingsError: there is no such world; the message names the nearest one.
    """
    if name in WORLDS:
        return WORLDS[name]()
    nearest = difflib.get_close_matches(name, WORLDS, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known worlds: {', '.join(sorted(WORLDS))}"
    raise SettingsError(f"unknown world {name!r}", hint)


__all__ = ["WORLDS", "load_world"]
