"""Campaigns: what is asked of people, under which guidelines, and what they agreed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select
from sqlalchemy.orm import Session

from assent.store.audit import record
from assent.store.database import Store
from assent.store.queries import add_unless_there, next_serial, require_run
from assent.store.service_tables import CampaignRow, CampaignRunRow, CampaignTextRow, ConsentRow
from assent.store.tables import RunRow
from assent.types.errors import ConflictError, DataError, NotFoundError

FLAGS = ("unsafe", "personal data", "off topic")
TEXTS = ("guidelines", "consent")
JUDGED_KINDS = ("sample", "eval")  # the loop's runs that put up tasks
LOOP_TITLE = "The loop"

# Every request for a task asks these, so they are made once.
_CAMPAIGN = select(CampaignRow.__table__).where(CampaignRow.id == bindparam("campaign"))
_CAMPAIGN_IDS = select(CampaignRow.id).order_by(CampaignRow.id)
_TEXTS = (
    select(CampaignTextRow.__table__)
    .where(CampaignTextRow.campaign_id == bindparam("campaign"))
    .order_by(CampaignTextRow.version)
)
_OWN_RUNS = (
    select(RunRow.id)
    .join(CampaignRunRow, CampaignRunRow.run_id == RunRow.id)
    .where(CampaignRunRow.campaign_id == bindparam("campaign"))
    .order_by(RunRow.serial)
)
_LOOP_RUNS = (
    select(RunRow.id)
    .where(RunRow.kind.in_(JUDGED_KINDS), RunRow.id.not_in(select(CampaignRunRow.run_id)))
    .order_by(RunRow.serial)
)
_CONSENT = select(ConsentRow.id).where(
    ConsentRow.campaign_id == bindparam("campaign"),
    ConsentRow.person_id == bindparam("person"),
    ConsentRow.consent_version == bindparam("consent"),
    ConsentRow.guidelines_version == bindparam("guidelines"),
)


@dataclass(frozen=True)
class Criterion:
    """Something that every completion is marked by, and how to tell."""

    name: str
    guideline: str = ""


@dataclass(frozen=True)
class CampaignSettings:
    """What a campaign asks for. Shares are of the tasks that a person is given from the queue."""

    title: str
    criteria: tuple[Criterion, ...] = ()
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = FLAGS
    completions: int = 2
    overlap: int = 1
    floor_seconds: float = 0.0
    gold_share: float = 0.0
    repeat_share: float = 0.0
    pass_share: float = 0.7
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise DataError("title: a campaign needs one")
        if not 2 <= self.completions <= 6:
            raise DataError(f"completions: from 2 to 6, got {self.completions}")
        if self.overlap < 1:
            raise DataError(f"overlap: at least 1, got {self.overlap}")
        for name in ("gold_share", "repeat_share", "pass_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name}: from 0 to 1, got {getattr(self, name)}")
        if self.gold_share + self.repeat_share > 0.9:
            raise DataError("gold_share and repeat_share leave nothing to judge", "Let them sum to 0.9 at most.")
        if not 0 <= self.floor_seconds <= 3600:
            raise DataError(f"floor_seconds: from 0 to 3600, got {self.floor_seconds}")
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise DataError("criteria: each needs a name of its own")


@dataclass(frozen=True)
class Text:
    """A version of a campaign's guidelines or of what people consent to."""

    version: int
    text: str
    created_at: datetime


@dataclass(frozen=True)
class Campaign:
    """A campaign in the store."""

    id: int
    state: str
    automatic: bool
    settings: CampaignSettings
    run_ids: tuple[str, ...]
    texts: Mapping[str, Text] = field(default_factory=dict)  # the newest of each kind there is

    def versions(self) -> tuple[int, int]:
        """The newest versions of consent and guidelines; 0 where there is no text."""
        found = [self.texts[kind].version if kind in self.texts else 0 for kind in ("consent", "guidelines")]
        return found[0], found[1]


def create_campaign(
    store: Store,
    settings: CampaignSettings,
    run_ids: Sequence[str] = (),
    texts: Mapping[str, str] | None = None,
    by: int | None = None,
    automatic: bool = False,
) -> int:
    """Open a campaign and return its id.

    Raises:
        ConflictError: the title is taken, or a run is served by another campaign.
        DataError: an unknown run or kind of text.
    """
    with store.write() as session:
        _require_free_title(session, settings.title, None)
        row = CampaignRow(state="open", automatic=automatic, created_at=store.now(), **_columns(settings))
        session.add(row)
        session.flush()
        _serve(session, row.id, run_ids)
        for kind, text in (texts or {}).items():
            _add_text(session, store, row.id, kind, text)
        record(session, store, by, "create campaign", "campaign", row.id, {"title": settings.title})
        return row.id


def change_campaign(
    store: Store,
    campaign_id: int,
    settings: CampaignSettings | None = None,
    state: str | None = None,
    run_ids: Sequence[str] | None = None,
    texts: Mapping[str, str] | None = None,
    by: int | None = None,
) -> Campaign:
    """Change what is given. A text that differs becomes a new version, to which people must agree anew.

    Raises:
        NotFoundError: no such campaign.
        ConflictError, DataError: see `create_campaign`.
    """
    if state not in (None, "open", "paused", "closed"):
        raise DataError(f"state: open, paused or closed, got {state!r}")
    with store.write() as session:
        row = session.get(CampaignRow, campaign_id, with_for_update=True)
        if row is None:
            raise NotFoundError(f"no campaign {campaign_id}")
        if settings is not None:
            _require_free_title(session, settings.title, campaign_id)
            for name, value in _columns(settings).items():
                setattr(row, name, value)
        if state is not None:
            row.state = state
        if run_ids is not None:
            for held in session.scalars(select(CampaignRunRow).where(CampaignRunRow.campaign_id == campaign_id)):
                session.delete(held)
            session.flush()
            _serve(session, campaign_id, run_ids)
        for kind, text in (texts or {}).items():
            _add_text(session, store, campaign_id, kind, text)
        changed = {"settings": settings, "state": state, "runs": run_ids, "texts": texts}
        said = sorted(name for name, value in changed.items() if value is not None)
        record(session, store, by, "change campaign", "campaign", campaign_id, {"changed": said, "state": row.state})
        session.flush()
        return read_campaign(session.connection(), campaign_id)


def get_campaign(store: Store, campaign_id: int) -> Campaign:
    """One campaign.

    Raises:
        NotFoundError: no such campaign.
    """
    with store.look() as connection:
        return read_campaign(connection, campaign_id)


def list_campaigns(store: Store) -> list[Campaign]:
    """All campaigns in the order in which they were opened."""
    with store.look() as connection:
        ids = connection.scalars(_CAMPAIGN_IDS).all()
        return [read_campaign(connection, campaign_id) for campaign_id in ids]


def read_campaign(connection: Connection, campaign_id: int) -> Campaign:
    """The same as `get_campaign`, inside a transaction."""
    row = connection.execute(_CAMPAIGN, {"campaign": campaign_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no campaign {campaign_id}")
    runs = connection.scalars(_LOOP_RUNS if row.automatic else _OWN_RUNS, {"campaign": campaign_id})
    texts = _texts_of(connection, campaign_id)
    return Campaign(row.id, row.state, row.automatic, settings_of(row), tuple(runs), texts)


def settings_of(row: Row[Any]) -> CampaignSettings:
    """What the columns of a campaign say that it asks for."""
    return CampaignSettings(
        title=row.title,
        criteria=tuple(Criterion(**each) for each in row.criteria),
        reasons=tuple(row.reasons),
        flags=tuple(row.flags),
        completions=row.completions,
        overlap=row.overlap,
        floor_seconds=row.floor_seconds,
        gold_share=row.gold_share,
        repeat_share=row.repeat_share,
        pass_share=row.pass_share,
        groups=tuple(row.groups),
    )


def campaign_ids(store: Store) -> list[int]:
    """The ids of all campaigns in the order in which they were opened."""
    with store.look() as connection:
        return list(connection.scalars(_CAMPAIGN_IDS))


def serve_the_loop(store: Store, criteria: Sequence[Criterion] = (), guidelines: str = "") -> int:
    """The campaign for the loop's own runs, opened when it is first asked for; returns its id.

    Args:
        store: the open store.
        criteria: what people are asked to mark beside the ranking; kept as they are by now.
        guidelines: what is better, in Markdown, to begin with.
    """
    with store.read() as session:
        found = session.scalar(select(CampaignRow.id).where(CampaignRow.automatic).limit(1))
    if found is None:
        texts = {"guidelines": guidelines} if guidelines else {}
        return create_campaign(store, CampaignSettings(LOOP_TITLE, tuple(criteria)), texts=texts, automatic=True)
    with store.write() as session:
        row = session.get_one(CampaignRow, found)
        names = [each["name"] for each in row.criteria]
        if names != [each.name for each in criteria]:  # guidelines that a person wrote are kept
            row.criteria = _columns(CampaignSettings(LOOP_TITLE, tuple(criteria)))["criteria"]
    return found


def give_consent(store: Store, campaign_id: int, person_id: int, consent_version: int, guidelines_version: int) -> None:
    """Record that a person agreed to these versions. Recording it again does nothing.

    Raises:
        NotFoundError: no such campaign.
        ConflictError: these are not the newest versions.
    """
    with store.write() as session:
        campaign = read_campaign(session.connection(), campaign_id)
        if campaign.versions() != (consent_version, guidelines_version):
            raise ConflictError("the texts were changed meanwhile", "Read them again.")
        if not has_consented(session.connection(), campaign, person_id):
            given = ConsentRow(
                campaign_id=campaign_id,
                person_id=person_id,
                consent_version=consent_version,
                guidelines_version=guidelines_version,
                given_at=store.now(),
            )
            add_unless_there(session, given)


def consented(store: Store, campaign: Campaign, person_id: int) -> bool:
    """True if the person agreed to the newest texts, or there are none."""
    with store.look() as connection:
        return has_consented(connection, campaign, person_id)


def has_consented(connection: Connection, campaign: Campaign, person_id: int) -> bool:
    """The same, inside a transaction."""
    consent, guidelines = campaign.versions()
    if consent == guidelines == 0:
        return True
    wanted = {"campaign": campaign.id, "person": person_id, "consent": consent, "guidelines": guidelines}
    return connection.scalar(_CONSENT, wanted) is not None


def _columns(settings: CampaignSettings) -> dict[str, Any]:
    return {
        "title": settings.title.strip(),
        "criteria": [{"name": each.name.strip(), "guideline": each.guideline} for each in settings.criteria],
        "reasons": list(settings.reasons),
        "flags": list(settings.flags),
        "completions": settings.completions,
        "overlap": settings.overlap,
        "floor_seconds": settings.floor_seconds,
        "gold_share": settings.gold_share,
        "repeat_share": settings.repeat_share,
        "pass_share": settings.pass_share,
        "groups": sorted(set(settings.groups)),
    }


def _require_free_title(session: Session, title: str, own: int | None) -> None:
    taken = session.scalar(select(CampaignRow.id).where(CampaignRow.title == title.strip()))
    if taken not in (None, own):
        raise ConflictError(f"title: there is a campaign {title.strip()!r} already", "Choose another title.")


def _serve(session: Session, campaign_id: int, run_ids: Sequence[str]) -> None:
    for run_id in dict.fromkeys(run_ids):
        require_run(session, run_id)
        taken = session.scalar(select(CampaignRunRow.campaign_id).where(CampaignRunRow.run_id == run_id))
        if taken is not None:
            raise ConflictError(f"run_ids: {run_id} is served by campaign {taken} already")
        session.add(CampaignRunRow(campaign_id=campaign_id, run_id=run_id))
        session.flush()


def _add_text(session: Session, store: Store, campaign_id: int, kind: str, text: str) -> None:
    if kind not in TEXTS:
        raise DataError(f"no text {kind!r}", f"A campaign has {' and '.join(TEXTS)}.")
    newest = _texts_of(session.connection(), campaign_id).get(kind)
    if text == ("" if newest is None else newest.text):
        return
    version = 1 if newest is None else newest.version + 1
    session.add(CampaignTextRow(campaign_id=campaign_id, kind=kind, version=version, text=text, created_at=store.now()))
    session.flush()


def _texts_of(connection: Connection, campaign_id: int) -> dict[str, Text]:
    rows = connection.execute(_TEXTS, {"campaign": campaign_id})
    return {row.kind: Text(row.version, row.text, row.created_at) for row in rows}  # the newest comes last


def checks_run(campaign_id: int) -> str:
    """The run that a campaign's gold tasks and repeats hang on."""
    return f"campaign{campaign_id}-checks"


def require_checks_run(session: Session, store: Store, campaign_id: int) -> str:
    """The same, made if it is not there yet; inside a write transaction."""
    run_id = checks_run(campaign_id)
    if session.get(RunRow, run_id) is None:
        now = store.now()
        new = RunRow(
            id=run_id,
            serial=next_serial(session, RunRow),
            kind="checks",
            round=0,
            state="done",
            settings={},
            settings_hash="",
            result={},
            started_at=now,
            finished_at=now,
        )
        add_unless_there(session, new)
    return run_id
