"""The kinds of value that requests carry, with their bounds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LARGEST = 2**31 - 1  # what a database's integer holds


def readable(text: str) -> str:
    """Text that every database and file can hold.

    Raises:
        ValueError: it has a NUL or half of a surrogate pair.
    """
    if "\x00" in text:
        raise ValueError("a text cannot hold the character NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text cannot hold half of a surrogate pair")
    return text


def readable_all(value: Any) -> Any:
    """The same of every text within JSON values, which must not be deeper than 20 levels."""
    _walk(value, 20)
    return value


def _walk(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(value, str):
        readable(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            readable(str(key))
            _walk(each, depth - 1)
    elif isinstance(value, list):
        for each in value:
            _walk(each, depth - 1)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        raise ValueError("a number is too large")
    elif isinstance(value, float) and (value != value or abs(value) == float("inf")):
        raise ValueError("a number is not finite")


ShortText = Annotated[str, Field(max_length=200), AfterValidator(readable)]
LongText = Annotated[str, Field(max_length=100_000), AfterValidator(readable)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Id = Annotated[int, Field(ge=1, le=LARGEST)]
PathId = Annotated[int, Path(ge=1, le=LARGEST)]
Before = Annotated[int | None, Query(ge=1, le=LARGEST, description="`next` of the page before")]
PageSize = Annotated[int, Query(ge=1, le=200, description="rows on a page")]


class Sent(BaseModel):
    """What a request brings; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")
