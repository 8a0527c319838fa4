"""What offline preference learning learns from: people's rankings, or a user's file of comparisons, as tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from assent.config.preference import KTOSettings, PreferenceSettings
from assent.data.chat import ChatFormat
from assent.data.files import WrittenComparison, read_comparisons
from assent.stages.imports import imported_runs
from assent.stages.project import Project
from assent.stages.reward_labels import read_rankings
from assent.store import Completion, get_completions, get_prompts, hash_json
from assent.store.runs import finish_run
from assent.training.order import permutation
from assent.training.reference import Example
from assent.types.errors import DataError, WorkspaceError
from assent.types.rollout import FinishReason

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Compared:
    """Two completions of a prompt as tokens; of one that was judged by itself the other is None."""

    prompt: Tokens
    chosen: Tokens | None
    rejected: Tokens | None
    tie: bool = False


@dataclass
class Lesson:
    """What is learnt, and what of the comparisons taught nothing, for the log and the card."""

    examples: list[Example]
    comparisons: int  # that are learnt, ties among them
    prompts: int  # with at least one of these
    ties: int  # in all
    ties_left_out: int
    identical: int  # pairs of the same completion twice, which say nothing: left out
    prompts_without: int  # whose comparisons were all left out
    desirable: int | None = None  # of completions judged one by one

    def card(self) -> dict[str, int]:
        """The counts."""
        counts = {name: value for name, value in vars(self).items() if name != "examples"}
        return {name: value for name, value in counts.items() if value is not None}

    def words(self) -> str:
        """The counts in a sentence."""
        what = "comparisons" if self.desirable is None else f"judged completions ({self.desirable} desirable)"
        said = [f"{len(self.examples)} {what} of {self.prompts} prompts"]
        if self.ties:
            kept = self.ties - self.ties_left_out
            said.append(
                f"{kept} of them ties" if kept else f"{self.ties} ties are left out, as this loss has no use for them"
            )
        if self.identical:
            said.append(f"{self.identical} pairs of twice the same completion are left out")
        if self.prompts_without:
            said.append(f"{self.prompts_without} prompts are left without any")
        return "; ".join(said)


def written_comparisons(project: Project) -> list[WrittenComparison]:
    """The user's file of comparisons.

    Raises:
        DataError: the file is wrong, it does not go with the loss, or it holds a prompt that is held out.
    """
    settings = project.settings.preference
    path = project.resolve(settings.comparisons or "")
    found = read_comparisons(path)
    held_out = {prompt.messages for prompt in project.prompts["test"]}
    for each in found:
        place = f"{path}, line {each.prompt.meta['line']}"
        if each.prompt.messages in held_out:
            raise DataError(
                f"{place}: this prompt is one of the test prompts: {each.prompt.text[:60]!r}",
                "what is trained on cannot be held out: remove the line, or give the prompt the split 'train'",
            )
        if not isinstance(settings, KTOSettings) and None in (each.chosen, each.rejected):
            raise DataError(
                f"{place}: a completion judged by itself, of which {settings.type} makes nothing: it compares two",
                "give 'chosen' and 'rejected', or set preference.type to kto",
            )
    return found


def freeze_file(project: Project, round: int, run_id: str, found: Sequence[WrittenComparison]) -> str:
    """The file's comparisons as a dataset of this run's.

    Raises:
        WorkspaceError: the file is not what it was when the run began.
    """
    lines = [
        {
            "messages": [asdict(message) for message in each.prompt.messages],
            "chosen": each.chosen,
            "rejected": each.rejected,
        }
        for each in found
    ]
    content, data_run = hash_json(lines), f"{run_id}-data"
    run = project.begin(data_run, "dataset", round, ("preference",))
    if run.done:
        if run.result["content"] != content:
            raise WorkspaceError(
                f"{project.settings.preference.comparisons}: is not what it was when {run_id} began",
                "restore it, or learn from it under another name: --run NAME",
            )
        return str(run.result["dataset"])

    def write(folder: Path) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "comparisons.jsonl").write_text(text, encoding="utf-8")

    card = {"source": project.settings.preference.comparisons, "comparisons": len(lines)}
    name = project.keep("dataset", data_run, write, card)
    finish_run(project.store, data_run, {"dataset": name, "content": content, **card})
    return name


def compared_in_file(
    project: Project, chat: ChatFormat, context: int, found: Sequence[WrittenComparison]
) -> list[Compared]:
    """The file's comparisons as tokens, each completion with its end token.

    Raises:
        DataError: prompt and completion do not fit into the context; the line is named.
    """
    path = project.resolve(project.settings.preference.comparisons or "")
    compared = []
    for each in found:
        prompt = tuple(chat.prompt_ids(each.prompt))
        both = [None if text is None else tuple(chat.completion_ids(text)) for text in (each.chosen, each.rejected)]
        longest = len(prompt) + max(len(tokens) for tokens in both if tokens is not None)
        if longest > context:
            raise DataError(
                f"{path}, line {each.prompt.meta['line']}: {longest} tokens of prompt and completion; the model's"
                f" context is {context}",
                "shorten them, or leave the line out",
            )
        compared.append(Compared(prompt, both[0], both[1]))
    return compared


def compared_by_people(project: Project, chat: ChatFormat, context: int, round: int, purpose: str) -> list[Compared]:
    """Every pair of every ranking of the rounds so far: the tokens as they were sampled, an end token only if written.

    Of imported completions there is the text alone, or the tokens of another tokenizer: they are made into tokens here.

    Raises:
        DataError: prompt and completion do not fit into the context.
    """
    pairs = [pair for ranking in read_rankings(project, round, purpose) for pair in ranking.comparisons()]
    ids = sorted({i for pair in pairs for i in (pair.first_id, pair.second_id)})
    imported = set(imported_runs(project, round))
    tokens = {
        i: _imported_tokens(chat, each) if each.run_id in imported else each.token_ids
        for i, each in zip(ids, get_completions(project.store, ids), strict=True)
    }
    asked = sorted({pair.prompt_id for pair in pairs})
    encoded = project.encode(chat, get_prompts(project.store, asked), context)
    prompts = {i: tuple(each) for i, each in zip(asked, encoded, strict=True)}
    compared = []
    for pair in pairs:
        first, second = (pair.second_id, pair.first_id) if pair.preference < 0.5 else (pair.first_id, pair.second_id)
        for completion in (first, second):
            length = len(prompts[pair.prompt_id]) + len(tokens[completion])
            if length > context:
                raise DataError(
                    f"judgement {pair.judgement_id}: completion {completion} and its prompt have {length} tokens;"
                    f" the model's context is {context}",
                    "learn from it with the model that wrote it",
                )
        compared.append(Compared(prompts[pair.prompt_id], tokens[first], tokens[second], pair.preference == 0.5))
    return compared


def _imported_tokens(chat: ChatFormat, completion: Completion) -> Tokens:
    """With an end token unless the completion was cut off."""
    tokens = tuple(chat.completion_ids(completion.text))
    return tokens if completion.finish_reason is FinishReason.STOP else tokens[:-1]


def lesson_of(compared: Sequence[Compared], settings: PreferenceSettings, seed: int) -> Lesson:
    """What these settings' loss can learn of the comparisons.

    Raises:
        DataError: nothing is left, or KTO has completions of one kind or of one prompt only.
    """
    different = [each for each in compared if each.chosen != each.rejected]
    ties = sum(each.tie for each in different)
    kept = [each for each in different if settings.learns_ties or not each.tie]
    if all(each.tie for each in kept):
        raise DataError(
            f"no comparison has a winner: of {len(compared)}, {len(compared) - len(different)} are of twice the same"
            f" completion and {ties} are ties",
            "gather more judgements, or give other comparisons",
        )
    examples, desirable = _pairs(kept), None
    if isinstance(settings, KTOSettings):
        examples = _judged(kept, seed)
        desirable = sum(example.label == 1.0 for example in examples)
    learnt = {each.prompt for each in kept}
    return Lesson(
        examples=examples,
        comparisons=len(kept),
        prompts=len(learnt),
        ties=ties,
        ties_left_out=ties - sum(each.tie for each in kept),
        identical=len(compared) - len(different),
        prompts_without=len({each.prompt for each in compared} - learnt),
        desirable=desirable,
    )


def held_out_pairs(compared: Sequence[Compared]) -> list[Example]:
    """Pairs with a winner, only ever measured."""
    return _pairs([each for each in compared if not each.tie and each.chosen != each.rejected])


def _pairs(compared: Sequence[Compared]) -> list[Example]:
    return [
        Example(each.prompt, (each.chosen, each.rejected), 0.5 if each.tie else 1.0)
        for each in compared
        if each.chosen is not None and each.rejected is not None
    ]


def _judged(compared: Sequence[Compared], seed: int) -> list[Example]:
    """Each completion by itself, with one of another prompt drawn to stand beside it throughout."""
    sides = [(each.prompt, each.chosen, 1.0) for each in compared]
    sides += [(each.prompt, each.rejected, 0.0) for each in compared]
    alone = [(prompt, tokens, label) for prompt, tokens, label in sides if tokens is not None]
    if len({label for _, _, label in alone}) < 2:
        what = "desirable" if alone[0][2] else "undesirable"
        raise DataError(
            f"all {len(alone)} completions are {what}: kto learns from the difference to the others",
            "give both kinds; from desirable ones alone `assent sft` learns",
        )
    if len({prompt for prompt, _, _ in alone}) < 2:
        raise DataError(
            "all completions are of one prompt: kto measures its reference point on prompts with other prompts'"
            " completions",
            "give completions of at least two prompts, or set preference.type to dpo",
        )
    order = permutation(len(alone), seed, "mismatched")
    found: dict[int, Example] = {}
    for place, index in enumerate(order):
        prompt, tokens, label = alone[index]
        others = (alone[order[(place + step) % len(order)]] for step in range(1, len(order)))
        mismatched = next(other for other_prompt, other, _ in others if other_prompt != prompt)
        found[index] = Example(prompt, (tokens, mismatched), label)
    return [found[index] for index in range(len(alone))]
