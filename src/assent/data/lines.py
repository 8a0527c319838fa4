"""Reading text files line by line, with errors that name file, line and field."""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from assent.types.errors import DataError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """One JSON object of a JSONL file, and where it stands."""

    file: Path
    number: int
    fields: dict[str, Any]
    unit: str = "line"  # "row" of a table, "record" of a list

    @property
    def where(self) -> str:
        """File and number, as messages begin."""
        return f"{self.file}, {self.unit} {self.number}"

    def error(self, message: str, hint: str = "") -> DataError:
        """A `DataError` that names this line."""
        return DataError(f"{self.where}: {message}", hint)

    def check_names(self, known: Collection[str]) -> None:
        """Other fields are let pass, as many data sets carry more than is needed; a misspelt one is not.

        Raises:
            DataError: a field that is none of `known`, but nearly is.
        """
        for name in self.fields:
            if name not in known and (near := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)):
                raise self.error(f"unknown field '{name}'", f"did you mean '{near[0]}'?")

    def text(self, name: str) -> str:
        """The text of a field, as it stands.

        Raises:
            DataError: the field is missing, is no text, is empty, or holds what no database can store.
        """
        if name not in self.fields:
            raise self.error(f"field '{name}' is missing", f'expected {{"{name}": "some text", ...}}')
        return self.checked(self.fields[name], f"field '{name}'")

    def checked(self, value: object, where: str) -> str:
        """`value` if it is a text that can be used; `where` names it in the error.

        Raises:
            DataError: see `text`.
        """
        if not isinstance(value, str):
            raise self.error(f"{where} must be a text, got {json_name(value)}")
        if not value.strip():
            raise self.error(f"{where} is empty")
        if "\x00" in value:
            raise self.error(f"{where} holds a NUL character", "remove it: databases and tokenizers choke on it")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise self.error(f"{where} holds half a character (a lone surrogate)", "write the file as UTF-8 anew")
        return value


def read_jsonl(path: Path, example: str) -> Iterator[Line]:
    """The objects of a JSONL file. Blank lines, a byte-order mark and Windows line ends are let pass.

    Args:
        example: a line as it should be, shown with errors.

    Raises:
        DataError: the file cannot be read or holds no object, or a line is not UTF-8, not JSON or not an object.
    """
    found = False
    for number, text in read_lines(path):
        if not text.strip():
            continue
        found = True
        yield Line(path, number, _parse(path, number, text, example))
    if not found:
        raise DataError(f"{path}: the file is empty", f"expected one JSON object per line: {example}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its line end) of every line; a file that ends in `.gz` is unpacked on the way.

    Raises:
        DataError: no such file, a folder, not readable, a damaged archive, or a line that is not UTF-8.
    """
    with readable(path), open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1:
                if raw.startswith(_UTF16_MARKS):
                    raise DataError(f"{path}: the file is UTF-16", "save it as UTF-8")
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                yield number, raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not valid UTF-8 (byte {error.start + 1} of the line)",
                    "save the file as UTF-8 plain text",
                ) from None


def json_name(value: object) -> str:
    """What a value read from JSON is called there, for messages: "a number", "null"."""
    names: Sequence[tuple[type, str]] = (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def open_bytes(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file's bytes, unpacked if its name ends in `.gz`."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, as an error that names it.

    Raises:
        DataError: no such file, a folder, not readable, or a damaged archive.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file", "name a file in it")
    try:
        yield
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file", "check the path; it is read from where you started the command"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is no whole gzip archive ({error})", "fetch or pack it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(path: Path, number: int, text: str, example: str) -> dict[str, Any]:
    hint = f"expected one JSON object per line: {example}"
    if number == 1 and text.strip() == "[":
        raise DataError(f"{path}: the file is one JSON list, not JSONL", hint)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: broken JSON: {error.msg} at column {error.colno}", hint) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: JSON that cannot be read: {error}", hint) from None
    if not isinstance(value, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object, got {json_name(value)}", hint)
    return value
