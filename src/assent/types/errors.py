"""Errors a user can act on: what happened, where, and what to do. Each kind has its exit code."""

from __future__ import annotations


class AssentError(Exception):
    """Base of every error that is the user's to mend; the command line prints it without a traceback.

    Args:
        message: what is wrong, naming the file, the line or the field.
        hint: what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class SettingsError(AssentError):
    """A setting is unknown, has a wrong value, or does not go with another one."""

    exit_code = 2


class DataError(AssentError):
    """A file of prompts, demonstrations or judgements cannot be used."""

    exit_code = 3


class NotFoundError(DataError):
    """What was asked for is not there, or not for the one who asks."""


class ConflictError(DataError):
    """It does not go with what is there by now: frozen, changed by someone else, or done before."""


class LeaseLostError(ConflictError):
    """A lease ran out, and the task was given to someone else."""


class NotAllowedError(DataError):
    """The one who asks may not do this."""


class ModelError(AssentError):
    """A checkpoint, tokenizer or adapter cannot be used."""

    exit_code = 4


class UnhealthyRewardError(AssentError):
    """The reward model is unhealthy, or a reward function or an environment gave what cannot be used."""

    exit_code = 5


class WorkspaceError(AssentError):
    """The workspace is missing, locked by another process, read-only, full or damaged."""

    exit_code = 6


class WaitingForPeople(AssentError):
    """The loop cannot go on until people have judged the open tasks. Nothing is wrong."""

    exit_code = 7


class TrainingHalted(AssentError):
    """Training produced non-finite numbers again and again, even after a roll-back."""

    exit_code = 8


class Interrupted(AssentError):
    """A signal asked the process to stop; the state was saved first."""

    exit_code = 143
