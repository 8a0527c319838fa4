"""The base of every section of the settings."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Immutable, typed, and closed: an unknown name is an error, never ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        # TOML has no null, so the text "none" stands for it, in files and on the command line alike. It stays a text
        # where a setting admits no null: there "none" may be one of its choices.
        if not isinstance(values, dict):
            return values
        optional = {name for name, info in cls.model_fields.items() if type(None) in get_args(info.annotation)}
        return {key: None if value == "none" and key in optional else value for key, value in values.items()}
