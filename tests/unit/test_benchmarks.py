"""What benchmarks fill a store with is what the store itself would hold."""

from __future__ import annotations

from pathlib import Path

from assent.data.exchange import Order, export
from assent.store import Store
from benchmarks.exchange import fill


def test_a_store_that_is_filled_by_its_database_can_be_exported(tmp_path: Path) -> None:
    fill(tmp_path / "assent.db", 200)
    with Store.open(tmp_path / "assent.db") as store:
        assert export(store, tmp_path / "pairs.jsonl", Order("preference", "all"))["rows"] == 200
        assert export(store, tmp_path / "raw.jsonl", Order("raw", "all"))["rows"] == 200
