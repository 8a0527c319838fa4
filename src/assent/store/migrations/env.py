"""Run migrations on the connection that `assent.store.schema` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from assent.store import service_tables  # noqa: F401 - their tables belong to the metadata
from assent.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite can, once transactions are begun explicitly, as our engine does
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
