"""Which environment the settings name: a bundled one, or a user's own class."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from assent.data.callables import load_callable
from assent.rollouts.checks import guarded
from assent.tasks.environments import ENVIRONMENTS
from assent.types.errors import SettingsError
from assent.types.protocols import Environment


def load_environment(name: str) -> Callable[[], Environment]:
    """What makes an environment: a bundled one by its name, or `module:Class`, called without arguments.

    Raises:
        SettingsError: there is no such environment (the nearest is named), or what was made lacks `reset` or `step`.
        UnhealthyRewardError: making one raised.
    """
    make: Callable[[], Environment]
    if ":" in name:
        make = load_callable(name, "rl.environment")
    elif name in ENVIRONMENTS:
        make = ENVIRONMENTS[name]
    else:
        nearest = difflib.get_close_matches(name, ENVIRONMENTS, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"bundled ones: {', '.join(sorted(ENVIRONMENTS))}"
        raise SettingsError(f"rl.environment: there is no bundled environment {name!r}", f"{hint} or give module:Class")
    made = guarded(name, "being made", make)
    missing = [method for method in ("reset", "step") if not callable(getattr(made, method, None))]
    if missing:
        raise SettingsError(
            f"rl.environment: {name} gave a {type(made).__name__}, which has no {' and no '.join(missing)}",
            "an environment is a class with reset(seed) and step(completion)",
        )
    return make
