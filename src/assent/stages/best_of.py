"""Best-of-n on held-out prompts: what more samples and a reward are worth without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.evaluation import best_of_k_mean, best_of_n_kl_bound
from assent.feedback import bootstrap_mean
from assent.rewards.scorer import Scorer
from assent.stages.compare import held_out_prompts
from assent.stages.improve import scorer_of
from assent.stages.project import Project
from assent.stages.reward import cost_artifact, load_cost
from assent.stages.sample import Writer
from assent.store import add_completions
from assent.store.runs import finish_run
from assent.types.messages import Prompt
from assent.types.rollout import Rollout

Groups = list[list[float]]  # a row of n numbers for each prompt


def best_of(project: Project, round: int, policy: str, reward: str | None, n: int, run_id: str) -> dict[str, Any]:
    """n completions of each held-out prompt, and the mean of the best of 1, 2, 4, … n by the reward.

    The best of all n of each prompt are kept as completions of the run. Returns what is kept: for each size `n`, the
    `kl_bound` in nats to the policy that was sampled, and means with intervals over prompts of the reward (`proxy`),
    of the gold judge's mark (`gold`), and of the cost, where there are such.

    Args:
        policy: the artifact that is sampled.
        reward: the reward model's artifact; None where a callable gives the scores.
        n: at least 2.
    """
    named = {"policy": policy, "reward": reward, "cost": cost_artifact(project)}
    inputs = {role: name for role, name in named.items() if name is not None}
    sections = ("sampling", "evaluation", "prompts", "reward")
    run = project.begin(run_id, f"best-of-{n}", round, sections, inputs)
    if run.done:
        return dict(run.result)
    prompts, ids = held_out_prompts(project)
    rollouts = Writer(project, policy, f"best of {n}").write(prompts, n, project.seed(run_id, "samples"))
    measured = _measure(project, prompts, rollouts, scorer_of(project, reward), load_cost(project, reward), n)
    best = [place * n + scores.index(max(scores)) for place, scores in enumerate(measured["proxy"])]
    add_completions(project.store, run_id, ids, [rollouts[i] for i in best], project.sampling, policy)
    result = {"policy": policy, "prompts": len(prompts), "best_of": _sizes(project, measured, n, run_id)}
    finish_run(project.store, run_id, result)
    return result


def _measure(
    project: Project,
    prompts: Sequence[Prompt],
    rollouts: Sequence[Rollout],
    scorer: Scorer,
    cost: Scorer | None,
    n: int,
) -> dict[str, Groups]:
    """Reward, gold mark and cost of each completion, a row for each prompt."""
    asked = [prompts[rollout.prompt_index] for rollout in rollouts]
    texts = [rollout.text for rollout in rollouts]
    found = {"proxy": scorer.score(asked, texts)}
    if (marks := project.marks) is not None:
        found["gold"] = [marks(prompt, text).overall for prompt, text in zip(asked, texts, strict=True)]
    if cost is not None:
        found["cost"] = cost.score(asked, texts)
    return {name: [values[i : i + n] for i in range(0, len(values), n)] for name, values in found.items()}


def _sizes(project: Project, measured: dict[str, Groups], n: int, run_id: str) -> list[dict[str, Any]]:
    sizes = sorted({2**power for power in range(n.bit_length()) if 2**power <= n} | {n})
    seed, resamples = project.seed(run_id, "intervals"), project.settings.evaluation.bootstrap
    found = []
    for size in sizes:
        means = {
            name: [best_of_k_mean(s, v, size) for s, v in zip(measured["proxy"], groups, strict=True)]
            for name, groups in measured.items()
        }
        intervals = {name: bootstrap_mean(each, None, seed, resamples).as_dict() for name, each in means.items()}
        found.append({"n": size, "kl_bound": best_of_n_kl_bound(size), **intervals})
    return found
