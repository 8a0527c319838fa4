from __future__ import annotations

import inspect

import pytest

from assent.types import errors
from assent.types.errors import AssentError, SettingsError
from assent.types.messages import Message, user_prompt
from assent.types.protocols import RewardFn
from assent.types.rollout import FinishReason, Rollout
from assent.types.seeds import derive_seed


def test_every_error_has_an_exit_code_of_its_own() -> None:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AssentError)]
    # What the service tells apart by its answers is to a command wrong data of one sort.
    kinds = [kind for kind in found if kind is errors.DataError or not issubclass(kind, errors.DataError)]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(kinds) >= 9
    assert all(1 <= code <= 255 for code in codes)


def test_an_error_shows_its_hint_on_a_line_of_its_own() -> None:
    assert str(SettingsError("a.toml: unknown setting", "did you mean 'rl'?")) == (
        "a.toml: unknown setting\n  did you mean 'rl'?"
    )
    assert str(SettingsError("a.toml: unknown setting")) == "a.toml: unknown setting"


def test_user_prompt() -> None:
    prompt = user_prompt("Hi", "test", item="bleach")
    assert prompt.messages == (Message("user", "Hi"),)
    assert (prompt.text, prompt.split, prompt.meta) == ("Hi", "test", {"item": "bleach"})


def test_seeds_are_the_same_on_every_machine() -> None:
    # printf "int:0\x1fstr:rollouts\x1fint:3" | b2sum -l 64, halved. Another value would break the resume of old runs.
    assert derive_seed(0, "rollouts", 3) == 1853304760290482767
    assert 0 <= derive_seed("x") < 2**63


def test_seeds_differ_by_any_part_of_the_address() -> None:
    addresses: list[tuple[int | str, ...]] = [(1, 23), (12, 3), ("1", 23), ("1", "23"), (1, 2, 3), (123,), ("123",)]
    assert len({derive_seed(*address) for address in addresses}) == len(addresses)


@pytest.mark.parametrize(
    ("reason", "finished"), [(FinishReason.STOP, True), (FinishReason.LENGTH, False), (FinishReason.CONTEXT, False)]
)
def test_only_the_models_own_end_finishes_a_rollout(reason: FinishReason, finished: bool) -> None:
    assert Rollout(0, [1], [2], [-0.1], reason, "text", "policy-0").finished is finished


def test_a_plain_function_is_a_reward() -> None:
    def brevity(prompts: list[str], completions: list[str]) -> list[float]:
        return [-float(len(text)) for text in completions]

    assert isinstance(brevity, RewardFn)
