"""Which algorithm the settings name."""

from __future__ import annotations

from assent.algorithms.a2c import A2C
from assent.algorithms.base import OnPolicyAlgorithm
from assent.algorithms.expert_iteration import ExpertIteration
from assent.algorithms.grpo import GRPO
from assent.algorithms.online_dpo import OnlineDPO
from assent.algorithms.ppo import PPO
from assent.algorithms.reinforce import Reinforce
from assent.algorithms.reinforce_plus_plus import ReinforcePlusPlus
from assent.algorithms.rloo import RLOO
from assent.config.algorithm import (
    A2CSettings,
    ExpertIterationSettings,
    GRPOSettings,
    OnlineDPOSettings,
    OnPolicySettings,
    PPOSettings,
    ReinforcePlusPlusSettings,
    ReinforceSettings,
    RLOOSettings,
)


def algorithm_of(settings: OnPolicySettings) -> OnPolicyAlgorithm:
    """The algorithm with these settings.

    Raises:
        ValueError: they are of no algorithm that is known here.
    """
    match settings:
        case PPOSettings():
            return PPO(settings)
        case A2CSettings():
            return A2C(settings)
        case ReinforceSettings():
            return Reinforce(settings)
        case RLOOSettings():
            return RLOO(settings)
        case ReinforcePlusPlusSettings():
            return ReinforcePlusPlus(settings)
        case GRPOSettings():
            return GRPO(settings)
        case ExpertIterationSettings():
            return ExpertIteration(settings)
        case OnlineDPOSettings():
            return OnlineDPO(settings)
    raise ValueError(f"no algorithm has settings of type {settings.type}")
