"""Columns as migrations declare them: nothing may be empty unless that is said."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def column(name: str, kind: Any, *extra: Any, **options: Any) -> sa.Column[Any]:
    """A column that always holds something, unless told otherwise."""
    return sa.Column(name, kind, *extra, **{"nullable": False, **options})


def text(name: str, **options: Any) -> sa.Column[Any]:
    """A column of text."""
    return column(name, sa.Text(), **options)


def number(name: str, **options: Any) -> sa.Column[Any]:
    """A column of whole numbers."""
    return column(name, sa.Integer(), **options)


def moment(name: str, **options: Any) -> sa.Column[Any]:
    """A column of moments in UTC."""
    return column(name, sa.DateTime(timezone=True), **options)


def refers(name: str, to: str, kind: Any = None, **options: Any) -> sa.Column[Any]:
    """A column that names a row of another table."""
    return column(name, kind or sa.Integer(), sa.ForeignKey(to), **options)
