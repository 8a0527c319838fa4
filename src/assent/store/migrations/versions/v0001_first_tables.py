"""The first tables.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables, parents before children, and the triggers that keep judgements append-only."""
    _create_people_and_prompts()
    _create_runs_and_artifacts()
    _create_lineage()
    _create_completions_and_tasks()
    _create_judgements()
    _create_triggers()


def downgrade() -> None:
    """Remove all tables, children before parents."""
    op.drop_table("dataset_judgements")
    op.drop_table("judgements")  # its triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_judgements()")
    for name in ("assignments", "task_completions", "tasks", "completions", "promotions", "run_inputs"):
        op.drop_table(name)
    for name in ("artifact_parents", "artifacts", "runs", "prompts", "people"):
        op.drop_table(name)


def _column(name: str, kind: Any, *extra: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *extra, **{"nullable": False, **options})


def _moment(name: str, **options: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), **options)


def _create_people_and_prompts() -> None:
    op.create_table(
        "people",
        _column("id", sa.Integer(), primary_key=True),
        _column("name", sa.Text(), unique=True),
        _column("kind", sa.Text()),
        _column("profile", sa.JSON()),
        _moment("created_at"),
        sa.CheckConstraint("kind IN ('human', 'simulated', 'ai')", name="kind"),
    )
    op.create_table(
        "prompts",
        _column("id", sa.Integer(), primary_key=True),
        _column("messages", sa.JSON()),
        _column("text", sa.Text()),
        _column("split", sa.Text(), index=True),
        _column("meta", sa.JSON()),
        _column("content_hash", sa.Text(), unique=True),
    )


def _create_runs_and_artifacts() -> None:
    op.create_table(
        "runs",
        _column("id", sa.Text(), primary_key=True),
        _column("serial", sa.Integer(), unique=True),
        _column("kind", sa.Text()),
        _column("round", sa.Integer()),
        _column("state", sa.Text()),
        _column("settings", sa.JSON()),
        _column("settings_hash", sa.Text()),
        _column("result", sa.JSON()),
        _moment("started_at"),
        _moment("finished_at", nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
    )
    op.create_table(
        "artifacts",
        _column("id", sa.Text(), primary_key=True),
        _column("serial", sa.Integer(), unique=True),
        _column("kind", sa.Text(), index=True),
        _column("content_hash", sa.Text(), index=True),
        _column("path", sa.Text()),
        _column("card", sa.JSON()),
        _column("run_id", sa.Text(), sa.ForeignKey("runs.id"), nullable=True, index=True),
        _moment("created_at"),
    )


def _create_lineage() -> None:
    op.create_table(
        "artifact_parents",
        _column("artifact_id", sa.Text(), sa.ForeignKey("artifacts.id"), primary_key=True),
        _column("parent_id", sa.Text(), sa.ForeignKey("artifacts.id"), primary_key=True, index=True),
    )
    op.create_table(
        "run_inputs",
        _column("run_id", sa.Text(), sa.ForeignKey("runs.id"), primary_key=True),
        _column("role", sa.Text(), primary_key=True),
        _column("artifact_id", sa.Text(), sa.ForeignKey("artifacts.id"), primary_key=True, index=True),
    )
    op.create_table(
        "promotions",
        _column("id", sa.Integer(), primary_key=True),
        _column("artifact_id", sa.Text(), sa.ForeignKey("artifacts.id")),
        _column("round", sa.Integer()),
        _column("verdict", sa.JSON()),
        _column("promoted", sa.Boolean(), index=True),
        _moment("decided_at"),
        sa.UniqueConstraint("artifact_id", "round"),
    )


def _create_completions_and_tasks() -> None:
    op.create_table(
        "completions",
        _column("id", sa.Integer(), primary_key=True),
        _column("run_id", sa.Text(), sa.ForeignKey("runs.id")),
        _column("prompt_id", sa.Integer(), sa.ForeignKey("prompts.id"), index=True),
        _column("policy_version", sa.Text(), index=True),
        _column("position", sa.Integer()),
        _column("group_index", sa.Integer()),
        _column("sample_index", sa.Integer()),
        _column("text", sa.Text()),
        _column("token_ids", sa.JSON()),
        _column("finish_reason", sa.Text()),
        _column("sampling", sa.JSON()),
        sa.UniqueConstraint("run_id", "policy_version", "position"),
    )
    op.create_table(
        "tasks",
        _column("id", sa.Integer(), primary_key=True),
        _column("run_id", sa.Text(), sa.ForeignKey("runs.id"), index=True),
        _column("prompt_id", sa.Integer(), sa.ForeignKey("prompts.id")),
        _column("label", sa.Text()),
        _column("overlap", sa.Integer()),
        _column("purpose", sa.Text()),
        _column("priority", sa.Integer()),
        sa.CheckConstraint("overlap >= 1", name="overlap"),
        sa.CheckConstraint("purpose IN ('train', 'holdout', 'evaluate')", name="purpose"),
    )
    op.create_table(
        "task_completions",
        _column("task_id", sa.Integer(), sa.ForeignKey("tasks.id"), primary_key=True),
        _column("position", sa.Integer(), primary_key=True),
        _column("completion_id", sa.Integer(), sa.ForeignKey("completions.id"), index=True),
    )


def _create_judgements() -> None:
    op.create_table(
        "assignments",
        _column("id", sa.Integer(), primary_key=True),
        _column("task_id", sa.Integer(), sa.ForeignKey("tasks.id")),
        _column("person_id", sa.Integer(), sa.ForeignKey("people.id"), index=True),
        _column("order_shown", sa.JSON()),
        _column("state", sa.Text()),
        _column("idempotency_key", sa.Text(), unique=True),
        _moment("leased_at"),
        _moment("expires_at"),
        sa.UniqueConstraint("task_id", "person_id"),
        sa.CheckConstraint("state IN ('leased', 'submitted', 'expired')", name="state"),
    )
    op.create_table(
        "judgements",
        _column("id", sa.Integer(), primary_key=True),
        _column("assignment_id", sa.Integer(), sa.ForeignKey("assignments.id"), unique=True),
        _column("task_id", sa.Integer(), sa.ForeignKey("tasks.id"), index=True),
        _column("person_id", sa.Integer(), sa.ForeignKey("people.id"), index=True),
        _column("ranks", sa.JSON()),
        _column("order_shown", sa.JSON()),
        _column("label", sa.Text()),
        _column("marks", sa.JSON()),
        _column("flags", sa.JSON()),
        _column("note", sa.Text()),
        _column("seconds", sa.Double()),
        _column("idempotency_key", sa.Text(), unique=True),
        _moment("submitted_at"),
    )
    op.create_table(
        "dataset_judgements",
        _column("artifact_id", sa.Text(), sa.ForeignKey("artifacts.id"), primary_key=True),
        _column("judgement_id", sa.Integer(), sa.ForeignKey("judgements.id"), primary_key=True, index=True),
    )


def _create_triggers() -> None:
    refusal = "judgements are append-only"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_judgements() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER judgements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON judgements "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_judgements()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER judgements_no_{act.lower()} BEFORE {act} ON judgements "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )
    # INSERT OR REPLACE removes the old row without firing the DELETE trigger unless a connection asks for it.
    op.execute(
        "CREATE TRIGGER judgements_no_replace BEFORE INSERT ON judgements WHEN EXISTS (SELECT 1 FROM judgements "
        "WHERE id = NEW.id OR assignment_id = NEW.assignment_id OR idempotency_key = NEW.idempotency_key) "
        f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
    )
