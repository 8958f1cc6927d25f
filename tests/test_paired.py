"""Paired seeds: differences, power, and how many pairs an effect needs; by hand and in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bridgekit.errors import BridgekitError
from bridgekit.measure.intervals import estimate
from bridgekit.measure.paired import difference, pairs_needed, pairs_needed_between, power, smallest_mean


def test_a_difference_by_hand_and_by_scipy():
    a, b = [1.0, 2.0, 3.0], [0.5, 1.9, 2.2]
    found, scipys = difference(a, b), stats.ttest_rel(a, b)
    assert found.mean == pytest.approx(1.4 / 3, rel=1e-12) and found.n == 3
    assert found.sd == pytest.approx(np.std([0.5, 0.1, 0.8], ddof=1), rel=1e-12)
    assert found.p == pytest.approx(scipys.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(scipys.confidence_interval()), rel=1e-9)
    assert (found.mean, found.low, found.high) == pytest.approx(estimate("mean", [a, b]), rel=1e-9)
    assert str(found) == "+0.467 [-0.406, +1.34], p = 0.15 (n = 3)"


def test_a_difference_changes_its_sign_with_the_order_and_narrows_with_the_level():
    a, b = np.random.default_rng(1).standard_normal((2, 8))
    there, back, wide = difference(a, b), difference(b, a), difference(a, b, level=0.99)
    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)
    assert there.p == back.p and wide.p == there.p
    assert wide.low < there.low and wide.high > there.high


def test_lost_trials_leave_their_pair_out():
    found = difference([1.0, math.nan, 3.0, 4.0], [0.0, 1.0, math.inf, 2.5])
    assert found == difference([1.0, 4.0], [0.0, 2.5]) and found.n == 2
    one = difference([1.0, math.nan], [0.25, 1.0])
    assert one.mean == 0.75 and one.n == 1 and math.isnan(one.p) and str(one) == "+0.75 (n = 1)"
    assert math.isnan(difference([math.nan], [0.0]).mean)


@pytest.mark.parametrize(("a", "p"), [([1.0, 2.0], 1.0), ([1.5, 2.5], 0.0)])
def test_equal_differences(a, p):
    found = difference(a, [1.0, 2.0])
    assert found.p == p and found.sd == 0 and found.low == found.high == found.mean


def test_power_is_the_share_of_simulated_tests_that_see_the_effect():
    rng, n, effect = np.random.default_rng(2), 6, 1.3
    d = rng.standard_normal((100_000, n)) * 2 + effect
    share = (stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05).mean()
    wanted = power(effect, 2.0, n)
    assert share == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / len(d)))
    assert power(-effect, 2.0, n) == pytest.approx(wanted, rel=1e-9)
    assert power(0.0, 1.0, n) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(
    ("effect", "n"),
    [
        (0.2, 199),
        (0.5, 34),
        (0.8, 15),
        (1e-3, 7848863),
        (20.0, 2),
        (-0.5, 34),
    ],  # Cohen's table; the normal limit
)
def test_pairs_needed(effect, n):
    assert pairs_needed(effect, 1.0) == n
    assert pairs_needed(3 * effect, 3.0) == n


def test_pairs_needed_is_the_first_that_suffices():
    for effect in (0.3, 0.45, 1.1, 2.3):
        n = pairs_needed(effect, 1.0, power=0.9, level=0.99)
        assert power(effect, 1.0, n, level=0.99) >= 0.9 > power(effect, 1.0, n - 1, level=0.99)


def test_the_number_of_pairs_has_an_interval_of_its_own():
    """The standard deviation's, by simulation: the true number lies inside 95 times in 100."""
    rng, inside, truth = np.random.default_rng(0), 0, pairs_needed(0.4, 1.0)
    for _ in range(200):
        n, low, high = pairs_needed_between(0.4, rng.normal(size=6))
        assert low <= n <= high
        inside += low <= truth <= high
    assert abs(inside / 200 - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 200)
    assert pairs_needed_between(0.4, [1.0, -1.0, 0.0])[0] == pairs_needed(0.4, 1.0)


def test_the_smallest_mean_is_what_power_says():
    for n in (3, 5, 20):
        effect = smallest_mean(2.0, n)
        assert power(effect, 2.0, n) == pytest.approx(0.8, abs=1e-4)
    assert smallest_mean(0.0, 5) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: difference([1.0, 2.0], [1.0]),
        lambda: difference([1.0, 2.0], [1.0, 2.0], level=1.0),
        lambda: power(1.0, 0.0, 5),
        lambda: power(1.0, 1.0, 1),
        lambda: pairs_needed(0.0, 1.0),
        lambda: pairs_needed(math.nan, 1.0),
        lambda: pairs_needed(1.0, math.inf),
        lambda: pairs_needed(1.0, 1.0, power=0.04),
        lambda: pairs_needed_between(1.0, [1.0]),
        lambda: pairs_needed_between(1.0, [1.0, 1.0]),
        lambda: pairs_needed_between(1.0, [1.0, math.nan]),
        lambda: smallest_mean(-1.0, 5),
        lambda: smallest_mean(1.0, 1),
    ],
)
def test_bad_arguments_are_one_clear_error(call):
    with pytest.raises(BridgekitError):
        call()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_is_between_0_and_1(level):
    for ask in (
        lambda: power(1.0, 1.0, 5, level),
        lambda: difference([1.0, 2.0], [0.0, 0.0], level),
        lambda: pairs_needed(1.0, 1.0, level=level),
    ):
        with pytest.raises(BridgekitError, match="level is between 0 and 1"):
            ask()
