"""The tables of the feedback service as of version 0002."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from assent.store.migrations.columns import column, moment, number, refers, text


def create_entrance() -> None:
    """The installation's secret, accounts, and the three ways in."""
    op.create_table("installation", number("id", primary_key=True), text("secret"), moment("created_at"))
    roles = "'owner', 'manager', 'adjudicator', 'annotator', 'read-only'"
    op.create_table(
        "accounts",
        number("id", primary_key=True),
        refers("person_id", "people.id", unique=True),
        text("login", unique=True),
        text("role"),
        text("password_hash", nullable=True),
        text("state"),
        column("groups", sa.JSON()),
        moment("created_at"),
        sa.CheckConstraint(f"role IN ({roles})", name="role"),
        sa.CheckConstraint("state IN ('active', 'paused', 'excluded')", name="state"),
    )
    op.create_table(
        "sessions",
        number("id", primary_key=True),
        refers("account_id", "accounts.id", index=True),
        text("token_hash", unique=True),
        text("csrf"),
        moment("created_at"),
        moment("expires_at", index=True),
    )
    op.create_table(
        "links",
        number("id", primary_key=True),
        text("token_hash", unique=True),
        text("role"),
        column("groups", sa.JSON()),
        text("note"),
        refers("account_id", "accounts.id", nullable=True),
        refers("made_by", "accounts.id", nullable=True),
        refers("used_by", "accounts.id", nullable=True),
        moment("created_at"),
        moment("expires_at"),
        moment("used_at", nullable=True),
    )
    op.create_table(
        "api_tokens",
        number("id", primary_key=True),
        refers("account_id", "accounts.id", index=True),
        text("name"),
        text("token_hash", unique=True),
        column("scopes", sa.JSON()),
        moment("created_at"),
        moment("expires_at", nullable=True),
        moment("revoked_at", nullable=True),
    )


def create_campaigns() -> None:
    """What is asked of people."""
    op.create_table(
        "campaigns",
        number("id", primary_key=True),
        text("title", unique=True),
        text("state"),
        column("automatic", sa.Boolean()),
        column("criteria", sa.JSON()),
        column("reasons", sa.JSON()),
        column("flags", sa.JSON()),
        number("completions"),
        number("overlap"),
        column("floor_seconds", sa.Double()),
        column("gold_share", sa.Double()),
        column("repeat_share", sa.Double()),
        column("pass_share", sa.Double()),
        column("groups", sa.JSON()),
        moment("created_at"),
        sa.CheckConstraint("state IN ('open', 'paused', 'closed')", name="state"),
    )
    op.create_table(
        "campaign_runs",
        refers("campaign_id", "campaigns.id", primary_key=True),
        refers("run_id", "runs.id", sa.Text(), primary_key=True, unique=True),
    )
    op.create_table(
        "campaign_texts",
        refers("campaign_id", "campaigns.id", primary_key=True),
        text("kind", primary_key=True),
        number("version", primary_key=True, autoincrement=False),
        text("text"),
        moment("created_at"),
        sa.CheckConstraint("kind IN ('guidelines', 'consent')", name="kind"),
    )


def create_work() -> None:
    """Who agreed to what, how far they have come, what is known beforehand, and what was typed."""
    op.create_table(
        "consents",
        number("id", primary_key=True),
        refers("campaign_id", "campaigns.id"),
        refers("person_id", "people.id", index=True),
        number("consent_version"),
        number("guidelines_version"),
        moment("given_at"),
        sa.UniqueConstraint("campaign_id", "person_id", "consent_version", "guidelines_version"),
    )
    op.create_table(
        "members",
        refers("campaign_id", "campaigns.id", primary_key=True),
        refers("person_id", "people.id", primary_key=True, index=True),
        text("stage"),
        number("served"),
        number("last_task_id"),
        moment("joined_at"),
        sa.CheckConstraint("stage IN ('training', 'qualification', 'queue', 'failed')", name="stage"),
    )
    op.create_table(
        "gold_tasks",
        refers("task_id", "tasks.id", primary_key=True),
        refers("campaign_id", "campaigns.id"),
        text("stage"),
        column("ranks", sa.JSON()),
        text("explanation"),
        sa.CheckConstraint("stage IN ('training', 'qualification', 'hidden')", name="stage"),
    )
    op.create_index("ix_gold_tasks_campaign_id_stage", "gold_tasks", ["campaign_id", "stage"])
    op.create_table(
        "drafts",
        refers("assignment_id", "assignments.id", primary_key=True),
        number("version"),
        column("content", sa.JSON()),
        moment("saved_at"),
    )
    op.create_table(
        "audit",
        number("id", primary_key=True),
        refers("account_id", "accounts.id", nullable=True, index=True),
        text("action"),
        text("object_kind"),
        text("object_id"),
        column("details", sa.JSON()),
        moment("happened_at"),
    )
    op.create_index("ix_audit_object_kind_object_id", "audit", ["object_kind", "object_id"])
