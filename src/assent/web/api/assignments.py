"""Assignments: the next task, kept, drafted, submitted, declined."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

from assent.store.acts import decline, renew, save_draft, submit
from assent.store.campaigns import campaign_ids
from assent.store.declined import take_up_again
from assent.store.queue import next_assignment
from assent.store.secrets import sign
from assent.store.sessions import Entrance
from assent.store.shown import Shown, asked_of, show_assignment
from assent.types.errors import DataError
from assent.types.feedback import STRENGTHS
from assent.web.answers import Answer, to_answer, to_judgement
from assent.web.differences import render_difference
from assent.web.entrance import JUDGE, Requires
from assent.web.fields import LARGEST, Id, PathId, Sent, ShortText, readable, readable_all
from assent.web.problems import Problem, answers
from assent.web.rendering import render
from assent.web.service import Service, service_of

router = APIRouter(prefix="/assignments", tags=["judging"])
Judge = Annotated[Entrance, Depends(Requires(JUDGE))]
Served = Annotated[Service, Depends(service_of)]
Rendered = Annotated[bool, Query(description="with every text as safe HTML, too")]
Slot = Annotated[int, Query(ge=0, le=5)]
REASON = "Assent-Reason"
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200), AfterValidator(readable)]


class Wanted(Sent):
    """Which task is wanted."""

    campaign: Id | None = Field(None, description="by default the first that has something for this person")
    beside: list[Id] = Field(
        default_factory=list, max_length=10, description="assignments that are before them already"
    )
    rendered: bool = Field(False, description="with every text as safe HTML, too")


class Turn(BaseModel):
    """One message of the conversation."""

    role: str
    content: str
    html: str | None = Field(None, description="the content as safe HTML, where it was asked for")


class Completion(BaseModel):
    """One completion, in the slot in which it is shown."""

    slot: int
    text: str
    html: str | None = Field(None, description="the text as safe HTML, where it was asked for")


class CriterionOut(BaseModel):
    """Something to mark every completion by."""

    name: str
    guideline: str


class CampaignRef(BaseModel):
    """Which campaign."""

    id: int
    title: str


class DraftOut(BaseModel):
    """What was typed, and its version."""

    version: int
    content: dict[str, Any]


class AssignmentOut(BaseModel):
    """A task before a person. It says nothing of who wrote what, or whether the answer is known."""

    id: int
    task_id: str = Field(description="the same for the same task, and says nothing else")
    campaign: CampaignRef
    kind: Literal["training", "qualification", "normal"]
    conversation: list[Turn]
    completions: list[Completion]
    label: str
    criteria: list[CriterionOut]
    reasons: list[str]
    flags: list[str]
    strengths: list[str]
    state: str
    idempotency_key: str
    expires_at: datetime
    floor_seconds: float
    draft: DraftOut | None
    before: Answer | None = Field(description="what the person said before they took it back")


class Difference(BaseModel):
    """Two completions as safe HTML: `del` around what only the left has, `ins` around what only the right has."""

    left: str
    right: str


class Renewed(BaseModel):
    """When the lease runs out."""

    expires_at: datetime


class DraftIn(Sent):
    """What is typed, and the version that it is based on: 0 for the first."""

    version: int = Field(ge=0, le=LARGEST)
    content: Annotated[dict[ShortText, Any], AfterValidator(readable_all)]


class DraftConflict(Problem):
    """Another tab or device saved meanwhile."""

    draft: DraftOut | None = None


class Feedback(BaseModel):
    """What a training task teaches."""

    right: bool
    expected_ranks: list[int] = Field(description="by slot")
    explanation: str


class SubmittedOut(BaseModel):
    """The judgement that is kept now."""

    judgement_id: int
    feedback: Feedback | None
    stage: Literal["training", "qualification", "queue", "failed"] = Field(description="what comes next")


class Declined(Sent):
    """Why the task is given back."""

    reason: Literal["skip", "cannot-judge"] = "skip"


@router.post(
    "/next",
    responses={
        200: {"model": AssignmentOut},
        204: {
            "description": f"Nothing to judge now; the header {REASON} says why: paused, closed, not-for-you,"
            " consent-needed, not-qualified, enough-held, nothing-open, others-must or no-campaign.",
            "headers": {REASON: {"schema": {"type": "string"}}},
        },
        **answers(404),
    },
)
def next_task(service: Served, entrance: Judge, wanted: Wanted) -> Response:
    """The next task for the one who asks: one that they hold, or a new one, leased for 15 minutes."""
    campaigns = [wanted.campaign] if wanted.campaign else campaign_ids(service.store)
    reasons = []
    for campaign in campaigns:
        found = next_assignment(service.store, campaign, entrance.account, service.seed, wanted.beside)
        if found.assignment_id is not None:
            person = entrance.account.person_id
            shown = show_assignment(service.store, found.assignment_id, person, found.campaign)
            return JSONResponse(assignment_out(service, shown, wanted.rendered).model_dump(mode="json"))
        reasons.append(found.reason)
    return Response(status_code=204, headers={REASON: most_useful(reasons)})


@router.get("/{assignment_id}", responses=answers(404))
def read(service: Served, entrance: Judge, assignment_id: PathId, rendered: Rendered = False) -> AssignmentOut:
    """An assignment of one's own."""
    shown = show_assignment(service.store, assignment_id, entrance.account.person_id)
    return assignment_out(service, shown, rendered)


@router.get("/{assignment_id}/difference", responses=answers(404))
def difference(service: Served, entrance: Judge, assignment_id: PathId, left: Slot = 0, right: Slot = 1) -> Difference:
    """Where the completions in two slots differ, word by word."""
    texts = show_assignment(service.store, assignment_id, entrance.account.person_id).texts
    if max(left, right) >= len(texts):
        raise DataError(f"there is no slot {max(left, right)}", f"The slots are 0 to {len(texts) - 1}.")
    one, other = render_difference(texts[left], texts[right])
    return Difference(left=one, right=other)


@router.post("/{assignment_id}/renew", responses=answers(404, 409))
def renew_lease(service: Served, entrance: Judge, assignment_id: PathId) -> Renewed:
    """Keep the lease for another 15 minutes."""
    return Renewed(expires_at=renew(service.store, assignment_id, entrance.account.person_id))


@router.put(
    "/{assignment_id}/draft",
    responses={
        **answers(404),
        409: {"model": DraftConflict, "description": "Saved elsewhere meanwhile (then with that draft), or submitted."},
    },
    response_model=DraftOut,
)
def draft(service: Served, entrance: Judge, assignment_id: PathId, sent: DraftIn) -> Response:
    """Keep what is typed, so that another tab or device can go on with it."""
    kept, found = save_draft(service.store, assignment_id, entrance.account.person_id, sent.version, sent.content)
    out = DraftOut(version=found.version, content=dict(found.content))
    if kept:
        return JSONResponse(out.model_dump(mode="json"))
    said = DraftConflict(
        code="conflict",
        error="another tab or device saved a draft of this task meanwhile",
        hint="Choose which one to keep.",
        draft=out,
    )
    return JSONResponse(said.model_dump(mode="json"), 409)


@router.post("/{assignment_id}/submit", responses=answers(404, 409, 429))
def submit_answer(
    service: Served, entrance: Judge, assignment_id: PathId, answer: Answer, key: Key = ""
) -> SubmittedOut:
    """Record the judgement for good. The same `Idempotency-Key` again gives the same answer, however often."""
    service.limits.take(service.limits.submit, f"submit:{entrance.account.id}")
    person = entrance.account.person_id
    asked = asked_of(service.store, assignment_id, person)
    judgement = to_judgement(answer, asked.order_shown, asked.label, asked.asked)
    own = asked.submission_keys()[0] if not key else f"sent:{person}:{key}"
    own = next((each for each in asked.submission_keys() if key == key_out(service, each)), own)
    found = submit(service.store, asked, judgement, own)
    feedback = None
    if found.expected is not None and found.right is not None:
        expected = [found.expected[place] for place in asked.order_shown]
        feedback = Feedback(right=found.right, expected_ranks=expected, explanation=found.explanation)
    return SubmittedOut.model_validate({"judgement_id": found.judgement_id, "feedback": feedback, "stage": found.stage})


@router.post("/{assignment_id}/decline", status_code=204, responses=answers(404, 409))
def decline_task(service: Served, entrance: Judge, assignment_id: PathId, sent: Declined) -> None:
    """Give the task back to others: skipped, or it cannot be judged."""
    decline(service.store, assignment_id, entrance.account.person_id, sent.reason)


@router.post("/{assignment_id}/take-up", responses=answers(404, 409))
def take_up(service: Served, entrance: Judge, assignment_id: PathId, rendered: Rendered = False) -> AssignmentOut:
    """Hold a task again that one gave back by mistake. Refused once others have taken its place."""
    person = entrance.account.person_id
    take_up_again(service.store, assignment_id, person)
    return assignment_out(service, show_assignment(service.store, assignment_id, person), rendered)


def assignment_out(service: Service, shown: Shown, rendered: bool = False) -> AssignmentOut:
    """What the browser may know of an assignment, with every text as safe HTML if it asks for that."""
    html = render if rendered else lambda _text: None
    asked = shown.campaign.settings
    criteria = () if shown.purpose == "evaluate" else asked.criteria
    kind = "normal" if shown.stage in ("", "hidden") else shown.stage
    return AssignmentOut(
        id=shown.id,
        task_id=sign(service.secret, "task", shown.task_id)[:16],
        campaign=CampaignRef(id=shown.campaign.id, title=asked.title),
        kind=kind,
        conversation=[
            Turn(role=each["role"], content=each["content"], html=html(each["content"])) for each in shown.messages
        ],
        completions=[Completion(slot=slot, text=text, html=html(text)) for slot, text in enumerate(shown.texts)],
        label=shown.label.value,
        criteria=[CriterionOut(name=each.name, guideline=each.guideline) for each in criteria],
        reasons=list(asked.reasons),
        flags=list(asked.flags),
        strengths=list(STRENGTHS) if len(shown.texts) == 2 else [],
        state=shown.state,
        idempotency_key=key_out(service, shown.idempotency_key),
        expires_at=shown.expires_at,
        floor_seconds=asked.floor_seconds,
        draft=None if shown.draft is None else DraftOut(version=shown.draft.version, content=dict(shown.draft.content)),
        before=None if shown.before is None else to_answer(shown.before),
    )


def key_out(service: Service, key: str) -> str:
    """An assignment's key as the browser sees it: the key itself names the task."""
    return sign(service.secret, "key", key)


def most_useful(reasons: list[str]) -> str:
    """Of several campaigns' reasons, the one that a person can do most about."""
    order = ("consent-needed", "enough-held", "nothing-open", "others-must", "not-qualified", "not-for-you", "paused")
    return next((reason for reason in order if reason in reasons), reasons[0] if reasons else "no-campaign")
