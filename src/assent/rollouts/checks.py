"""What comes back from a user's environment or from a generator, looked at before anything is built on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

from assent.types.errors import AssentError, ModelError, UnhealthyRewardError
from assent.types.messages import Message, Role
from assent.types.protocols import StepResult
from assent.types.rollout import Generation

T = TypeVar("T")


def guarded(name: str, where: str, call: Callable[[], T]) -> T:
    """What a call into an environment gives.

    Raises:
        UnhealthyRewardError: it raised; environment and call are named.
    """
    try:
        return call()
    except AssentError:
        raise
    except Exception as error:
        raise UnhealthyRewardError(
            f"environment {name} raised {type(error).__name__} in {where}: {error}",
            "try the same seed and the same completions by hand",
        ) from error


def checked_messages(name: str, where: str, found: Any) -> tuple[Message, ...]:
    """An environment's messages.

    Raises:
        UnhealthyRewardError: they are no sequence of messages with known roles.
    """
    messages = tuple(found) if isinstance(found, tuple | list) else None
    if messages is None or not all(isinstance(each, Message) and each.role in get_args(Role) for each in messages):
        raise UnhealthyRewardError(
            f"environment {name} gave {str(found)[:80]!r} as messages in {where}",
            "give a tuple of assent.types.messages.Message, with the role user, system, tool or assistant",
        )
    return messages


def checked_result(name: str, where: str, found: Any) -> StepResult:
    """An environment's answer, with the reward as a number.

    Raises:
        UnhealthyRewardError: it is no StepResult, or its reward is no finite number.
    """
    if not isinstance(found, StepResult):
        raise UnhealthyRewardError(
            f"environment {name} gave {str(found)[:80]!r} in {where}", "give an assent.types.protocols.StepResult"
        )
    try:
        reward = float(found.reward)
    except (TypeError, ValueError):
        reward = math.nan
    if not math.isfinite(reward):
        raise UnhealthyRewardError(
            f"environment {name} gave the reward {found.reward!r} in {where}",
            "every reward must be a finite number: catch the case in the environment",
        )
    return StepResult(checked_messages(name, where, found.messages), reward, bool(found.done))


def require_finite(generations: Sequence[Generation], prompts: Sequence[str]) -> None:
    """Raises ModelError if a policy gave log-probabilities that are not finite, so that its words mean nothing.

    Args:
        prompts: what each request asked, for the error.
    """
    for generation in generations:
        if not math.isfinite(sum(generation.rollout_logprobs)):
            raise ModelError(
                f"{generation.policy_version} gave no finite log-probabilities after the prompt"
                f" {prompts[generation.request][:60]!r}",
                "its weights hold NaN or infinities: train it again with a lower learning rate, or copy it again",
            )
