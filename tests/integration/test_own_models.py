"""A user's own checkpoint, prompts and reward through two rounds of the loop, by the commands that the README names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from assent.config import load_settings
from assent.config.settings import LoraSettings
from assent.models.policy import ADAPTER_FOLDER, Policy
from assent.stages.project import Project
from assent.stages.reward import load_scorer
from assent.store import Run, Workspace, completions_of_run, get_run, get_tasks, hash_folder
from assent.training.loop import read_metrics
from tests.checkpoints import SHAPES, Shape
from tests.command_line import Done, assent, flags

SMALL = {
    "sampling.max-new-tokens": 12,
    "people.rankings-per-round": 30,
    "people.count": 6,
    "people.evaluators": 6,
    "reward-model.reference-samples": 8,
    "algorithm.value-learning-rate": 0.002,
    "algorithm.kl-coef": 0.01,
    "algorithm.missing-eos-penalty": 0,  # so few steps would teach little else
    "algorithm.stop-epoch-kl": 1.0,
    "loop.kl-budget": 1000,
    "rl.steps": 8,
    "rl.rollouts-per-step": 16,
    "rl.evaluate-every": 4,
    "rl.evaluate-prompts": 4,
    "evaluation.prompts": 24,
    "evaluation.samples-per-prompt": 2,
    "evaluation.bootstrap": 100,
    "compute.threads": 1,
}
LORA = {"model.lora.rank": 4, "algorithm.learning-rate": 0.005}
FULL = {"algorithm.learning-rate": 0.003}
PEOPLE = {
    "people.kind": "simulated",
    "people.marks": "tests.integration.own_functions:vowel_marks",
    "people.agreement": 0.8,
}


@dataclass(frozen=True)
class Case:
    """One way to bring one's own."""

    shape: Shape
    lora: bool
    people: bool

    def __str__(self) -> str:
        return f"{self.shape}-{'lora' if self.lora else 'full'}-{'people' if self.people else 'callable'}"


@dataclass(frozen=True)
class Looped:
    """A workspace after two rounds, and how the commands ended."""

    case: Case
    init: Done
    loop: Done
    model: Path  # the user's checkpoint
    before: str  # its hash when the user handed it over
    project: Project

    def run(self, run_id: str) -> Run:
        found = get_run(self.project.store, run_id)
        assert found is not None and found.done
        return found

    def input(self, run_id: str, role: str) -> str:
        return dict(self.run(run_id).inputs)[role]

    def policy(self, round: int) -> str:
        return str(self.run(f"round{round}-rl").result["policy"])

    def promoted(self, round: int) -> bool:
        return bool(self.run(f"round{round}-eval").result["verdict"]["promoted"])

    @property
    def lora(self) -> LoraSettings:
        return self.project.settings.model.lora


# Of the twelve ways six are quick enough for every run: each shape with and without LoRA, with people and with a
# callable, and each of these with each of those.
EVERY_RUN = [
    Case("llama", False, True),
    Case("llama", True, False),
    Case("qwen3", False, False),
    Case("qwen3", True, True),
    Case("gpt2", False, True),
    Case("gpt2", True, False),
]
ALL = [Case(shape, lora, people) for shape in SHAPES for lora in (False, True) for people in (False, True)]
CASES = [pytest.param(case, id=str(case), marks=() if case in EVERY_RUN else pytest.mark.slow) for case in ALL]


@pytest.fixture(scope="module", params=CASES)
def looped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[[Shape], Path]
) -> Iterator[Looped]:
    """`assent init` and `assent loop --rounds 2` on a checkpoint of this shape."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp(str(case))
    model = checkpoint(case.shape) if case.people else outspoken(checkpoint(case.shape), folder / "model")
    before = hash_folder(model)
    prompts = folder / "prompts.jsonl"
    asked = [f"What of {'many ' * (number % 3)}things, number {number}?" for number in range(48)]
    lines = [{"prompt": text, "split": split} for text, split in zip(asked, ["train", "test"] * 24, strict=True)]
    prompts.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    words = flags({**SMALL, **(PEOPLE if case.people else {}), **(LORA if case.lora else FULL)})
    reward = [] if case.people else ["--reward", "tests.integration.own_functions:vowel_reward"]
    init = assent("init", "w", "--model", model, "--prompts", prompts, *words, *reward, cwd=folder)
    # So small a reward model, of so few judgements, is seldom healthy.
    loop = assent("loop", "--rounds", "2", "--force", "--json", cwd=folder / "w") if init.code == 0 else init
    workspace = Workspace.open(folder / "w")
    with workspace.open_store() as store:
        settings = load_settings([workspace.settings_file])
        yield Looped(case, init, loop, model, before, Project(workspace, store, settings))


def outspoken(checkpoint: Path, folder: Path) -> Path:
    """A copy whose words differ in likelihood as a trained model's do: at random weights all are nearly as likely.

    Its head is its own, as one tied to the embeddings repeats the last word for ever; and logits that spread by 2 leave
    enough to chance for a few rollouts to differ in what they earn.
    """
    from transformers import AutoModelForCausalLM

    shutil.copytree(checkpoint, folder)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.config.tie_word_embeddings = False
    words, width = model.get_input_embeddings().weight.shape
    head = torch.nn.Linear(width, words, bias=False)
    with torch.no_grad():
        head.weight.normal_(generator=torch.Generator().manual_seed(0))
        model.set_output_embeddings(head)
        head.weight.mul_(2.0 / model(torch.arange(5, 45)[None]).logits.std())
    model.save_pretrained(folder)
    return folder


def test_policies_are_compared_on_all_their_samples(looped: Looped) -> None:
    tasks = get_tasks(looped.project.store, "round1-eval", "evaluate")
    assert len(tasks) == (24 * 2 if looped.case.people else 0)
    written = completions_of_run(looped.project.store, "round1-eval")
    assert len(written) == 24 * 2 * 2  # the new policy and the base, which is also the old one
    old, new = looped.input("round1-eval", "old"), looped.policy(1)
    by_id = {each.id: each for each in written}
    for task in tasks:
        ours, theirs = (by_id[i] for i in task.task.completion_ids)
        assert (ours.policy_version, theirs.policy_version) == (new, old)
        assert ours.prompt_id == theirs.prompt_id == task.task.prompt_id
    gold = looped.run("round1-eval").result["versus_reference"]["gold"]
    assert gold["count"] == 24  # prompts: their samples are resampled together


def test_two_rounds_end_well(looped: Looped) -> None:
    assert looped.init.code == 0, looped.init.err
    assert looped.loop.code == 0, looped.loop.err
    found = looped.loop.json
    assert len(found["promoted"]) == 2
    assert len(found["rankings_per_round"]) == (2 if looped.case.people else 0)
    assert (found["rm_accuracy"] is not None) == looped.case.people
    report = Path(found["report"])
    assert report == looped.project.workspace.path / "report.html"
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert looped.policy(1) in page and looped.policy(2) in page
    assert ("own_functions:vowel_reward" in page) or looped.case.people
    assert hash_folder(looped.model) == looped.before  # the user's own files are as they were


@pytest.mark.parametrize("round", [1, 2])
def test_the_policy_is_a_plain_checkpoint(looped: Looped, round: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = looped.project.folder(looped.policy(round))
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = Policy(folder, looped.model, looped.lora, "float32", torch.device("cpu"), seed=0)
    ids = tokenizer("Question: What of many things, number 7?\nAnswer:", return_tensors="pt")["input_ids"]
    with torch.no_grad(), ours.reference() as reference:
        initial = reference(input_ids=ids).logits
    with torch.no_grad():
        logits = plain(input_ids=ids).logits
        torch.testing.assert_close(logits, ours.model(input_ids=ids).logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(initial, AutoModelForCausalLM.from_pretrained(looped.model)(input_ids=ids).logits)
    assert (logits - initial).abs().max() > 0.01  # it did learn something


def test_the_reward_model_is_a_plain_classifier(looped: Looped) -> None:
    from transformers import AutoModelForSequenceClassification

    if not looped.case.people:
        assert get_run(looped.project.store, "round1-reward") is None
        assert looped.run("round1-rl").settings["reward"]["function"] == "tests.integration.own_functions:vowel_reward"
        return
    reward = str(looped.run("round2-reward").result["reward"])
    assert looped.input("round2-rl", "reward") == reward
    plain = AutoModelForSequenceClassification.from_pretrained(looped.project.folder(reward)).eval()
    scorer = load_scorer(looped.project, reward)
    prompts, texts = looped.project.prompts["test"][:3], ["Yes.", "", "It is so, and it is so, and it is so."]
    theirs = []
    for prompt, text in zip(prompts, texts, strict=True):
        question, answer = scorer.encode(prompt, text)
        with torch.no_grad():
            theirs.append(float(plain(input_ids=torch.tensor([[*question, *answer]])).logits[0, 0]))
    assert scorer.raw_scores(prompts, texts) == pytest.approx(theirs, abs=1e-4)


def test_round_two_goes_on_from_round_one(looped: Looped) -> None:
    first, second = looped.policy(1), looped.policy(2)
    initial = looped.input("round1-rl", "policy")
    assert looped.project.folder(initial) == looped.model
    # Eight steps raise the callable's reward; a reward model of thirty rankings may lead anywhere, and people say so.
    assert looped.promoted(1) or looped.case.people
    served = first if looped.promoted(1) else initial
    assert looped.input("round2-rl", "policy") == served
    assert looped.input("round1-rl", "reference") == looped.input("round2-rl", "reference") == initial
    # The KL is measured against the initial model: none when round 1 begins, and some when round 2 does.
    begun = [read_metrics(looped.project.run_dir(f"round{round}-rl"))[0]["kl"] for round in (1, 2)]
    assert abs(begun[0]) < 1e-3
    assert (abs(begun[1]) > 0.01) == looped.promoted(1)
    if looped.case.lora and served == first:
        a, b = (adapter(looped.project.folder(policy)) for policy in (first, second))
        assert a.keys() == b.keys() and any(not torch.equal(a[name], b[name]) for name in a)
        # Eight steps of Adam move a weight by a few hundredths; another random adapter would lie further off.
        down = [name for name in a if "lora_A" in name]
        moved = sum(float((a[name] - b[name]).square().sum()) for name in down)
        assert moved < 0.5 * sum(float(a[name].square().sum()) for name in down)
    assert (looped.project.folder(second) / ADAPTER_FOLDER).exists() == looped.case.lora


def test_lineage_answers_both_ways(looped: Looped) -> None:
    where = looped.project.workspace.path
    initial, final = looped.input("round1-rl", "policy"), looped.policy(2)
    up = json.dumps(assent("lineage", final, "--up", "--json", cwd=where).json)
    down = json.dumps(assent("lineage", initial, "--down", "--json", cwd=where).json)
    assert initial in up and (looped.policy(1) in up) == looped.promoted(1)
    assert final in down and looped.policy(1) in down
    judgement = assent("lineage", "judgement:1", "--down", "--json", cwd=where)
    if looped.case.people:
        assert "labeller-01" in up and "simulated" in up
        assert final in json.dumps(judgement.json)
    else:
        assert judgement.code == 3 and "labeller" not in up


def adapter(folder: Path) -> dict[str, Any]:
    """The weights of a policy's adapter."""
    return load_file(folder / ADAPTER_FOLDER / "adapter_model.safetensors")
