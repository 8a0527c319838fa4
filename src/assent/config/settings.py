"""Every setting there is, with its default. The only place where a default stands."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from assent.config.algorithm import AlgorithmSettings, ExpertIterationSettings, GRPOSettings, PPOSettings
from assent.config.combinations import (
    require_enough_people,
    require_marked_criteria,
    require_one_temperature,
    require_readable_reward,
    require_room_to_warm_up,
    require_what_is_mixed_in,
    require_what_overlap_needs,
)
from assent.config.people import PeopleSettings
from assent.config.preference import DPOSettings, PreferenceChoice
from assent.config.reward_model import RewardModelSettings, RewardSettings
from assent.config.section import Section
from assent.config.worlds import TEMPLATES


class LoraSettings(Section):
    """Low-rank adapters (Hu et al. 2021). The reference is then the base without its adapter: no second copy."""

    rank: int = Field(0, ge=0, description="0 trains all weights")
    alpha: float = Field(16.0, gt=0)
    targets: Literal["all-linear"] | list[str] = Field("all-linear", description="module names to adapt")


class ShapeSettings(Section):
    """The Llama-shaped model that is pretrained from scratch when no model is given."""

    hidden_size: int = Field(192, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    intermediate_size: int = Field(512, ge=8)
    vocab_size: int = Field(1200, ge=300, description="at most; the tokenizer may find fewer pieces")
    context: int = Field(256, ge=16, description="longest sequence in tokens")

    @model_validator(mode="after")
    def _heads_divide(self) -> ShapeSettings:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of 2 * heads ({2 * self.heads})")
        return self


class ModelSettings(Section):
    """Which model is aligned."""

    path: str | None = Field(
        None, description="a transformers causal LM: local directory or hub id; none: from scratch"
    )
    revision: str | None = Field(None, description="of a hub id")
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora: LoraSettings = LoraSettings()
    shape: ShapeSettings = ShapeSettings()


class PromptSettings(Section):
    """What the policy is asked, when no bundled task provides it."""

    path: str | None = Field(None, description="JSONL of {'prompt': text} or {'messages': [...]}, optional 'split'")
    test_share: float = Field(0.2, gt=0, lt=1, description="held out by content hash where lines name no split")
    template: str = Field(
        "Question: {prompt}\nAnswer:",
        description="used where the tokenizer has no chat template of its own; a bundled task may have another",
    )

    @model_validator(mode="after")
    def _template_holds_prompt(self) -> PromptSettings:
        if "{prompt}" not in self.template:
            raise ValueError("template must contain {prompt}")
        return self


class LanguageModelSettings(Section):
    """Next-token training: pretraining and supervised fine-tuning."""

    steps: int = Field(300, ge=1)
    tokens_per_step: int = Field(4096, ge=64, description="packed tokens in one optimiser step")
    optimizer: Literal["adamw", "muon"] = Field("adamw", description="muon learns faster from scratch (Jordan 2024)")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW; Muon's hidden matrices take 6 times that")
    warmup_steps: int = Field(20, ge=0)
    final_learning_rate_share: float = Field(0.1, ge=0, le=1, description="where the cosine ends")
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    checkpoint_every: int = Field(50, ge=1, description="steps")


class PretrainSettings(LanguageModelSettings):
    """Next-token training on raw text; a stage of its own, only where no model is given."""

    texts: str | None = Field(None, description="a text file or JSONL of {'text': …} instead of the task's corpus")
    optimizer: Literal["adamw", "muon"] = "muon"
    learning_rate: float = Field(3e-3, gt=0)
    tokens_per_step: int = Field(2048, ge=64)


class SftSettings(LanguageModelSettings):
    """Supervised fine-tuning on demonstrations ("traditional fine-tuning")."""

    demonstrations: str | None = Field(None, description="JSONL of {'prompt': …, 'completion': …}; the task's if none")
    steps: int = Field(80, ge=1)
    learning_rate: float = Field(3e-4, gt=0)


class SamplingSettings(Section):
    """How completions are drawn, in rollouts and for people alike."""

    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(64, ge=1)
    batch_size: int = Field(256, ge=1, description="sequences decoded together")
    generator: Literal["local", "vllm"] = Field(
        "local",
        description="what writes them: the trainer's own model, or vLLM (assent[vllm]) with a copy of its weights",
    )
    vllm_memory: float = Field(
        0.4, gt=0, lt=1, description="share of a GPU's memory that vLLM takes for its weights and its cache"
    )


class HealthSettings(Section):
    """What a reward model must show before any RL uses it."""

    max_below_ceiling: float = Field(
        0.05, ge=0, description="held-out accuracy may lie so far below people's agreement"
    )
    min_accuracy: float = Field(
        0.55, gt=0.5, lt=1, description="the accuracy's lower 95 % bound must pass one half too"
    )
    max_calibration_error: float = Field(0.15, gt=0, description="expected calibration error of P(first preferred)")
    max_length_correlation: float = Field(0.8, gt=0, le=1, description="|Spearman| of score and length in tokens")
    min_explained: float = Field(
        0.1, ge=0, lt=1, description="of regression: share of the held-out rewards' variance (R²) that it explains"
    )
    max_score_difference: float = Field(1e-3, gt=0, description="of one text between batch sizes, paddings and packing")


class RLSettings(Section):
    """The RL loop around the algorithm."""

    steps: int = Field(40, ge=1)
    rollouts_per_step: int = Field(64, ge=2)
    samples_per_prompt: int = Field(1, ge=1)
    evaluate_every: int = Field(10, ge=1, description="steps between measurements on held-out prompts")
    evaluate_prompts: int = Field(64, ge=1)
    keep: Literal["last", "best"] = Field(
        "last",
        description="the weights after the last step; or, of all that were measured every evaluate_every steps and at"
        " the end, the best: fewest games lost in the environment's examination, else the highest held-out reward less"
        " its KL penalty",
    )
    checkpoint_every: int = Field(5, ge=1, description="steps")
    max_nonfinite_steps: int = Field(3, ge=1, description="skipped steps in a row before a roll-back, then a halt")
    temperature_from: float | None = Field(
        None, gt=0, description="of the first step's rollouts; sampling.temperature if not given"
    )
    temperature_to: float | None = Field(
        None, gt=0, description="of the last step's, reached linearly; sampling.temperature if not given"
    )
    pass_score: float | None = Field(
        None, description="a score that counts as a pass: logs pass_rate, and coverage, the prompts with at least one"
    )
    pass_gold: float | None = Field(
        None, description="the same by the gold judge's overall mark, on held-out prompts: gold_coverage"
    )
    evaluate_samples: int = Field(
        1, ge=1, description="completions of each held-out prompt (or games of a held-out seed), for coverage"
    )
    evaluate_texts: bool = Field(
        False, description="measure the perplexity of held-out pretraining texts; always done with algorithm.ptx_coef"
    )
    overlap: bool = Field(
        False,
        description="draw the next step's rollouts while this step's are learnt from, by the policy of one step before"
        " (set algorithm.rollout_correction); pays where generator and trainer do not share their processors",
    )
    environment: str | None = Field(
        None, description="a bundled one (tictactoe, chain) or module:Class; its rewards take the place of all others"
    )
    max_turns: int = Field(32, ge=1, description="of the policy in a game; an environment that goes on is an error")
    opponent_age: int = Field(
        0,
        ge=0,
        description="in self-play: steps after which the other side takes over the policy's weights; 0: at once",
    )


class EvaluationSettings(Section):
    """The blind comparison, on held-out prompts."""

    prompts: int = Field(200, ge=1, description="at most")
    samples_per_prompt: int = Field(
        1, ge=1, description="completions (or games) of each policy; more narrow the intervals"
    )
    judges_per_pair: int = Field(2, ge=2, description="people per pair; half see the one order, half the other")
    bootstrap: int = Field(2000, ge=100, description="resamples of prompts for the 95 % intervals")


class LoopSettings(Section):
    """How a round makes its policy, and when it is promoted."""

    rounds: int = Field(2, ge=1)
    improve: Literal["rl", "preference"] = Field(
        "rl",
        description="RL against a reward model's scores (or reward.function's), or preference: learning from the"
        " rankings directly, see preference.type; no reward model then",
    )
    kl_budget: float = Field(15.0, gt=0, description="nats per sequence from the reference a promoted policy may lie")
    unpenalised_steps: int = Field(0, ge=0, description="steps of a run without KL penalty for the report; 0: none")


class ComputeSettings(Section):
    """Memory and speed."""

    tokens_per_microbatch: int = Field(8192, ge=64, description="padded tokens in one forward and backward")
    memory: float | None = Field(
        None,
        gt=0,
        description="GiB that a run may take beside its weights, or it is refused; what is free if not given",
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; torch's own choice if not given")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of matrix products in training, where weights and sums stay float32, and of the weights that are "
        "sampled from; auto: bfloat16 where chips have it (a narrow model is sampled from in float32)",
    )


def _given(values: Any, *names: str) -> Any:
    """A value in nested mappings, or None."""
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values


class Settings(Section):
    """All of assent.toml."""

    seed: int = Field(0, ge=0)
    task: str | None = Field(None, description="a bundled task, e.g. household; none: your own model and prompts")
    model: ModelSettings = ModelSettings()
    prompts: PromptSettings = PromptSettings()
    pretrain: PretrainSettings = PretrainSettings()
    sft: SftSettings = SftSettings()
    sampling: SamplingSettings = SamplingSettings()
    people: PeopleSettings = PeopleSettings()
    reward: RewardSettings = RewardSettings()
    reward_model: RewardModelSettings = RewardModelSettings()
    health: HealthSettings = HealthSettings()
    algorithm: AlgorithmSettings = PPOSettings()
    preference: PreferenceChoice = DPOSettings()
    rl: RLSettings = RLSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    loop: LoopSettings = LoopSettings()
    compute: ComputeSettings = ComputeSettings()

    @property
    def learns_reward(self) -> bool:
        """True if scores come from a model of people's judgements: neither a function nor an environment gives them."""
        return self.reward.function is None and self.rl.environment is None

    @property
    def compares(self) -> bool:
        """True if anybody can say which of two policies is better: people, a gold judge, or what pays by itself."""
        gold = self.task is not None or self.people.marks is not None
        return self.people.kind != "none" or gold or not self.learns_reward

    @model_validator(mode="before")
    @classmethod
    def _nobody_judges_an_environment(cls, values: Any) -> Any:
        # Where an environment pays, people.kind is none unless it was said otherwise, and then it is refused below.
        if isinstance(values, dict) and _given(values, "rl", "environment") not in (None, "none"):
            people = values.get("people", {})
            if isinstance(people, dict) and "kind" not in people:
                return {**values, "people": {**people, "kind": "none"}}
        return values

    @model_validator(mode="before")
    @classmethod
    def _world_puts_its_prompts(cls, values: Any) -> Any:
        # What a world's texts are like goes with the world, whichever recipe stands beside it.
        template = TEMPLATES.get(str(_given(values, "task")))
        if template is None or not isinstance(values.get("prompts", {}), dict | PromptSettings):
            return values
        prompts = values.get("prompts", {})
        if isinstance(prompts, PromptSettings):
            prompts = prompts.model_dump(include=prompts.model_fields_set)
        return values if "template" in prompts else {**values, "prompts": {**prompts, "template": template}}

    @model_validator(mode="after")
    def _environment_stands_alone(self) -> Settings:
        if self.rl.environment is None:
            return self
        others = {
            "task": self.task is not None,
            "prompts.path": self.prompts.path is not None,
            "reward.function": self.reward.function is not None,
            "reward.model": self.reward.model is not None,
            "people.kind": self.people.kind != "none",
            "rl.pass_gold": self.rl.pass_gold is not None,
            "algorithm.overlong_buffer": isinstance(self.algorithm, GRPOSettings)
            and self.algorithm.overlong_buffer > 0,
        }
        if found := [name for name, given in others.items() if given]:
            raise ValueError(
                f"rl.environment {self.rl.environment} asks and pays by itself: leave out {' and '.join(found)}"
            )
        return self

    @model_validator(mode="after")
    def _has_something_to_train(self) -> Settings:
        if self.task is None and self.model.path is None and self.rl.environment is None:
            raise ValueError("give model.path (a checkpoint), or task (a bundled world that pretrains its own)")
        if self.task is None and self.prompts.path is None and self.rl.environment is None:
            raise ValueError("give prompts.path (a JSONL of prompts), or task (a bundled world that has its own)")
        if self.people.kind == "simulated" and self.task is None and self.people.marks is None:
            raise ValueError("simulated people outside a bundled task need people.marks = 'module:function'")
        pairs = self.preference.comparisons if self.loop.improve == "preference" else None
        given = (self.reward.model, self.reward_model.samples, pairs)
        if self.people.kind == "none" and self.learns_reward and not any(given):
            raise ValueError(
                "people.kind = 'none' leaves nothing to learn from: give reward.function, reward.model or"
                " reward_model.samples; or preference.comparisons with loop.improve = 'preference'"
            )
        if self.people.label == "best-of-k" and self.reward_model.loss == "plackett-luce":
            raise ValueError("people.label best-of-k tells no order, and reward_model.loss plackett-luce learns one")
        share = self.people.careless_share + self.people.adversarial_share + 2 * self.people.biased_share
        if share > 1:
            raise ValueError(f"people's careless, adversarial and (twice) biased shares sum to {share:.2f}, above 1")
        if self.rl.rollouts_per_step % self.rl.samples_per_prompt:
            raise ValueError("rl.rollouts_per_step must be a multiple of rl.samples_per_prompt")
        if self.algorithm.minibatches > self.rl.rollouts_per_step:
            raise ValueError("algorithm.minibatches must not exceed rl.rollouts_per_step")
        return self

    @model_validator(mode="after")
    def _people_give_what_is_learnt(self) -> Settings:
        require_readable_reward(self)
        require_marked_criteria(self)
        require_enough_people(self)
        return self

    @model_validator(mode="after")
    def _algorithm_fits(self) -> Settings:
        algorithm, samples = self.algorithm, self.rl.samples_per_prompt
        if algorithm.needs_groups and samples < 2:
            raise ValueError(
                f"rl.samples_per_prompt is {samples}, and algorithm.type {algorithm.type} compares the rollouts of one"
                " prompt with one another: set rl.samples_per_prompt to 2 or more"
            )
        require_room_to_warm_up(self)
        require_what_overlap_needs(self)
        require_one_temperature(self)
        require_what_is_mixed_in(self)
        if isinstance(algorithm, GRPOSettings) and algorithm.overlong_buffer > self.sampling.max_new_tokens:
            raise ValueError("algorithm.overlong_buffer must not exceed sampling.max_new_tokens")
        if isinstance(algorithm, ExpertIterationSettings) and algorithm.keep >= samples:
            raise ValueError(
                f"algorithm.keep is {algorithm.keep} of rl.samples_per_prompt {samples}: to imitate all of them teaches"
                " nothing; set algorithm.keep below rl.samples_per_prompt"
            )
        return self

    @model_validator(mode="after")
    def _someone_ranks(self) -> Settings:
        if self.loop.improve == "preference" and self.rl.environment is not None:
            raise ValueError(
                "loop.improve is preference, which plays no games: leave rl.environment out, or set it to rl"
            )
        asked = self.people.kind != "none" or self.preference.comparisons is not None
        if self.loop.improve == "preference" and not asked:
            raise ValueError(
                "loop.improve is preference, which learns from rankings, and people.kind is none, so nobody ranks: give"
                " preference.comparisons, or set loop.improve to rl"
            )
        return self
