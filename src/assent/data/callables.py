"""A user's own Python functions, named in the settings as `module:function`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from assent.types.errors import SettingsError


def load_callable(spec: str, setting: str) -> Callable[..., Any]:
    """The function (or class, or any callable) that `module:function` names. The current folder is searched first.

    Args:
        spec: e.g. `my_rewards:brevity`, `package.module:function` or `module:Class.method`.
        setting: where it was given, for the error, e.g. `reward.function`.

    Raises:
        SettingsError: naming the setting: no such module or name (the nearest is shown), the module fails when
            imported, or what it names cannot be called.
    """
    module_name, colon, attribute = spec.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module_name.split("."), *attribute.split(".")))):
        raise SettingsError(
            f"{setting}: '{spec}' names no function", "write module:function, e.g. my_rewards:brevity for my_rewards.py"
        )
    found: Any = _import(module_name, spec, setting)
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [public for public in dir(found) if not public.startswith("_")]
            raise SettingsError(f"{setting}: '{spec}': '{module_name}' has no '{name}'", _nearest(name, public))
        found = getattr(found, name)
    if not callable(found):
        raise SettingsError(
            f"{setting}: '{spec}' is of type {type(found).__name__}, which cannot be called",
            "name a function in that module",
        )
    return found  # type: ignore[no-any-return]


def _import(name: str, spec: str, setting: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:  # a console script's path starts at its own folder
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise SettingsError(
                f"{setting}: '{spec}': importing '{name}' needs the module '{error.name}', which is not installed",
                f"install it into this environment: {sys.executable} -m pip install ...",
            ) from error
        nearby = [path.stem for path in Path(here).glob("*") if path.suffix == ".py" or path.is_dir()]
        hint = _nearest(name, nearby) or f"it is searched in {here} and among the installed packages"
        raise SettingsError(f"{setting}: '{spec}': there is no module '{error.name}'", hint) from None
    except Exception as error:
        raise SettingsError(
            f"{setting}: '{spec}': importing '{name}' failed: {type(error).__name__}: {error}",
            f"try it alone: python -c 'import {name}'",
        ) from error


def _nearest(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
