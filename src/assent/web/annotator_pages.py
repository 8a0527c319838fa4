"""The pages of those who judge: where they start, what they agree to, their tasks, and what they did so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from assent.store.acts import past_judgements
from assent.store.campaigns import Campaign, consented, get_campaign, give_consent, list_campaigns
from assent.store.progress import Standing, progress_of, standing_of
from assent.store.sessions import Entrance
from assent.types.errors import ConflictError, NotFoundError
from assent.web.entrance import JUDGE, SELF, Requires, may
from assent.web.fields import Before, PathId
from assent.web.page import page
from assent.web.service import Service, service_of

router = APIRouter(include_in_schema=False)
Served = Annotated[Service, Depends(service_of)]
Self = Annotated[Entrance, Depends(Requires(SELF))]
Judge = Annotated[Entrance, Depends(Requires(JUDGE))]
Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Version = Annotated[int, Form(ge=0, le=2**31 - 1)]
ROWS = 40  # past judgements on a page


@dataclass(frozen=True)
class Mine:
    """A campaign, and where the one who looks stands in it."""

    campaign: Campaign
    standing: Standing
    consented: bool


@router.get("/")
def home(request: Request, service: Served, entrance: Self) -> Response:
    """Where one starts: the campaigns that one may judge in."""
    open_to = _open_to(service, entrance) if may(entrance, JUDGE) else []
    found = [_seen(service, entrance, each) for each in open_to]
    return page(request, "home.html", entrance, campaigns=found)


@router.get("/annotate")
def annotate(
    request: Request, service: Served, entrance: Judge, campaign: Number = None, judgement: Number = None
) -> Response:
    """The page on which one judges: the next task, or a past judgement to be corrected."""
    open_to = _open_to(service, entrance)
    if campaign is None and judgement is None and len(open_to) == 1:
        campaign = open_to[0].id
    mine = None if campaign is None else _own(service, entrance, campaign)
    if mine is not None and not mine.consented and mine.campaign.state == "open" and judgement is None:
        return RedirectResponse(f"/consent/{campaign}", 303)
    return page(request, "annotate.html", entrance, mine=mine, judgement=judgement)


@router.get("/consent/{campaign_id}")
def consent_form(request: Request, service: Served, entrance: Judge, campaign_id: PathId) -> Response:
    """What one agrees to before one judges."""
    return page(request, "consent.html", entrance, mine=_own(service, entrance, campaign_id), error="")


@router.post("/consent/{campaign_id}")
def consent(
    request: Request,
    service: Served,
    entrance: Judge,
    campaign_id: PathId,
    consent_version: Version = 0,
    guidelines_version: Version = 0,
    agree: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Agree to the texts as they were shown."""
    mine = _own(service, entrance, campaign_id)
    try:
        if agree != "yes":
            raise ConflictError("Tick the box to agree, or leave this page if you do not.")
        give_consent(service.store, campaign_id, entrance.account.person_id, consent_version, guidelines_version)
    except ConflictError as error:
        return page(request, "consent.html", entrance, 409, mine=mine, error=error.message)
    return RedirectResponse(f"/annotate?campaign={campaign_id}", 303)


@router.get("/guidelines/{campaign_id}")
def guidelines(request: Request, service: Served, entrance: Judge, campaign_id: PathId) -> Response:
    """How a campaign wants to be judged."""
    return page(request, "guidelines.html", entrance, mine=_own(service, entrance, campaign_id))


@router.get("/qualification/{campaign_id}")
def qualification(request: Request, service: Served, entrance: Judge, campaign_id: PathId) -> Response:
    """What came of the tasks that qualify."""
    return page(request, "qualification.html", entrance, mine=_own(service, entrance, campaign_id))


@router.get("/me")
def me(request: Request, service: Served, entrance: Judge) -> Response:
    """How one is getting on. Nobody else's figures are here: this is no race."""
    progress = progress_of(service.store, entrance.account.person_id)
    found = [_seen(service, entrance, each) for each in _open_to(service, entrance)]
    return page(request, "me.html", entrance, progress=progress, campaigns=found)


@router.get("/past")
def past(request: Request, service: Served, entrance: Judge, before: Before = None) -> Response:
    """What one said, the newest first."""
    found = past_judgements(service.store, entrance.account.person_id, before, ROWS + 1)
    more = found[ROWS - 1].id if len(found) > ROWS else None
    return page(request, "past.html", entrance, judgements=found[:ROWS], more=more, first=before is None)


@router.get("/account")
def account(request: Request, entrance: Self) -> Response:
    """One's name, password and sessions."""
    return page(request, "account.html", entrance)


def _open_to(service: Service, entrance: Entrance) -> list[Campaign]:
    """The campaigns that are for this person; the loop's own once it has put up tasks."""
    groups = set(entrance.account.groups)
    found = [each for each in list_campaigns(service.store) if set(each.settings.groups) <= groups]
    return [each for each in found if each.run_ids or not each.automatic]


def _seen(service: Service, entrance: Entrance, campaign: Campaign) -> Mine:
    person = entrance.account.person_id
    standing = standing_of(service.store, campaign.id, person)
    return Mine(campaign, standing, consented(service.store, campaign, person))


def _own(service: Service, entrance: Entrance, campaign_id: int) -> Mine:
    campaign = get_campaign(service.store, campaign_id)
    if not set(campaign.settings.groups) <= set(entrance.account.groups):
        raise NotFoundError(f"no campaign {campaign_id}")
    return _seen(service, entrance, campaign)
