"""The base of every section of the settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Immutable, typed, and closed: an unknown name is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        # TOML has no null, so the text "none" stands for it, in files and on the command line alike.
        if not isinstance(values, dict):
            return values
        return {key: None if value == "none" else value for key, value in values.items()}
