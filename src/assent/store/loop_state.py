"""Where the loop stands: six stages, each with what it holds by now, what comes next, and what blocks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from assent.config import Settings
from assent.store.artifacts import latest, promoted
from assent.store.database import Store
from assent.store.rankings import Counts, counts
from assent.store.runs import Run, list_runs
from assent.store.tables import PromptRow

STATES = ("done", "running", "waiting", "ready", "blocked", "failed", "unused")


@dataclass(frozen=True)
class Stage:
    """One of the loop's six stages.

    Attributes:
        name: in words.
        state: one of `STATES`: `ready` can be done now, `waiting` is for people, `unused` has no part in this project.
        version: the artifact that it holds; empty before there is one.
        facts: what is worth knowing, a few words each.
        next: the exact command that takes it on; empty where there is nothing to do now.
        blocked: why it cannot go on; empty where it can.
        run_id: the run behind it; empty before it was begun.
        share: how much of it is done, in [0, 1]; None where that is not known.
    """

    name: str
    state: str
    version: str = ""
    facts: tuple[str, ...] = ()
    next: str = ""
    blocked: str = ""
    run_id: str = ""
    share: float | None = None


@dataclass(frozen=True)
class LoopState:
    """The round that is going on, or was last, and its stages in the order of the data."""

    round: int
    rounds: int  # that the settings ask for
    stages: tuple[Stage, ...]
    finished: bool  # every round that was asked for has its verdict
    simulated: bool = False
    begun: tuple[int, ...] = ()  # the rounds that were

    @property
    def next(self) -> Stage | None:
        """The stage that can be taken on now."""
        return next((stage for stage in self.stages if stage.state in ("ready", "waiting", "failed", "running")), None)


@dataclass(frozen=True)
class _Round:
    """What the stages of one round look at."""

    store: Store
    settings: Settings
    number: int
    runs: Mapping[str, Run] = field(default_factory=dict)  # by work: "sample" -> the run `round1-sample`

    def result(self, work: str) -> dict[str, Any]:
        run = self.runs.get(work)
        return dict(run.result) if run is not None and run.done else {}

    def failed(self, work: str) -> str:
        run = self.runs.get(work)
        return str(run.result.get("reason", "it failed")) if run is not None and run.state == "failed" else ""

    def running(self, work: str) -> bool:
        run = self.runs.get(work)
        return run is not None and run.state == "running"

    def counts(self, work: str) -> Counts | None:
        return counts(self.store, [self.runs[work].id]) if work in self.runs else None

    def command(self, words: str) -> str:
        return f"assent {words} --round {self.number}" if self.number > 1 else f"assent {words}"


def loop_state(store: Store, settings: Settings, round: int | None = None) -> LoopState:
    """Where the loop stands, read from its runs.

    Args:
        store: the open store.
        settings: of the project.
        round: one that was begun; the one that is going on, or was last, if None or not begun.
    """
    rounds = _rounds(store)
    decided = {number for number, runs in rounds.items() if (run := runs.get("eval")) is not None and run.done}
    last = max(rounds, default=1)
    finished = last in decided and last >= settings.loop.rounds
    number = last + 1 if last in decided and not finished else last
    number = round if round in rounds else number
    one = _Round(store, settings, number, rounds.get(number, {}))
    policy = _policy(one)
    completions = _completions(one, policy)
    judgements = _judgements(one)
    reward = _reward(one, judgements)
    improved = _improved(one, policy, judgements, reward)
    stages = (policy, completions, judgements, reward, improved, _verdict(one, improved))
    return LoopState(number, settings.loop.rounds, stages, finished, settings.people.kind == "simulated", tuple(rounds))


def _rounds(store: Store) -> dict[int, dict[str, Run]]:
    """The loop's own runs by round and work; experiments under other names are left out."""
    found: dict[int, dict[str, Run]] = {}
    for run in list_runs(store):
        if run.round > 0 and run.id.startswith(prefix := f"round{run.round}-"):
            found.setdefault(run.round, {})[run.id.removeprefix(prefix)] = run
    return found


def _policy(one: _Round) -> Stage:
    """The policy in service: the one promoted last, else the first."""
    found = promoted(one.store) or latest(one.store, "sft") or latest(one.store, "base")
    with one.store.read() as session:
        counted = session.execute(select(PromptRow.split, func.count()).group_by(PromptRow.split))
        by_split = {split: count for split, count in counted}
    facts = [f"{by_split[split]} prompts to {use}" for split, use in _USES if by_split.get(split)]
    name = "Prompts and policy"
    if found is None:
        own = one.settings.model.path is not None
        first = "assent sft" if own else "assent pretrain"
        return Stage(name, "ready", facts=tuple(facts), next=first if one.number == 1 else "")
    kind = {"policy": "promoted", "sft": "fine-tuned on demonstrations", "base": "pretrained"}
    return Stage(name, "done", found.id, (kind.get(found.kind, found.kind), *facts), run_id=found.run_id or "")


_USES = (("train", "learn from"), ("test", "compare by"))


def _completions(one: _Round, policy: Stage) -> Stage:
    name, run = "Completions", one.runs.get("sample")
    if not _people_asked(one.settings):
        return Stage(name, "unused", facts=("nobody is asked to rank in this project",))
    if run is None:
        blocked = "" if policy.version else "there is no policy yet"
        return Stage(
            name, "blocked" if blocked else "ready", next="" if blocked else one.command("sample"), blocked=blocked
        )
    if failed := one.failed("sample"):
        return Stage(name, "failed", next=one.command("sample"), blocked=failed, run_id=run.id)
    held = counts(one.store, [run.id])
    facts = (f"{held.tasks} tasks", f"{one.settings.people.completions_per_ranking} completions each")
    state = "done" if held.tasks else "running"
    return Stage(name, state, facts=facts, run_id=run.id, next="" if held.tasks else one.command("sample"))


def _judgements(one: _Round) -> Stage:
    name, kind = "Judgements", one.settings.people.kind
    if not _people_asked(one.settings):
        return Stage(name, "unused", facts=("nobody is asked to rank in this project",))
    held = one.counts("sample")
    if held is None or not held.tasks:
        return Stage(name, "blocked", blocked="there are no tasks yet")
    facts = [f"{held.submitted} of {held.wanted}", f"by {held.people} {'person' if held.people == 1 else 'people'}"]
    if held.leased:
        facts.append(f"{held.leased} in people's hands")
    share = held.submitted / held.wanted if held.wanted else 1.0
    missing = held.wanted - held.submitted
    if missing <= 0:
        return Stage(name, "done", facts=tuple(facts), run_id=one.runs["sample"].id, share=1.0)
    command = "assent simulate" if kind == "simulated" else "assent rank"
    words = f"{missing} more judgements are wanted"
    return Stage(name, "waiting", "", tuple(facts), command, words, one.runs["sample"].id, share)


def _reward(one: _Round, judgements: Stage) -> Stage:
    name, settings = "Reward model", one.settings
    if not settings.learns_reward or settings.loop.improve == "preference":
        return Stage(name, "unused", facts=(_scores_from(settings),))
    if settings.reward.model is not None:
        return Stage(name, "done", settings.reward.model, ("given by reward.model",))
    made, health = one.result("reward"), one.result("health")
    version = str(made.get("reward", ""))
    run_id = one.runs["reward"].id if "reward" in one.runs else ""
    command = one.command("reward")
    if failed := one.failed("reward") or one.failed("health"):
        return Stage(name, "failed", version, next=command, blocked=failed, run_id=run_id)
    if not made:
        if one.running("reward"):
            return Stage(name, "running", facts=("training",), next=command, run_id=run_id)
        if judgements.state not in ("done", "unused"):
            return Stage(name, "blocked", blocked=judgements.blocked or "the judgements are not all there")
        return Stage(name, "ready", next=command)
    facts = tuple(_health_facts(health))
    if not health:
        return Stage(name, "running", version, ("its health is being checked",), command, run_id=run_id)
    if not health.get("healthy", False):
        reasons = "; ".join(map(str, health.get("reasons", ()))) or "it is unhealthy"
        forced = one.runs.get("rl") is not None
        return Stage(name, "done" if forced else "failed", version, facts, "" if forced else command, reasons, run_id)
    return Stage(name, "done", version, facts, run_id=run_id)


def _improved(one: _Round, policy: Stage, judgements: Stage, reward: Stage) -> Stage:
    by_rankings = one.settings.loop.improve == "preference"
    name, work, word = ("Learning from rankings", "preference", "dpo") if by_rankings else ("RL", "rl", "rl")
    command, run = one.command(word), one.runs.get(work)
    made = one.result(work)
    if made:
        heldout = made.get("heldout", {})
        facts = [f"KL {heldout['kl']:.1f} nats"] if isinstance(heldout.get("kl"), float) else []
        return Stage(name, "done", str(made.get("policy", "")), tuple(facts), run_id=one.runs[work].id)
    if failed := one.failed(work):
        return Stage(name, "failed", next=command, blocked=failed, run_id=one.runs[work].id)
    if run is not None:
        return Stage(name, "running", next=command, run_id=run.id)
    needs = judgements if by_rankings else reward
    if not policy.version:
        return Stage(name, "blocked", blocked="there is no policy yet")
    if needs.state == "failed":
        return Stage(
            name, "blocked", next=f"{command} --force", blocked="the reward model is unhealthy; --force goes on"
        )
    if needs.state not in ("done", "unused"):
        return Stage(name, "blocked", blocked=f"{needs.name.lower()}: {needs.blocked or 'not done yet'}")
    return Stage(name, "ready", next=command)


def _verdict(one: _Round, improved: Stage) -> Stage:
    name, run, result = "Evaluation and promotion", one.runs.get("eval"), one.result("eval")
    if result:
        verdict = result.get("verdict", {})
        word = "promoted" if verdict.get("promoted") else "not promoted"
        return Stage(
            name, "done", improved.version, (word, *map(str, verdict.get("reasons", ()))), run_id=one.runs["eval"].id
        )
    command = one.command("eval")
    if failed := one.failed("eval"):
        return Stage(name, "failed", next=command, blocked=failed, run_id=one.runs["eval"].id)
    if run is None:
        blocked = "" if improved.state == "done" else "there is no new policy yet"
        return Stage(name, "blocked" if blocked else "ready", next="" if blocked else command, blocked=blocked)
    held = counts(one.store, [run.id])
    if held.wanted > held.submitted:
        words = f"{held.wanted - held.submitted} more blind votes are wanted"
        facts = (f"{held.submitted} of {held.wanted} votes",)
        share = held.submitted / held.wanted
        return Stage(name, "waiting", "", facts, "assent rank", words, run.id, share)
    return Stage(name, "running", next=command, run_id=run.id)


def _health_facts(health: Mapping[str, Any]) -> list[str]:
    facts = []
    for key, words in (("accuracy", "right on held-out pairs"), ("ceiling", "agreement of people, the ceiling")):
        found = health.get(key)
        if isinstance(found, dict) and isinstance(found.get("value"), int | float):
            facts.append(f"{100 * found['value']:.1f} % {words}")
    return facts


def _people_asked(settings: Settings) -> bool:
    if settings.loop.improve == "preference":
        return settings.preference.comparisons is None
    given = settings.reward.model is not None or settings.reward_model.of_samples
    return settings.learns_reward and not given


def _scores_from(settings: Settings) -> str:
    if settings.loop.improve == "preference":
        return "rankings are learnt directly"
    if settings.rl.environment is not None:
        return f"the environment {settings.rl.environment} pays"
    return f"scores come from {settings.reward.function}"
