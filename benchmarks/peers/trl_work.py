"""One run of one work by TRL or transformers: `python -m benchmarks.peers.trl_work grpo S`, in the peers' environment.

Each in the configuration that was quickest here: bf16 autocast, no gradient checkpointing, fine-tuning packed, DPO with
the reference's log-probabilities computed beforehand. PPO is that of TRL 1.12, the last that had it, in $TRL_PPO_PATH.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from benchmarks.peers.ground import BATCH, DATA, ITEMS, MAX_NEW, SEED, Clock, emit, rows

if "trl_work.py" in sys.argv[0] and sys.argv[1] == "ppo":
    sys.path.insert(0, os.environ["TRL_PPO_PATH"])


def load(model: str, kind: str = "policy") -> Any:
    """A model in fp32, as TRL wants it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    cls = AutoModelForCausalLM if kind == "policy" else AutoModelForSequenceClassification
    return cls.from_pretrained(DATA / model / kind, dtype=torch.float32)


def tokenizer_of(model: str) -> Any:
    """The tokenizer of both sides."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(DATA / model / "policy")


def flags(batch: int = BATCH, **more: Any) -> dict[str, Any]:
    """What all trainers are given."""
    common = {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": batch,
        "num_train_epochs": 1,
        "bf16": True,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1000,
        "seed": SEED,
        "disable_tqdm": True,
        "learning_rate": 1e-6,
        "dataloader_pin_memory": False,
    }
    return common | more


def trained(trainer: Any, amount: float) -> None:
    """Train once and print the result."""
    with Clock() as clock:
        share = without_first_step(trainer, clock)
    emit(share * amount, clock)


def without_first_step(trainer: Any, clock: Clock) -> float:
    """Train; the time of the first step is left out. Returns the other steps' share of all."""
    from transformers import TrainerCallback

    ends = 0
    first = clock.aside()

    class LeaveOut(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            first.__enter__()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            nonlocal ends
            ends += 1
            if ends == 1:
                first.__exit__(None, None, None)

    trainer.add_callback(LeaveOut())
    trainer.train()
    return (ends - 1) / ends


def sft(model: str) -> None:
    """One pass over texts, packed."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    data = Dataset.from_list(rows(model, "sft", ITEMS[model]["sft"]))
    config = SFTConfig(**flags(6, max_length=256, packing=True))
    tokenizer = tokenizer_of(model)
    trainer = SFTTrainer(load(model), config, train_dataset=data, processing_class=tokenizer)
    trained(trainer, sum(len(tokenizer(text)["input_ids"]) + 1 for text in data["text"]))


def reward(model: str) -> None:
    """One pass over pairs, 16 a step."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    data = Dataset.from_list(rows(model, "pairs", ITEMS[model]["reward"]))
    config = RewardConfig(**flags(max_length=256))
    trainer = RewardTrainer(load(model, "reward"), config, train_dataset=data, processing_class=tokenizer_of(model))
    trained(trainer, len(data))


def dpo(model: str) -> None:
    """The reference, then one pass over pairs, 16 a step."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    data = Dataset.from_list(rows(model, "pairs", ITEMS[model]["dpo"]))
    config = DPOConfig(**flags(max_length=256, precompute_ref_log_probs=True))
    with Clock() as clock:  # the reference's part belongs to the work, whenever it is done
        trainer = DPOTrainer(
            load(model), ref_model=load(model), args=config, train_dataset=data, processing_class=tokenizer_of(model)
        )
        share = without_first_step(trainer, clock)
    emit(share * len(data), clock)


def grpo(model: str) -> None:
    """8 prompts with 8 completions each a step, one update."""
    from trl import GRPOConfig, GRPOTrainer

    _grouped(GRPOTrainer, GRPOConfig, model)


def rloo(model: str) -> None:
    """The same."""
    from trl import RLOOConfig, RLOOTrainer

    _grouped(RLOOTrainer, RLOOConfig, model)


def _grouped(trainer_class: Any, config_class: Any, model: str, steps: int = 4) -> None:
    from datasets import Dataset

    tokenizer = tokenizer_of(model)
    given = flags(gradient_accumulation_steps=4, num_generations=8, max_completion_length=MAX_NEW, max_steps=steps)
    trainer = trainer_class(
        load(model),
        _odd_share,
        args=config_class(**given, beta=0.0, temperature=1.0),
        train_dataset=Dataset.from_list(rows(model, "prompts")),
        processing_class=tokenizer,
    )
    trainer.model.generation_config.eos_token_id = tokenizer.eos_token_id
    trained(trainer, 64 * steps)


def _odd_share(prompts: Any, completions: Any, completion_ids: Any, **_: Any) -> list[float]:
    return [sum(token % 2 for token in ids) / len(ids) for ids in completion_ids]


def ppo(model: str, steps: int = 3, rollouts: int = 64) -> None:
    """64 rollouts a step, 2 epochs of 4 minibatches."""
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    tokenizer = tokenizer_of(model)
    data = Dataset.from_list([{"input_ids": tokenizer(row["prompt"])["input_ids"]} for row in rows(model, "prompts")])
    given = flags(
        rollouts,  # the trainer splits this into minibatches, with an optimiser step each
        num_mini_batches=4,
        num_ppo_epochs=2,
        total_episodes=rollouts * steps,
        response_length=MAX_NEW,
        local_rollout_forward_batch_size=rollouts,
        temperature=1.0,
        stop_token="eos",
        num_sample_generations=0,
        gradient_accumulation_steps=1,
    )
    del given["num_train_epochs"]
    models = [load(model), load(model), load(model, "reward")]
    trainer = PPOTrainer(PPOConfig(**given), tokenizer, *models, data, load(model, "value"))
    trained(trainer, rollouts * steps)


def generate(model: str, repeats: int = 4) -> None:
    """64 ragged prompts, one completion each."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    tokenizer = tokenizer_of(model)
    # bf16 was quicker on M and slower on S
    dtype = torch.bfloat16 if model == "M" else torch.float32
    policy = AutoModelForCausalLM.from_pretrained(DATA / model / "policy", dtype=dtype).eval()
    config = GenerationConfig(
        max_new_tokens=MAX_NEW, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, eos_token_id=2, pad_token_id=0
    )
    texts = [row["prompt"] for row in rows(model, "prompts", 64)]
    encoded = tokenizer(texts, return_tensors="pt", padding=True)
    begin, tokens = encoded["input_ids"].shape[1], 0
    with torch.no_grad(), Clock() as clock:
        with clock.aside():
            policy.generate(**encoded, generation_config=config)
        for number in range(1, repeats):
            torch.manual_seed(number)
            tokens += int((policy.generate(**encoded, generation_config=config)[:, begin:] != 0).sum())
    emit(tokens, clock)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
