"""Settings of the RL algorithms. The class defaults are the vetted values, each with its source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assent.config.section import Section


class PPOSettings(Section):
    """Proximal policy optimisation with a per-token KL penalty to the reference (Schulman 2017; Ziegler 2019)."""

    type: Literal["ppo"] = "ppo"
    learning_rate: float = Field(1e-5, gt=0, description="Adam step size of the policy (Ziegler 2019)")
    final_learning_rate_share: float = Field(
        0.0, ge=0, le=1, description="where the step sizes end, falling linearly; 1 holds them (Huang 2024)"
    )
    value_learning_rate: float | None = Field(None, gt=0, description="of the value model; learning_rate if not given")
    adam_epsilon: float = Field(1e-5, gt=0, description="matters: PyTorch's 1e-8 moves far more (Huang 2024)")
    kl_coef: float = Field(0.15, ge=0, description="β, in reward per nat; 0 trains without a penalty (Ziegler 2019)")
    kl_target: float | None = Field(
        None, gt=0, description="nats per sequence to hold by adapting β; fixed β if not given (Ziegler 2019: 6)"
    )
    kl_horizon: int = Field(10_000, gt=0, description="rollouts over which β adapts (Ziegler 2019)")
    gamma: float = Field(1.0, ge=0, le=1)
    gae_lambda: float = Field(0.95, ge=0, le=1)
    clip: float = Field(0.2, gt=0, description="ratio clip, both sides")
    value_clip: float = Field(0.2, gt=0, description="of the value's move from its old estimate, in reward units")
    value_coef: float = Field(0.1, ge=0, description="weight of the value loss (lm-human-preferences)")
    entropy_coef: float = Field(0.0, ge=0)
    epochs: int = Field(4, ge=1, description="passes over a step's rollouts")
    minibatches: int = Field(1, ge=1, description="optimiser steps in an epoch")
    whiten_rewards: bool = Field(False, description="scale per-token rewards by their deviation, mean kept")
    whiten_advantages: bool = True
    missing_eos_penalty: float = Field(1.0, ge=0, description="taken from the score when the end token is missing")
    stop_epoch_kl: float | None = Field(
        0.1, gt=0, description="nats a token between old and new policy past which a step's remaining updates are left"
    )
    max_grad_norm: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _adaptive_needs_start(self) -> PPOSettings:
        if self.kl_target is not None and self.kl_coef == 0:
            raise ValueError("kl_target adapts kl_coef multiplicatively, which cannot leave 0: set kl_coef above 0")
        return self


AlgorithmSettings = PPOSettings
