"""Campaigns for those who run them: settings, texts, state, tasks with a known answer, how far the judging has come."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from assent.store import counts, list_runs
from assent.store.campaigns import (
    FLAGS,
    JUDGED_KINDS,
    Campaign,
    CampaignSettings,
    Criterion,
    change_campaign,
    create_campaign,
    get_campaign,
    list_campaigns,
)
from assent.store.checks import GoldTask, add_gold, list_gold, remove_gold
from assent.store.sessions import Entrance
from assent.web.api.assignments import CriterionOut, Served
from assent.web.api.me import TextOut
from assent.web.entrance import MANAGE, READ, Requires
from assent.web.fields import Id, LongText, PathId, Sent, Share, ShortText
from assent.web.problems import answers

router = APIRouter(tags=["campaigns"])
Read = Annotated[Entrance, Depends(Requires(READ))]
Manage = Annotated[Entrance, Depends(Requires(MANAGE))]


class CriterionIn(Sent):
    """Something to mark every completion by, and how to tell."""

    name: ShortText
    guideline: LongText = ""


class CampaignIn(Sent):
    """What a campaign asks for. Shares are of the tasks that a person is given from the queue."""

    title: ShortText
    criteria: list[CriterionIn] = Field(default_factory=list, max_length=20)
    reasons: list[ShortText] = Field(default_factory=list, max_length=50)
    flags: list[ShortText] = Field(default_factory=lambda: list(FLAGS), max_length=20)
    completions: int = Field(2, ge=2, le=6)
    overlap: int = Field(1, ge=1, le=1000)
    floor_seconds: float = Field(0.0, ge=0, le=3600, allow_inf_nan=False)
    gold_share: Share = 0.0
    repeat_share: Share = 0.0
    pass_share: Share = 0.7
    groups: list[ShortText] = Field(default_factory=list, max_length=50)


class NewCampaign(CampaignIn):
    """A campaign to be opened."""

    run_ids: list[ShortText] = Field(default_factory=list, max_length=1000)
    guidelines: LongText = ""
    consent: LongText = ""


class CampaignChange(Sent):
    """What is to change; the rest stays. A text that differs becomes a new version."""

    settings: CampaignIn | None = None
    state: Literal["open", "paused", "closed"] | None = None
    run_ids: list[ShortText] | None = Field(None, max_length=1000)
    guidelines: LongText | None = None
    consent: LongText | None = None


class CampaignOut(BaseModel):
    """A campaign."""

    id: int
    state: str
    automatic: bool = Field(description="serves the loop's runs that no other campaign serves")
    title: str
    criteria: list[CriterionOut]
    reasons: list[str]
    flags: list[str]
    completions: int
    overlap: int
    floor_seconds: float
    gold_share: float
    repeat_share: float
    pass_share: float
    groups: list[str]
    run_ids: list[str]
    guidelines: TextOut | None
    consent: TextOut | None


class CountsOut(BaseModel):
    """How far the judging of a run has come."""

    run_id: str
    tasks: int
    wanted: int
    submitted: int
    leased: int
    people: int


class RunOut(BaseModel):
    """A run that put up tasks."""

    id: str
    kind: str
    round: int
    state: str


class GoldIn(Sent):
    """A task whose answer is known; ranks follow the completions as they are listed here."""

    stage: Literal["training", "qualification", "hidden"]
    completion_ids: list[Id] = Field(min_length=2, max_length=6)
    ranks: list[int] = Field(min_length=2, max_length=6)
    explanation: LongText = ""


class GoldOut(BaseModel):
    """A task whose answer is known."""

    task_id: int
    stage: str
    prompt_id: int
    completion_ids: list[int]
    ranks: list[int]
    explanation: str


class GoldMade(BaseModel):
    """The task that was made."""

    task_id: int


@router.get("/campaigns", responses=answers())
def all_campaigns(service: Served, entrance: Read) -> list[CampaignOut]:
    """All campaigns."""
    return [campaign_out(each) for each in list_campaigns(service.store)]


@router.post("/campaigns", status_code=201, responses=answers(409))
def open_campaign(service: Served, entrance: Manage, sent: NewCampaign) -> CampaignOut:
    """Open a campaign."""
    texts = {name: text for name, text in (("guidelines", sent.guidelines), ("consent", sent.consent)) if text}
    number = create_campaign(service.store, _settings(sent), sent.run_ids, texts, entrance.account.id)
    return campaign_out(get_campaign(service.store, number))


@router.get("/campaigns/{campaign_id}", responses=answers(404))
def one_campaign(service: Served, entrance: Read, campaign_id: PathId) -> CampaignOut:
    """One campaign."""
    return campaign_out(get_campaign(service.store, campaign_id))


@router.patch("/campaigns/{campaign_id}", responses=answers(404, 409))
def change(service: Served, entrance: Manage, campaign_id: PathId, sent: CampaignChange) -> CampaignOut:
    """Change a campaign: what is given, and nothing else."""
    texts = {
        name: text for name, text in (("guidelines", sent.guidelines), ("consent", sent.consent)) if text is not None
    }
    settings = None if sent.settings is None else _settings(sent.settings)
    by = entrance.account.id
    return campaign_out(
        change_campaign(service.store, campaign_id, settings, sent.state, sent.run_ids, texts or None, by)
    )


@router.get("/campaigns/{campaign_id}/counts", responses=answers(404))
def campaign_counts(service: Served, entrance: Read, campaign_id: PathId) -> list[CountsOut]:
    """How far the judging of each of its runs has come."""
    runs = get_campaign(service.store, campaign_id).run_ids
    return [CountsOut(run_id=run, **vars(counts(service.store, [run]))) for run in runs]


@router.get("/runs", responses=answers())
def runs_with_tasks(service: Served, entrance: Read) -> list[RunOut]:
    """The runs whose tasks people judge."""
    return [
        RunOut(id=run.id, kind=run.kind, round=run.round, state=run.state)
        for run in list_runs(service.store)
        if run.kind in JUDGED_KINDS
    ]


@router.get("/campaigns/{campaign_id}/gold", responses=answers(404))
def gold_tasks(service: Served, entrance: Manage, campaign_id: PathId) -> list[GoldOut]:
    """Its tasks with a known answer."""
    get_campaign(service.store, campaign_id)
    return [_gold_out(each) for each in list_gold(service.store, campaign_id)]


@router.post("/campaigns/{campaign_id}/gold", status_code=201, responses=answers(404))
def make_gold(service: Served, entrance: Manage, campaign_id: PathId, sent: GoldIn) -> GoldMade:
    """Make a task with a known answer of completions that are there."""
    by = entrance.account.id
    return GoldMade(
        task_id=add_gold(service.store, campaign_id, sent.stage, sent.completion_ids, sent.ranks, sent.explanation, by)
    )


@router.delete("/campaigns/{campaign_id}/gold/{task_id}", status_code=204, responses=answers(404, 409))
def drop_gold(service: Served, entrance: Manage, campaign_id: PathId, task_id: PathId) -> None:
    """Remove one that nobody was given yet."""
    remove_gold(service.store, campaign_id, task_id, entrance.account.id)


def campaign_out(campaign: Campaign) -> CampaignOut:
    """A campaign as JSON."""
    asked = campaign.settings
    texts = {kind: TextOut(version=text.version, text=text.text) for kind, text in campaign.texts.items()}
    return CampaignOut(
        id=campaign.id,
        state=campaign.state,
        automatic=campaign.automatic,
        title=asked.title,
        criteria=[CriterionOut(name=each.name, guideline=each.guideline) for each in asked.criteria],
        reasons=list(asked.reasons),
        flags=list(asked.flags),
        completions=asked.completions,
        overlap=asked.overlap,
        floor_seconds=asked.floor_seconds,
        gold_share=asked.gold_share,
        repeat_share=asked.repeat_share,
        pass_share=asked.pass_share,
        groups=list(asked.groups),
        run_ids=list(campaign.run_ids),
        guidelines=texts.get("guidelines"),
        consent=texts.get("consent"),
    )


def _settings(sent: CampaignIn) -> CampaignSettings:
    return CampaignSettings(
        title=sent.title,
        criteria=tuple(Criterion(each.name, each.guideline) for each in sent.criteria),
        reasons=tuple(sent.reasons),
        flags=tuple(sent.flags),
        completions=sent.completions,
        overlap=sent.overlap,
        floor_seconds=sent.floor_seconds,
        gold_share=sent.gold_share,
        repeat_share=sent.repeat_share,
        pass_share=sent.pass_share,
        groups=tuple(sent.groups),
    )


def _gold_out(task: GoldTask) -> GoldOut:
    return GoldOut(
        task_id=task.task_id,
        stage=task.stage,
        prompt_id=task.prompt_id,
        completion_ids=list(task.completion_ids),
        ranks=list(task.ranks),
        explanation=task.explanation,
    )
