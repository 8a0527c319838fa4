"""Settings of offline preference learning. The class defaults are the vetted values, each with its source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from assent.config.section import Section


class PreferenceSettings(Section):
    """What all losses of offline preference learning have in common: what is learnt from, and in which steps."""

    type: str = Field(description="dpo, ipo, kto, orpo or simpo; this section's other settings are those of it")
    comparisons: str | None = Field(
        None,
        description="JSONL of {'prompt' | 'messages', 'chosen', 'rejected'}, for kto also {…, 'completion', 'label'};"
        " none: people's rankings of all rounds so far (a choice of ours)",
    )
    batch_size: int = Field(
        64, ge=1, description="comparisons in one optimiser step; of kto judged completions (Rafailov 2023)"
    )
    epochs: float = Field(1.0, gt=0, description="passes over the comparisons (Rafailov 2023)")
    learning_rate: float = Field(1e-6, gt=0, description="AdamW step size at its peak (Rafailov 2023)")
    warmup_share: float = Field(
        0.1, ge=0, lt=1, description="of the steps, over which the step size rises from 0 (Meng 2024)"
    )
    final_learning_rate_share: float = Field(
        0.0, ge=0, le=1, description="of the peak, where the step size ends on a cosine; 1 holds it (Meng 2024)"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm (TRL)")
    checkpoint_every: int = Field(20, ge=1, description="steps (a choice of ours)")

    @property
    def needs_reference(self) -> bool:
        """True if the loss is about how far the policy has moved from the reference."""
        return True

    @property
    def averages_tokens(self) -> bool:
        """True if log-probabilities are averaged over a completion's tokens; they are summed otherwise."""
        return False

    @property
    def learns_ties(self) -> bool:
        """True if a tie teaches something; where it does not, ties are left out and counted."""
        return False


class DPOSettings(PreferenceSettings):
    """Direct preference optimisation: the policy as its own reward model (Rafailov 2023), and its variants."""

    type: Literal["dpo"] = "dpo"
    kl_coef: float = Field(0.1, gt=0, description="β, in reward per nat (Rafailov 2023)")
    label_smoothing: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of comparisons held to be the wrong way round: conservative DPO; 0: none (Mitchell 2023)",
    )
    flip_rate: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="share of comparisons flipped at random, whose bias is taken out: robust DPO; 0:"
        " none (Chowdhury 2024)",
    )
    ties: Literal["drop", "learn"] = Field(
        "drop",
        description="leave ties out (Rafailov 2023), or learn that both are worth the same, as from a label of one half"
        " (a choice of ours)",
    )

    @property
    def learns_ties(self) -> bool:
        """If asked to."""
        return self.ties == "learn"

    @model_validator(mode="after")
    def _noise_is_met_once(self) -> DPOSettings:
        if self.label_smoothing > 0 and self.flip_rate > 0:
            raise ValueError(
                "label_smoothing and flip_rate are two answers to the same noise: smoothing (conservative) makes the"
                " policy less sure, flip_rate (robust) takes the bias out; set one of them"
            )
        if self.flip_rate > 0 and self.learns_ties:
            raise ValueError("flip_rate has no notion of a tie, which flipped is still a tie: set ties to drop")
        return self


class IPOSettings(PreferenceSettings):
    """Identity preference optimisation: a target for each difference, which unanimity cannot push off (Azar 2024)."""

    type: Literal["ipo"] = "ipo"
    kl_coef: float = Field(
        0.1, gt=0, description="β (the paper's τ): the target is 1 / (2β) nats between chosen and rejected (TRL)"
    )
    length_average: bool = Field(
        False,
        description="log-probabilities averaged over tokens (TRL), so that the target is in nats a token and β must be"
        " larger; summed without (Azar 2024)",
    )

    @property
    def averages_tokens(self) -> bool:
        """If asked to."""
        return self.length_average


class KTOSettings(PreferenceSettings):
    """Kahneman–Tversky optimisation: completions judged one by one, thumb up or down (Ethayarajh 2024)."""

    type: Literal["kto"] = "kto"
    batch_size: int = Field(64, ge=2, description="judged completions in one optimiser step (a choice of ours)")
    kl_coef: float = Field(0.1, gt=0, description="β, in reward per nat (Ethayarajh 2024)")
    desirable_weight: float = Field(
        1.0, ge=0, description="λ of desirable completions; keep λ times their number about equal (Ethayarajh 2024)"
    )
    undesirable_weight: float = Field(1.0, ge=0, description="λ of undesirable completions (Ethayarajh 2024)")

    @model_validator(mode="after")
    def _something_counts(self) -> KTOSettings:
        if self.desirable_weight == 0 and self.undesirable_weight == 0:
            raise ValueError("desirable_weight and undesirable_weight are both 0, so that no completion counts")
        return self


class ORPOSettings(PreferenceSettings):
    """Odds-ratio preference optimisation: fine-tuning on the chosen, away from the rejected (Hong 2024)."""

    type: Literal["orpo"] = "orpo"
    learning_rate: float = Field(8e-6, gt=0, description="AdamW step size at its peak (Hong 2024)")
    odds_coef: float = Field(0.1, ge=0, description="λ, weight of the odds ratio beside the SFT loss (Hong 2024)")

    @property
    def needs_reference(self) -> bool:
        """Never: its SFT loss holds the policy."""
        return False

    @property
    def averages_tokens(self) -> bool:
        """Always."""
        return True


class SimPOSettings(PreferenceSettings):
    """Simple preference optimisation: the averaged log-probability as reward, with a margin (Meng 2024)."""

    type: Literal["simpo"] = "simpo"
    batch_size: int = Field(128, ge=1, description="comparisons in one optimiser step (Meng 2024)")
    reward_scale: float = Field(2.0, gt=0, description="β, in reward per nat a token (Meng 2024)")
    margin: float = Field(
        1.0, ge=0, description="γ, by how much reward the chosen should be ahead; half of β (Meng 2024)"
    )

    @property
    def needs_reference(self) -> bool:
        """Never: nothing but the step size holds the policy."""
        return False

    @property
    def averages_tokens(self) -> bool:
        """Always."""
        return True


PREFERENCES: dict[str, type[PreferenceSettings]] = {
    "dpo": DPOSettings,
    "ipo": IPOSettings,
    "kto": KTOSettings,
    "orpo": ORPOSettings,
    "simpo": SimPOSettings,
}


def _type_of(values: Any) -> str:
    """The loss's name in a section that may leave it out: it is DPO then."""
    if isinstance(values, dict):
        return str(values.get("type", "dpo"))
    return str(getattr(values, "type", "dpo"))


PreferenceChoice = Annotated[
    Annotated[DPOSettings, Tag("dpo")]
    | Annotated[IPOSettings, Tag("ipo")]
    | Annotated[KTOSettings, Tag("kto")]
    | Annotated[ORPOSettings, Tag("orpo")]
    | Annotated[SimPOSettings, Tag("simpo")],
    Discriminator(_type_of),
]
