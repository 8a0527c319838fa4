"""The rows of a file to be imported, one by one: JSONL (also .gz), a JSON list, Parquet, a folder of `datasets`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assent.data.lines import Line, json_name, open_bytes, read_jsonl, readable
from assent.types.errors import DataError

Container = Literal["jsonl", "json", "parquet", "datasets"]
_EXAMPLE = '{"prompt": "How do I store bleach?", "chosen": "Keep it closed.", "rejected": "In a cup."}'
_BATCH = 1000  # rows of a table that are in memory at once


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes:
        path: the file or folder.
        container: what it is.
        total: the number of its rows; for JSONL of its lines.
    """

    path: Path
    container: Container
    total: int

    @classmethod
    def open(cls, path: Path) -> Source:
        """Look at a file or folder.

        Raises:
            DataError: there is no such thing, it is damaged or empty, or what reads it is not installed.
        """
        container = _container_of(path)
        total = {"jsonl": _count_lines, "json": _count_records, "parquet": _count_parquet, "datasets": _count_table}[
            container
        ](path)
        if total == 0:
            raise DataError(f"{path}: holds no rows", "name the file that the judgements are in")
        return cls(path, container, total)

    def rows(self) -> Iterator[Line]:
        """Every row with its place.

        Raises:
            DataError: naming the line or row that cannot be read.
        """
        if self.container == "jsonl":
            yield from read_jsonl(self.path, _EXAMPLE)
        elif self.container == "json":
            for number, fields in enumerate(_records(self.path), start=1):
                if not isinstance(fields, dict):
                    raise DataError(f"{self.path}, record {number}: expected a JSON object, got {json_name(fields)}")
                yield Line(self.path, number, fields, "record")
        else:
            tables = _parquet_rows(self.path) if self.container == "parquet" else _table_rows(self.path)
            for number, fields in enumerate(tables, start=1):
                # A table has every column in every row: what a row lacks is null in it.
                given = {name: value for name, value in fields.items() if value is not None}
                yield Line(self.path, number, given, "row")


def library(name: str, what: str) -> Any:
    """A module of the `exchange` extra.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DataError(
            f"{what} needs {error.name}, which is not installed",
            'pip install "assent[exchange]", or use JSONL, which needs nothing',
        ) from error


def _container_of(path: Path) -> Container:
    if path.is_dir():
        if (path / "dataset_dict.json").is_file():
            splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8")).get("splits", [])
            raise DataError(
                f"{path}: holds several splits: {', '.join(splits)}", f"name one of them: {path / (splits or ['…'])[0]}"
            )
        if not (path / "state.json").is_file():
            raise DataError(
                f"{path}: is a folder, but no saved dataset: it has no state.json",
                "name a file in it, or a folder that datasets' save_to_disk wrote",
            )
        return "datasets"
    with readable(path), open_bytes(path) as stream:
        start = stream.read(64)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[") else "jsonl"


def _count_lines(path: Path) -> int:
    count, last = 0, b"\n"
    with readable(path), open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def _count_records(path: Path) -> int:
    return len(_records(path))


def _records(path: Path) -> list[Any]:
    try:
        with readable(path), open_bytes(path) as stream:
            found = json.loads(stream.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not valid UTF-8 (byte {error.start + 1})", "save the file as UTF-8 plain text"
        ) from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: broken JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: JSON that cannot be read: {error}") from None
    return found if isinstance(found, list) else [found]


def _parquet(path: Path) -> Any:
    parquet, arrow = library("pyarrow.parquet", "reading Parquet"), library("pyarrow", "reading Parquet")
    try:
        return parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: is no whole Parquet file ({error})", "fetch or write it again") from error


def _count_parquet(path: Path) -> int:
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    arrow = library("pyarrow", "reading Parquet")
    with _parquet(path) as file:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield row
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}, after row {number}: cannot be read ({error})", "write it again") from error


def _table(path: Path) -> Any:
    datasets = library("datasets", "reading a datasets folder")
    try:
        return datasets.load_from_disk(str(path))
    except Exception as error:  # whatever datasets and Arrow think of a damaged folder
        raise DataError(f"{path}: is no whole saved dataset ({error})", "save it again") from error


def _count_table(path: Path) -> int:
    return len(_table(path))


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    table = _table(path).with_format("arrow")
    for batch in table.iter(batch_size=_BATCH):
        yield from batch.to_pylist()
