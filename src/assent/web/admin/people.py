"""People: how reliable each is, how they are getting on, who may do what; invite, pause, exclude, erase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from assent.feedback import Interval, PersonFacts, wilson
from assent.store import get_person, list_people
from assent.store.accounts import ROLES, Account, change_account, end_access, get_account, list_accounts
from assent.store.erasure import erase_person, touched_by
from assent.store.gold_sources import gold_scores
from assent.store.progress import progress_of
from assent.store.sessions import make_link
from assent.types.errors import ConflictError, DataError, NotAllowedError, NotFoundError
from assent.web.admin.crowd import MEASUREMENTS, Measured
from assent.web.admin.data import runs_of
from assent.web.admin.drawing import intervals
from assent.web.admin.entry import Asked, Manager, Owner, Reader, Served, Word, Words, back_to, listed
from assent.web.entrance import OWN, may
from assent.web.fields import PathId
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()
TOLD = {
    "changed": "Changed.",
    "out": "Signed out everywhere.",
    "erased": "Erased: what they said is withdrawn, and nothing names them any more.",
}


@dataclass(frozen=True)
class Row:
    """A person, with the account by which they come in, if any, and what is known of them, if anything."""

    id: int
    name: str
    kind: str
    account: Account | None
    facts: PersonFacts | None
    gold: Interval | None
    repeated: Interval | None = None


@router.get("/people")
def people(request: Request, service: Served, entrance: Reader, done: Asked = "") -> Response:
    """Everybody who judged or may come in."""
    measured = MEASUREMENTS.of(service.store, runs_of(service, None))
    values = {"rows": _rows(service, measured), "measured": measured, "roles": ROLES, "told": TOLD, "done": done}
    return page(request, "admin/people.html", entrance, **values)


@router.post("/people/invite")
def invite(
    request: Request,
    service: Served,
    entrance: Manager,
    role: Word = "annotator",
    groups: Words = "",
    note: Word = "",
    hours: Annotated[float, Form(gt=0, le=24 * 90, allow_inf_nan=False)] = 168.0,
) -> Response:
    """Make a link for somebody new, and show it once."""
    token = make_link(service.store, role, listed(groups), note, by=entrance.account, hours=hours)
    return _link(request, entrance, token, note or "somebody new", f"It makes an account ({role}), once.")


@router.get("/people/{person_id}")
def person(request: Request, service: Served, entrance: Reader, person_id: PathId, done: Asked = "") -> Response:
    """One person."""
    row, measured = _row(service, person_id)
    facts = row.facts
    shares: list[tuple[str, str, Interval | None]] = [
        ("Agrees with the others", "c-1", facts.agreement if facts else None),
        ("Right on tasks with a known answer", "c-2", row.gold),
        ("Agrees with themselves", "c-3", row.repeated),
        ("What is shown first wins", "c-4", facts.first_wins if facts else None),
        ("What is longer wins", "c-5", facts.longer_wins if facts else None),
    ]
    drawn = [(name, hue, found) for name, hue, found in shares if found is not None]
    values = {
        "row": row,
        "measured": measured,
        "chart": intervals("shares", f"Shares of {row.name}", drawn, 0.5) if drawn else None,
        "roles": ROLES,
        "touched": touched_by(service.store, person_id),
        "told": TOLD,
        "done": done,
    }
    return page(request, "admin/person.html", entrance, **values)


@router.post("/people/{person_id}/account")
def change(
    service: Served,
    entrance: Manager,
    person_id: PathId,
    role: Word = "",
    state: Word = "",
    groups: Words | None = None,
) -> Response:
    """Change a role, a state or groups. Who is excluded judges no more from now on; what they judged stays."""
    if role and role not in ROLES:
        raise DataError(f"no role {role!r}", f"It is one of {', '.join(ROLES)}.")
    if state and state not in ("active", "paused", "excluded"):
        raise DataError(f"no state {state!r}", "It is active, paused or excluded.")
    account = _account(service, person_id)
    new = None if groups is None else listed(groups)
    changed_role = role if role and role != account.role else None
    change_account(service.store, account.id, entrance.account, changed_role, state or None, new)
    return back_to(f"/people/{person_id}", "changed")


@router.post("/people/{person_id}/link")
def sign_in_link(request: Request, service: Served, entrance: Manager, person_id: PathId) -> Response:
    """A link that lets them in once more."""
    account = _account(service, person_id)
    token = make_link(service.store, account.role, account_id=account.id, by=entrance.account, hours=24)
    return _link(request, entrance, token, account.name, "It signs them in, once, within a day.")


@router.post("/people/{person_id}/sign-out")
def sign_out(service: Served, entrance: Manager, person_id: PathId) -> Response:
    """End their sessions."""
    account = _account(service, person_id)
    if account.role in ("owner", "manager") and not may(entrance, OWN) and account.id != entrance.account.id:
        raise NotAllowedError("only an owner signs owners and managers out")
    end_access(service.store, account.id, entrance.account.id)
    return back_to(f"/people/{person_id}", "out")


@router.post("/people/{person_id}/erase")
def erase(service: Served, entrance: Owner, person_id: PathId, name: Word = "") -> Response:
    """Withdraw all that they said and remove what names them; the name must be typed."""
    account = _account(service, person_id)
    if name.strip() != account.name:
        raise ConflictError("the name that was typed is not theirs", "Nothing was erased. Go back and type it again.")
    erase_person(service.store, account.id, entrance.account)
    return back_to(f"/people/{person_id}", "erased")


def _rows(service: Service, measured: Measured) -> list[Row]:
    accounts = {each.person_id: each for each in list_accounts(service.store)}
    facts = {each.person_id: each for each in (measured.facts.people if measured.facts else ())}
    gold = gold_scores(service.store)
    found = []
    for each in list_people(service.store):
        score = gold.get(each.id)
        share = wilson(score.right, score.pairs) if score is not None and score.pairs else None
        if each.id in accounts or each.id in facts:
            found.append(Row(each.id, each.name, each.kind.value, accounts.get(each.id), facts.get(each.id), share))
    return sorted(found, key=lambda row: (row.account is None, row.id))


def _row(service: Service, person_id: int) -> tuple[Row, Measured]:
    try:
        known = get_person(service.store, person_id)
    except DataError as error:
        raise NotFoundError(error.message) from error
    measured = MEASUREMENTS.of(service.store, runs_of(service, None))
    found = {row.id: row for row in _rows(service, measured)}.get(person_id)
    row = found or Row(known.id, known.name, known.kind.value, None, None, None)
    progress = progress_of(service.store, person_id)
    repeated = wilson(progress.repeated_alike, progress.repeated_pairs) if progress.repeated_pairs else None
    return Row(row.id, row.name, row.kind, row.account, row.facts, row.gold, repeated), measured


def _account(service: Service, person_id: int) -> Account:
    found = next((each.id for each in list_accounts(service.store) if each.person_id == person_id), None)
    if found is None:
        raise NotFoundError(f"person {person_id} has no account")
    return get_account(service.store, found)


def _link(request: Request, entrance: Manager, token: str, whom: str, words: str) -> Response:
    address = str(request.base_url.replace(path=f"/link/{token}", query="", fragment=""))
    return page(request, "admin/link_made.html", entrance, address=address, whom=whom, words=words)
