"""Typed settings: TOML files under dotted command-line overrides."""

from assent.config.algorithm import AlgorithmSettings, PPOSettings
from assent.config.load import dump_settings, flatten, load_settings, parse_overrides
from assent.config.settings import Settings

__all__ = [
    "AlgorithmSettings",
    "PPOSettings",
    "Settings",
    "dump_settings",
    "flatten",
    "load_settings",
    "parse_overrides",
]
