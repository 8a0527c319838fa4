"""An open project: its workspace, store, settings, prompts and gold judge, and what every stage does alike."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assent.config import Settings, dump_settings
from assent.config.section import Section
from assent.data.callables import load_callable
from assent.data.chat import ChatFormat
from assent.data.files import read_prompts
from assent.models.loading import load_tokenizer
from assent.models.scalar import member_folders
from assent.rewards.scorer import CallableScorer, Scorer
from assent.rollouts.choice import load_environment
from assent.rollouts.vllm import require_vllm
from assent.store import (
    Artifact,
    Run,
    Store,
    Workspace,
    add_prompts,
    artifact_id,
    atomic_dir,
    drop_run,
    get_artifact,
    get_run,
    hash_folder,
    register_artifact,
    start_run,
    write_atomic,
)
from assent.tasks import load_world
from assent.training.interrupt import raise_if_stopped
from assent.training.memory import Need, require_memory
from assent.training.precision import choose_device
from assent.types.errors import DataError, SettingsError, WorkspaceError
from assent.types.feedback import CRITERIA, Marks
from assent.types.messages import Prompt
from assent.types.protocols import (
    Environment,
    MarksFn,
    Progress,
    SamplingParams,
    Silent,
    TwoPlayerEnvironment,
    World,
)
from assent.types.seeds import derive_seed

if TYPE_CHECKING:
    from assent.stages.judge import Guest


@dataclass
class Project:
    """Everything a stage is given.

    Args:
        workspace: the folder.
        store: its database, open.
        settings: resolved.
        progress: where long work tells how far it is.
        force: go on with an unhealthy reward model.
        guest: a real person who judges among the simulated ones.
    """

    workspace: Workspace
    store: Store
    settings: Settings
    progress: Progress = field(default_factory=Silent)
    force: bool = False
    guest: Guest | None = None
    _intact: set[str] = field(default_factory=set, init=False, repr=False)

    @cached_property
    def world(self) -> World | None:
        """The bundled task, if the project uses one."""
        return None if self.settings.task is None else load_world(self.settings.task)

    @cached_property
    def prompts(self) -> dict[str, list[Prompt]]:
        """The prompts by split; an environment asks by itself."""
        if self.settings.rl.environment is not None:
            return {"train": [], "test": []}
        if self.settings.prompts.path is None:
            if self.world is None:
                raise SettingsError("no prompts: neither prompts.path nor task is set")
            return {split: self.world.prompts(split) for split in ("train", "test")}
        path = self.resolve(self.settings.prompts.path)
        found = read_prompts(path, self.settings.prompts.test_share)
        if self.world is not None and self.settings.people.marks is None:
            require_facts(self.world, found, path)
        return {split: [prompt for prompt in found if prompt.split == split] for split in ("train", "test")}

    @cached_property
    def prompt_ids(self) -> dict[str, list[int]]:
        """The prompts' ids in the store, by split, in the order of `prompts`."""
        return {split: add_prompts(self.store, self.prompts[split]) for split in ("train", "test")}

    @cached_property
    def marks(self) -> MarksFn | None:
        """The gold judge: the task's, or the user's callable; None if there is none."""
        if self.settings.people.marks is not None:
            function = load_callable(self.settings.people.marks, "people.marks")
            return lambda prompt, completion: read_marks(function(prompt.text, completion), self.settings.people.marks)
        return None if self.world is None else self.world.marks

    @cached_property
    def environment(self) -> Callable[[], Environment] | None:
        """What makes an environment to be played, if the project uses one."""
        if (name := self.settings.rl.environment) is None:
            return None
        make, age = load_environment(name), self.settings.rl.opponent_age
        if age and not isinstance(make(), TwoPlayerEnvironment):
            raise SettingsError(
                f"rl.opponent_age is {age}, and {name} has no other side that the policy plays",
                "leave rl.opponent_age out, or give the environment the methods `asked` and `answered`",
            )
        return make

    @cached_property
    def reward_function(self) -> Scorer | None:
        """The user's own reward, in place of a reward model."""
        if (name := self.settings.reward.function) is None:
            return None
        return CallableScorer(load_callable(name, "reward.function"), name)

    @cached_property
    def cost_function(self) -> Scorer | None:
        """The user's own cost of a completion, beside its reward."""
        if (name := self.settings.reward.cost_function) is None:
            return None
        return CallableScorer(load_callable(name, "reward.cost_function"), name, "cost")

    @property
    def sampling(self) -> SamplingParams:
        """How completions are drawn."""
        return SamplingParams(self.settings.sampling.temperature, self.settings.sampling.max_new_tokens)

    @property
    def greedy_sampling(self) -> SamplingParams:
        """The likeliest token each time, as when a policy is examined."""
        return replace(self.sampling, greedy=True)

    @cached_property
    def device(self) -> Any:
        """Where models live."""
        return choose_device(self.settings.compute)

    def resolve(self, path: str) -> Path:
        """A path from the settings: relative ones start at the workspace."""
        given = Path(path).expanduser()
        return given if given.is_absolute() else self.workspace.path / given

    def seed(self, *address: int | str) -> int:
        """A seed of this project's for this address."""
        return derive_seed(self.settings.seed, *address)

    def artifact(self, name: str) -> Artifact:
        """An artifact of the store."""
        return get_artifact(self.store, name)

    def folder(self, artifact: str) -> Path:
        """Where an artifact's files lie; a user's own checkpoint stays where it is.

        Raises:
            WorkspaceError: the files are not those that were registered. They are looked at once in a process.
        """
        found = self.artifact(artifact)
        folder = self.resolve(found.path)
        if artifact not in self._intact:
            if not folder.is_dir() or hash_folder(folder) != found.content_hash:
                what = "changed or damaged" if folder.is_dir() else "missing"
                raise WorkspaceError(
                    f"{folder}: the files of {artifact} are {what}", "restore the folder, or begin a new workspace"
                )
            self._intact.add(artifact)
        return folder

    def chat(self, artifact: str) -> ChatFormat:
        """How texts become tokens for this model; the members of an ensemble have the same tokenizer."""
        return ChatFormat(load_tokenizer(member_folders(self.folder(artifact))[0]), self.settings.prompts.template)

    def encode(self, chat: ChatFormat, prompts: Sequence[Prompt], context: int) -> list[list[int]]:
        """Prompt tokens, each with room for a completion in the context."""
        where = self.settings.prompts.path or f"task {self.settings.task}"
        room = context - self.settings.sampling.max_new_tokens
        if room < 1:
            raise SettingsError(
                f"sampling.max_new_tokens {self.settings.sampling.max_new_tokens} leaves no room for a prompt in the"
                f" model's context of {context} tokens",
                "lower sampling.max_new_tokens",
            )
        return chat.encode_prompts(prompts, room, where)

    def begin(
        self, run_id: str, kind: str, round: int, sections: Iterable[str], inputs: Mapping[str, str] | None = None
    ) -> Run:
        """Start a stage's run, or take it up again; its resolved settings are written into its folder.

        Raises:
            SettingsError: it is to write completions with what is not installed.
        """
        raise_if_stopped("all finished stages are saved")
        wanted = set(sections) | {"seed", "task"}
        before = get_run(self.store, run_id)
        if "sampling" in wanted and self.settings.sampling.generator == "vllm" and not (before and before.done):
            require_vllm()
        settings = self.settings.model_dump(mode="json", include=wanted)
        given = {name: getattr(self.settings, name) for name in wanted}
        defaults = {
            name: type(each)().model_dump(mode="json") for name, each in given.items() if isinstance(each, Section)
        }
        run = start_run(self.store, run_id, kind, round, settings, inputs or {}, defaults)
        if run.done:
            self.tidy(run_id)  # a kill may have come between the record and the tidying
        else:
            write_atomic(self.run_dir(run_id) / "settings.toml", dump_settings(self.settings))
        return run

    def require_memory(self, run_id: str, memory: Callable[[], Need], name: str | None = None) -> None:
        """Say what a run will need of memory. One that has made no step is forgotten if it is refused.

        Args:
            memory: finds it out.
            name: of the part of the run that it is for.

        Raises:
            SettingsError: it is more than is free, or than `compute.memory` allows.
        """
        try:
            require_memory(name or run_id, memory, self.device, self.settings.compute.memory, self.progress)
        except SettingsError:
            if not any(self.run_dir(run_id).rglob("metrics.jsonl")):
                drop_run(self.store, run_id)
                shutil.rmtree(self.run_dir(run_id))
            raise

    def run_dir(self, run_id: str) -> Path:
        """The run's folder."""
        return self.workspace.run_dir(run_id)

    def keep(
        self,
        kind: str,
        run_id: str,
        write: Callable[[Path], None],
        card: Mapping[str, Any],
        parents: Iterable[str] = (),
        judgement_ids: Iterable[int] = (),
    ) -> str:
        """Save an artifact under the hash of its content and register it; returns its id.

        It is written aside first, so that a full disk or a kill leaves no half artifact.
        """
        aside = self.run_dir(run_id) / f".{kind}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        write(aside)
        digest = hash_folder(aside)
        final = self.workspace.artifact_dir(kind, artifact_id(kind, digest))
        with atomic_dir(final) as folder:
            for item in sorted(aside.iterdir()):
                os.rename(item, folder / item.name)
        shutil.rmtree(aside, ignore_errors=True)
        return register_artifact(
            self.store, kind, digest, self.workspace.relative(final), card, run_id, parents, judgement_ids
        )

    def tidy(self, run_id: str) -> None:
        """Drop the checkpoints of a run whose outcome is kept, and the members that it was put together from."""
        folder = self.run_dir(run_id)
        for path in [*folder.rglob("checkpoints"), folder / ".trained"]:
            shutil.rmtree(path, ignore_errors=True)


def require_facts(world: World, prompts: Sequence[Prompt], path: Path) -> None:
    """That a world's gold judge can mark answers to a user's own prompts.

    Raises:
        DataError: naming the line, and what the judge must know of its prompt.
    """
    for prompt in prompts:
        try:
            world.marks(prompt, "")
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{path}, line {prompt.meta['line']}: the gold judge of task {world.name} cannot mark answers to this"
                f" prompt: {error}",
                "give what it must know in the line's 'meta', or a judge of your own (people.marks = module:function)",
            ) from None


def _require_criteria(value: Mapping[str, Any], name: str | None) -> None:
    keys = (*CRITERIA, "fluency")
    missing = [key for key in CRITERIA if key not in value]
    unknown = [key for key in value if key not in keys]
    if missing or unknown:
        what = f"no {', '.join(missing)}" if missing else f"unknown {', '.join(map(repr, unknown))}"
        raise DataError(
            f"people.marks {name} gave {dict(value)!r}: {what}",
            f"give {', '.join(CRITERIA)}, and fluency if you like, each in [0, 1]",
        )


def read_marks(value: Any, name: str | None) -> Marks:
    """What a user's marks function gave, as marks: Marks, a mapping of criteria, or one number for all.

    Raises:
        DataError: it is none of these, lacks a criterion, or is not within [0, 1].
    """
    if isinstance(value, Marks):
        return value
    try:
        if isinstance(value, Mapping):
            _require_criteria(value, name)
            helpful, honest, harmless = (float(value[key]) for key in CRITERIA)
            found = Marks(helpful, honest, harmless, float(value.get("fluency", 1.0)))
        else:
            found = Marks(float(value), float(value), float(value), 1.0)
    except (TypeError, ValueError):
        raise DataError(f"people.marks {name} gave {value!r}", "return a number or a mapping of criteria") from None
    if not all(0.0 <= mark <= 1.0 for mark in (found.helpful, found.honest, found.harmless, found.fluency)):
        raise DataError(f"people.marks {name} gave {value!r}", "every mark must lie in [0, 1]")
    return found
