"""Which settings of the reward model go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.config import dump_settings, load_settings
from assent.types.errors import SettingsError

TASK = ["--task", "household"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--reward-model.samples", "x.jsonl"], "set reward_model.loss to regression"),
        (["--reward-model.loss", "binary"], "give reward_model.samples"),
        (["--reward-model.loss", "regression"], "give reward_model.samples"),
        (
            ["--reward-model.loss", "best-of-k", "--reward-model.margin", "0.1"],
            "margin is a setting of the loss pairwise",
        ),
        (["--reward-model.loss", "plackett-luce", "--reward-model.ties", "drop"], "ties is a setting of"),
        (["--reward-model.huber-delta", "1"], "huber_delta is a setting of the loss regression"),
        (["--reward-model.ties", "davidson", "--reward-model.margin", "0.1"], "leave margin and label_smoothing 0"),
        (["--reward-model.loss", "best-of-k", "--reward-model.reliability", "agreement"], "reliability weighs"),
        (["--reward-model.loss", "best-of-k", "--reward-model.criteria", "['helpful']"], "not by best-of-k"),
        (["--reward-model.criteria", "['a', 'a']"], "stands twice"),
        (["--reward-model.criteria", "['a']", "--reward-model.length-penalty", "1"], "a model of one head"),
        (["--reward.function", "a:b", "--reward.model", "reward-1"], "leave one out"),
        (["--reward.pessimism", "worst"], "worst-case"),
    ],
)
def test_what_does_not_go_together_is_refused(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings([], [*TASK, *flags])


def test_nobody_need_be_asked_where_a_file_says_it() -> None:
    flags = ["--people.kind", "none", "--reward-model.samples", "x.jsonl", "--reward-model.loss", "binary"]
    assert load_settings([], [*TASK, *flags]).reward_model.of_samples
    assert load_settings([], [*TASK, "--people.kind", "none", "--reward.model", "reward-1"]).reward.model == "reward-1"


def test_weights_per_criterion_are_read_and_written(tmp_path: Path) -> None:
    start = [*TASK, "--people.criteria-marks", "--reward-model.criteria", "['helpful', 'harmless']"]
    dotted = load_settings([], [*start, "--reward.weights.helpful", "2", "--reward.weights.harmless", "0.5"])
    table = load_settings([], [*start, "--reward.weights", "{helpful = 2, harmless = 0.5}"])
    assert dotted == table and dotted.reward.weights == {"helpful": 2.0, "harmless": 0.5}
    file = tmp_path / "settings.toml"
    file.write_text(dump_settings(dotted), encoding="utf-8")
    assert load_settings([file]) == dotted
