"""Groups of people who like different things: a mixture of Bradley–Terry models, one set of strengths for each group.

Where a minority's taste is opposed to the majority's, one set of strengths is the majority's alone, and the minority
looks unreliable. The mixture asks each person's answers which group they speak for. It needs items that many people
have compared; of completions that one task holds it can tell little. An adversary and a minority of opposite taste give
the same answers: which of them a group is, no model can say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assent.feedback.answers import Answers
from assent.feedback.intervals import Floats
from assent.feedback.strengths import MASSES, Islands, Strengths, differences, find_strengths, outcome
from assent.types.seeds import derive_seed

ROUNDS = 200
TOLERANCE = 1e-5  # on the largest change of a responsibility in a round
RESTARTS = 8
FOLDS = 5


@dataclass(frozen=True)
class Groups:
    """People's membership and each group's strengths; the largest group is first."""

    person_ids: tuple[int, ...]  # [P]
    responsibilities: Floats  # [P, G] the chance that each person is of each group; rows sum to 1
    shares: Floats  # [G] of the people
    item_ids: tuple[int, ...]  # [I]
    strengths: Floats  # [G, I] in logits
    likelihood: float  # the lower bound that the best of the restarts reached, nats

    def of_person(self) -> dict[int, int]:
        """The likeliest group of each person."""
        return {person: int(row.argmax()) for person, row in zip(self.person_ids, self.responsibilities, strict=True)}

    def strengths_for_people(self) -> Floats:
        """[P, I] what each person is expected to find of each item, by their chances of being in each group."""
        found: Floats = self.responsibilities @ self.strengths
        return found


def fit_groups(answers: Answers, number: int, seed: int, restarts: int = RESTARTS) -> Groups:
    """A mixture of `number` groups by expectation-maximisation over membership, the best of several random starts.

    Strengths have a normal prior about 0 whose variance is estimated; shares a Dirichlet prior of one person a group.

    Args:
        answers: who preferred what.
        number: of groups, at least 1.
        seed: of the starts.
        restarts: how many; one group needs but one.

    Raises:
        ValueError: no answers, or no groups.
    """
    if number < 1 or not len(answers):
        raise ValueError(f"a mixture needs answers ({len(answers)}) and at least one group ({number})")
    starts = range(restarts if number > 1 else 1)
    found = [_fit(answers, number, derive_seed(seed, "groups", start)) for start in starts]
    best = max(found, key=lambda each: each.likelihood)
    order = np.argsort(-best.shares, kind="stable")
    return replace(
        best,
        responsibilities=best.responsibilities[:, order],
        shares=best.shares[order],
        strengths=best.strengths[order],
    )


@dataclass(frozen=True)
class Choice:
    """How many groups there are, by what each number makes of answers that it was not shown."""

    groups: Groups
    held_out: dict[int, float]  # number of groups -> log-likelihood per held-out answer, nats


def choose_groups(answers: Answers, seed: int, most: int = 3, restarts: int = RESTARTS) -> Choice:
    """The smallest number of groups that no larger one beats by more than a standard error.

    Each person's answers are dealt into `FOLDS` parts; each part is foretold from the others. The standard error is
    that of the sum over people of the difference.

    Raises:
        ValueError: no answers.
    """
    told = {number: _foretold(answers, number, seed, restarts) for number in range(1, most + 1)}
    chosen = 1
    for number in range(2, most + 1):
        gain = told[number] - told[chosen]
        if gain.sum() > np.sqrt(len(gain)) * gain.std(ddof=1):
            chosen = number
    total = answers.weight.sum()
    groups = fit_groups(answers, chosen, seed, restarts)
    return Choice(groups, {number: float(each.sum() / total) for number, each in told.items()})


def _fit(answers: Answers, number: int, seed: int) -> Groups:
    count = len(answers.person_ids)
    member = np.random.default_rng(seed).dirichlet(np.ones(number), count)
    tie, precision, moved = _tie(answers), 0.25, np.inf
    shares, found, bound = np.full(number, 1.0 / number), [], 0.0
    for _ in range(ROUNDS):
        found = [_strengths(answers, member[:, group], tie, precision) for group in range(number)]
        second = np.mean([each.mean**2 + each.variance for each in found])
        precision = 1.0 / max(float(second), 1e-3)
        shares = (member.sum(axis=0) + 1.0) / (count + number)
        said = np.stack([by_person(answers, each, tie) for each in found], axis=1) + np.log(shares)
        top = said.max(axis=1, keepdims=True)
        chance = np.exp(said - top)
        bound = float((top[:, 0] + np.log(chance.sum(axis=1))).sum()) - _surprise(found, precision)
        chance /= chance.sum(axis=1, keepdims=True)
        moved, member = float(np.abs(chance - member).max()), chance
        if moved < TOLERANCE:
            break
    return Groups(answers.person_ids, member, shares, answers.item_ids, np.stack([s.mean for s in found]), bound)


def _strengths(answers: Answers, member: Floats, tie: float, precision: float) -> Strengths:
    """Of one group, to which each answer belongs as far as its person does."""
    own = replace(answers, weight=answers.weight * member[answers.people])
    return find_strengths(Islands(own), np.ones(len(own)), np.zeros(len(own)), tie, precision, steps=20)


def by_person(answers: Answers, found: Strengths, tie: float) -> Floats:
    """Log-likelihood of each person's answers under these strengths, [P], averaged over what is not known of them."""
    value = outcome(differences(answers, found), answers.preference[:, None], tie).value @ MASSES
    return np.bincount(answers.people, answers.weight * value, len(answers.person_ids)).astype(np.float64)


def _surprise(found: list[Strengths], precision: float) -> float:
    """How far the strengths' distributions lie from their prior, nats; covariances are left out."""
    total = 0.0
    for each in found:
        variance = precision * each.variance
        total += 0.5 * float((variance + precision * each.mean**2 - 1.0 - np.log(variance)).sum())
    return total


def _foretold(answers: Answers, number: int, seed: int, restarts: int) -> Floats:
    """Log-likelihood of each person's answers, each foretold by a fit to the other folds, [P]."""
    rng = np.random.default_rng(derive_seed(seed, "folds"))
    fold = np.empty(len(answers), dtype=np.int64)
    for person in range(len(answers.person_ids)):
        own = np.flatnonzero(answers.people == person)
        fold[own] = rng.permutation(np.arange(len(own)) % FOLDS)
    total, tie = np.zeros(len(answers.person_ids)), _tie(answers)
    for part in range(FOLDS):
        groups = fit_groups(answers.some(fold != part), number, seed, restarts)
        left = answers.some(fold == part)
        d = groups.strengths[:, left.first] - groups.strengths[:, left.second]
        said = left.weight * outcome(d, left.preference, tie).value
        of_group = np.stack([np.bincount(left.people, row, len(total)) for row in said], axis=1)
        chance = of_group + np.log(np.maximum(groups.responsibilities, 1e-300))
        total += np.logaddexp.reduce(chance, axis=1)
    return total


def _tie(answers: Answers) -> float:
    """Readiness to tie at which equals tie as often as these answers do; strengths then change little of it."""
    share = float(answers.weight[answers.preference == 0.5].sum() / max(answers.weight.sum(), 1e-300))
    return 2.0 * share / max(1.0 - share, 1e-3)
