"""The store's judgements into a file, a page at a time, with a card beside it that says what is in it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assent.data.exchange import raw
from assent.data.exchange.outgoing import PROMPTS, RAW, SHAPES, WRITTEN, Row, Wish, rows_of
from assent.data.exchange.sinks import Columns, Hashed, container_of, message_list, opened
from assent.data.exchange.trl import texts_of
from assent.data.exchange.votes import Tally
from assent.store import Store, list_artifacts, write_atomic
from assent.store.prompts import stream_prompts
from assent.store.records import Selection, count_judged, records_in_order, task_records
from assent.types.errors import DataError, SettingsError
from assent.types.protocols import Progress, Silent

SPLITS = {
    "train": ("train",),
    "holdout": ("holdout",),
    "evaluate": ("evaluate",),
    "all": ("train", "holdout", "evaluate"),
}


@dataclass(frozen=True)
class Order:
    """What is to be exported.

    Attributes:
        format: one of `outgoing.WRITTEN`.
        split: one of `SPLITS`: tasks by what they are for; of prompts `train`, `evaluate` (the test prompts) or `all`.
        run_ids: only tasks of these runs; all if None.
        wish: how.
        progress: where it is told how far the work is.
    """

    format: str = "preference"
    split: str = "train"
    run_ids: tuple[str, ...] | None = None
    wish: Wish = field(default_factory=Wish)
    progress: Progress = field(default_factory=Silent)


def export(store: Store, path: Path, order: Order) -> dict[str, Any]:
    """Write the rows and, when they are all there, the card beside them; returns the card.

    Raises:
        DataError: there is nothing to export, or the file exists.
        SettingsError: what was asked for does not go together.
        WorkspaceError: full disk, read-only file system, no permission.
    """
    _check(order)
    card_path = path.with_name(path.name + ".card.json")
    container, tally = container_of(path), Tally()
    columns, rows = _rows(store, order, tally)
    with opened(path, columns) as sink:
        hashed = Hashed(sink)
        for row in rows:
            hashed.write(row)
        if not hashed.rows:
            raise DataError(f"nothing to export: {_why(tally, order)}", "choose other runs, or another --split")
    card = _card(store, order, container, hashed, tally)
    write_atomic(card_path, json_text(card))
    return card


def json_text(card: dict[str, Any]) -> str:
    """A card as people read it."""
    return json.dumps(card, ensure_ascii=False, indent=2) + "\n"


def _check(order: Order) -> None:
    for flag, given, known in (("format", order.format, WRITTEN), ("split", order.split, tuple(SPLITS))):
        if given not in known:
            near = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
            guess = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(f"--{flag} {given}: there is none", f"{guess}there are {', '.join(known)}")
    shape = SHAPES.get(order.format)
    wish = order.wish
    if wish.conversational and shape is not None and not shape.conversational:
        raise SettingsError(f"--conversational says nothing about {order.format}", "leave it out")
    if shape is None and (wish.votes, wish.ties, wish.criterion) != ("each", "drop", None):
        what = "every judgement as it is" if order.format == RAW else "no judgements"
        raise SettingsError(
            f"--format {order.format} writes {what}", "leave --votes, --ties and --criterion out, or choose another"
        )
    if shape is not None and wish.ties == "both" and (not shape.pairs or shape.name == "unpaired"):
        raise SettingsError(f"--ties both makes no sense for {order.format}: it writes no pairs", "leave it out")
    if order.format == PROMPTS and order.split == "holdout":
        raise SettingsError("--split holdout is of judgements", "prompts are train or evaluate, or all")


def _rows(store: Store, order: Order, tally: Tally) -> tuple[Columns, Iterator[Row]]:
    if order.format == PROMPTS:
        columns: Columns = {"prompt": "messages" if order.wish.conversational else "text"}
        return columns, _prompts(store, order)
    selection = Selection(order.run_ids, SPLITS[order.split])
    if order.format == RAW:
        return raw.COLUMNS, _raw(store, selection, order, tally)
    shape = SHAPES[order.format]
    return shape.columns(order.wish.conversational), _shaped(store, selection, order, tally)


def _raw(store: Store, selection: Selection, order: Order, tally: Tally) -> Iterator[Row]:
    _, total = count_judged(store, selection)
    order.progress.start("export", total)
    last = 0
    for done, (number, task) in enumerate(records_in_order(store, selection), start=1):
        tally.note(task, again=number <= last)
        last = max(last, number)
        yield raw.row_of(number, task)
        order.progress.advance(done)
    order.progress.finish()


def _shaped(store: Store, selection: Selection, order: Order, tally: Tally) -> Iterator[Row]:
    total, _ = count_judged(store, selection)
    order.progress.start("export", total)
    for done, task in enumerate(task_records(store, selection), start=1):
        tally.note(task)
        yield from rows_of(SHAPES[order.format], task, order.wish, tally)
        order.progress.advance(done)
    order.progress.finish()


def _prompts(store: Store, order: Order) -> Iterator[Row]:
    splits = {"train": ("train",), "evaluate": ("test",), "all": ("train", "test")}[order.split]
    for prompt in stream_prompts(store, splits):
        text = texts_of(prompt.messages)
        if order.wish.conversational:
            yield {"prompt": message_list(prompt.messages)}
        elif text is None:
            raise DataError(
                f"the prompt {prompt.text[:60]!r} is a conversation, which a text cannot tell",
                "export with --conversational",
            )
        else:
            yield {"prompt": text}


def _why(tally: Tally, order: Order) -> str:
    if order.format == PROMPTS:
        return f"the store has no prompts of split {order.split}"
    if not tally.judgements:
        where = f" of {', '.join(order.run_ids)}" if order.run_ids is not None else ""
        return f"no judgements{where} with --split {order.split}"
    left = ", ".join(f"{count} x {why}" for why, count in sorted(tally.left_out.items()))
    return f"of {tally.judgements} judgements nothing is left ({left})"


def _card(store: Store, order: Order, container: str, hashed: Hashed, tally: Tally) -> dict[str, Any]:
    known = {artifact.id for artifact in list_artifacts(store)}
    wrote = sorted(tally.policies)
    card: dict[str, Any] = {
        "assent": version("assent"),
        "format": order.format,
        "container": container,
        "split": order.split,
        "rows": hashed.rows,
        "content_hash": hashed.content_hash,
    }
    if order.format == PROMPTS:
        return {**card, "conversational": order.wish.conversational}
    agreement = {"value": tally.agreed / tally.met, "pairs": tally.met} if tally.met else None
    return {
        **card,
        "conversational": order.wish.conversational,
        "votes": order.wish.votes,
        "ties": order.wish.ties,
        "criterion": order.wish.criterion,
        "tasks": tally.tasks,
        "tasks_by_purpose": dict(sorted(tally.purposes.items())),
        "judgements": tally.judgements,
        "judgements_by_kind": dict(sorted(tally.by_kind.items())),
        "tied_pairs": tally.ties,
        "left_out": dict(sorted(tally.left_out.items())),
        "agreement": agreement,
        "runs": sorted(tally.runs),
        "policies": {name: name.partition("+")[0] in known for name in wrote},
        "artifacts": sorted({name.partition("+")[0] for name in wrote} & known),
    }
