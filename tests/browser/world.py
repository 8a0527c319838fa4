"""A workspace with something to judge: pairs and four at a time, in Markdown, code, formulas, from right to left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page
from sqlalchemy import select

from assent.store import NewTask, Store, Workspace, add_completions, add_prompts, add_tasks, start_run
from assent.store.campaigns import CampaignSettings, Criterion, create_campaign
from assent.store.checks import add_gold
from assent.store.judgements import judgement_of
from assent.store.sessions import make_link
from assent.store.tables import JudgementRow
from assent.types.feedback import Judgement
from assent.types.messages import Message, Prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout

CRITERIA = (
    Criterion("helpful", "Does it answer **what was asked**?"),
    Criterion("honest", "Is what it says true?"),
    Criterion("harmless", "Would following it hurt anyone?"),
)
REASONS = ("clearer", "more correct", "shorter")
GUIDELINES = (
    "# What we look for\nPrefer the answer you would rather *act on*.\n\n- correct before nice\n- short before long"
)
CONSENT = "Your judgements are kept with your name and train a model. You may take them back."

QUESTIONS = (
    "How long do I cook rice, and how much water do I need?",
    "Can I freeze soup with cream in it?",
    "What is the area of a circle of radius 3?",
    "Write a function that turns cups into millilitres.",
    "كم من الوقت يُسلق البيض؟",
    "Is it safe to eat bread with a little mould on it?",
)
ANSWERS = (
    "Put the rice in a pan with **twice** its volume of water, bring it to the boil, cover it and turn the heat low"
    " for 12 minutes. Let it stand for five more before you lift the lid.",
    "Boil it until soft. Drain it.",
    "It depends:\n\n| rice | water |\n|---|---|\n| basmati | 1.5 |\n| brown | 2.5 |\n\nThe area is $\\pi r^2 = 9\\pi$.",
    "```python\ndef millilitres(cups: float) -> float:\n    return 240 * cups  # a metric cup\n```\nRound to tens.",
    "يُسلق البيض من ست إلى عشر دقائق، بحسب القوام الذي تفضّله.",
    "Throw it away: mould reaches *further* than one sees.\n\n1. Look at it.\n2. Smell it.\n3. If in doubt, leave it.",
)
SIGNS = ("twice", "Drain it", "basmati", "millilitres", "البيض", "mould")
"""A word that each of the answers alone has."""


@dataclass(frozen=True)
class World:
    """What was made, and how to come in."""

    workspace: Workspace
    campaign: int
    tokens: dict[str, str]  # of links, by role
    qualifying: str  # a word of the answer that is to be preferred in the task that qualifies


def open_store(workspace: Workspace) -> Store:
    """The workspace's store, beside the server that runs on it."""
    return Store.open(workspace.database)


def make_world(
    folder: Path,
    sizes: Sequence[int] = (2, 2, 4, 2, 4, 3),
    checks: bool = True,
    texts: Sequence[str] = ANSWERS,
    questions: Sequence[str] = QUESTIONS,
    settings: CampaignSettings | None = None,
    guidelines: str = GUIDELINES,
    consent: str = CONSENT,
    explanation: str = "Answer with the amounts is better.",
    step: int = 1,
    chat: Sequence[str] = (),
) -> World:
    """A workspace with a task of each size, and, if `checks`, one task to train on and one to qualify by.

    What is asked comes after the turns of `chat`, if there are any.

    The completions of a prompt are the texts from its number times `step` on.
    """
    workspace = Workspace.create(folder, 'task = "household"\n')
    with workspace.open_store() as store:
        asked = [_prompt(i, questions[i % len(questions)], chat) for i in range(len(sizes) + 2)]
        campaign, completions = _make_tasks(store, sizes, texts, asked, settings, guidelines, consent, step)
        if checks:
            add_gold(store, campaign, "training", completions[-4:-2], (1, 2), explanation)
            add_gold(store, campaign, "qualification", completions[-2:], (1, 2))
        tokens = {role: make_link(store, role) for role in ("owner", "annotator")}
    return World(workspace, campaign, tokens, SIGNS[(len(sizes) + 1) % len(SIGNS)])


def _make_tasks(
    store: Store,
    sizes: Sequence[int],
    texts: Sequence[str],
    asked: Sequence[Prompt],
    settings: CampaignSettings | None,
    guidelines: str,
    consent: str,
    step: int,
) -> tuple[int, list[int]]:
    prompts = add_prompts(store, asked)
    start_run(store, "sample", "sample", 1, {"seed": 7})
    groups = [*sizes, 2, 2]
    rollouts = [
        Rollout(
            p, [1], [p, g], [-0.5, -0.5], FinishReason.STOP, text_of(texts, p * step, g), "sft-000000000000", group=p
        )
        for p, size in enumerate(groups)
        for g in range(size)
    ]
    completions = add_completions(store, "sample", prompts, rollouts, SamplingParams(1.0, 8))
    tasks, at = [], 0
    for prompt, size in zip(prompts, sizes, strict=False):
        tasks.append(NewTask(prompt, tuple(completions[at : at + size])))
        at += size
    add_tasks(store, "sample", tasks)
    wanted = settings or CampaignSettings("Household answers", CRITERIA, REASONS, overlap=1)
    words = {kind: text for kind, text in (("guidelines", guidelines), ("consent", consent)) if text}
    return create_campaign(store, wanted, ["sample"], words), completions


def text_of(texts: Sequence[str], start: int, place: int) -> str:
    """What the completion in this place says, if the first one says the text at `start`; no two are alike."""
    text = texts[(start + place) % len(texts)]
    return text if place < len(texts) else f"{text} ({place})"


def _prompt(number: int, question: str, chat: Sequence[str]) -> Prompt:
    asked = Message("user", question)
    if chat:
        turns = [Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(chat[:-1])]
        return Prompt((*turns, asked))
    if number % 3 == 1:
        hello = Message("user", "Hello, I am new to cooking, and my kitchen has one pan and a stove older than I am.")
        return Prompt((hello, Message("assistant", "Welcome!"), asked))
    return Prompt((asked,), meta={"number": str(number)})


def judgements(world: World) -> list[Judgement]:
    """All that are in the store, revisions among them, in order of entry."""
    with open_store(world.workspace) as store, store.read() as session:
        return [judgement_of(row) for row in session.scalars(select(JudgementRow).order_by(JudgementRow.id))]


def by_slot(judgement: Judgement) -> list[int]:
    """The ranks in the order in which the completions were shown."""
    return [judgement.ranks[place] for place in judgement.order_shown]


def until(page: Page, world: World, count: int) -> list[Judgement]:
    """The judgements once there are so many."""
    for _ in range(100):
        found = judgements(world)
        if len(found) >= count:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"only {len(judgements(world))} of {count} judgements")
