"""Who judges: people by name, each with a kind that is recorded for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from assent.store.database import Store
from assent.store.tables import PersonRow
from assent.types.errors import DataError
from assent.types.feedback import PersonKind


@dataclass(frozen=True)
class NewPerson:
    """Someone to be entered. `profile` holds what is known of them, e.g. a simulated person's latent values."""

    name: str
    kind: PersonKind
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """Someone in the store."""

    id: int
    name: str
    kind: PersonKind
    profile: Mapping[str, Any]


def add_people(store: Store, people: Sequence[NewPerson]) -> list[int]:
    """Enter people who are not there yet and return the ids of all, in order. A known name keeps its profile.

    Raises:
        DataError: a known name comes with another kind.
    """
    with store.write() as session:
        known = {row.name: row for row in session.scalars(select(PersonRow))}
        for person in people:
            row = known.get(person.name)
            if row is None:
                row = PersonRow(
                    name=person.name, kind=person.kind.value, profile=dict(person.profile), created_at=store.now()
                )
                known[person.name] = row
                session.add(row)
            elif row.kind != person.kind.value:
                raise DataError(
                    f"{person.name!r} is recorded as {row.kind}, not as {person.kind.value}",
                    "A person's kind never changes; use another name.",
                )
        session.flush()
        return [known[person.name].id for person in people]


def add_person(store: Store, name: str, kind: PersonKind, profile: Mapping[str, Any] | None = None) -> int:
    """Enter one person, or find them by name; see `add_people`."""
    return add_people(store, [NewPerson(name, kind, profile or {})])[0]


def list_people(store: Store, kind: PersonKind | None = None) -> list[Person]:
    """All people, or all of a kind, in order of entry."""
    query = select(PersonRow).order_by(PersonRow.id)
    if kind is not None:
        query = query.where(PersonRow.kind == kind.value)
    with store.read() as session:
        return [Person(row.id, row.name, PersonKind(row.kind), row.profile) for row in session.scalars(query)]


def get_person(store: Store, person_id: int) -> Person:
    """One person.

    Raises:
        DataError: no such person.
    """
    with store.read() as session:
        row = session.get(PersonRow, person_id)
        if row is None:
            raise DataError(f"no person {person_id}", "List them with `assent people`.")
        return Person(row.id, row.name, PersonKind(row.kind), row.profile)
