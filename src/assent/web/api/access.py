"""Who may come in: accounts, links, and tokens for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from assent.store.accounts import Account, change_account, end_access, get_account, list_accounts
from assent.store.erasure import erase_person, touched_by
from assent.store.progress import progress_of
from assent.store.sessions import (
    Entrance,
    list_api_tokens,
    list_links,
    make_api_token,
    make_link,
    revoke_api_token,
    withdraw_link,
)
from assent.types.errors import NotAllowedError
from assent.web.api.assignments import Served
from assent.web.api.campaigns import Manage, Read
from assent.web.api.me import Self
from assent.web.entrance import OWN, Requires, may
from assent.web.fields import PathId, Sent, ShortText
from assent.web.problems import answers

router = APIRouter(tags=["access"])
Own = Annotated[Entrance, Depends(Requires(OWN))]
Role = Literal["owner", "manager", "adjudicator", "annotator", "read-only"]
Scope = Literal["judge", "read", "adjudicate", "manage", "own"]


class AccountOut(BaseModel):
    """An account. Its login name is shown to those alone who manage accounts."""

    id: int
    person_id: int
    name: str
    login: str | None
    role: str
    state: str
    groups: list[str]
    has_password: bool


class PersonOut(AccountOut):
    """An account with its person's progress."""

    judgements: int
    repeated_pairs: int
    self_consistency: float | None


class AccountChange(Sent):
    """What is to change; the rest stays. Who is excluded judges no more from now on; what they judged stays."""

    role: Role | None = None
    state: Literal["active", "paused", "excluded"] | None = None
    groups: list[ShortText] | None = Field(None, max_length=50)


class LinkIn(Sent):
    """An invitation."""

    role: Role = "annotator"
    groups: list[ShortText] = Field(default_factory=list, max_length=50)
    note: ShortText = ""
    hours: float = Field(168.0, gt=0, le=24 * 90, allow_inf_nan=False)


class LinkMade(BaseModel):
    """A link, which is shown this once."""

    url: str


class LinkOut(BaseModel):
    """A link without its token."""

    id: int
    role: str
    groups: list[str]
    note: str
    account_id: int | None
    used_by: int | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class TokenIn(Sent):
    """A key for a program: it can do what its scopes and its owner's role both allow."""

    name: ShortText
    scopes: list[Scope] = Field(min_length=1, max_length=5)
    hours: float | None = Field(None, gt=0, le=24 * 3650, allow_inf_nan=False)


class TokenMade(BaseModel):
    """A token, which is shown this once."""

    id: int
    token: str


class TokenOut(BaseModel):
    """A token's description."""

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Touched(BaseModel):
    """What a person's judgements shaped."""

    artifacts: list[str] = Field(description="dataset versions and the models made of them")


class ErasedOut(Touched):
    """What came of the erasure. The artifacts stay as they are."""

    judgements: int


@router.get("/people", responses=answers())
def people(service: Served, entrance: Read) -> list[AccountOut]:
    """All accounts."""
    return [_account_out(each, entrance) for each in list_accounts(service.store)]


@router.get("/people/{account_id}", responses=answers(404))
def person(service: Served, entrance: Read, account_id: PathId) -> PersonOut:
    """One account with its person's progress."""
    account = get_account(service.store, account_id)
    progress = progress_of(service.store, account.person_id)
    return PersonOut(
        **vars(_account_out(account, entrance)),
        judgements=progress.judgements,
        repeated_pairs=progress.repeated_pairs,
        self_consistency=progress.self_consistency,
    )


@router.patch("/people/{account_id}", responses=answers(404, 409))
def change_person(service: Served, entrance: Manage, account_id: PathId, sent: AccountChange) -> AccountOut:
    """Change a role, a state or groups. Only owners touch owners and managers."""
    account = change_account(service.store, account_id, entrance.account, sent.role, sent.state, sent.groups)
    return _account_out(account, entrance)


@router.post("/people/{account_id}/link", status_code=201, responses=answers(404))
def sign_in_link(request: Request, service: Served, entrance: Manage, account_id: PathId) -> LinkMade:
    """A link that signs an account in once, for who has no password or forgot it."""
    account = get_account(service.store, account_id)
    token = make_link(service.store, account.role, account_id=account_id, by=entrance.account, hours=24)
    return LinkMade(url=_url(request, token))


@router.post("/people/{account_id}/sign-out", status_code=204, responses=answers(404))
def sign_out_everywhere(service: Served, entrance: Self, account_id: PathId) -> None:
    """End every session of an account: one's own, or, as a manager, someone's."""
    if account_id != entrance.account.id:
        if not may(entrance, "manage"):
            raise NotAllowedError("only managers sign others out")
        if get_account(service.store, account_id).role in ("owner", "manager") and not may(entrance, OWN):
            raise NotAllowedError("only an owner signs owners and managers out")
    end_access(service.store, account_id, entrance.account.id)


@router.get("/people/{account_id}/touched", responses=answers(404))
def touched(service: Served, entrance: Manage, account_id: PathId) -> Touched:
    """What a person's judgements shaped: what erasing them would leave behind."""
    found = touched_by(service.store, get_account(service.store, account_id).person_id)
    return Touched(artifacts=list(found))


@router.post("/people/{account_id}/erase", responses=answers(404, 409))
def erase(service: Served, entrance: Own, account_id: PathId) -> ErasedOut:
    """Withdraw all that a person judged and remove what names them. It cannot be undone."""
    found = erase_person(service.store, account_id, entrance.account)
    return ErasedOut(artifacts=list(found.artifacts), judgements=found.judgements)


@router.get("/links", responses=answers())
def links(service: Served, entrance: Manage) -> list[LinkOut]:
    """All links, without their tokens."""
    return [LinkOut(**{**vars(each), "groups": list(each.groups)}) for each in list_links(service.store)]


@router.post("/links", status_code=201, responses=answers())
def invite(request: Request, service: Served, entrance: Manage, sent: LinkIn) -> LinkMade:
    """Invite somebody: a link that makes an account, once."""
    token = make_link(service.store, sent.role, sent.groups, sent.note, by=entrance.account, hours=sent.hours)
    return LinkMade(url=_url(request, token))


@router.delete("/links/{link_id}", status_code=204, responses=answers(404, 409))
def end_link(service: Served, entrance: Manage, link_id: PathId) -> None:
    """End a link that was not used."""
    withdraw_link(service.store, link_id, entrance.account)


@router.get("/tokens", responses=answers())
def tokens(service: Served, entrance: Self) -> list[TokenOut]:
    """One's own tokens."""
    return [
        TokenOut(
            id=each.id,
            name=each.name,
            scopes=list(each.scopes),
            created_at=each.created_at,
            expires_at=each.expires_at,
            revoked_at=each.revoked_at,
        )
        for each in list_api_tokens(service.store, entrance.account.id)
    ]


@router.post("/tokens", status_code=201, responses=answers())
def make_token(service: Served, entrance: Self, sent: TokenIn) -> TokenMade:
    """Make a token. A token cannot make one with more scopes than it has."""
    if entrance.scopes is not None and not set(sent.scopes) <= set(entrance.scopes):
        raise NotAllowedError("a token makes no token with more scopes than its own")
    number, token = make_api_token(service.store, entrance.account, sent.name, sent.scopes, sent.hours)
    return TokenMade(id=number, token=token)


@router.delete("/tokens/{token_id}", status_code=204, responses=answers(404))
def end_token(service: Served, entrance: Self, token_id: PathId) -> None:
    """End one of one's own tokens."""
    revoke_api_token(service.store, token_id, entrance.account)


def _account_out(account: Account, entrance: Entrance) -> AccountOut:
    return AccountOut(
        id=account.id,
        person_id=account.person_id,
        name=account.name,
        login=account.login if may(entrance, "manage") else None,
        role=account.role,
        state=account.state,
        groups=list(account.groups),
        has_password=account.has_password,
    )


def _url(request: Request, token: str) -> str:
    return str(request.base_url.replace(path=f"/link/{token}", query="", fragment=""))
