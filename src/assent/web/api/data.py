"""What was said and what came of it: judgements, dataset versions, lineage, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from pydantic import AfterValidator, BaseModel, Field

from assent.store import Artifact, Node, Workspace, ancestors, descendants, find, list_artifacts
from assent.store.audit import list_audit
from assent.store.datasets import FreezeRules, chosen, file_of, freeze, preview
from assent.store.listing import Listed, demonstrations, list_judgements, revisions_of
from assent.types.errors import DataError, NotFoundError
from assent.web.api.assignments import Served
from assent.web.api.campaigns import Manage, Read
from assent.web.fields import LARGEST, Before, Id, PageSize, PathId, Sent, Share, ShortText, readable
from assent.web.problems import answers

router = APIRouter(tags=["data"])
After = Annotated[int, Query(ge=0, le=LARGEST, description="`next` of the page before")]
Name = Annotated[str, AfterValidator(readable)]


class SpanOut(BaseModel):
    """A marked place, by the task's own order of completions."""

    completion: int
    start: int
    end: int
    tag: str


class JudgementOut(BaseModel):
    """A judgement. Ranks, marks and spans follow `completion_ids`, not the order shown."""

    id: int
    task_id: int
    run_id: str
    purpose: str
    prompt_id: int
    completion_ids: list[int]
    person_id: int
    person: str
    person_kind: str
    revision: int
    withdrawn: bool
    label: str
    ranks: list[int]
    order_shown: list[int]
    strength: str
    all_bad: bool
    marks: list[dict[str, float]]
    flags: list[str]
    reasons: list[str]
    spans: list[SpanOut]
    note: str
    rewrite: str
    seconds: float
    submitted_at: datetime


class JudgementPage(BaseModel):
    """Some judgements, in order of submission."""

    items: list[JudgementOut]
    next: int | None


class DemonstrationOut(BaseModel):
    """A better answer that a person wrote; `messages` end with it, as `sft.demonstrations` reads them."""

    judgement_id: int
    person_id: int
    messages: list[dict[str, str]]


class DemonstrationPage(BaseModel):
    """Some demonstrations, in order of submission."""

    items: list[DemonstrationOut]
    next: int | None


class FreezeIn(Sent):
    """What goes into a dataset version."""

    run_ids: list[ShortText] = Field(min_length=1, max_length=1000)
    minimum_votes: int = Field(1, ge=1, le=1000)
    ties: Literal["keep", "drop"] = "keep"
    disagreements: Literal["votes", "ruling"] = Field(
        "votes", description="what counts of a task that somebody ruled on: its votes, or the ruling in their place"
    )
    without: list[Id] = Field(default_factory=list, max_length=10_000, description="people left out, by person_id")
    holdout_share: Share = Field(0.0, description="of the prompts, held out beside those that are already", lt=1)


class FreezePreview(BaseModel):
    """How many judgements these rules let in."""

    train: int
    holdout: int
    people: int


class DatasetOut(BaseModel):
    """A dataset version."""

    id: str
    content_hash: str
    card: dict[str, Any]
    run_id: str | None


class Lines(BaseModel):
    """Some lines of a dataset version."""

    items: list[Any]
    next: int | None


class NodeOut(BaseModel):
    """A place in a lineage tree."""

    kind: str
    id: str
    title: str
    role: str
    facts: dict[str, Any]
    repeated: bool
    children: list[NodeOut]


class LineageOut(BaseModel):
    """What something came from, and what came of it."""

    up: NodeOut
    down: NodeOut


class AuditOut(BaseModel):
    """One act; `actor` is empty where it was the command line."""

    id: int
    account_id: int | None
    actor: str
    action: str
    object_kind: str
    object_id: str
    details: dict[str, Any]
    happened_at: datetime


class AuditPage(BaseModel):
    """Some acts, the newest first."""

    items: list[AuditOut]
    next: int | None


@router.get("/judgements", responses=answers())
def judgements(
    service: Served,
    entrance: Read,
    after: After = 0,
    limit: PageSize = 100,
    run_id: Name | None = None,
    person_id: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    task_id: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> JudgementPage:
    """Judgements as they stand now."""
    runs = None if run_id is None else [run_id]
    items = [_judgement_out(each) for each in list_judgements(service.store, runs, person_id, task_id, after, limit)]
    return JudgementPage(items=items, next=items[-1].id if len(items) == limit else None)


@router.get("/judgements/{judgement_id}/revisions", responses=answers(404))
def revisions(service: Served, entrance: Read, judgement_id: PathId) -> list[JudgementOut]:
    """Every revision of a judgement, those that withdraw it among them."""
    return [_judgement_out(each) for each in revisions_of(service.store, judgement_id)]


@router.get("/demonstrations", responses=answers())
def rewritten(
    service: Served, entrance: Read, after: After = 0, limit: PageSize = 100, run_id: Name | None = None
) -> DemonstrationPage:
    """The better answers that people wrote."""
    found = demonstrations(service.store, None if run_id is None else [run_id], after, limit)
    items = [
        DemonstrationOut(
            judgement_id=each.judgement_id,
            person_id=each.person_id,
            messages=[*each.messages, {"role": "assistant", "content": each.answer}],
        )
        for each in found
    ]
    return DemonstrationPage(items=items, next=items[-1].judgement_id if len(items) == limit else None)


@router.get("/datasets", responses=answers())
def datasets(service: Served, entrance: Read) -> list[DatasetOut]:
    """All dataset versions, the oldest first."""
    return [_dataset_out(each) for each in list_artifacts(service.store, "dataset")]


@router.post("/datasets/preview", responses=answers())
def preview_freeze(service: Served, entrance: Manage, sent: FreezeIn) -> FreezePreview:
    """How many judgements these rules would let in."""
    split = chosen(service.store, _rules(sent))
    people = {ranking.person_id for found in split.values() for ranking in found}
    return FreezePreview(train=len(split["train"]), holdout=len(split["holdout"]), people=len(people))


@router.post("/datasets", status_code=201, responses=answers(409))
def freeze_dataset(service: Served, entrance: Manage, sent: FreezeIn) -> DatasetOut:
    """Freeze a dataset version: `assent reward --reward_model.dataset ID` learns from it."""
    return _dataset_out(freeze(Workspace(service.folder), service.store, _rules(sent), entrance.account.id))


@router.get("/datasets/{dataset}", responses=answers(404))
def dataset_version(service: Served, entrance: Read, dataset: Name) -> DatasetOut:
    """One dataset version with its card."""
    found = [each for each in list_artifacts(service.store, "dataset") if each.id == dataset]
    if not found:
        raise NotFoundError(f"no dataset {dataset!r}")
    return _dataset_out(found[0])


@router.get("/datasets/{dataset}/{split}", responses=answers(404))
def dataset_lines(
    service: Served, entrance: Read, dataset: Name, split: Name, after: After = 0, limit: PageSize = 50
) -> Lines:
    """Some of its lines; `after` counts lines here."""
    found = preview(Workspace(service.folder), service.store, dataset, split, after, limit)
    return Lines(items=found, next=after + limit if len(found) == limit else None)


@router.get(
    "/datasets/{dataset}/{split}/file",
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines"}, **answers(404)},
    response_class=Response,
)
def dataset_file(service: Served, entrance: Read, dataset: Name, split: Name) -> Response:
    """The whole file."""
    path = file_of(Workspace(service.folder), service.store, dataset, split)
    return FileResponse(path, media_type="application/x-ndjson", filename=f"{dataset}-{split}.jsonl")


@router.get("/lineage", responses=answers(404))
def lineage(service: Served, entrance: Read, of: Name) -> LineageOut:
    """What an artifact (by its id or the beginning of it) or `judgement:12` came from, and what came of it."""
    try:
        reference = find(service.store, of)
    except DataError as error:
        raise NotFoundError(error.message, error.hint) from error
    return LineageOut(
        up=_node_out(ancestors(service.store, reference)), down=_node_out(descendants(service.store, reference))
    )


@router.get("/audit", responses=answers())
def audit(service: Served, entrance: Manage, before: Before = None, limit: PageSize = 100) -> AuditPage:
    """Who did what, the newest first."""
    items = [AuditOut(**vars(each)) for each in list_audit(service.store, before, limit)]
    return AuditPage(items=items, next=items[-1].id if len(items) == limit else None)


def _rules(sent: FreezeIn) -> FreezeRules:
    return FreezeRules(
        tuple(sent.run_ids),
        sent.minimum_votes,
        sent.ties,
        tuple(sorted(set(sent.without))),
        sent.holdout_share,
        sent.disagreements,
    )


def _dataset_out(found: Artifact) -> DatasetOut:
    return DatasetOut(id=found.id, content_hash=found.content_hash, card=dict(found.card), run_id=found.run_id)


def _judgement_out(listed: Listed) -> JudgementOut:
    said = listed.judgement
    return JudgementOut(
        id=listed.id,
        task_id=listed.task_id,
        run_id=listed.run_id,
        purpose=listed.purpose,
        prompt_id=listed.prompt_id,
        completion_ids=list(listed.completion_ids),
        person_id=listed.person_id,
        person=listed.person,
        person_kind=listed.person_kind,
        revision=listed.revision,
        withdrawn=listed.withdrawn,
        label=said.label.value,
        ranks=list(said.ranks),
        order_shown=list(said.order_shown),
        strength=said.strength,
        all_bad=said.all_bad,
        marks=[dict(marks) for marks in said.marks],
        flags=list(said.flags),
        reasons=list(said.reasons),
        spans=[SpanOut(**vars(span)) for span in said.spans],
        note=said.note,
        rewrite=said.rewrite,
        seconds=said.seconds,
        submitted_at=listed.submitted_at,
    )


def _node_out(node: Node) -> NodeOut:
    return NodeOut(
        kind=node.kind,
        id=node.id,
        title=node.title,
        role=node.role,
        facts=dict(node.facts),
        repeated=node.repeated,
        children=[_node_out(child) for child in node.children],
    )
