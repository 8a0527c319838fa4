"""Every algorithm with every setting that gives it another loss or advantage, and rollouts to try them on."""

from __future__ import annotations

import torch

from assent.algorithms.base import Experience
from assent.config import (
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

GROUP, LONGEST = 4, 6
VARIANTS: dict[str, OnPolicySettings] = {
    "ppo": PPOSettings(),
    "ppo, k2": PPOSettings(kl_penalty="k2-loss", entropy_coef=0.01),
    "a2c": A2CSettings(entropy_coef=0.01),
    "reinforce": ReinforceSettings(gamma=0.9),
    "reinforce, no baseline": ReinforceSettings(baseline="none"),
    "rloo": RLOOSettings(),
    "rloo, k3": RLOOSettings(kl_penalty="k3-corrected-loss", rollout_correction="token-truncate"),
    "reinforce++": ReinforcePlusPlusSettings(),
    "reinforce++-baseline": ReinforcePlusPlusSettings(baseline="group-mean", kl_penalty="k2-loss"),
    "grpo": GRPOSettings(),
    "grpo, mean over sequences": GRPOSettings(loss_mean="sequences", kl_penalty="k3-corrected-loss", entropy_coef=0.1),
    "dr grpo": GRPOSettings(scale="none", loss_mean="constant"),
    "dapo": GRPOSettings(kl_coef=0.0, clip_high=0.28, drop_zero_variance=True),
    "dapo, truncated masked": GRPOSettings(mask_truncated=True, missing_eos_penalty=0.0, loss_mean="sequences"),
    "dapo, overlong penalised": GRPOSettings(overlong_buffer=3, missing_eos_penalty=0.0),
    "gspo": GRPOSettings(ratio="sequence", loss_mean="sequences", clip_low=0.2, clip_high=0.2),
    "cispo": GRPOSettings(ratio="detached", clip_high=0.2),
    "masked by token": GRPOSettings(rollout_correction="token-mask", loss_mean="sequences"),
    "expert iteration": ExpertIterationSettings(),
    "expert iteration, best two": ExpertIterationSettings(keep=2, kl_coef=0.1, entropy_coef=0.01),
    "online dpo": OnlineDPOSettings(),
    "online dpo, soft": OnlineDPOSettings(labels="soft", entropy_coef=0.01),
    "masked by sequence": PPOSettings(rollout_correction="sequence-mask", rollout_weight_max=1.2),
}


def experience_of(seed: int, prompts: int = 2) -> Experience:
    """Rollouts of 1 to 6 tokens; every fourth is cut off, and the last prompt's scores are all alike."""
    draw = torch.Generator().manual_seed(seed)
    rows = prompts * GROUP
    lengths = torch.randint(1, LONGEST + 1, (rows,), generator=draw)
    old, ref, values, sampled = 0.3 * torch.randn(4, rows, LONGEST, generator=draw, dtype=torch.float64)
    score = torch.randn(rows, generator=draw, dtype=torch.float64)
    score[-GROUP:] = 0.5
    return Experience(
        mask=torch.arange(LONGEST) < lengths[:, None],
        score=score,
        finished=torch.arange(rows) % 4 != 3,
        old_logprobs=old - 2.0,
        ref_logprobs=ref - 2.0,
        values=values,
        rollout_logprobs=old + 0.3 * sampled - 2.0,
        samples_per_prompt=GROUP,
        max_new_tokens=LONGEST,
    )
