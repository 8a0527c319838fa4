"""One's own page: who one is, how far one has come, what one said and may still change."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from assent.store.acts import edit, own_judgement, past_judgements, undo
from assent.store.campaigns import Campaign, consented, give_consent, list_campaigns
from assent.store.progress import progress_of, standing_of
from assent.store.sessions import Entrance
from assent.store.shown import show_assignment
from assent.web.answers import Answer, to_answer, to_judgement
from assent.web.api.assignments import AssignmentOut, CriterionOut, Judge, Rendered, Served, assignment_out
from assent.web.entrance import RIGHTS, SELF, Requires, may
from assent.web.fields import LARGEST, Before, PageSize, PathId, Sent
from assent.web.problems import answers
from assent.web.service import Service

router = APIRouter(tags=["judging"])
Self = Annotated[Entrance, Depends(Requires(SELF))]


class MeOut(BaseModel):
    """Who asks, and how they are getting on."""

    id: int
    name: str
    login: str
    role: str
    rights: list[str]
    groups: list[str]
    judgements: int
    repeated_pairs: int
    self_consistency: float | None
    csrf: str | None = Field(description="for changes by this session's cookie; none for a bearer token")


class PastOut(BaseModel):
    """A judgement of one's own as it stands now."""

    id: int
    assignment_id: int
    revision: int
    prompt: str
    answer: Answer
    submitted_at: datetime
    frozen: bool


class PastPage(BaseModel):
    """Some of them, the newest first."""

    items: list[PastOut]
    next: int | None


class Looked(BaseModel):
    """A judgement of one's own with the task it is about."""

    assignment: AssignmentOut
    answer: Answer


class Undone(BaseModel):
    """The assignment that is held again."""

    assignment: AssignmentOut


class Edited(BaseModel):
    """The revision that counts now."""

    judgement_id: int


class TextOut(BaseModel):
    """A version of a text."""

    version: int
    text: str


class StandingOut(BaseModel):
    """How far one has come in a campaign."""

    stage: str = Field(description="what comes next: training, qualification, queue, or failed (not qualified)")
    done: int
    open: int = Field(description="tasks of the campaign that still want somebody's judgement")
    asked: int = Field(description="qualification tasks")
    answered: int
    right: float | None = Field(description="share of pairs in these that were ordered as expected, once all are done")
    needed: float


class MyCampaign(BaseModel):
    """A campaign as those see it who judge in it."""

    id: int
    title: str
    state: str
    consent: TextOut | None
    guidelines: TextOut | None
    criteria: list[CriterionOut]
    consented: bool = Field(description="to the newest texts, or there are none")
    standing: StandingOut


class ConsentIn(Sent):
    """The versions that one agrees to; 0 where there is no text."""

    consent_version: int = Field(ge=0, le=LARGEST)
    guidelines_version: int = Field(ge=0, le=LARGEST)


@router.get("/me", responses=answers())
def me(service: Served, entrance: Self) -> MeOut:
    """Who is signed in, and their progress."""
    account = entrance.account
    progress = progress_of(service.store, account.person_id)
    return MeOut(
        id=account.id,
        name=account.name,
        login=account.login,
        role=account.role,
        rights=sorted(right for right in RIGHTS[account.role] if may(entrance, right)),
        groups=list(account.groups),
        judgements=progress.judgements,
        repeated_pairs=progress.repeated_pairs,
        self_consistency=progress.self_consistency,
        csrf=None if entrance.session_id is None else entrance.csrf,
    )


@router.get("/me/judgements", responses=answers())
def my_judgements(service: Served, entrance: Judge, before: Before = None, limit: PageSize = 50) -> PastPage:
    """What one said, the newest first."""
    found = past_judgements(service.store, entrance.account.person_id, before, limit)
    items = [
        PastOut(
            id=past.id,
            assignment_id=past.assignment_id,
            revision=past.revision,
            prompt=past.prompt,
            answer=to_answer(past.judgement),
            submitted_at=past.submitted_at,
            frozen=past.frozen,
        )
        for past in found
    ]
    return PastPage(items=items, next=items[-1].id if len(items) == limit else None)


@router.get("/me/judgements/{judgement_id}", responses=answers(404))
def my_judgement(service: Served, entrance: Judge, judgement_id: PathId, rendered: Rendered = False) -> Looked:
    """One of them, with its task, to look at or to change."""
    person = entrance.account.person_id
    assignment, judgement = own_judgement(service.store, judgement_id, person)
    shown = show_assignment(service.store, assignment, person)
    return Looked(assignment=assignment_out(service, shown, rendered), answer=to_answer(judgement))


@router.post("/judgements/{judgement_id}/undo", responses=answers(404, 409))
def undo_judgement(service: Served, entrance: Judge, judgement_id: PathId, rendered: Rendered = False) -> Undone:
    """Take one's judgement back and hold its task again. Refused once a dataset version holds it."""
    person = entrance.account.person_id
    assignment = undo(service.store, judgement_id, person)
    shown = show_assignment(service.store, assignment, person)
    return Undone(assignment=assignment_out(service, shown, rendered))


@router.put("/judgements/{judgement_id}", responses=answers(404, 409, 429))
def edit_judgement(service: Served, entrance: Judge, judgement_id: PathId, answer: Answer) -> Edited:
    """Correct one's judgement by a new revision. Refused once a dataset version holds it."""
    service.limits.take(service.limits.submit, f"submit:{entrance.account.id}")
    person = entrance.account.person_id
    assignment, _ = own_judgement(service.store, judgement_id, person)
    shown = show_assignment(service.store, assignment, person)
    judgement = to_judgement(answer, shown.order_shown, shown.label, shown.campaign.settings)
    return Edited(judgement_id=edit(service.store, judgement_id, person, judgement))


@router.get("/me/campaigns", responses=answers())
def my_campaigns(service: Served, entrance: Judge) -> list[MyCampaign]:
    """The campaigns that one may judge in."""
    groups = set(entrance.account.groups)
    person = entrance.account.person_id
    return [
        my_campaign_out(service, each, person)
        for each in list_campaigns(service.store)
        if set(each.settings.groups) <= groups
    ]


@router.post("/me/campaigns/{campaign_id}/consent", status_code=204, responses=answers(404, 409))
def consent(service: Served, entrance: Judge, campaign_id: PathId, sent: ConsentIn) -> None:
    """Agree to a campaign's texts as they are now."""
    person = entrance.account.person_id
    give_consent(service.store, campaign_id, person, sent.consent_version, sent.guidelines_version)


def my_campaign_out(service: Service, campaign: Campaign, person_id: int) -> MyCampaign:
    """What annotators may know of a campaign, and of themselves in it."""
    texts = {kind: TextOut(version=text.version, text=text.text) for kind, text in campaign.texts.items()}
    standing = asdict(standing_of(service.store, campaign.id, person_id))
    if standing["answered"] < standing["asked"]:
        standing["right"] = None  # told task by task, it would give the answers away
    return MyCampaign(
        id=campaign.id,
        title=campaign.settings.title,
        state=campaign.state,
        consent=texts.get("consent"),
        guidelines=texts.get("guidelines"),
        criteria=[CriterionOut(name=each.name, guideline=each.guideline) for each in campaign.settings.criteria],
        consented=consented(service.store, campaign, person_id),
        standing=StandingOut(**standing),
    )
