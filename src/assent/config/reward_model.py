"""The settings of the reward model: what it learns from, by which loss, and how its scores become one reward."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assent.config.section import Section

SAMPLE_LOSSES = ("regression", "binary")


class RewardSettings(Section):
    """Where scores come from: a model of people's judgements, or any Python callable."""

    function: str | None = Field(
        None, description="module:function(prompts, completions) -> scores; no reward model then"
    )
    model: str | None = Field(
        None, description="a reward model that is there already, by the artifact's id, in place of the round's own"
    )
    weights: dict[str, float] = Field(
        default={}, description="criterion -> weight of its head in the score; none: all heads alike, summing to 1"
    )
    pessimism: Literal["none", "mean-std", "worst-case"] = Field(
        "none",
        description="of an ensemble: the mean, the mean less pessimism_coef deviations (Eisenstein et al. 2023),"
        " or the lowest member's score (Coste et al. 2024)",
    )
    pessimism_coef: float = Field(1.0, ge=0, description="deviations between members that mean-std takes off")
    cost_function: str | None = Field(
        None, description="module:function(prompts, completions) -> costs, higher is worse; see algorithm.cost_limit"
    )

    @model_validator(mode="after")
    def _one_source(self) -> RewardSettings:
        if self.function is not None and self.model is not None:
            raise ValueError("reward.function and reward.model both give the scores: leave one out")
        return self


class RewardModelSettings(Section):
    """Training the reward model on people's rankings, or on a file of samples."""

    optimizer: Literal["adamw", "muon"] = Field("adamw", description="muon suits models pretrained with it")
    loss: Literal["pairwise", "best-of-k", "plackett-luce", "regression", "binary"] = Field(
        "pairwise",
        description="best-of-k uses only who came first, plackett-luce the whole order;"
        " regression and binary learn rewards and 0/1 labels from `samples`",
    )
    samples: str | None = Field(
        None,
        description="JSONL for regression: {'prompt', 'completion', 'reward' or 'marks'}; for binary:"
        " {'prompt' if you like, 'completion' or 'text', 'label': 0 or 1}; no rankings are needed then",
    )
    dataset: str | None = Field(
        None, description="a dataset version of people's rankings that is frozen already, by its id or its beginning"
    )
    samples_holdout_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="of the samples, by content hash, where lines name no split; they measure the model",
    )
    ones_are: Literal["good", "bad"] = Field(
        "good", description="what a label of 1 says: where it is bad (toxic), RL is given the negative"
    )
    huber_delta: float | None = Field(
        None,
        gt=0,
        description="deviations of the rewards from which on an error counts linearly (Huber 1964); regression",
    )
    ties: Literal["half", "davidson", "drop"] = Field(
        "half",
        description="of pairwise: half pulls the two together, davidson learns how readily people tie (Davidson 1970),"
        " drop leaves tied pairs out",
    )
    margin: float = Field(
        0.0,
        ge=0,
        description="units of score asked for per place between two ranks (after Touvron et al. 2023); pairwise",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of a pair's label given to the other side (Szegedy et al. 2016); pairwise"
    )
    reliability: Literal["none", "agreement", "bradley-terry"] = Field(
        "none",
        description="how a person's judgements count: agreement, by how often others agreed; bradley-terry, by a model"
        " of each person's reliability and leaning to what is shown first (after Chen et al. 2013)",
    )
    influence_cap: float = Field(
        2.0,
        ge=1,
        description="times an equal share: no one's judgements count for more of the whole, if reliability is not none",
    )
    criteria: list[str] = Field(
        default=[],
        description="a head each, learnt from the marks per criterion (people.criteria_marks, or a file's 'marks');"
        " none: one head for the judgement as a whole",
    )
    length_penalty: float = Field(
        0.0,
        ge=0,
        description="on the squared correlation of score and length, beside a slope in length that explains the labels'"
        " own bias and is left out of the score (after Chen et al. 2024); 0: none",
    )
    lm_coef: float = Field(
        0.0,
        ge=0,
        description="of the next-token loss on judged completions, nats a token (after Yang et al. 2024); 0: none",
    )
    pseudo_labels: int = Field(
        0,
        ge=0,
        description="groups of unlabelled completions that the model labels itself, to be learnt in a second pass"
        " (Lee 2013); 0: none",
    )
    pseudo_confidence: float = Field(
        0.9, gt=0.5, lt=1, description="P(first preferred) or its opposite from which on a pair is labelled"
    )
    ensemble: int = Field(1, ge=1, description="members, each with its own head and order of the data")
    learning_rate: float = Field(2e-4, gt=0)
    epochs: float = Field(1.0, gt=0, description="one: it over-fits fast (Stiennon 2020)")
    warm_start: bool = Field(True, description="from round 2 on, go on from the reward model of the round before")
    rankings_per_step: int = Field(
        16, ge=1, description="or samples; all pairs of a ranking stay in one batch (InstructGPT)"
    )
    warmup_steps: int = Field(5, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    reference_samples: int = Field(256, ge=8, description="completions on which scores are set to mean 0, variance 1")
    checkpoint_every: int = Field(20, ge=1, description="steps")

    @property
    def of_samples(self) -> bool:
        """Whether it learns from a file and needs no rankings."""
        return self.samples is not None

    @model_validator(mode="after")
    def _source_fits_the_loss(self) -> RewardModelSettings:
        if self.samples is not None and self.loss not in SAMPLE_LOSSES:
            raise ValueError(
                f"samples are learnt by the losses {' and '.join(SAMPLE_LOSSES)}, not by {self.loss}:"
                " set reward_model.loss to regression (rewards) or binary (0/1 labels)"
            )
        if self.samples is None and self.loss == "binary":
            raise ValueError("the loss binary learns 0/1 labels from a file: give reward_model.samples")
        if self.samples is None and self.loss == "regression" and not self.criteria:
            raise ValueError(
                "the loss regression learns rewards from a file (give reward_model.samples),"
                " or people's marks (name them in reward_model.criteria)"
            )
        return self

    @model_validator(mode="after")
    def _settings_fit_the_loss(self) -> RewardModelSettings:
        if self.loss != "pairwise":
            for name in ("ties", "margin", "label_smoothing", "pseudo_labels"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is a setting of the loss pairwise; the loss is {self.loss}")
        if self.loss != "regression" and self.huber_delta is not None:
            raise ValueError(f"huber_delta is a setting of the loss regression; the loss is {self.loss}")
        if self.ties == "davidson" and (self.margin or self.label_smoothing):
            raise ValueError(
                "davidson has a likelihood of its own for each outcome: leave margin and label_smoothing 0"
            )
        if self.reliability != "none" and (self.of_samples or self.loss == "best-of-k"):
            raise ValueError(
                "reliability weighs people's judgements, in the losses pairwise, plackett-luce, regression"
            )
        return self

    @model_validator(mode="after")
    def _heads_fit_the_loss(self) -> RewardModelSettings:
        if len(set(self.criteria)) != len(self.criteria):
            raise ValueError("a criterion stands twice in criteria")
        if "overall" in self.criteria:
            raise ValueError("overall is what a model of one head scores: give the criterion another name")
        if self.criteria and self.loss not in ("pairwise", "regression"):
            raise ValueError(f"criteria are learnt by the losses pairwise and regression, not by {self.loss}")
        if self.criteria and (self.length_penalty or self.pseudo_labels or self.ties == "davidson"):
            raise ValueError(
                "length_penalty, pseudo_labels and davidson are for a model of one head: leave criteria out"
            )
        return self
