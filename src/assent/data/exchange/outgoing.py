"""The shapes that are written: for each, its columns, and the rows that a judged task makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assent.data.exchange import hh, raw
from assent.data.exchange.sinks import Columns, Kind, message_list
from assent.data.exchange.trl import answer, answered, texts_of
from assent.data.exchange.ultrafeedback import binarized_row, scored_row
from assent.data.exchange.votes import Said, Tally, Ties, Votes, said_of, winners
from assent.store.records import TaskRecord
from assent.types.errors import DataError
from assent.types.messages import Message

Row = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """How judgements are to be written.

    Attributes:
        conversational: lists of messages in place of texts.
        votes: every judgement, or one of the majority.
        ties: dropped, or a row each way.
        criterion: the marks for it in place of the ranks.
    """

    conversational: bool = False
    votes: Votes = "each"
    ties: Ties = "drop"
    criterion: str | None = None


@dataclass(frozen=True)
class Shape:
    """A shape that is written.

    Attributes:
        name: as `--format` takes it.
        columns: given whether it is of conversations.
        rows: of what one person, or the majority, said of a task.
        conversational: whether it can be of conversations.
        pairs: whether ties and their rule matter.
    """

    name: str
    columns: Callable[[bool], Columns]
    rows: Callable[[TaskRecord, Said, Wish, Tally], Iterator[Row]]
    conversational: bool = True
    pairs: bool = True


def rows_of(shape: Shape, task: TaskRecord, wish: Wish, tally: Tally) -> Iterator[Row]:
    """The rows of a task.

    Raises:
        DataError: its prompt is a conversation, and texts were asked for.
    """
    if shape.conversational and not wish.conversational and texts_of(task.prompt.messages) is None:
        raise DataError(
            f"the prompt {task.prompt.text[:60]!r} is a conversation of {len(task.prompt.messages)} messages, which a"
            " text cannot tell",
            "export with --conversational",
        )
    for said in said_of(task, wish.votes, wish.criterion, tally):
        yield from shape.rows(task, said, wish, tally)


def _columns(*names: str, **more: Kind) -> Callable[[bool], Columns]:
    return lambda conversational: {**dict.fromkeys(names, "messages" if conversational else "text"), **more}


def _preference(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    for better, worse in winners(task, said, wish.ties, tally):
        both = {"chosen": better, "rejected": worse}
        texts = {name: task.completions[index].text for name, index in both.items()}
        if wish.conversational:
            yield {"prompt": message_list(task.prompt.messages), **{name: answer(text) for name, text in texts.items()}}
        else:
            yield {"prompt": task.prompt.text, **texts}


def _implicit(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    for better, worse in winners(task, said, wish.ties, tally):
        texts = {"chosen": task.completions[better].text, "rejected": task.completions[worse].text}
        if wish.conversational:
            yield {name: answered(task.prompt.messages, text) for name, text in texts.items()}
        else:
            yield {name: f"{task.prompt.text}\n{text}" for name, text in texts.items()}


def _hh(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    for better, worse in winners(task, said, wish.ties, tally):
        texts = task.completions[better].text, task.completions[worse].text
        both = [hh.dialogue((*task.prompt.messages, Message("assistant", text))) for text in texts]
        if None in both:
            tally.left_out["pair that the form cannot hold (another role, or a turn mark in a text)"] += 1
        else:
            yield {"chosen": both[0], "rejected": both[1]}


def _unpaired(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    """Desirable is what wins more of its pairs than it loses; as many tell nothing."""
    balance = [0] * len(task.completions)
    for better, worse in winners(task, said, "drop", tally):
        balance[better] += 1
        balance[worse] -= 1
    for completion, ahead in zip(task.completions, balance, strict=True):
        if ahead:
            yield {**_demonstration(task, completion.text, wish), "label": ahead > 0}


def _best(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    """The completion that is better than every other."""
    scores = said.scores(len(task.completions))
    best = max(scores)
    if scores.count(best) > 1:
        tally.left_out["no single best"] += 1
        return
    text = task.completions[scores.index(best)].text
    if text.strip():
        yield _demonstration(task, text, wish)
    else:
        tally.left_out["the best is empty"] += 1


def _demonstration(task: TaskRecord, text: str, wish: Wish) -> Row:
    if wish.conversational:
        return {"prompt": message_list(task.prompt.messages), "completion": answer(text)}
    return {"prompt": task.prompt.text, "completion": text}


def _ultrafeedback(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    if texts_of(task.prompt.messages) is None:
        tally.left_out["prompt of several messages, for which the form has no place"] += 1
        return
    if any(not each.text.strip() for each in task.completions):
        tally.left_out["task with an empty completion"] += 1
        return
    marks = said.verdict.judgement.marks if said.verdict is not None else ()
    yield scored_row(task, said.scores(len(task.completions)), marks)


def _binarized(task: TaskRecord, said: Said, wish: Wish, tally: Tally) -> Iterator[Row]:
    scores = said.scores(len(task.completions))
    for better, worse in winners(task, said, wish.ties, tally):
        texts = task.completions[better].text, task.completions[worse].text
        # Where a majority goes round in a circle, the points may not tell what this pair does.
        tie = (better, worse, 0.5) in said.preferences or (worse, better, 0.5) in said.preferences
        told = (1.0, 1.0) if tie else (scores[better], scores[worse])
        yield binarized_row(task.prompt.messages, *texts, told if tie or told[0] > told[1] else (2.0, 1.0))


SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("preference", _columns("prompt", "chosen", "rejected"), _preference),
        Shape("preference-implicit", _columns("chosen", "rejected"), _implicit),
        Shape("unpaired", _columns("prompt", "completion", label="flag"), _unpaired),
        Shape("prompt-completion", _columns("prompt", "completion"), _best, pairs=False),
        Shape("hh-rlhf", _columns("chosen", "rejected"), _hh, conversational=False),
        Shape(
            "ultrafeedback",
            lambda _: {"instruction": "text", "completions": "json"},
            _ultrafeedback,
            conversational=False,
            pairs=False,
        ),
        Shape(
            "ultrafeedback-binarized",
            lambda _: {
                "prompt": "text",
                "prompt_id": "text",
                "chosen": "messages",
                "rejected": "messages",
                "messages": "messages",
                "score_chosen": "number",
                "score_rejected": "number",
            },
            _binarized,
            conversational=False,
        ),
    )
}
RAW, PROMPTS = raw.RAW.name, "prompt-only"
WRITTEN = (RAW, *SHAPES, PROMPTS)
