from __future__ import annotations

import pytest

from assent.rollouts.choice import load_environment
from assent.tasks.environments import ENVIRONMENTS
from assent.types.errors import SettingsError, UnhealthyRewardError
from tests.unit.rollouts.own_environments import Counting

OWN = "tests.unit.rollouts.own_environments"


def test_bundled_ones_by_name_and_own_ones_by_module() -> None:
    for name, make in ENVIRONMENTS.items():
        assert load_environment(name) is make
    assert load_environment(f"{OWN}:Counting") is Counting


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tictacto", "did you mean 'tictactoe'"),
        ("zzz", "bundled ones: chain, tictactoe"),
        (f"{OWN}:Countin", "did you mean 'Counting'"),
        ("nowhere_at_all:Environment", "no module 'nowhere_at_all'"),
        (f"{OWN}:HasNoStep", "HasNoStep, which has no step"),
    ],
)
def test_what_cannot_be_played_is_refused(name: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_environment(name)
    assert said in str(caught.value)


def test_one_that_cannot_be_made_is_named() -> None:
    with pytest.raises(UnhealthyRewardError, match="CannotBeMade raised OSError in being made: no such map"):
        load_environment(f"{OWN}:CannotBeMade")
