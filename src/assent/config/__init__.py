"""Typed settings: TOML files under dotted command-line overrides."""

from assent.config.algorithm import (
    A2CSettings,
    ActorCriticSettings,
    AlgorithmSettings,
    ExpertIterationSettings,
    GRPOSettings,
    OnlineDPOSettings,
    OnPolicySettings,
    PPOSettings,
    ReinforcePlusPlusSettings,
    ReinforceSettings,
    RLOOSettings,
)
from assent.config.load import dump_settings, flatten, load_settings, parse_overrides
from assent.config.preference import (
    DPOSettings,
    IPOSettings,
    KTOSettings,
    ORPOSettings,
    PreferenceSettings,
    SimPOSettings,
)
from assent.config.settings import Settings

__all__ = [
    "A2CSettings",
    "ActorCriticSettings",
    "AlgorithmSettings",
    "DPOSettings",
    "ExpertIterationSettings",
    "GRPOSettings",
    "IPOSettings",
    "KTOSettings",
    "ORPOSettings",
    "OnPolicySettings",
    "OnlineDPOSettings",
    "PPOSettings",
    "PreferenceSettings",
    "RLOOSettings",
    "ReinforcePlusPlusSettings",
    "ReinforceSettings",
    "Settings",
    "SimPOSettings",
    "dump_settings",
    "flatten",
    "load_settings",
    "parse_overrides",
]
