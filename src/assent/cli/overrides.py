"""Settings on the command line: which words are dotted flags, and what the flags with names of their own stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from assent.config import Settings, load_settings

EPILOG = "Any setting can follow as a dotted flag, e.g. --rl.steps 20 or --seed 1; `assent settings` lists them."
_PATHS = (
    "model.path",
    "prompts.path",
    "sft.demonstrations",
    "pretrain.texts",
    "preference.comparisons",
    "reward_model.samples",
)


class SettingsCommand(TyperCommand):
    """A command that takes every setting as a flag; they reach the function as `context.obj`, a list of `--a.b=c`.

    They are taken out before the parser sees them: it would take the first for the command's argument.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Divide the words, then parse the command's own."""
        own = {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}
        ctx.obj, rest = divide(args, own)
        return super().parse_args(ctx, rest)


def divide(words: Sequence[str], own: Collection[str]) -> tuple[list[str], list[str]]:
    """(settings as `--name=value`, the other words); `own` are the flags of the command itself.

    A flag that is not the command's own is a setting, whether it exists or not: reading the settings tells.
    """
    settings: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            rest += [word, *words[position:]]
            break
        if not word.startswith("--") or word.partition("=")[0] in own:
            rest.append(word)
        elif "=" in word:
            settings.append(word)
        elif position < len(words) and not words[position].startswith("--"):
            settings.append(f"{word}={words[position]}")
            position += 1
        else:
            settings.append(f"{word}=true")
    return settings, rest


def read_settings(files: Sequence[Path], overrides: Sequence[str], reward: str | None = None) -> Settings:
    """Settings from these files under these flags. Paths given on the command line start at the current folder.

    Args:
        files: later over earlier.
        overrides: `--name=value` each.
        reward: with a colon it stands for reward.function, and nobody is then asked, unless people.kind is given
            somewhere; without, for reward.model.

    Raises:
        SettingsError: see `load_settings`.
    """
    flags = [_anchored(flag) for flag in overrides]
    if reward is None:
        return load_settings(files, flags)
    if ":" not in reward:
        return load_settings(files, [*flags, f"--reward.model={reward}"])
    flags.append(f"--reward.function={reward}")
    settings = load_settings(files, flags)
    if "kind" in settings.people.model_fields_set:
        return settings
    return load_settings(files, [*flags, "--people.kind=none"])


def _anchored(flag: str) -> str:
    name, _, value = flag.partition("=")
    if name.removeprefix("--").replace("-", "_") in _PATHS and Path(value).expanduser().exists():
        return f"{name}={Path(value).expanduser().absolute()}"
    return flag
