"""Tasks made in a campaign: of completions that policies wrote in the loop, whose judgements train a reward model."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from assent.store.audit import record
from assent.store.campaigns import get_campaign
from assent.store.database import Store
from assent.store.queries import next_serial
from assent.store.service_tables import CampaignRunRow, CampaignTextRow
from assent.store.tables import CompletionRow, PromptRow, RunRow
from assent.store.tasks import NewTask, add_tasks
from assent.types.errors import ConflictError, DataError
from assent.types.seeds import derive_seed

SOURCES = ("random", "new-against-old")
KIND = "tasks"


@dataclass(frozen=True)
class Written:
    """What a policy has written for the prompts that are learnt from."""

    policy: str
    completions: int
    prompts: int


@dataclass(frozen=True)
class TextVersion:
    """One version of a campaign's guidelines or of what people consent to."""

    kind: str
    version: int
    text: str
    created_at: datetime


def written_by_policy(store: Store) -> list[Written]:
    """The policies that there are completions of, in the order in which they first wrote.

    Prompts by which policies are compared are left out: what is judged here trains.
    """
    query = (
        select(CompletionRow.policy_version, func.count(), func.count(CompletionRow.prompt_id.distinct()))
        .join(PromptRow, PromptRow.id == CompletionRow.prompt_id)
        .where(PromptRow.split == "train")
        .group_by(CompletionRow.policy_version)
        .order_by(func.min(CompletionRow.id))
    )
    with store.read() as session:
        return [Written(policy, count, prompts) for policy, count, prompts in session.execute(query)]


def make_tasks(
    store: Store,
    campaign_id: int,
    policies: Sequence[str],
    tasks: int,
    source: str = "random",
    by: int | None = None,
    holdout_share: float = 0.0,
) -> tuple[str, int]:
    """Make tasks of a campaign's K and overlap, and let it serve them; returns their run and how many there are.

    Args:
        store: the open store.
        campaign_id: whose.
        policies: whose completions; in the order from old to new for `new-against-old`.
        tasks: how many at most; one for a prompt.
        source: which completions of a prompt stand together: `random`, or `new-against-old`, where the first and the
            last of the policies must both be among them.
        by: the account that asks for it.
        holdout_share: of the prompts, whose judgements measure and never train.

    Raises:
        NotFoundError: no such campaign.
        ConflictError: the campaign serves the loop, which makes its own tasks.
        DataError: no policy, an unknown source, or no prompt has enough completions.
    """
    if source not in SOURCES:
        raise DataError(f"source: {' or '.join(SOURCES)}, got {source!r}")
    if not policies or (source == "new-against-old" and len(policies) < 2):
        raise DataError("policies: choose whose completions are judged", "Two at least for new against old.")
    campaign = get_campaign(store, campaign_id)
    if campaign.automatic:
        raise ConflictError("the loop makes the tasks of this campaign", "Open a campaign of your own for others.")
    asked = campaign.settings
    run_id = _new_run(store, campaign_id)
    rng = random.Random(derive_seed("tasks", run_id))
    by_prompt = _completions(store, policies)
    prompts = list(by_prompt)
    rng.shuffle(prompts)
    made: list[NewTask] = []
    for prompt in prompts:
        chosen = _choose(by_prompt[prompt], asked.completions, policies, source, rng)
        if chosen and len(made) < tasks:
            held = derive_seed("holdout", prompt) / 2.0**63 < holdout_share
            made.append(NewTask(prompt, chosen, overlap=asked.overlap, purpose="holdout" if held else "train"))
    if not made:
        raise DataError(
            f"no prompt has {asked.completions} completions of these policies", "Choose more policies, or a smaller K."
        )
    _start(store, run_id, campaign_id, {"policies": list(policies), "source": source, "tasks": len(made)}, by)
    add_tasks(store, run_id, made)
    return run_id, len(made)


def text_versions(store: Store, campaign_id: int) -> list[TextVersion]:
    """Every version of a campaign's texts, the newest first."""
    query = select(CampaignTextRow).where(CampaignTextRow.campaign_id == campaign_id)
    with store.read() as session:
        rows = session.scalars(query.order_by(CampaignTextRow.kind, CampaignTextRow.version.desc()))
        return [TextVersion(row.kind, row.version, row.text, row.created_at) for row in rows]


def _completions(store: Store, policies: Sequence[str]) -> Mapping[int, dict[str, list[int]]]:
    """By prompt and policy; the same text twice is no choice, so each stands once."""
    query = (
        select(CompletionRow.id, CompletionRow.prompt_id, CompletionRow.policy_version, CompletionRow.text)
        .join(PromptRow, PromptRow.id == CompletionRow.prompt_id)
        .where(PromptRow.split == "train", CompletionRow.policy_version.in_(policies))
        .order_by(CompletionRow.id)
    )
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    seen: set[tuple[int, str]] = set()
    with store.read() as session:
        for number, prompt, policy, text in session.execute(query):
            if (prompt, text) not in seen:
                seen.add((prompt, text))
                found[prompt][policy].append(number)
    return found


def _choose(
    written: Mapping[str, Sequence[int]], count: int, policies: Sequence[str], source: str, rng: random.Random
) -> tuple[int, ...]:
    every = [number for numbers in written.values() for number in numbers]
    fixed: list[int] = []
    if source == "new-against-old":
        ends = [written.get(policies[0], ()), written.get(policies[-1], ())]
        if not all(ends):
            return ()
        fixed = [rng.choice(list(each)) for each in ends]
    rest = [number for number in every if number not in fixed]
    if len(rest) + len(fixed) < count:
        return ()
    chosen = [*fixed, *rng.sample(rest, count - len(fixed))]
    rng.shuffle(chosen)
    return tuple(chosen)


def _new_run(store: Store, campaign_id: int) -> str:
    with store.read() as session:
        start = f"campaign{campaign_id}-tasks"
        taken = session.scalar(select(func.count()).select_from(RunRow).where(RunRow.id.startswith(start)))
        return f"{start}{(taken or 0) + 1}"


def _start(store: Store, run_id: str, campaign_id: int, settings: dict[str, object], by: int | None) -> None:
    with store.write() as session:
        now = store.now()
        session.add(
            RunRow(
                id=run_id,
                serial=next_serial(session, RunRow),
                kind=KIND,
                round=0,
                state="done",
                settings=settings,
                settings_hash="",
                result={},
                started_at=now,
                finished_at=now,
            )
        )
        session.flush()
        session.add(CampaignRunRow(campaign_id=campaign_id, run_id=run_id))
        record(session, store, by, "make tasks", "campaign", campaign_id, {"run": run_id, **settings})
