"""The tables. A column that ends in `_at` holds wall-clock time (UTC), and no other column depends on the clock.

Ids are integers in order of insertion (artifacts and runs are named by their makers), so a loop that was killed and
started again ends with the same rows as one that was not. On SQLite they have no gaps; PostgreSQL skips the numbers of
transactions that were undone, so there the rows are the same up to their numbering.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which knows no time zones, stores it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a moment without a time zone is refused with ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables share: names of constraints, and how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this name
        datetime: UtcDateTime(),
        str: Text(),
        dict[str, Any]: JSON(),
        list[int]: JSON(),
        list[str]: JSON(),
        list[dict[str, Any]]: JSON(),
    }


class PersonRow(Base):
    """Someone who judges: a human, a simulated person or an AI judge."""

    __tablename__ = "people"
    __table_args__ = (CheckConstraint("kind IN ('human', 'simulated', 'ai')", name="kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    profile: Mapped[Json]
    created_at: Mapped[datetime]


class RunRow(Base):
    """One stage of the loop; its maker names it, e.g. `round1-rl`."""

    __tablename__ = "runs"
    __table_args__ = (CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(unique=True)  # order of registration
    kind: Mapped[str]
    round: Mapped[int]
    state: Mapped[str]
    settings: Mapped[Json]
    settings_hash: Mapped[str]
    result: Mapped[Json]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class PromptRow(Base):
    """What a policy is asked."""

    __tablename__ = "prompts"
    id: Mapped[int] = mapped_column(primary_key=True)
    messages: Mapped[list[dict[str, Any]]]
    text: Mapped[str]
    split: Mapped[str] = mapped_column(index=True)
    meta: Mapped[Json]
    content_hash: Mapped[str] = mapped_column(unique=True)


class CompletionRow(Base):
    """What a policy wrote, and how it was sampled."""

    __tablename__ = "completions"
    __table_args__ = (UniqueConstraint("run_id", "policy_version", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id"), index=True)
    policy_version: Mapped[str] = mapped_column(index=True)
    position: Mapped[int]  # place among the completions of this run and policy
    group_index: Mapped[int]
    sample_index: Mapped[int]  # place within the group
    text: Mapped[str]
    token_ids: Mapped[list[int]]
    finish_reason: Mapped[str]
    sampling: Mapped[Json]


class TaskRow(Base):
    """Some completions of one prompt that people are asked to judge."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("overlap >= 1", name="overlap"),
        CheckConstraint("purpose IN ('train', 'holdout', 'evaluate', 'gold', 'repeat')", name="purpose"),
        Index(None, "run_id", "is_open", "priority", "id"),  # the queue goes through a run's open tasks in this order
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), index=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id"))
    label: Mapped[str]
    overlap: Mapped[int]  # exactly this many people judge it
    purpose: Mapped[str]
    priority: Mapped[int]
    is_open: Mapped[bool] = mapped_column(default=True)  # fewer submissions than the overlap
    repeat_of: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"))  # shown again, to measure self-consistency
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), index=True)  # for this person alone


class TaskCompletionRow(Base):
    """The completions of a task, in the task's own order."""

    __tablename__ = "task_completions"
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    completion_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)


class AssignmentRow(Base):
    """One person's lease on a task."""

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("task_id", "person_id"),
        Index(None, "person_id", "state"),
        CheckConstraint("state IN ('leased', 'submitted', 'expired', 'declined')", name="state"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    order_shown: Mapped[list[int]]
    state: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    leased_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    declined_as: Mapped[str] = mapped_column(default="")  # skip or cannot-judge, once it was declined


class JudgementRow(Base):
    """One person's act on one task, or a later revision of it; the newest revision counts, unless it withdraws.

    Triggers refuse every change and removal, save that `note` and `rewrite` may be emptied when a person is erased.
    """

    __tablename__ = "judgements"
    __table_args__ = (UniqueConstraint("assignment_id", "revision"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    ranks: Mapped[list[int]]
    order_shown: Mapped[list[int]]
    label: Mapped[str]
    marks: Mapped[list[dict[str, Any]]]
    flags: Mapped[list[str]]
    note: Mapped[str]
    seconds: Mapped[float]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    submitted_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=1)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    strength: Mapped[str] = mapped_column(default="")
    all_bad: Mapped[bool] = mapped_column(default=False)
    reasons: Mapped[list[str]] = mapped_column(default=list)
    spans: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    rewrite: Mapped[str] = mapped_column(default="")


class ArtifactRow(Base):
    """A versioned model or dataset."""

    __tablename__ = "artifacts"
    id: Mapped[str] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(unique=True)  # order of registration
    kind: Mapped[str] = mapped_column(index=True)
    content_hash: Mapped[str] = mapped_column(index=True)
    path: Mapped[str]  # relative to the workspace
    card: Mapped[Json]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    created_at: Mapped[datetime]


class ArtifactParentRow(Base):
    """An artifact that another one was made from."""

    __tablename__ = "artifact_parents"
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id"), primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id"), primary_key=True, index=True)


class RunInputRow(Base):
    """An artifact that a run read, and as what."""

    __tablename__ = "run_inputs"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id"), primary_key=True, index=True)


class DatasetJudgementRow(Base):
    """A judgement that a dataset version holds."""

    __tablename__ = "dataset_judgements"
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id"), primary_key=True)
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True, index=True)


class PromotionRow(Base):
    """The verdict on a policy after its evaluation: promoted or not, and why."""

    __tablename__ = "promotions"
    __table_args__ = (UniqueConstraint("artifact_id", "round"), Index(None, "promoted"))
    id: Mapped[int] = mapped_column(primary_key=True)
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id"))
    round: Mapped[int]
    verdict: Mapped[Json]
    promoted: Mapped[bool]
    decided_at: Mapped[datetime]
