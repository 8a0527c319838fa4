"""Judgements, prompts and demonstrations from and to the files of other tools.

`sources` and `sinks` know containers (JSONL, Parquet, folders of `datasets`), a file for each family of formats knows
its rows, `recognition` tells them apart, and `importing` and `exporting` join them to the store.
"""

from assent.data.exchange.exporting import SPLITS, Order, export
from assent.data.exchange.forms import Format, Reading
from assent.data.exchange.importing import Plan, Survey, import_file, import_judgements
from assent.data.exchange.outgoing import WRITTEN, Wish
from assent.data.exchange.own_files import FileFormat
from assent.data.exchange.recognition import FORMATS, Recognised, recognise
from assent.data.exchange.sources import Source

__all__ = [
    "FORMATS",
    "SPLITS",
    "WRITTEN",
    "FileFormat",
    "Format",
    "Order",
    "Plan",
    "Reading",
    "Recognised",
    "Source",
    "Survey",
    "Wish",
    "export",
    "import_file",
    "import_judgements",
    "recognise",
]
