"""Campaigns: what is asked of people. Made, edited, paused and closed here; texts are versioned, never overwritten."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from assent.store import counts, list_runs
from assent.store.campaign_tasks import KIND, make_tasks, text_versions, written_by_policy
from assent.store.campaigns import (
    JUDGED_KINDS,
    Campaign,
    CampaignSettings,
    Criterion,
    change_campaign,
    create_campaign,
    get_campaign,
    list_campaigns,
)
from assent.store.checks import list_gold
from assent.store.sessions import Entrance
from assent.types.errors import AssentError
from assent.web.admin.entry import (
    Asked,
    Long,
    Manager,
    Reader,
    Served,
    Several,
    Share,
    Whole,
    Word,
    Words,
    back_to,
    listed,
)
from assent.web.fields import PathId
from assent.web.page import page
from assent.web.problems import status_of
from assent.web.service import Service

router = APIRouter()
SERVED = (*JUDGED_KINDS, KIND)
SPARE_CRITERIA = 2  # empty rows for more of them
TOLD = {
    "made": "The campaign is open.",
    "changed": "Changed. Who had agreed to texts that differ now is asked again.",
    "open": "The campaign is open.",
    "paused": "Paused: nobody is given tasks. What people have in hand, they may finish.",
    "closed": "Closed.",
    "tasks": "The tasks are made, and wait for people.",
    "gold": "The task is asked from now on.",
    "ungold": "The task is asked no more.",
}


@router.get("/campaigns")
def campaigns(request: Request, service: Served, entrance: Reader) -> Response:
    """All campaigns, with how far each is."""
    found = [(each, counts(service.store, each.run_ids)) for each in list_campaigns(service.store)]
    return page(request, "admin/campaigns.html", entrance, campaigns=found)


class Sent:
    """What the form of a campaign brings; per cent here are shares in the store."""

    def __init__(
        self,
        title: Word,
        criterion: Several = [],  # noqa: B006 - FastAPI copies it
        criterion_guideline: Several = [],  # noqa: B006
        reasons: Words = "",
        flags: Words = "",
        completions: Whole = 2,
        overlap: Whole = 1,
        floor_seconds: Annotated[float, Form(ge=0, le=3600, allow_inf_nan=False)] = 0.0,
        gold_share: Share = 0.0,
        repeat_share: Share = 0.0,
        pass_share: Share = 70.0,
        groups: Words = "",
        run_ids: Several = [],  # noqa: B006
        guidelines: Long = "",
        consent: Long = "",
    ) -> None:
        self.run_ids = tuple(run_ids)
        self.texts = {"guidelines": _plain_lines(guidelines), "consent": _plain_lines(consent)}
        pairs = zip(criterion, criterion_guideline, strict=False)
        self.typed: dict[str, Any] = {
            "title": title,
            "criteria": tuple(Criterion(name.strip(), _plain_lines(text)) for name, text in pairs if name.strip()),
            "reasons": listed(reasons),
            "flags": listed(flags),
            "completions": completions,
            "overlap": overlap,
            "floor_seconds": floor_seconds,
            "gold_share": gold_share / 100,
            "repeat_share": repeat_share / 100,
            "pass_share": pass_share / 100,
            "groups": listed(groups),
        }

    def settings(self) -> CampaignSettings:
        """The campaign's settings.

        Raises:
            DataError: they do not go together; the field is named.
        """
        return CampaignSettings(**self.typed)


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


@router.get("/campaigns/new")
def new(request: Request, service: Served, entrance: Manager) -> Response:
    """The form for a new one."""
    return _form(request, service, entrance, None)


@router.post("/campaigns")
def make(request: Request, service: Served, entrance: Manager, sent: Annotated[Sent, Depends()]) -> Response:
    """Open a campaign."""
    texts = {name: text for name, text in sent.texts.items() if text.strip()}
    try:
        number = create_campaign(service.store, sent.settings(), sent.run_ids, texts, entrance.account.id)
    except AssentError as error:
        return _form(request, service, entrance, None, sent, error)
    return back_to(f"/campaigns/{number}", "made")


@router.get("/campaigns/{campaign_id}")
def campaign(request: Request, service: Served, entrance: Reader, campaign_id: PathId, done: Asked = "") -> Response:
    """One campaign: what it asks, how far it is, its texts and its tasks with a known answer."""
    return _page(request, service, entrance, campaign_id, done)


@router.get("/campaigns/{campaign_id}/edit")
def edit(request: Request, service: Served, entrance: Manager, campaign_id: PathId) -> Response:
    """The form to change it."""
    return _form(request, service, entrance, get_campaign(service.store, campaign_id))


@router.post("/campaigns/{campaign_id}")
def change(
    request: Request, service: Served, entrance: Manager, campaign_id: PathId, sent: Annotated[Sent, Depends()]
) -> Response:
    """Change its settings, runs and texts."""
    found = get_campaign(service.store, campaign_id)
    texts = {name: text for name, text in sent.texts.items() if text.strip() or name in found.texts}
    runs = None if found.automatic else sent.run_ids
    try:
        change_campaign(service.store, campaign_id, sent.settings(), None, runs, texts, entrance.account.id)
    except AssentError as error:
        return _form(request, service, entrance, found, sent, error)
    return back_to(f"/campaigns/{campaign_id}", "changed")


@router.post("/campaigns/{campaign_id}/state")
def set_state(service: Served, entrance: Manager, campaign_id: PathId, state: Word) -> Response:
    """Open, pause or close it."""
    change_campaign(service.store, campaign_id, state=state, by=entrance.account.id)
    return back_to(f"/campaigns/{campaign_id}", state)


@router.post("/campaigns/{campaign_id}/tasks")
def put_up(
    request: Request,
    service: Served,
    entrance: Manager,
    campaign_id: PathId,
    policies: Several = [],  # noqa: B006 - FastAPI copies it
    tasks: Whole = 100,
    source: Word = "random",
    holdout_share: Share = 15.0,
) -> Response:
    """Make tasks of what policies wrote."""
    order = [each.policy for each in written_by_policy(service.store) if each.policy in policies]
    try:
        make_tasks(service.store, campaign_id, order, tasks, source, entrance.account.id, holdout_share / 100)
    except AssentError as error:
        return _page(request, service, entrance, campaign_id, "", error)
    return back_to(f"/campaigns/{campaign_id}", "tasks")


def _page(
    request: Request,
    service: Service,
    entrance: Entrance,
    campaign_id: int,
    done: str,
    error: AssentError | None = None,
) -> Response:
    store = service.store
    found = get_campaign(store, campaign_id)
    runs = [(run, counts(store, [run.id])) for run in list_runs(store) if run.id in found.run_ids]
    values = {
        "campaign": found,
        "total": counts(store, found.run_ids),
        "runs": runs,
        "gold": list_gold(store, campaign_id),
        "versions": text_versions(store, campaign_id),
        "written": [] if found.automatic else written_by_policy(store),
        "told": TOLD,
        "done": done,
        "error": error,
    }
    return page(request, "admin/campaign.html", entrance, 200 if error is None else status_of(error)[0], **values)


def _form(
    request: Request,
    service: Service,
    entrance: Entrance,
    campaign: Campaign | None,
    sent: Sent | None = None,
    error: AssentError | None = None,
) -> Response:
    """The form; after an error, with what was typed."""
    own = None if campaign is None else campaign.id
    taken = {run: each.id for each in list_campaigns(service.store) if not each.automatic for run in each.run_ids}
    free = [run for run in list_runs(service.store) if run.kind in SERVED and taken.get(run.id, own) == own]
    asked = campaign.settings if campaign is not None else CampaignSettings("-", overlap=2)
    held = {} if campaign is None else {kind: text.text for kind, text in campaign.texts.items()}
    shown = {**vars(asked), **({"title": ""} if campaign is None else {}), **(sent.typed if sent else {})}
    values = {
        "campaign": campaign,
        "asked": shown,
        "texts": {**held, **(sent.texts if sent else {})},
        "serves": sent.run_ids if sent else campaign.run_ids if campaign else (),
        "runs": [] if campaign is not None and campaign.automatic else free,
        "spare": SPARE_CRITERIA,
        "error": error,
    }
    code = 200 if error is None else status_of(error)[0]
    return page(request, "admin/campaign_form.html", entrance, code, **values)
