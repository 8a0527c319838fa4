"""Losses of offline preference learning, against values worked by hand. Their optima: `test_preference_optimum.py`."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from assent.functional import (
    dpo_loss,
    dpo_loss_with_ties,
    ipo_loss,
    kto_loss,
    orpo_loss,
    robust_dpo_loss,
    simpo_loss,
)

LN2, LN3 = math.log(2.0), math.log(3.0)
# β = 0.5 and log-ratios of ln 3, 0, -ln 3 (chosen) and -ln 3, 0, ln 3 (rejected):
# implicit rewards ±½ ln 3, so h = ln 3, 0, -ln 3 and σ(h) = 3/4, 1/2, 1/4
REF = torch.tensor([-20.0, -7.0, -300.0])
CHOSEN = REF + torch.tensor([LN3, 0.0, -LN3])
REJECTED = REF - torch.tensor([LN3, 0.0, -LN3])
PAIRS = (CHOSEN, REJECTED, REF, REF)


def test_dpo_and_its_implicit_rewards() -> None:
    chosen = CHOSEN.clone().requires_grad_()
    loss, chosen_reward, rejected_reward = dpo_loss(chosen, REJECTED, REF, REF, None, 0.5, 0.0, 3)
    # -ln ¾ - ln ½ - ln ¼ = ln(4/3 · 2 · 4)
    assert loss.item() == pytest.approx(math.log(32 / 3) / 3, rel=1e-5)
    expected = torch.tensor([0.5 * LN3, 0.0, -0.5 * LN3])
    torch.testing.assert_close(chosen_reward, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rejected_reward, -expected, rtol=1e-4, atol=1e-5)
    assert not chosen_reward.requires_grad and not rejected_reward.requires_grad
    loss.backward()
    # -β σ(-h) / 3 = -½ · (¼, ½, ¾) / 3
    torch.testing.assert_close(chosen.grad, torch.tensor([-1 / 24, -1 / 12, -1 / 8]), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kl_coef", [0.01, 0.5, 10.0])
def test_dpo_starts_at_ln_2(kl_coef: float, smoothing: float) -> None:
    chosen, rejected = torch.tensor([-3.0, -250.0, 0.0]), torch.tensor([-900.0, -1.0, -40.0])
    loss, *rewards = dpo_loss(chosen, rejected, chosen, rejected, None, kl_coef, smoothing, 3)
    assert loss.item() == pytest.approx(LN2, abs=1e-6)
    assert torch.stack(rewards).tolist() == [[0.0] * 3] * 2


def test_label_smoothing_and_weights() -> None:
    # ε = 1/4: ¾ ln(4/3) + ¼ ln 4; ln 2; ¾ ln 4 + ¼ ln(4/3); weights 2, 0, 1
    loss, *_ = dpo_loss(*PAIRS, torch.tensor([2.0, 0.0, 1.0]), 0.5, 0.25, 3)
    expected = 2 * (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) + 0.75 * math.log(4) + 0.25 * math.log(4 / 3)
    assert loss.item() == pytest.approx(expected / 3, rel=1e-5)


def test_smoothed_gradient_vanishes_where_the_policy_is_as_sure_as_the_label() -> None:
    # σ(h) = ¾ = 1 - ε for ε = ¼; σ(h) = ½ = 1 - ε for ε = ½, a tie
    for pair, smoothing in ((0, 0.25), (1, 0.5)):
        chosen = CHOSEN.double().clone().requires_grad_()
        loss, *_ = dpo_loss(chosen, REJECTED.double(), REF.double(), REF.double(), None, 0.5, smoothing, 1)
        (gradient,) = torch.autograd.grad(loss, chosen)
        zero = gradient.abs() < 1e-6
        assert zero.tolist() == [index == pair for index in range(3)]


def test_dpo_with_soft_labels() -> None:
    # labels 1, ½, ½: ln(4/3); ½ (ln 2 + ln 2); ½ (ln 4 + ln(4/3))
    loss, *_ = dpo_loss_with_ties(*PAIRS, torch.tensor([1.0, 0.5, 0.5]), None, 0.5, 1)
    assert loss.item() == pytest.approx(math.log(4 / 3) + LN2 + 0.5 * math.log(16 / 3), rel=1e-5)
    smoothed, *_ = dpo_loss(*PAIRS, None, 0.5, 0.2, 1)
    torch.testing.assert_close(dpo_loss_with_ties(*PAIRS, torch.full((3,), 0.8), None, 0.5, 1)[0], smoothed)


def test_a_tie_is_the_pair_in_both_orders_with_half_its_weight() -> None:
    tie, *_ = dpo_loss_with_ties(*PAIRS, torch.full((3,), 0.5), None, 0.5, 1)
    half = torch.full((3,), 0.5)
    both = dpo_loss(*PAIRS, half, 0.5, 0.0, 1)[0] + dpo_loss(REJECTED, CHOSEN, REF, REF, half, 0.5, 0.0, 1)[0]
    torch.testing.assert_close(tie, both)


def test_robust_dpo() -> None:
    # ε = ¼: (¾ l(h) - ¼ l(-h)) / ½ with l = ln(4/3), ln 2, ln 4 and, flipped, ln 4, ln 2, ln(4/3)
    each = [1.5 * math.log(4 / 3) - 0.5 * math.log(4), LN2, 1.5 * math.log(4) - 0.5 * math.log(4 / 3)]
    for index, expected in enumerate(each):
        pair = [x[index : index + 1] for x in PAIRS]
        assert robust_dpo_loss(*pair, None, 0.5, 0.25, 1)[0].item() == pytest.approx(expected, rel=1e-4)


@given(h=st.floats(-30, 30), flip_rate=st.floats(0, 0.45))
def test_robust_dpo_is_unbiased_under_flips(h: float, flip_rate: float) -> None:
    chosen, zero = torch.tensor([h], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    right = robust_dpo_loss(chosen, zero, zero, zero, None, 1.0, flip_rate, 1)[0]
    flipped = robust_dpo_loss(zero, chosen, zero, zero, None, 1.0, flip_rate, 1)[0]
    clean = dpo_loss(chosen, zero, zero, zero, None, 1.0, 0.0, 1)[0]
    torch.testing.assert_close((1 - flip_rate) * right + flip_rate * flipped, clean, rtol=1e-10, atol=1e-10)


def test_ipo() -> None:
    # β = 0.25, so the target 1/(2β) is 2. Differences of log-ratios: (-1 + 3) - (-6 + 5) = 3,
    # (-2 + 3) - (-4 + 5) = 0 and (-5 + 3) - (-4 + 5) = -3: squared errors 1, 4, 25
    first = torch.tensor([-1.0, -2.0, -5.0], requires_grad=True)
    second, first_ref, second_ref = torch.tensor([-6.0, -4.0, -4.0]), torch.full((3,), -3.0), torch.full((3,), -5.0)
    loss, first_reward, second_reward = ipo_loss(first, second, first_ref, second_ref, None, 0.25, 10)
    assert loss.item() == pytest.approx(3.0)
    assert first_reward.tolist() == [0.5, 0.25, -0.5]
    assert second_reward.tolist() == [-0.25, 0.25, 0.25]
    loss.backward()
    # 2 (d - 2) / 10: the first pair has gone too far and is pulled back
    torch.testing.assert_close(first.grad, torch.tensor([0.2, -0.4, -1.0]))


def test_kto() -> None:
    # β = 0.5, z = 2, log-ratios 2 + 2 ln 3, the same, 2: gains ln 3, ln 3, 0
    ratio = torch.tensor([2 + 2 * LN3, 2 + 2 * LN3, 2.0, math.nan])
    logprobs = (ratio - 9.0).requires_grad_()
    desirable = torch.tensor([True, False, True, True])
    weight = torch.tensor([1.0, 1.0, 2.0, 0.0])
    reference_kl = torch.tensor(2.0, requires_grad=True)
    loss, reward = kto_loss(logprobs, torch.full((4,), -9.0), desirable, weight, reference_kl, 0.5, 1.2, 0.8, 3)
    # λ_D (1 - ¾) + λ_U (1 - ¼) + 2 λ_D (1 - ½) = 0.3 + 0.6 + 1.2
    assert loss.item() == pytest.approx(0.7)
    torch.testing.assert_close(reward, torch.tensor([1 + LN3, 1 + LN3, 1.0, 0.0]))
    of_logprobs, of_reference = torch.autograd.grad(loss, [logprobs, reference_kl], allow_unused=True)
    assert of_reference is None
    # ∓ λ β σ(gain) σ(-gain) / 3: -1.2 · ½ · 3/16 / 3, 0.8 · ½ · 3/16 / 3, -2 · 1.2 · ½ · ¼ / 3
    torch.testing.assert_close(of_logprobs, torch.tensor([-0.0375, 0.025, -0.1, 0.0]))


def test_a_negative_reference_kl_counts_as_zero() -> None:
    desirable = torch.tensor([True, False, True])
    losses = [
        kto_loss(CHOSEN, REF, desirable, None, torch.tensor(z), 0.5, 1.0, 1.0, 1)[0].item() for z in (-5.0, 0.0, 5.0)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_orpo() -> None:
    # P = ¾, ½ against ½, ¾: odds 3, 1 against 1, 3, so σ(log odds ratio) = ¾, ¼
    chosen = torch.tensor([0.75, 0.5]).log().requires_grad_()
    rejected = torch.tensor([0.5, 0.75]).log().requires_grad_()
    loss, chosen_reward, rejected_reward = orpo_loss(chosen, rejected, None, 0.5, 1)
    # ln(4/3) + ½ ln(4/3), and ln 2 + ½ ln 4
    assert loss.item() == pytest.approx(1.5 * math.log(4 / 3) + 2 * LN2, rel=1e-6)
    torch.testing.assert_close(chosen_reward, torch.tensor([LN3, 0.0]))
    torch.testing.assert_close(rejected_reward, torch.tensor([0.0, LN3]))
    loss.backward()
    # d log odds / d log P = 1 / (1 - P) = 4, 2 and 2, 4; σ(-ratio) = ¼, ¾:
    # -1 - ½ · ¼ · 4, -1 - ½ · ¾ · 2 and ½ · ¼ · 2, ½ · ¾ · 4
    torch.testing.assert_close(chosen.grad, torch.tensor([-1.5, -1.75]))
    torch.testing.assert_close(rejected.grad, torch.tensor([0.25, 1.5]))


def test_orpo_still_lowers_a_rejected_completion_of_probability_one() -> None:
    rejected = torch.tensor([0.0], requires_grad=True)
    loss, *_ = orpo_loss(torch.tensor([-1.0]), rejected, None, 1.0, 1)
    loss.backward()
    assert rejected.grad is not None
    assert 0 < rejected.grad.item() < math.inf


def test_odds_keep_their_digits_near_probability_one() -> None:
    # P = e^-1e-6, so 1 - P = 1e-6 to six digits, of which 1 - exp(-1e-6) in fp32 would lose all but one
    _, reward, _ = orpo_loss(torch.tensor([-1e-6]), torch.tensor([-1.0]), None, 1.0, 1)
    assert reward.item() == pytest.approx(6 * math.log(10), abs=1e-5)


def test_simpo() -> None:
    # β = 2, γ = 1: 2 · (½ + ½ ln 3) - 1 = ln 3; 2 · ½ - 1 = 0; 2 · (½ - ½ ln 3) - 1 = -ln 3
    rejected = torch.full((3,), -2.0)
    chosen = (rejected + 0.5 + 0.5 * torch.tensor([LN3, 0.0, -LN3])).requires_grad_()
    loss, chosen_reward, rejected_reward = simpo_loss(chosen, rejected, None, 2.0, 1.0, 3)
    assert loss.item() == pytest.approx(math.log(32 / 3) / 3)
    torch.testing.assert_close(chosen_reward, torch.tensor([LN3 - 3, -3.0, -LN3 - 3]))
    assert rejected_reward.tolist() == [-4.0] * 3
    loss.backward()
    # -β σ(-h) / 3
    torch.testing.assert_close(chosen.grad, torch.tensor([-1 / 6, -1 / 3, -1 / 2]))


# What holds for every loss. Each takes four [N] tensors of log-probabilities, the weights and the denominator.


def _kto(a: Tensor, b: Tensor, c: Tensor, d: Tensor, w: Tensor | None, n: int) -> tuple[Tensor, ...]:
    return kto_loss(a, c, d > -2.5, w, torch.tensor(0.4, dtype=a.dtype), 0.3, 1.0, 1.5, n)


Loss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor | None, int], tuple[Tensor, ...]]
LOSSES: dict[str, Loss] = {
    "dpo": lambda a, b, c, d, w, n: dpo_loss(a, b, c, d, w, 0.3, 0.0, n),
    "dpo, smoothed": lambda a, b, c, d, w, n: dpo_loss(a, b, c, d, w, 0.3, 0.1, n),
    "dpo, ties": lambda a, b, c, d, w, n: dpo_loss_with_ties(a, b, c, d, d.detach().exp(), w, 0.3, n),
    "robust dpo": lambda a, b, c, d, w, n: robust_dpo_loss(a, b, c, d, w, 0.3, 0.2, n),
    "ipo": lambda a, b, c, d, w, n: ipo_loss(a, b, c, d, w, 0.3, n),
    "kto": _kto,
    "orpo": lambda a, b, c, d, w, n: orpo_loss(a, b, w, 0.3, n),
    "simpo": lambda a, b, c, d, w, n: simpo_loss(a, b, w, 2.0, 0.5, n),
}
EVERY_LOSS = pytest.mark.parametrize("loss_of", LOSSES.values(), ids=LOSSES.keys())
SEEDS = st.integers(0, 10**6)


def _draw(seed: int, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(-0.05 - 5 * torch.rand(4, count, generator=generator, dtype=torch.float64))


def _with_gradients(loss_of: Loss, inputs: list[Tensor], weight: Tensor | None, n: int) -> list[Tensor]:
    """The loss, the implicit rewards, and the gradients with respect to the policy's log-probabilities."""
    policy = [x.clone().requires_grad_() for x in inputs[:2]]
    loss, *rewards = loss_of(*policy, *inputs[2:], weight, n)
    gradients = torch.autograd.grad(loss, policy, allow_unused=True)
    return [loss.detach(), *rewards, *(gradient for gradient in gradients if gradient is not None)]


@EVERY_LOSS
def test_gradients_equal_finite_differences(loss_of: Loss) -> None:
    chosen, rejected, *refs = _draw(0, 4)
    weight = torch.tensor([1.0, 0.0, 0.3, 2.0], dtype=torch.float64)
    policy = chosen.requires_grad_(), rejected.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: loss_of(a, b, *refs, weight, 3)[0], policy, atol=1e-8, rtol=1e-6)
    # not for want of a gradient
    assert all((gradient != 0).sum() == 3 for gradient in _with_gradients(loss_of, [*policy, *refs], weight, 3)[-1:])


@EVERY_LOSS
def test_only_the_policy_gets_a_gradient(loss_of: Loss) -> None:
    leaves = [x.requires_grad_() for x in _draw(1, 3)]
    loss, *rewards = loss_of(*leaves, None, 3)
    of_chosen, _, *of_refs = torch.autograd.grad(loss, leaves, allow_unused=True)
    assert of_chosen is not None and (of_chosen != 0).all()
    assert of_refs == [None, None]
    assert not any(reward.requires_grad for reward in rewards)


@EVERY_LOSS
@given(seed=SEEDS, garbage=st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 1.0, 0.0]))
def test_garbage_of_weight_zero_changes_nothing(loss_of: Loss, seed: int, garbage: float) -> None:
    inputs = _draw(seed, 5)
    weight = torch.tensor([1.0, 0.0, 0.5, 0.0, 2.0], dtype=torch.float64)
    spoilt = [torch.where(weight == 0, garbage, x) for x in inputs]
    outputs = _with_gradients(loss_of, inputs, weight, 7)
    for clean, dirty in zip(outputs, _with_gradients(loss_of, spoilt, weight, 7), strict=True):
        assert torch.isfinite(clean).all()
        assert torch.equal(clean, dirty)
        assert clean.ndim == 0 or (clean[weight == 0] == 0).all()


@EVERY_LOSS
@given(cuts=st.lists(st.integers(1, 3), min_size=1, max_size=4), seed=SEEDS)
def test_microbatches_add_up_to_the_batch(loss_of: Loss, cuts: list[int], seed: int) -> None:
    inputs = _draw(seed, sum(cuts))
    weight = torch.rand(sum(cuts), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = _with_gradients(loss_of, inputs, weight, 11)
    splits = zip(*(x.split(cuts) for x in (*inputs, weight)), strict=True)
    parts = [_with_gradients(loss_of, list(split[:4]), split[4], 11) for split in splits]
    torch.testing.assert_close(sum(part[0] for part in parts), whole[0], rtol=1e-12, atol=1e-12)
    for index in range(1, len(whole)):
        torch.testing.assert_close(torch.cat([part[index] for part in parts]), whole[index], rtol=1e-12, atol=1e-15)


@EVERY_LOSS
@given(seed=SEEDS)
def test_no_weights_are_weights_of_one(loss_of: Loss, seed: int) -> None:
    inputs = _draw(seed, 4)
    ones = torch.ones(4, dtype=torch.float64)
    for plain, weighted in zip(
        _with_gradients(loss_of, inputs, None, 4), _with_gradients(loss_of, inputs, ones, 4), strict=True
    ):
        assert torch.equal(plain, weighted)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logprobs_stay_finite(loss_of: Loss, dtype: torch.dtype) -> None:
    extremes = torch.tensor([0.0, -1e-30, -1e-9, -1e-6, -1.0, -88.0, -104.0, -1e4, -1e8], dtype=dtype)
    grid = list(torch.cartesian_prod(extremes, extremes, extremes).unbind(1))
    for output in _with_gradients(loss_of, [*grid, grid[2].flip(0)], None, 1):
        assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", ["dpo", "robust dpo", "simpo", "orpo"])
def test_a_badly_wrong_pair_keeps_its_gradient(name: str) -> None:
    inputs = [torch.tensor([x]) for x in (-1e5, -1.0, -1.0, -1.0)]
    *_, of_chosen, of_rejected = _with_gradients(LOSSES[name], inputs, None, 1)
    assert of_chosen.item() < -0.29  # the coefficient of the loss, at least
    assert of_rejected.item() > 0.29


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _formulas(a: float, b: float, c: float, d: float) -> dict[str, float]:
    """The papers' formulas for one row, in probabilities, with the coefficients of `LOSSES`."""
    ratio = (math.exp(a) / math.exp(c)) / (math.exp(b) / math.exp(d))
    p = ratio**0.3 / (1 + ratio**0.3)  # σ(β log ratio)
    gain = 0.3 * (math.log(math.exp(a) / math.exp(c)) - 0.4)
    odds = [math.exp(x) / (1 - math.exp(x)) for x in (a, b)]
    target = math.exp(d)
    return {
        "dpo": -math.log(p),
        "dpo, smoothed": -0.9 * math.log(p) - 0.1 * math.log(1 - p),
        "dpo, ties": -target * math.log(p) - (1 - target) * math.log(1 - p),
        "robust dpo": -(0.8 * math.log(p) - 0.2 * math.log(1 - p)) / 0.6,
        "ipo": (math.log(ratio) - 1 / 0.6) ** 2,
        "kto": 1.0 - _sigmoid(gain) if d > -2.5 else 1.5 * (1.0 - _sigmoid(-gain)),
        "orpo": -a - 0.3 * math.log(_sigmoid(math.log(odds[0] / odds[1]))),
        "simpo": -math.log(_sigmoid(2.0 * a - 2.0 * b - 0.5)),
    }


@pytest.mark.parametrize("name", LOSSES)
@given(seed=SEEDS)
def test_losses_equal_the_formulas_of_the_papers(name: str, seed: int) -> None:
    inputs = _draw(seed, 6)
    weight = [1.0, 0.5, 2.0, 0.0, 1.0, 3.0]
    rows = torch.stack(inputs, dim=1).tolist()
    expected = sum(w * _formulas(*row)[name] for w, row in zip(weight, rows, strict=True)) / 9
    loss = LOSSES[name](*inputs, torch.tensor(weight, dtype=torch.float64), 9)[0]
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf])
def test_coefficients_must_be_positive_and_finite(bad: float) -> None:
    desirable = torch.ones(3, dtype=torch.bool)
    calls: list[Callable[[], object]] = [
        lambda: dpo_loss(*PAIRS, None, bad, 0.0, 1),
        lambda: dpo_loss_with_ties(*PAIRS, torch.ones(3), None, bad, 1),
        lambda: robust_dpo_loss(*PAIRS, None, bad, 0.0, 1),
        lambda: ipo_loss(*PAIRS, None, bad, 1),
        lambda: kto_loss(CHOSEN, REF, desirable, None, torch.tensor(0.0), bad, 1.0, 1.0, 1),
        lambda: simpo_loss(CHOSEN, REJECTED, None, bad, 0.0, 1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must be positive and finite"):
            call()


@pytest.mark.parametrize("bad", [-0.1, math.nan, 1.5])
def test_shares_weights_and_margins_outside_their_range_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        dpo_loss(*PAIRS, None, 0.5, bad, 1)
    with pytest.raises(ValueError, match="flip_rate"):
        robust_dpo_loss(*PAIRS, None, 0.5, 0.5 if bad > 0 else bad, 1)
    negative = -1.0 if bad > 0 else bad
    with pytest.raises(ValueError, match="odds_coef"):
        orpo_loss(CHOSEN, REJECTED, None, negative, 1)
    with pytest.raises(ValueError, match="margin"):
        simpo_loss(CHOSEN, REJECTED, None, 2.0, negative, 1)
    for weights in ((negative, 1.0), (1.0, negative)):
        with pytest.raises(ValueError, match="weights"):
            kto_loss(CHOSEN, REF, torch.ones(3, dtype=torch.bool), None, torch.tensor(0.0), 0.5, *weights, 1)
