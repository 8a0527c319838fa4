"""The reward model as the loop trains it: it scores alike in plain transformers, whatever the tokenizer lacks."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from assent.functional.batching import make_batch
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.language import base_model
from assent.stages.reward import load_scorer, train_reward
from assent.stages.sample import sample
from tests.checkpoints import SHAPES, Shape
from tests.unit.stages.conftest import SIMULATED, MakeProject

TEXTS = ["Yes.", "It is so, and it is so, and it is so.", "", "No, never: it harms the lungs."]


@pytest.mark.parametrize("pad", [None, "<|pad|>"], ids=["no pad", "pad"])
@pytest.mark.parametrize(("shape", "rank"), [(shape, 0) for shape in SHAPES] + [("gpt2", 2)])
def test_plain_transformers_give_the_same_scores(
    shape: Shape, rank: int, pad: str | None, make_project: MakeProject
) -> None:
    project = make_project({**SIMULATED, "model.lora.rank": rank, "reward-model.epochs": 0.5}, shape, pad)
    base = base_model(project)
    collect_judgements(project, sample(project, 1, base), LABELLERS)
    reward = train_reward(project, 1, base)
    folder = project.folder(reward)
    plain = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Plain transformers finds the last token by the pad id, so that must stand in no text.
    assert plain.config.pad_token_id == tokenizer.pad_token_id
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)

    scorer = load_scorer(project, reward)
    prompts = project.prompts["test"][: len(TEXTS)]
    ours = scorer.raw_scores(prompts, TEXTS)
    parts = [scorer.encode(prompt, text) for prompt, text in zip(prompts, TEXTS, strict=True)]
    sequences = [[*prompt, *completion] for prompt, completion in parts]
    width = max(map(len, sequences))
    ids = torch.tensor([[*tokens, *[tokenizer.pad_token_id] * (width - len(tokens))] for tokens in sequences])
    with torch.no_grad():
        theirs = plain(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long()).logits[:, 0]
    torch.testing.assert_close(torch.tensor(ours), theirs, atol=1e-5, rtol=0)
    assert max(ours) - min(ours) > 1e-3
    # and what RL sees is the same, normalised: mean 0 and variance 1 on the reference's samples
    mean, std = plain.config.assent_score_mean, plain.config.assent_score_std
    assert scorer.score(prompts, TEXTS) == pytest.approx([(raw - mean) / std for raw in ours], abs=1e-6)
    alone = scorer.batch_scores(make_batch([sequences[1][:1]], [sequences[1][1:]]))
    assert float(alone[0]) == pytest.approx(ours[1], abs=1e-5)
