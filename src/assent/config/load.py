"""Reading settings: a TOML file (or several, later over earlier), then dotted overrides from the command line."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from assent.config.algorithm import ALGORITHMS
from assent.config.preference import PREFERENCES
from assent.config.settings import Settings
from assent.types.errors import SettingsError

# The sections whose names depend on their type: what each may be, and what it is unless told.
TYPES: dict[str, tuple[Mapping[str, type[BaseModel]], str]] = {
    "algorithm": (ALGORITHMS, "ppo"),
    "preference": (PREFERENCES, "dpo"),
}

NOWHERE = "settings"  # in place of a file's line or a flag


def load_settings(files: Sequence[Path] = (), overrides: Sequence[str] = ()) -> Settings:
    """Settings from TOML files, later over earlier, under command-line overrides (`--algorithm.kl-coef 0.02`).

    Raises:
        SettingsError: naming the file or the flag, the path of the setting, and the nearest valid name.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for file in files:
        values = _read_toml(file)
        _merge(merged, values, origin, file)
    for path, value in parse_overrides(overrides):
        _set(merged, path, value)
        origin[".".join(path)] = "--" + ".".join(path).replace("_", "-")
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(*_explain(error, origin)) from None


def parse_overrides(arguments: Sequence[str]) -> list[tuple[tuple[str, ...], Any]]:
    """`--a.b-c 1 --d=x --flag` as ((('a','b_c'), 1), (('d',), 'x'), (('flag',), True)).

    Values are read as TOML where they are valid TOML (numbers, booleans, lists), else as text.

    Raises:
        SettingsError: an argument that is no `--name`.
    """
    found: list[tuple[tuple[str, ...], Any]] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if not argument.startswith("--") or len(argument) == 2:
            raise SettingsError(
                f"'{argument}' is not a setting", "write settings as --section.name value, e.g. --rl.steps 20"
            )
        name, equals, text = argument[2:].partition("=")
        if not equals:
            if position < len(arguments) and not arguments[position].startswith("--"):
                text = arguments[position]
                position += 1
            else:
                text = "true"
        found.append((tuple(part.replace("-", "_") for part in name.split(".")), _value(text)))
    return found


def dump_settings(settings: Settings) -> str:
    """The settings as TOML that `load_settings` reads back to the same value."""
    lines: list[str] = []
    tables: list[str] = []
    for name, value in settings:
        if isinstance(value, BaseModel):
            _dump_table(name, value, tables)
        elif value is not None:
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def flatten(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every leaf as (dotted name, value, description)."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, _description(type(settings), name)


def _description(model: type[BaseModel], name: str) -> str:
    # A section that only changes a default inherits what the setting means.
    fields = (base.model_fields.get(name) for base in model.__mro__ if issubclass(base, BaseModel))
    return next((info.description for info in fields if info is not None and info.description), "")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: no such settings file", "check the path given to --recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML: {error}", "see https://toml.io for the format") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None


def _merge(into: dict[str, Any], values: dict[str, Any], origin: dict[str, str], file: Path, prefix: str = "") -> None:
    for key, value in values.items():
        path = f"{prefix}{key}"
        origin[path] = _place(file, path)
        if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
            _merge(into.setdefault(key, {}), value, origin, file, path + ".")
        else:
            into[key] = value


def _place(file: Path, path: str) -> str:
    table = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            name, table = header[1], header[1] + "."
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            name = table + key[1]
        else:
            continue
        if name == path:
            return f"{file}, line {number}"
    return str(file)


def _set(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        step = into.setdefault(part, {})
        if not isinstance(step, dict):
            into[part] = step = {}
        into = step
    into[path[-1]] = value


def _explain(error: ValidationError, origin: dict[str, str]) -> tuple[str, str]:
    messages, hints = [], []
    for item in error.errors(include_url=False):
        location, chosen = _without_tag(item["loc"])
        path = ".".join(location)
        place = _origin_of(path, origin)
        if item["type"] == "extra_forbidden":
            messages.append(f"{place}: unknown setting '{path}'{f' of {chosen}' if chosen else ''}")
            hints.append(_hint(path, chosen))
        elif item["type"] == "union_tag_invalid":
            given, known = str(item["ctx"]["tag"]), TYPES[path][0]
            place = _origin_of(f"{path}.type", origin)
            messages.append(f"{place}: {path}.type must be one of {', '.join(known)} (given: {given!r})")
            if found := difflib.get_close_matches(given, known, n=1, cutoff=0.5):
                hints.append(f"did you mean '{found[0]}'?")
        else:
            text = item["msg"].removeprefix("Value error, ")
            given = "" if isinstance(item["input"], dict) or not path else f" (given: {item['input']!r})"
            place = _origin_of_first(text, origin) if place == NOWHERE else place
            messages.append(f"{place}: {path + ': ' if path else ''}{text}{given}")
    return "\n".join(messages), " ".join(dict.fromkeys(hints))


def _without_tag(location: tuple[int | str, ...]) -> tuple[list[str], str | None]:
    """The path as a user writes it, and the section's type, which pydantic puts into the path."""
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in TYPES and parts[1] in TYPES[parts[0]][0]:
        return [parts[0], *parts[2:]], parts[1]
    return parts, None


def _hint(path: str, chosen: str | None) -> str:
    """The nearest name; for a setting of the section's other types, theirs."""
    section, _, name = path.partition(".")
    if chosen and (owners := [each for each, model in TYPES[section][0].items() if name in model.model_fields]):
        return f"leave it out, or set {section}.type to one that has it: {', '.join(owners)}"
    nearest = _nearest(path, {section: chosen} if chosen else {})
    return f"did you mean '{nearest}'?" if nearest else "`assent settings` lists every setting"


def _origin_of(path: str, origin: dict[str, str]) -> str:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if (found := origin.get(".".join(parts[:end]))) is not None:
            return found
    return NOWHERE


def _origin_of_first(text: str, origin: dict[str, str]) -> str:
    """Where the first setting was given that a message about several names."""
    named = re.findall(r"[a-z_]+(?:\.[a-z_]+)+", text)
    return next((origin[given] for name in named for given in origin if f"{given}.".startswith(f"{name}.")), NOWHERE)


def _nearest(path: str, chosen: Mapping[str, str]) -> str | None:
    names = list(_all_names(Settings, chosen))
    same_leaf = [name for name in names if name.rsplit(".", 1)[-1] == path.rsplit(".", 1)[-1]]
    found = difflib.get_close_matches(path, names, n=1, cutoff=0.6) or same_leaf[:1]
    return found[0] if found else None


def _all_names(model: type[BaseModel], chosen: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield prefix + name
        section: Any = info.annotation
        if prefix + name in TYPES:
            known, default = TYPES[name]
            section = known[chosen.get(name, default)]
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _all_names(section, chosen, f"{prefix}{name}.")


def _dump_table(name: str, table: BaseModel, lines: list[str]) -> None:
    lines.append(f"\n[{name}]")
    nested = []
    for key, value in table:
        if isinstance(value, BaseModel):
            nested.append((key, value))
        elif value is not None or table.__class__.model_fields[key].default is not None:
            lines.append(f"{key} = {_toml(value)}")
    for key, value in nested:
        _dump_table(f"{name}.{key}", value, lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(name))} = {_toml(item)}" for name, item in value.items()) + "}"
    if value is None:
        return '"none"'
    # JSON's escapes are TOML's too; the one control character that JSON lets pass is DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
