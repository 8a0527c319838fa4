"""Who may come to a page, what its forms bring, and where they lead back to."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Form, Path, Query
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator

from assent.config import Settings, load_settings
from assent.store import Workspace
from assent.store.sessions import Entrance
from assent.web.entrance import ADJUDICATE, MANAGE, OWN, READ, Requires
from assent.web.fields import LARGEST, readable
from assent.web.service import Service, service_of

Served = Annotated[Service, Depends(service_of)]
Reader = Annotated[Entrance, Depends(Requires(READ))]
Adjudicator = Annotated[Entrance, Depends(Requires(ADJUDICATE))]
Manager = Annotated[Entrance, Depends(Requires(MANAGE))]
Owner = Annotated[Entrance, Depends(Requires(OWN))]

Word = Annotated[str, Form(max_length=200), AfterValidator(readable)]
Words = Annotated[str, Form(max_length=5000), AfterValidator(readable)]
Long = Annotated[str, Form(max_length=100_000), AfterValidator(readable)]
Several = Annotated[list[Annotated[str, AfterValidator(readable)]], Form(max_length=1000)]
Whole = Annotated[int, Form(ge=0, le=LARGEST)]
Share = Annotated[float, Form(ge=0, le=100, allow_inf_nan=False)]  # in per cent
Name = Annotated[str, Path(max_length=200), AfterValidator(readable)]
Asked = Annotated[str, Query(max_length=300), AfterValidator(readable)]
People = Annotated[list[Annotated[int, Query(ge=1, le=LARGEST)]], Query(max_length=500)]


def workspace_of(service: Service) -> Workspace:
    """The folder that the service's store belongs to."""
    return Workspace(service.folder)


def settings_of(service: Service) -> Settings:
    """The project's settings as they stand in its file now.

    Raises:
        SettingsError: the file cannot be read.
    """
    return load_settings([workspace_of(service).settings_file])


def back_to(address: str, done: str = "") -> RedirectResponse:
    """Lead a browser from a form that was carried out to the page that shows it; `done` is a key of what it says."""
    return RedirectResponse(f"{address}?done={done}" if done else address, 303)


def listed(text: str) -> tuple[str, ...]:
    """The parts of a field that holds several, by commas or lines; each once."""
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
