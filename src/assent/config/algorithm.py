"""Settings of the RL algorithms. The class defaults are the vetted values, each with its source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from assent.config.section import Section

_NOT_A_PENALTY = {
    "k1-loss": "the gradient of k1 as a loss is zero in expectation, so it holds the policy nowhere",
    "k3-loss": (
        "plain k3 as a loss has the gradient of KL(π_ref ‖ π), not of KL(π ‖ π_ref), and ends far from the policy"
        " that the penalty stands for (0.4 in total variation on a small bandit, where k1 in the reward is exact)"
    ),
}


class OnPolicySettings(Section):
    """What all on-policy algorithms have in common: steps, the KL penalty, and how rollouts are used."""

    type: str = Field(
        description="ppo, a2c, reinforce, rloo, reinforce++, grpo, expert-iteration or online-dpo; this section's other"
        " settings are those of it"
    )
    learning_rate: float = Field(1e-5, gt=0, description="Adam step size of the policy (Ziegler 2019)")
    final_learning_rate_share: float = Field(
        0.0, ge=0, le=1, description="where the step sizes end, falling linearly; 1 holds them (Huang 2024)"
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        description="steps over which the policy's step size rises from 0; a value model learns at its full rate"
        " meanwhile, as in verl's critic warm-up; 0: none (Ziegler 2019)",
    )
    adam_epsilon: float = Field(1e-5, gt=0, description="matters: PyTorch's 1e-8 moves far more (Huang 2024)")
    max_grad_norm: float = Field(
        1.0, gt=0, description="gradients are clipped to this norm (1 in verl and TRL; Ziegler 2019 did not clip)"
    )
    kl_coef: float = Field(0.15, ge=0, description="β, in reward per nat; 0 trains without a penalty (Ziegler 2019)")
    kl_target: float | None = Field(
        None, gt=0, description="nats per sequence to hold by adapting β; fixed β if not given (Ziegler 2019: 6)"
    )
    kl_horizon: int = Field(10_000, gt=0, description="rollouts over which β adapts (Ziegler 2019)")
    kl_penalty: Literal["k1-reward", "k2-loss", "k3-corrected-loss"] = Field(
        "k1-reward",
        description="k1 in the reward (Ziegler 2019: exact for whole sequences), or in the loss, token by token: k2"
        " (Schulman 2020; right on policy), or k3 times the policy ratio (DeepSeek-V3.2; right off policy too)",
    )
    missing_eos_penalty: float = Field(
        1.0, ge=0, description="taken from the score when the end token is missing (Huang 2024)"
    )
    entropy_coef: float = Field(0.0, ge=0, description="weight of an entropy bonus; 0: none (Ziegler 2019)")
    epochs: int = Field(1, ge=1, description="passes over a step's rollouts; one is on policy (Williams 1992)")
    minibatches: int = Field(1, ge=1, description="optimiser steps in an epoch; one is on policy (Williams 1992)")
    stop_epoch_kl: float | None = Field(
        0.1,
        gt=0,
        description="nats a token between old and new policy past which a step's remaining updates are left"
        " (a guard of ours; Spinning Up stops at 0.015)",
    )
    rollout_correction: Literal["none", "token-truncate", "token-mask", "sequence-truncate", "sequence-mask"] = Field(
        "none",
        description="weights π_old / π_rollout against a sampler that disagrees (watch mismatch_kl): truncated from"
        " above (Yao 2025), or dropped outside of the bounds (IcePop 2025; Liu 2025); none: local sampling agrees",
    )
    rollout_weight_max: float = Field(2.0, ge=1, description="upper bound of these weights (Yao 2025)")
    rollout_weight_min: float = Field(0.5, ge=0, le=1, description="lower bound, where they are masked (IcePop 2025)")
    kl_budget: float | None = Field(
        None,
        gt=0,
        description="nats per sequence that RL may take the policy from the reference, by its own rollouts, all at"
        " sampling.temperature; none: no bound (a KL penalty acts as early stopping, Gao 2022; loop.kl_budget is what a"
        " promoted policy may lie)",
    )
    kl_budget_action: Literal["stop", "raise"] = Field(
        "stop",
        description="past kl_budget: end the run with the last policy within it (Gao 2022), or double β with each step"
        " past it, and halve it again well within it (Schulman 2017, section 4)",
    )
    ptx_coef: float = Field(
        0.0,
        ge=0,
        description="weight of the next-token loss on pretraining texts (pretrain.texts or the task's) in every update:"
        " PPO-ptx; 0: none (Ouyang 2022 takes 27.8)",
    )
    sft_coef: float = Field(
        0.0, ge=0, description="weight of the next-token loss on demonstrations in every update; 0: none (Ouyang 2022)"
    )
    mixed_tokens: int = Field(
        2048,
        ge=64,
        description="tokens at least that ptx_coef, and as many that sft_coef, take in each update (a choice of ours;"
        " Ouyang 2022 takes 8 times as many pretraining examples as rollouts)",
    )
    cost_limit: float | None = Field(
        None,
        description="what the mean cost (reward.cost_function, cost_model or cost_criterion) may be: a Lagrange"
        " multiplier λ takes λ · cost from the score and moves until the limit holds (Dai 2024); none: costs are only"
        " reported",
    )
    cost_multiplier: float = Field(1.0, gt=0, description="λ at the start, in reward per cost (Dai 2024)")
    cost_learning_rate: float = Field(
        0.1,
        ge=0,
        description="step size of log λ; 0 holds λ, which makes it a weighted sum of score and cost (Dai 2024)",
    )
    cost_multiplier_max: float = Field(
        5.0,
        gt=0,
        description="λ goes no higher, so that a limit that cannot be met does not drown the score (Dai 2024)",
    )

    @property
    def needs_groups(self) -> bool:
        """True if the rollouts of one prompt are compared with one another."""
        return False

    @field_validator("kl_penalty", mode="before")
    @classmethod
    def _has_the_gradient_of_the_kl(cls, value: Any) -> Any:
        if isinstance(value, str) and (reason := _NOT_A_PENALTY.get(value)) is not None:
            raise ValueError(f"{reason}: use k1-reward, k2-loss or k3-corrected-loss")
        return value

    @model_validator(mode="after")
    def _adaptive_needs_start(self) -> OnPolicySettings:
        if self.kl_target is not None and self.kl_coef == 0:
            raise ValueError("kl_target adapts kl_coef multiplicatively, which cannot leave 0: set kl_coef above 0")
        return self

    @model_validator(mode="after")
    def _bounds_fit(self) -> OnPolicySettings:
        if self.kl_budget is not None and self.kl_budget_action == "raise" and self.kl_coef == 0:
            raise ValueError("kl_budget_action raise doubles kl_coef, which cannot leave 0: set kl_coef above 0")
        if self.kl_budget is not None and self.kl_target is not None and self.kl_target >= self.kl_budget:
            raise ValueError(
                "kl_target is what is held, and kl_budget what is not passed: set kl_target below kl_budget"
            )
        if self.cost_multiplier > self.cost_multiplier_max:
            raise ValueError("cost_multiplier must not exceed cost_multiplier_max")
        return self


class ActorCriticSettings(OnPolicySettings):
    """What the algorithms with a learnt value model have in common."""

    value_learning_rate: float | None = Field(
        None, gt=0, description="of the value model; learning_rate if not given (Ziegler 2019)"
    )
    value_coef: float = Field(0.1, ge=0, description="weight of the value loss (Ziegler 2019)")
    gamma: float = Field(1.0, ge=0, le=1, description="discount of later tokens' rewards; 1: none (Ziegler 2019)")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="λ of the advantage estimates (Ziegler 2019)")
    whiten_rewards: bool = Field(
        False,
        description="scale per-token rewards by their deviation, mean kept; β is then in deviations (Ziegler 2019: on)",
    )
    whiten_advantages: bool = Field(True, description="to mean 0 and variance 1 over a step (Ziegler 2019)")


class PPOSettings(ActorCriticSettings):
    """Proximal policy optimisation with a per-token KL penalty to the reference (Schulman 2017; Ziegler 2019)."""

    type: Literal["ppo"] = "ppo"
    clip: float = Field(0.2, gt=0, description="ratio clip, both sides (Schulman 2017)")
    value_clip: float = Field(
        0.2, gt=0, description="of the value's move from its old estimate, in reward units (Ziegler 2019)"
    )
    epochs: int = Field(4, ge=1, description="passes over a step's rollouts (Ziegler 2019)")


class A2CSettings(ActorCriticSettings):
    """Advantage actor-critic: PPO with one epoch, one minibatch and no clips (Mnih 2016; Huang 2022)."""

    type: Literal["a2c"] = "a2c"
    epochs: Literal[1] = Field(1, description="one by definition; more is PPO (Huang 2022)")
    minibatches: Literal[1] = Field(1, description="one by definition; more is PPO (Huang 2022)")


class ReinforceSettings(OnPolicySettings):
    """REINFORCE: the policy gradient with returns, and at most a batch mean as baseline (Williams 1992)."""

    type: Literal["reinforce"] = "reinforce"
    gamma: float = Field(1.0, ge=0, le=1, description="discount of later tokens' rewards; 1: none (Ziegler 2019)")
    baseline: Literal["none", "batch-mean"] = Field(
        "batch-mean", description="what is taken from the returns (Williams 1992)"
    )


class RLOOSettings(OnPolicySettings):
    """REINFORCE leave-one-out: the mean of a prompt's other rollouts is the baseline (Ahmadian 2024)."""

    type: Literal["rloo"] = "rloo"
    learning_rate: float = Field(1e-6, gt=0, description="Adam step size of the policy (Ahmadian 2024)")
    kl_coef: float = Field(0.03, ge=0, description="β, in reward per nat; 0 trains without a penalty (Ahmadian 2024)")

    @property
    def needs_groups(self) -> bool:
        """Always: the baseline is made of the others."""
        return True


class ReinforcePlusPlusSettings(OnPolicySettings):
    """REINFORCE++: advantages without a value model, whitened over the whole batch, under PPO's clip (Hu 2025)."""

    type: Literal["reinforce++"] = "reinforce++"
    learning_rate: float = Field(5e-7, gt=0, description="Adam step size of the policy (Hu 2025)")
    kl_coef: float = Field(0.01, ge=0, description="β, in reward per nat; 0 trains without a penalty (Hu 2025)")
    clip: float = Field(0.2, gt=0, description="ratio clip, both sides (Hu 2025)")
    baseline: Literal["none", "group-mean"] = Field(
        "none", description="group-mean takes the mean of a prompt's rollouts first: REINFORCE++-baseline (Hu 2025)"
    )

    @property
    def needs_groups(self) -> bool:
        """With the group's mean as baseline."""
        return self.baseline == "group-mean"


# (low, high) around a ratio of 1, for each kind of ratio.
_CLIPS = {
    "token": (0.2, 0.2),  # Schulman 2017; Shao 2024
    "sequence": (3e-4, 4e-4),  # Zheng 2025, section 5.1
    "detached": (1.0, 4.0),  # weights in [0, 5]: no lower bound (MiniMax 2025), the upper one of Khatri 2025 (ScaleRL)
}


class GRPOSettings(OnPolicySettings):
    """Group relative policy optimisation (Shao 2024), and by its settings Dr. GRPO, DAPO, GSPO and CISPO."""

    type: Literal["grpo"] = "grpo"
    learning_rate: float = Field(1e-6, gt=0, description="Adam step size of the policy (Shao 2024)")
    kl_coef: float = Field(0.04, ge=0, description="β, in reward per nat; 0 trains without a penalty (Shao 2024)")
    scale: Literal["group-std", "none"] = Field(
        "group-std",
        description="divide by the deviation of a prompt's rewards (Shao 2024), or not (Dr. GRPO, Liu 2025). A KL"
        " penalty in the loss is then weighed against rewards so divided: its optimum is no longer that of kl_coef",
    )
    loss_mean: Literal["tokens", "sequences", "constant"] = Field(
        "tokens",
        description="over all tokens (DAPO, Yu 2025); over sequences of their token means, which favours short good"
        " and long bad ones (Shao 2024); or over the generation budget for every sequence (Dr. GRPO, Liu 2025):"
        " sampling.max_new_tokens, in an environment rl.max_turns times as many",
    )
    ratio: Literal["token", "sequence", "detached"] = Field(
        "token",
        description="what is clipped: each token's ratio (Shao 2024), the sequence's geometric mean (GSPO, Zheng 2025),"
        " or each token's ratio as a constant weight that leaves every token its gradient (CISPO, MiniMax 2025)",
    )
    clip_low: float | None = Field(
        None, ge=0, description="below 1; by ratio 0.2 (Schulman 2017), 3e-4 (Zheng 2025), or 1 (MiniMax 2025)"
    )
    clip_high: float | None = Field(
        None, ge=0, description="above 1; by ratio 0.2 (DAPO: 0.28, Yu 2025), 4e-4 (Zheng 2025), or 4 (Khatri 2025)"
    )
    drop_zero_variance: bool = Field(
        False, description="leave groups of equal rewards out of the loss and of its mean (DAPO; not in Shao 2024)"
    )
    mask_truncated: bool = Field(
        False, description="leave completions without an end out of the loss (DAPO's filtering; not in Shao 2024)"
    )
    overlong_buffer: int = Field(
        0,
        ge=0,
        description="tokens before sampling.max_new_tokens over which a penalty rises from 0 to 1 (DAPO: a fifth of"
        " the longest completion); 0: none (Shao 2024)",
    )

    @property
    def needs_groups(self) -> bool:
        """Always: rewards are relative to the group."""
        return True

    @property
    def clips(self) -> tuple[float, float]:
        """(low, high), with what stands for those that were not given."""
        low, high = _CLIPS[self.ratio]
        return low if self.clip_low is None else self.clip_low, high if self.clip_high is None else self.clip_high

    @model_validator(mode="after")
    def _truncated_pay_once(self) -> GRPOSettings:
        ways = {
            "mask_truncated": self.mask_truncated,
            "overlong_buffer": self.overlong_buffer > 0,
            "missing_eos_penalty": self.missing_eos_penalty > 0,
        }
        if sum(ways.values()) > 1:
            names = " and ".join(name for name, chosen in ways.items() if chosen)
            raise ValueError(f"{names} are set: mask truncated completions or penalise them, one of the two, once")
        return self


class ExpertIterationSettings(OnPolicySettings):
    """Expert iteration by rejection sampling: imitate the best of each group (Anthony 2017; Dong 2023, RAFT)."""

    type: Literal["expert-iteration"] = "expert-iteration"
    keep: int = Field(1, ge=1, description="rollouts of each group that are imitated, the best ones (Dong 2023)")
    kl_coef: float = Field(
        0.0, ge=0, description="β, in reward per nat: what a rollout's KL takes from its rank; 0: none (Anthony 2017)"
    )
    kl_penalty: Literal["k1-reward"] = Field(
        "k1-reward", description="in the rank: in the loss it would be that of the imitated rollouts alone (Dong 2023)"
    )

    @property
    def needs_groups(self) -> bool:
        """Always: the best is so among others."""
        return True


class OnlineDPOSettings(OnPolicySettings):
    """DPO on pairs that the policy writes and the reward judges as it learns (Guo 2024; Rafailov 2023)."""

    type: Literal["online-dpo"] = "online-dpo"
    kl_coef: float = Field(0.1, gt=0, description="β of DPO's loss, in reward per nat (Guo 2024; Rafailov 2023)")
    kl_penalty: Literal["implicit"] = Field(  # type: ignore[assignment]
        "implicit", description="none but that in DPO's loss, whose rewards are β (log π − log π_ref) (Rafailov 2023)"
    )
    labels: Literal["hard", "soft"] = Field(
        "hard",
        description="the best of a group is preferred to its worst (Guo 2024), or of every two the better one with"
        " probability σ(difference of scores), in whose optimum π ∝ π_ref·e^{score/β} (Bradley–Terry; a choice of"
        " ours)",
    )
    epochs: Literal[1] = Field(1, description="a pair's weight is that under the policy that wrote it (Guo 2024)")
    minibatches: Literal[1] = Field(1, description="a pair's weight is that under the policy that wrote it (Guo 2024)")
    rollout_correction: Literal["none"] = Field("none", description="pairs are not weighted (Guo 2024)")

    @property
    def needs_groups(self) -> bool:
        """Always: a pair is two of a group."""
        return True


ALGORITHMS: dict[str, type[OnPolicySettings]] = {
    "ppo": PPOSettings,
    "a2c": A2CSettings,
    "reinforce": ReinforceSettings,
    "rloo": RLOOSettings,
    "reinforce++": ReinforcePlusPlusSettings,
    "grpo": GRPOSettings,
    "expert-iteration": ExpertIterationSettings,
    "online-dpo": OnlineDPOSettings,
}


def _type_of(values: Any) -> str:
    """The algorithm's name in a section that may leave it out: it is PPO then."""
    if isinstance(values, dict):
        return str(values.get("type", "ppo"))
    return str(getattr(values, "type", "ppo"))


AlgorithmSettings = Annotated[
    Annotated[PPOSettings, Tag("ppo")]
    | Annotated[A2CSettings, Tag("a2c")]
    | Annotated[ReinforceSettings, Tag("reinforce")]
    | Annotated[RLOOSettings, Tag("rloo")]
    | Annotated[ReinforcePlusPlusSettings, Tag("reinforce++")]
    | Annotated[GRPOSettings, Tag("grpo")]
    | Annotated[ExpertIterationSettings, Tag("expert-iteration")]
    | Annotated[OnlineDPOSettings, Tag("online-dpo")],
    Discriminator(_type_of),
]
