"""Where exported rows go, a batch at a time: JSONL (also .gz), Parquet, or a folder that `datasets` loads."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from assent.data.exchange.sources import library
from assent.store import atomic_dir, atomic_file
from assent.types.errors import DataError

Kind = Literal["text", "messages", "flag", "number", "json"]
Columns = Mapping[str, Kind]  # the columns of a row in order; `json` is a value of any form, a text in a table
Row = Mapping[str, Any]

_BATCH = 4000  # rows of a table that are in memory at once


class Sink(Protocol):
    """What takes rows."""

    def write(self, row: Row) -> None:
        """Take one."""
        ...


class Hashed:
    """A sink that remembers the number of rows and the hash of their JSON lines, which no container changes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.rows = 0

    def write(self, row: Row) -> None:
        """Take one."""
        self._sink.write(row)
        self._digest.update(json_line(row).encode())
        self.rows += 1

    @property
    def content_hash(self) -> str:
        """SHA-256 (64 hex digits)."""
        return self._digest.hexdigest()


def json_line(row: Row) -> str:
    """A row as it stands in JSONL, with its line end."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def container_of(path: Path) -> str:
    """What a name asks for: `jsonl`, `parquet`, or `datasets` for a folder.

    Raises:
        DataError: the ending is unknown, or there is something of this name already.
    """
    name = path.name.lower()
    if path.exists():
        raise DataError(f"{path}: exists already", "name another file, or remove it first")
    for ending, container in ((".jsonl", "jsonl"), (".jsonl.gz", "jsonl"), (".parquet", "parquet")):
        if name.endswith(ending):
            return container
    if path.suffix:
        raise DataError(
            f"{path}: no known ending",
            "use .jsonl, .jsonl.gz or .parquet, or a name without an ending for a folder that datasets loads",
        )
    return "datasets"


@contextmanager
def opened(path: Path, columns: Columns) -> Iterator[Sink]:
    """A sink whose file or folder is there, whole, once the block has ended without an error; else nothing is.

    Raises:
        DataError: see `container_of`; or what writes it is not installed.
        WorkspaceError: full disk, read-only file system, no permission.
    """
    container = container_of(path)
    if container == "jsonl":
        with atomic_file(path) as aside, _JsonLines(aside, packed=path.suffix.lower() == ".gz") as lines:
            yield lines
    elif container == "parquet":
        parquet = library("pyarrow.parquet", "writing Parquet")
        with atomic_file(path) as aside, parquet.ParquetWriter(aside, _schema(columns), compression="zstd") as writer:
            table = _Table(writer, columns)
            yield table
            table.flush()
    else:
        yield from _dataset(path, columns)


class _JsonLines:
    def __init__(self, path: Path, packed: bool) -> None:
        self._file = path.open("wb")
        # Neither the time nor the name goes into the archive: equal rows are equal bytes.
        self._packed = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0) if packed else None
        self._text = io.TextIOWrapper(self._packed or self._file, encoding="utf-8", newline="\n")

    def __enter__(self) -> _JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._file.close()

    def write(self, row: Row) -> None:
        self._text.write(json_line(row))


class _Table:
    """Rows gathered into batches for Arrow."""

    def __init__(self, writer: Any, columns: Columns) -> None:
        self._writer = writer
        self._columns = columns
        self._schema = _schema(columns)
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._rows:
            arrow = library("pyarrow", "writing a table")
            arrays = {name: [_cell(row[name], kind) for row in self._rows] for name, kind in self._columns.items()}
            self._writer.write_table(arrow.table(arrays, schema=self._schema))
            self._rows = []


def _cell(value: Any, kind: Kind) -> Any:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) if kind == "json" else value


def _dataset(path: Path, columns: Columns) -> Iterator[Sink]:
    datasets, ipc = library("datasets", "writing a datasets folder"), library("pyarrow.ipc", "writing a table")
    with atomic_dir(path) as aside:
        stream = aside / ".gathered" / "rows.arrow"  # datasets saves into no folder that it reads from
        stream.parent.mkdir()
        with ipc.new_stream(str(stream), _schema(columns)) as writer:
            table = _Table(writer, columns)
            yield table
            table.flush()
        datasets.disable_progress_bars()
        try:
            datasets.Dataset.from_file(str(stream)).save_to_disk(str(aside))
        finally:
            datasets.enable_progress_bars()
        shutil.rmtree(stream.parent)


def _schema(columns: Columns) -> Any:
    arrow = library("pyarrow", "writing a table")
    message = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    types: Mapping[str, Any] = {
        "text": arrow.string(),
        "messages": arrow.list_(message),
        "flag": arrow.bool_(),
        "number": arrow.float64(),
        "json": arrow.string(),
    }
    return arrow.schema([(name, types[kind]) for name, kind in columns.items()])


def message_list(messages: Sequence[Any]) -> list[dict[str, str]]:
    """Messages as `{"role", "content"}`."""
    return [{"role": message.role, "content": message.content} for message in messages]
