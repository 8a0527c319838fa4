"""Which format a file is in, told from its first rows; and what was seen, where that cannot be told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from assent.data.exchange.argilla import ARGILLA
from assent.data.exchange.forms import Format
from assent.data.exchange.hh import HH_RLHF
from assent.data.exchange.label_studio import LABEL_STUDIO
from assent.data.exchange.own_files import FILE_FORMATS, FileFormat
from assent.data.exchange.raw import RAW
from assent.data.exchange.sources import Source
from assent.data.exchange.trl import IMPLICIT, PREFERENCE
from assent.data.exchange.ultrafeedback import BINARIZED, ULTRAFEEDBACK
from assent.data.lines import Line, json_name
from assent.types.errors import DataError, SettingsError

LOOKED_AT = 20  # rows
JUDGED_FORMATS: Mapping[str, Format] = {
    each.name: each for each in (RAW, ARGILLA, LABEL_STUDIO, ULTRAFEEDBACK, BINARIZED, HH_RLHF, PREFERENCE, IMPLICIT)
}
FORMATS: Mapping[str, Format | FileFormat] = {**JUDGED_FORMATS, **FILE_FORMATS}
# A format on the left is a special case of those on the right: where both fit, it is the one that is meant.
_SPECIAL = {
    HH_RLHF.name: {IMPLICIT.name},
    BINARIZED.name: {IMPLICIT.name, PREFERENCE.name},
    RAW.name: set(FORMATS) - {RAW.name},
    ARGILLA.name: set(FILE_FORMATS),
    LABEL_STUDIO.name: set(FILE_FORMATS),
    ULTRAFEEDBACK.name: set(FILE_FORMATS),
}


@dataclass(frozen=True)
class Recognised:
    """A format, and why it was taken."""

    format: Format | FileFormat
    reason: str


def recognise(source: Source, wanted: str | None = None) -> Recognised:
    """The format of a file.

    Args:
        source: the file.
        wanted: the format that was asked for; it is then not guessed.

    Raises:
        SettingsError: there is no such format.
        DataError: no format fits the first rows, or several do; what was seen and what would fit is listed.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            near = difflib.get_close_matches(wanted, FORMATS, n=1, cutoff=0.4)
            guess = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(f"--format {wanted}: no such format", f"{guess}there are {', '.join(FORMATS)}")
        return Recognised(FORMATS[wanted], "as asked for")
    lines = list(islice(source.rows(), LOOKED_AT))
    fitting = [name for name, each in FORMATS.items() if all(each.fits(line.fields) for line in lines)]
    beaten = {other for name in fitting for other in _SPECIAL.get(name, set())}
    left = [name for name in fitting if name not in beaten]
    if len(left) != 1:
        raise _unclear(lines, left)
    also = [name for name in fitting if name != left[0]]
    looked = f"all of the first {len(lines)} rows fit it" if len(lines) > 1 else "its only row fits it"
    sure = f"; they would fit {' and '.join(also)} too, which say less" if also else " and no other format"
    return Recognised(FORMATS[left[0]], looked + sure)


def _unclear(lines: Sequence[Line], fitting: Sequence[str]) -> DataError:
    first = lines[0]
    seen = ", ".join(f"{name} ({json_name(value)})" for name, value in first.fields.items()) or "none"
    if fitting:
        return DataError(
            f"{first.file}: its format is not clear; the fields are {seen}",
            f"say which it is: {' or '.join(f'--format {name}' for name in fitting)}",
        )
    partly = _fit_some(lines)
    known = "\n    ".join(f"{name}: {each.example}" for name, each in FORMATS.items())
    return DataError(
        f"{first.file}: no known format; the fields of the first row are {seen}{partly}", f"known are\n    {known}"
    )


def _fit_some(lines: Sequence[Line]) -> str:
    """The format that most of the rows fit, and the first that does not."""
    counts = {name: sum(each.fits(line.fields) for line in lines) for name, each in FORMATS.items()}
    name = max(counts, key=lambda name: counts[name])
    if not counts[name]:
        return ""
    odd = next(line for line in lines if not FORMATS[name].fits(line.fields))
    fields = ", ".join(odd.fields) or "no field"
    return f"; {counts[name]} of the first {len(lines)} rows fit {name}, but {odd.unit} {odd.number} has {fields}"
