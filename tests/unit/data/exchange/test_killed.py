"""An import that is killed leaves nothing behind, at whatever moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from assent.store import Store, dump_rows
from tests.unit.data.exchange.importing_process import import_until
from tests.unit.data.exchange.judged_store import bring_in, fill, write_rows

ROWS = [{"prompt": f"q{i}", "chosen": f"a{i}", "rejected": f"b{i}"} for i in range(1200)]  # three pages


def test_nothing_or_all_of_it(tmp_path: Path) -> None:
    empty, file = tmp_path / "before.db", write_rows(tmp_path / "pairs.jsonl", ROWS)
    with Store.open(empty, create=True) as store:
        fill(store)
        before = dump_rows(store)
    with Store.open(shutil.copy(empty, tmp_path / "whole.db")) as store:
        bring_in(store, file)
        whole = dump_rows(store)
    statements = import_until(Path(shutil.copy(empty, tmp_path / "counted.db")), file, -1)
    assert statements > 20
    for fatal in (1, 2, statements // 3, statements // 2, statements - 1, statements):
        database = Path(shutil.copy(empty, tmp_path / f"killed-{fatal}.db"))
        child = os.fork()
        if child == 0:
            import_until(database, file, fatal)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
        with Store.open(database) as store:
            assert dump_rows(store) == before, fatal
            bring_in(store, file)  # the same command again does it
            assert dump_rows(store) == whole
