"""The tables of the feedback service: who may come in, what is asked of whom, and who did what.

Links and tokens are kept as hashes only. As everywhere, a column that ends in `_at` holds a moment in UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from assent.store.tables import Base, Json


class InstallationRow(Base):
    """The one row that holds what is secret to this installation."""

    __tablename__ = "installation"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str]
    created_at: Mapped[datetime]


class AccountRow(Base):
    """How a person comes in, and what they may do."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'manager', 'adjudicator', 'annotator', 'read-only')", name="role"),
        CheckConstraint("state IN ('active', 'paused', 'excluded')", name="state"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), unique=True)
    login: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password_hash: Mapped[str | None]  # argon2id; without one, only a link lets the person in
    state: Mapped[str]
    groups: Mapped[list[str]]  # what they can do, e.g. a language; a campaign may ask for some
    created_at: Mapped[datetime]


class SessionRow(Base):
    """A browser that is signed in."""

    __tablename__ = "sessions"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LinkRow(Base):
    """A link that lets somebody in once: to a new account, or to one that is there."""

    __tablename__ = "links"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    groups: Mapped[list[str]]
    note: Mapped[str]  # for whom it is meant
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))  # signs in to this one
    made_by: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    used_by: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiTokenRow(Base):
    """A key for programs, with part of its owner's rights."""

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class CampaignRow(Base):
    """What is asked of people, and how. An automatic one serves the loop's runs that no other campaign serves."""

    __tablename__ = "campaigns"
    __table_args__ = (CheckConstraint("state IN ('open', 'paused', 'closed')", name="state"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    automatic: Mapped[bool]
    criteria: Mapped[list[dict[str, Any]]]  # name and guideline each
    reasons: Mapped[list[str]]
    flags: Mapped[list[str]]
    completions: Mapped[int]  # K, for tasks that are made in the campaign
    overlap: Mapped[int]
    floor_seconds: Mapped[float]
    gold_share: Mapped[float]
    repeat_share: Mapped[float]
    pass_share: Mapped[float]  # of the pairs of the qualification tasks, to be let into the queue
    groups: Mapped[list[str]]  # a person must have all of them
    created_at: Mapped[datetime]


class CampaignRunRow(Base):
    """A run whose tasks a campaign serves."""

    __tablename__ = "campaign_runs"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True, unique=True)


class CampaignTextRow(Base):
    """A version of the guidelines, or of what people consent to. None is ever changed."""

    __tablename__ = "campaign_texts"
    __table_args__ = (CheckConstraint("kind IN ('guidelines', 'consent')", name="kind"),)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    created_at: Mapped[datetime]


class ConsentRow(Base):
    """That a person agreed, to which versions, and when. A version of 0 means that there was no such text."""

    __tablename__ = "consents"
    __table_args__ = (UniqueConstraint("campaign_id", "person_id", "consent_version", "guidelines_version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    consent_version: Mapped[int]
    guidelines_version: Mapped[int]
    given_at: Mapped[datetime]


class MemberRow(Base):
    """How far a person has come in a campaign."""

    __tablename__ = "members"
    __table_args__ = (CheckConstraint("stage IN ('training', 'qualification', 'queue', 'failed')", name="stage"),)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True, index=True)
    stage: Mapped[str]
    served: Mapped[int]  # tasks handed out of the queue, which decides when a gold task or a repeat comes
    last_task_id: Mapped[int]  # the queue goes on behind it, so that what was judged is not gone through again
    joined_at: Mapped[datetime]


class GoldTaskRow(Base):
    """A task whose answer is known: to train people, to let them in, or hidden among the others."""

    __tablename__ = "gold_tasks"
    __table_args__ = (
        CheckConstraint("stage IN ('training', 'qualification', 'hidden')", name="stage"),
        Index(None, "campaign_id", "stage"),
    )
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    stage: Mapped[str]
    ranks: Mapped[list[int]]  # the expected answer, in the task's own order
    explanation: Mapped[str]


class DraftRow(Base):
    """What a person has typed and not submitted."""

    __tablename__ = "drafts"
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    version: Mapped[int]
    content: Mapped[Json]
    saved_at: Mapped[datetime]


class AuditRow(Base):
    """Who did what to what. Triggers refuse every change and removal."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "object_kind", "object_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)  # None: the command line
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str]
    details: Mapped[Json]
    happened_at: Mapped[datetime]
