"""A bandit as a user would bring it: a checkpoint whose completions are single tokens, prompts, and a reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

KL_COEF = 1.0  # reward per nat
CONTEXTS, ACTIONS = 8, 50
_NUMBERS = torch.Generator().manual_seed(0)
# Some prompts are harder than others: the scores of each spread by another amount.
_SPREAD = torch.linspace(0.75, 2.0, CONTEXTS, dtype=torch.float64)[:, None]
SCORE = _SPREAD * torch.randn(CONTEXTS, ACTIONS, generator=_NUMBERS, dtype=torch.float64)
REF_LOGITS = 0.5 * torch.randn(CONTEXTS, ACTIONS, generator=_NUMBERS, dtype=torch.float64)
NEVER = -30.0  # the logit of every token that is no action
END, PAD, HELD_OUT = "<|end|>", "<|pad|>", "h0"


def score(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """The reward, by the names of context and action."""
    return [_score_of(prompt, text) for prompt, text in zip(prompts, completions, strict=True)]


def _score_of(prompt: str, text: str) -> float:
    if prompt == HELD_OUT or not text.startswith("a"):
        return 0.0
    return float(SCORE[int(prompt[1:]), int(text[1:])])


def best_policy(contexts: int, actions: int) -> Tensor:
    """π* ∝ π_ref · e^{r/β}, [contexts, actions]."""
    ref = REF_LOGITS[:contexts, :actions].log_softmax(-1)
    return (ref + SCORE[:contexts, :actions] / KL_COEF).softmax(-1)


def words(contexts: int, actions: int) -> list[str]:
    """The vocabulary, by id."""
    return [END, PAD, HELD_OUT, *(f"c{i}" for i in range(contexts)), *(f"a{i}" for i in range(actions))]


def build(folder: Path, contexts: int, actions: int) -> tuple[Path, Path]:
    """A checkpoint that starts as the reference, to rounding, and a file with its prompts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = words(contexts, actions)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=PAD))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        asked = torch.arange(2, 3 + contexts)[:, None]
        states = model.model(input_ids=asked).last_hidden_state[:, -1].double()
        logits = torch.full((contexts + 1, len(vocabulary)), NEVER, dtype=torch.float64)
        logits[:, 3 + contexts :] = 0.0
        logits[1:, 3 + contexts :] = REF_LOGITS[:contexts, :actions]
        model.lm_head.weight.copy_((torch.linalg.pinv(states) @ logits).T)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    lines = [{"prompt": f"c{i}", "split": "train"} for i in range(contexts)] + [{"prompt": HELD_OUT, "split": "test"}]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder / "model", folder / "prompts.jsonl"


def distance(model: Path, contexts: int, actions: int) -> float:
    """Mean total variation of a checkpoint's next token from the best policy, over contexts."""
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        asked = torch.arange(3, 3 + contexts)[:, None]
        policy = AutoModelForCausalLM.from_pretrained(model)(input_ids=asked).logits[:, -1].double().softmax(-1)
    best = torch.zeros_like(policy)
    best[:, 3 + contexts :] = best_policy(contexts, actions)
    return float(0.5 * (policy - best).abs().sum(-1).mean())
