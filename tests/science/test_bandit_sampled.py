"""The β-regularised bandit by sampling: a one-token transformer through `assent rl`, as a user would train it.

`test_bandit.py` takes expectations exactly and lets a table learn. Here tokens are drawn, a transformer learns, and
everything between a workspace and a saved policy is the product's own. The best policy is the same, and known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assent.store import Workspace, get_artifact
from tests.command_line import assent, flags
from tests.science.findings import Findings, Section
from tests.science.sampled_bandit import ACTIONS, CONTEXTS, KL_COEF, build, distance

Sizes = tuple[int, int]
SMALL: Sizes = (3, 6)
FULL: Sizes = (CONTEXTS, ACTIONS)
STEPS = {SMALL: 120, FULL: 300}
GROUP = {SMALL: 32, FULL: 128}  # rollouts of each context in each step
RATE = {SMALL: 0.002, FULL: 0.002}

SECTION = Section(
    key="bandit-sampled",
    order=2,
    title="The same by sampling, through `assent rl`",
    text=f"""
A transformer whose completions are single tokens, {CONTEXTS} contexts of {ACTIONS} actions, trained as a user trains
it: `assent init`, then `assent rl --algorithm.type …` with the reward a callable, β = {KL_COEF:g} and
{GROUP[FULL]} completions of each prompt in each of {STEPS[FULL]} steps. k1 stands in the reward unless another penalty
is named. Shown is the total variation of the saved policy from the best one, averaged over contexts; at most 0.05 is
asked for, and the reference itself lies above 0.3.
""",
    source="tests/science/test_bandit_sampled.py",
    columns=("algorithm", "total variation from the best policy"),
)

# How each is asked for. k1 stands in the reward unless another penalty is named.
CHOICES: dict[str, dict[str, object]] = {
    "ppo": {"type": "ppo", "epochs": 2},
    "a2c": {"type": "a2c"},
    "reinforce": {"type": "reinforce"},
    "rloo": {"type": "rloo"},
    "grpo": {"type": "grpo"},
    "ppo, k3": {"type": "ppo", "epochs": 2, "kl-penalty": "k3-corrected-loss", "whiten-advantages": "false"},
    "reinforce, k2": {"type": "reinforce", "kl-penalty": "k2-loss"},
    "rloo, k3": {"type": "rloo", "kl-penalty": "k3-corrected-loss"},
    "grpo, k2": {"type": "grpo", "kl-penalty": "k2-loss", "scale": "none"},
    # A pair's pull is a difference of probabilities, at most a quarter of the difference of rewards behind it.
    "online dpo, soft labels": {"type": "online-dpo", "labels": "soft", "learning-rate": 0.005},
}


def workspace(folder: Path, sizes: Sizes) -> Path:
    model, prompts = build(folder, *sizes)
    contexts, _ = sizes
    settings = {
        "prompts.template": "{prompt}",
        "sampling.max-new-tokens": 1,
        "sampling.batch-size": 4096,
        "rl.steps": STEPS[sizes],
        "rl.rollouts-per-step": contexts * GROUP[sizes],
        "rl.samples-per-prompt": GROUP[sizes],
        "rl.evaluate-every": STEPS[sizes],
        "rl.checkpoint-every": STEPS[sizes],
        "compute.precision": "float32",
        "compute.threads": 1,
        "reward.function": "tests.science.sampled_bandit:score",
        "people.kind": "none",
    }
    done = assent("init", "w", "--model", model, "--prompts", prompts, *flags(settings), cwd=folder)
    assert done.code == 0, done.err
    return folder / "w"


def trained(folder: Path, sizes: Sizes, name: str) -> float:
    """Total variation from the best policy after RL with these settings."""
    asked = {"kl-coef": KL_COEF, "learning-rate": RATE[sizes], "missing-eos-penalty": 0.0, **CHOICES[name]}
    run = name.replace(",", "").replace(" ", "-")
    done = assent(
        "rl", "--run", run, *flags({f"algorithm.{key}": value for key, value in asked.items()}), "--json", cwd=folder
    )
    assert done.code == 0, done.err
    with Workspace.open(folder).open_store() as store:
        found = distance(folder / get_artifact(store, done.json["policy"]).path, *sizes)
    return found


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sizes], Path]:
    made: dict[Sizes, Path] = {}

    def of(sizes: Sizes) -> Path:
        if sizes not in made:
            made[sizes] = workspace(tmp_path_factory.mktemp("bandit"), sizes)
        return made[sizes]

    return of


@pytest.mark.parametrize("sizes", [SMALL, FULL])
def test_there_is_something_to_learn(sizes: Sizes, tmp_path: Path) -> None:
    assert distance(build(tmp_path, *sizes)[0], *sizes) > 0.3


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "rloo", "grpo", "online dpo, soft labels"])
def test_it_ends_at_the_best_policy(name: str, at: Callable[[Sizes], Path]) -> None:
    found = trained(at(SMALL), SMALL, name)
    print(f"{name}: total variation {found:.4f} by sampling, {SMALL[0]} contexts of {SMALL[1]} actions")
    assert found <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_it_ends_there_with_many_actions(name: str, at: Callable[[Sizes], Path], findings: Findings) -> None:
    found = trained(at(FULL), FULL, name)
    findings.row(SECTION, name, found)
    assert found <= 0.05
