"""Alembic migrations, run by `assent.store.schema`."""
