"""What each kind of label teaches: the examples made of it, and the scores that a few steps lead to."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.config.reward_model import RewardModelSettings
from assent.functional import length_moments
from assent.functional.batching import make_batch
from assent.models.scalar import score_sequences
from assent.training.reward_examples import Example, example_of_ranking, examples_of_confidence, standardised, tie_share
from assent.training.reward_model import RewardModelTraining
from assent.training.reward_objective import RewardObjective, StepCounts
from assent.types.feedback import LabelKind, Ranking
from tests.checkpoints import Shape
from tests.unit.training.building import reward_model

Built = Callable[[Shape], Path]
TOKENS = {i: ([1, 2], [3] * (i + 1)) for i in range(4)}
IDS = (0, 1, 2)


def made(ranks: tuple[int, ...], **given: Any) -> Example | None:
    weight = given.pop("weight", 1.0)
    marks, label = given.pop("marks", ()), given.pop("label", LabelKind.RANKING)
    ranking = Ranking(1, 1, 1, IDS[: len(ranks)], ranks, label, marks)
    return example_of_ranking(ranking, TOKENS, RewardModelSettings(**given), weight)


def test_pairs_have_the_weight_of_their_ranking_and_a_margin_by_rank() -> None:
    example = made((1, 3, 2), margin=0.5, weight=0.6)
    assert example is not None
    assert [tuple(pair) for pair in example.pairs] == [
        (0, 0, 1, 1.0, pytest.approx(0.2), 1.0),
        (0, 0, 2, 1.0, pytest.approx(0.2), 0.5),
        (0, 1, 2, 0.0, pytest.approx(0.2), 0.5),
    ]


def test_ties_as_the_settings_say() -> None:
    tied = made((1, 1, 3))
    assert tied is not None and [pair.preference for pair in tied.pairs] == [0.5, 1.0, 1.0]
    dropped = made((1, 1, 3), ties="drop")
    assert dropped is not None and [(p.preference, p.weight) for p in dropped.pairs] == [(1.0, 0.5), (1.0, 0.5)]
    assert made((1, 1, 1), ties="drop") is None
    assert tie_share([tied]) == pytest.approx(1 / 3)
    # best-of-k has no notion of a tie for the first place, and needs none of the others'
    assert made((1, 1, 3), loss="best-of-k") is None
    assert made((1, 2, 2), loss="best-of-k") is not None
    picked = made((1, 2, 2), label=LabelKind.BEST_OF_K)
    assert picked is not None and len(picked.pairs) == 2, "the others of a pick are not compared"


MARKS = ({"a": 0.9, "b": 0.5}, {"a": 0.1}, {"a": 0.9, "b": 0.7})


def test_marks_make_pairs_per_criterion() -> None:
    example = made((1, 2, 3), criteria=["b", "a"], marks=MARKS)
    assert example is not None
    assert [tuple(pair)[:5] for pair in example.pairs] == [
        (0, 0, 2, 0.0, 0.5),
        (1, 0, 1, 1.0, pytest.approx(1 / 6)),
        (1, 0, 2, 0.5, pytest.approx(1 / 6)),
        (1, 1, 2, 0.0, pytest.approx(1 / 6)),
    ]
    fitted = made((1, 2, 3), loss="regression", criteria=["b", "a"], marks=MARKS)
    assert fitted is not None and fitted.marks == ((0.5, 0.9), (None, 0.1), (0.7, 0.9))
    assert made((1, 2, 3), criteria=["b"]) is None
    assert made((1, 2, 3), loss="regression", criteria=["c"], marks=MARKS) is None


def test_only_what_the_model_is_sure_of_is_labelled() -> None:
    sure = math.log(0.9 / 0.1)
    groups = [[TOKENS[0], TOKENS[1], TOKENS[2]], [TOKENS[0], TOKENS[1]]]
    found = examples_of_confidence(groups, [[0.0, sure + 0.01, sure / 2], [0.0, sure - 0.01]], 0.9)
    assert len(found) == 1
    assert [tuple(pair)[:5] for pair in found[0].pairs] == [(0, 0, 1, 0.0, 1.0)]
    assert examples_of_confidence(groups, [[0.0] * 3, [0.0] * 2], 0.9) == []


def test_rewards_are_standardised_and_missing_marks_stay_missing() -> None:
    examples = [Example((TOKENS[i],), marks=((value, None if i else 4.0),)) for i, value in enumerate((1.0, 3.0, 5.0))]
    scaled, means, stds = standardised(examples)
    assert (means, stds[0]) == ([3.0, 4.0], pytest.approx(math.sqrt(8 / 3)))
    assert [example.marks[0][0] for example in scaled] == pytest.approx([-math.sqrt(1.5), 0.0, math.sqrt(1.5)])
    assert [example.marks[0][1] for example in scaled] == [0.0, None, None]
    with pytest.raises(ValueError, match="single mark"):
        standardised([Example((TOKENS[0],), marks=((1.0, None),))])


def test_readiness_to_tie_begins_at_what_people_did() -> None:
    example = made((1, 1, 3))
    assert example is not None
    objective = RewardObjective(RewardModelSettings(ties="davidson"), [example], 10.0, 2.0)
    # equal scores tie with chance n / (2 + n), a third here
    n = objective.log_tie.detach().exp()
    assert float(n / (2 + n)) == pytest.approx(1 / 3, abs=1e-6)


def test_a_slope_in_length_explains_labels_without_the_score() -> None:
    settings = RewardModelSettings(length_penalty=1.0)
    example = made((1, 2), length_penalty=1.0)
    assert example is not None
    objective = RewardObjective(settings, [example], 10.0, 2.0)
    scores, lengths = torch.zeros(2, 1), torch.tensor([14, 10])
    counts = StepCounts.of([example])
    assert objective(scores, lengths, [example], counts).item() == pytest.approx(math.log(2))
    with torch.no_grad():
        objective.length_slope.fill_(1.5)
    # 4 tokens are 2 deviations: a logit of 3
    assert objective(scores, lengths, [example], counts).item() == pytest.approx(math.log1p(math.exp(-3)))
    assert objective.slope_per_token == 0.75


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ties": "davidson"},
        {"loss": "best-of-k"},
        {"loss": "plackett-luce"},
        {"loss": "regression"},
        {"loss": "binary"},
        {"criteria": ["helpful", "harmless"]},
        {"loss": "regression", "criteria": ["helpful", "harmless"]},
        {"lm_coef": 0.02},
    ],
    ids=str,
)
def test_every_loss_learns_its_labels(given: dict[str, Any], checkpoint: Built) -> None:
    training = reward_model(
        checkpoint("llama"), **{"rankings_per_step": 12, "epochs": 40.0, "warmup_steps": 0, **given}
    )
    rows = [training.step(index, 0) for index in range(training.steps)]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    if given.get("loss") == "regression":
        assert rows[-1]["rmse"] < 0.7 * rows[0]["rmse"]
    else:
        assert rows[-1]["accuracy"] > 0.9
    if "lm_coef" in given:
        assert rows[0]["lm_loss"] / 0.02 == pytest.approx(math.log(400), rel=0.2), "nats a token of a random model"
        assert rows[-1]["lm_loss"] < rows[0]["lm_loss"]


def test_the_length_penalty_takes_length_out_of_the_score(checkpoint: Built) -> None:
    """People who like what is longer: the score follows length without the penalty and not with it."""
    sequences = {i: ([7, 8], list(range(20 + i, 23 + i + 3 * (i % 4)))) for i in range(24)}
    rankings = [Ranking(i, 1, i, tuple(range(4 * i, 4 * i + 4)), (4, 3, 2, 1)) for i in range(6)]
    lengths = torch.tensor([len(completion) for _, completion in sequences.values()])

    def trained(penalty: float) -> tuple[RewardModelTraining, float]:
        fast = {"learning_rate": 1e-3, "epochs": 30.0, "rankings_per_step": 6, "warmup_steps": 2}
        built = reward_model(checkpoint("llama"), length_penalty=penalty, **fast)
        made = [example_of_ranking(ranking, sequences, built.settings) for ranking in rankings]
        examples = [example for example in made if example is not None]
        training = RewardModelTraining(built.model, examples, built.settings, 3, built.compute)
        for index in range(training.steps):
            training.step(index, 0)
        with torch.no_grad():
            batch = make_batch([p for p, _ in sequences.values()], [c for _, c in sequences.values()])
            scores = score_sequences(training.model, batch)[:, 0]
        return training, float(length_moments(scores, lengths, lengths > 0).correlation)

    assert trained(0.0)[1] > 0.8
    training, correlation = trained(20.0)
    assert abs(correlation) < 0.3
    assert training.objective.slope_per_token > 0.0, "length explains the labels in the score's stead"
