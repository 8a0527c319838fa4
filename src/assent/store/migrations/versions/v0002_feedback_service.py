"""Tables of the feedback service, and judgements that may be revised.

Constraints of old tables change, which SQLite cannot do in place. So tasks and what hangs on them are copied aside,
made anew and filled again, children first and last; on PostgreSQL the same is done, so that one way is tested on both.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from assent.store.migrations.columns import column, moment, number, refers, text
from assent.store.migrations.service_tables_0002 import create_campaigns, create_entrance, create_work

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REBUILT = ("tasks", "task_completions", "assignments", "judgements", "dataset_judgements")  # parents first
REFUSAL = "judgements are append-only"
KEPT_COLUMNS = {
    "tasks": "id, run_id, prompt_id, label, overlap, purpose, priority",
    "task_completions": "task_id, position, completion_id",
    "assignments": "id, task_id, person_id, order_shown, state, idempotency_key, leased_at, expires_at",
    "judgements": "id, assignment_id, task_id, person_id, ranks, order_shown, label, marks, flags, note, seconds, "
    "idempotency_key, submitted_at",
    "dataset_judgements": "artifact_id, judgement_id",
}
NEW_COLUMNS = {
    "tasks": ("is_open", "true"),
    "assignments": ("declined_as", "''"),
    "judgements": (
        "revision, withdrawn, strength, all_bad, reasons, spans, rewrite",
        "1, false, '', false, '[]', '[]', ''",
    ),
}
SERVICE_TABLES = (
    "installation",
    "accounts",
    "sessions",
    "links",
    "api_tokens",
    "campaigns",
    "campaign_runs",
    "campaign_texts",
    "consents",
    "members",
    "gold_tasks",
    "drafts",
    "audit",
)


def upgrade() -> None:
    """Make the old tables anew with room for revisions, then add the service's own."""
    _put_aside()
    _create_judging(new=True)
    for table in REBUILT:
        columns, values = NEW_COLUMNS.get(table, ("", ""))
        if table == "judgements" and _is_postgresql():
            values = values.replace("'[]'", "'[]'::json")
        comma = ", " if columns else ""
        kept = KEPT_COLUMNS[table]
        op.execute(f"INSERT INTO {table} ({kept}{comma}{columns}) SELECT {kept}{comma}{values} FROM kept_{table}")
    op.execute(
        "UPDATE tasks SET is_open = (SELECT count(*) FROM assignments WHERE assignments.task_id = tasks.id "
        "AND assignments.state = 'submitted') < overlap"
    )
    _clear_away()
    _create_revision_triggers()
    create_entrance()
    create_campaigns()
    create_work()
    _create_audit_triggers()


def downgrade() -> None:
    """Remove the service's tables and its tasks; of each judgement the newest revision stays, unless it withdraws."""
    for table in reversed(SERVICE_TABLES):
        op.drop_table(table)
    if _is_postgresql():
        op.execute("DROP FUNCTION refuse_change_of_audit()")
    _put_aside()
    _create_judging(new=False)
    conditions = {
        "tasks": "purpose IN ('train', 'holdout', 'evaluate')",
        "task_completions": "task_id IN (SELECT id FROM tasks)",
        "assignments": "task_id IN (SELECT id FROM tasks)",
        "judgements": "task_id IN (SELECT id FROM tasks) AND NOT withdrawn AND revision = (SELECT max(newer.revision) "
        "FROM kept_judgements AS newer WHERE newer.assignment_id = kept_judgements.assignment_id)",
        "dataset_judgements": "judgement_id IN (SELECT id FROM judgements)",
    }
    op.execute("UPDATE kept_assignments SET state = 'expired' WHERE state = 'declined'")
    op.execute("CREATE INDEX ix_kept_judgements ON kept_judgements (assignment_id)")
    for table in REBUILT:
        kept = KEPT_COLUMNS[table]
        op.execute(f"INSERT INTO {table} ({kept}) SELECT {kept} FROM kept_{table} WHERE {conditions[table]}")
    _clear_away()
    _create_first_triggers()


def _is_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _put_aside() -> None:
    for table in REBUILT:
        op.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
    for table in reversed(REBUILT):
        op.drop_table(table)  # triggers and indexes go with it
    if _is_postgresql():
        op.execute("DROP FUNCTION refuse_change_of_judgements()")


def _clear_away() -> None:
    for table in REBUILT:
        op.drop_table(f"kept_{table}")
    if _is_postgresql():
        for table in ("tasks", "assignments", "judgements"):
            op.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1, false) FROM {table}"
            )


def _create_judging(new: bool) -> None:
    """Tasks and what hangs on them, as of this version or as of the one before."""
    purposes = "'train', 'holdout', 'evaluate'" + (", 'gold', 'repeat'" if new else "")
    task_extra = [
        column("is_open", sa.Boolean()),
        refers("repeat_of", "tasks.id", nullable=True),
        refers("person_id", "people.id", nullable=True, index=True),
    ]
    op.create_table(
        "tasks",
        number("id", primary_key=True),
        refers("run_id", "runs.id", sa.Text(), index=True),
        refers("prompt_id", "prompts.id"),
        text("label"),
        number("overlap"),
        text("purpose"),
        number("priority"),
        *(task_extra if new else []),
        sa.CheckConstraint("overlap >= 1", name="overlap"),
        sa.CheckConstraint(f"purpose IN ({purposes})", name="purpose"),
    )
    if new:
        op.create_index("ix_tasks_run_id_is_open_priority_id", "tasks", ["run_id", "is_open", "priority", "id"])
    op.create_table(
        "task_completions",
        refers("task_id", "tasks.id", primary_key=True),
        number("position", primary_key=True),
        refers("completion_id", "completions.id", index=True),
    )
    states = "'leased', 'submitted', 'expired'" + (", 'declined'" if new else "")
    op.create_table(
        "assignments",
        number("id", primary_key=True),
        refers("task_id", "tasks.id"),
        refers("person_id", "people.id", index=not new),
        column("order_shown", sa.JSON()),
        text("state"),
        text("idempotency_key", unique=True),
        moment("leased_at"),
        moment("expires_at"),
        *([text("declined_as")] if new else []),
        sa.UniqueConstraint("task_id", "person_id"),
        sa.CheckConstraint(f"state IN ({states})", name="state"),
    )
    if new:
        op.create_index("ix_assignments_person_id_state", "assignments", ["person_id", "state"])
    _create_judgements(new)


def _create_judgements(new: bool) -> None:
    extra: list[Any] = [
        number("revision"),
        column("withdrawn", sa.Boolean()),
        text("strength"),
        column("all_bad", sa.Boolean()),
        column("reasons", sa.JSON()),
        column("spans", sa.JSON()),
        text("rewrite"),
        sa.UniqueConstraint("assignment_id", "revision"),
    ]
    op.create_table(
        "judgements",
        number("id", primary_key=True),
        refers("assignment_id", "assignments.id", unique=not new),
        refers("task_id", "tasks.id", index=True),
        refers("person_id", "people.id", index=True),
        column("ranks", sa.JSON()),
        column("order_shown", sa.JSON()),
        text("label"),
        column("marks", sa.JSON()),
        column("flags", sa.JSON()),
        text("note"),
        column("seconds", sa.Double()),
        text("idempotency_key", unique=True),
        moment("submitted_at"),
        *(extra if new else []),
    )
    op.create_table(
        "dataset_judgements",
        refers("artifact_id", "artifacts.id", sa.Text(), primary_key=True),
        refers("judgement_id", "judgements.id", primary_key=True, index=True),
    )


def _create_revision_triggers() -> None:
    """Judgements are only ever added to; but a person's own words may be emptied, and nothing else with them."""
    columns = [*KEPT_COLUMNS["judgements"].split(", "), *NEW_COLUMNS["judgements"][0].split(", ")]
    fixed = [name for name in columns if name not in ("note", "rewrite")]
    if _is_postgresql():
        same = " AND ".join(f"NEW.{name}::text IS NOT DISTINCT FROM OLD.{name}::text" for name in fixed)
        op.execute(
            "CREATE FUNCTION refuse_change_of_judgements() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF TG_OP = 'UPDATE' THEN IF {same} AND NEW.note = '' AND NEW.rewrite = '' THEN RETURN NEW; "
            f"END IF; END IF; RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER judgements_no_change BEFORE UPDATE ON judgements "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_judgements()"
        )
        op.execute(
            "CREATE TRIGGER judgements_append_only BEFORE DELETE OR TRUNCATE ON judgements "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_judgements()"
        )
        return
    same = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in fixed)
    op.execute(
        f"CREATE TRIGGER judgements_no_update BEFORE UPDATE ON judgements WHEN NOT ({same} AND NEW.note = '' "
        f"AND NEW.rewrite = '') BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
    op.execute(
        f"CREATE TRIGGER judgements_no_delete BEFORE DELETE ON judgements BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
    # INSERT OR REPLACE removes the old row without firing the DELETE trigger unless a connection asks for it.
    op.execute(
        "CREATE TRIGGER judgements_no_replace BEFORE INSERT ON judgements WHEN EXISTS (SELECT 1 FROM judgements "
        "WHERE id = NEW.id OR (assignment_id = NEW.assignment_id AND revision = NEW.revision) "
        f"OR idempotency_key = NEW.idempotency_key) BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )


def _create_audit_triggers() -> None:
    refusal = "the audit log is append-only"
    if _is_postgresql():
        op.execute(
            "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{act.lower()} BEFORE {act} ON audit BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )


def _create_first_triggers() -> None:
    """Those of version 0001."""
    if _is_postgresql():
        op.execute(
            "CREATE FUNCTION refuse_change_of_judgements() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER judgements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON judgements "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_judgements()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER judgements_no_{act.lower()} BEFORE {act} ON judgements "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    op.execute(
        "CREATE TRIGGER judgements_no_replace BEFORE INSERT ON judgements WHEN EXISTS (SELECT 1 FROM judgements "
        "WHERE id = NEW.id OR assignment_id = NEW.assignment_id OR idempotency_key = NEW.idempotency_key) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
