"""Paired seeds: differences, power, and pseudo-values of a ratio of spreads; by hand and in simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from bridgekit.claims import interval
from bridgekit.errors import BridgekitError
from bridgekit.paired import difference, log_spread_ratio, pairs_needed, power


def theta(a, b):
    return math.log(np.std(a, ddof=1) / np.std(b, ddof=1))


def pairs(rng, n, scales=(1.0, 2.0), common=0.0):
    """Two Gaussian samples with these standard deviations and a correlation of ``common``."""
    shared, own = rng.standard_normal(n), rng.standard_normal((2, n))
    z = math.sqrt(common) * shared + math.sqrt(1 - common) * own
    return 3 + scales[0] * z[0], -70 + scales[1] * z[1]


def test_three_trials_by_hand():
    # The variances are 1 and 7/3. That of two values u, v is (u - v)^2 / 2, so that without trial i the ratio
    # of the standard deviations is |a_j - a_k| / |b_j - b_k|.
    a, b = [1.0, 2.0, 3.0], [0.0, 1.0, 3.0]
    whole = 3 * 0.5 * math.log(3 / 7)
    by_hand = [whole - 2 * math.log(1 / 2), whole - 2 * math.log(2 / 3), whole - 2 * math.log(1 / 1)]
    found = log_spread_ratio(a, b)
    assert found == pytest.approx(by_hand, rel=1e-12)
    assert found.dtype == np.float64 and found.shape == (3,)


def test_five_trials_by_the_definition():
    a, b = pairs(np.random.default_rng(0), 5)
    for i, value in enumerate(log_spread_ratio(a, b)):
        rest = [k for k in range(5) if k != i]
        assert value == pytest.approx(5 * theta(a, b) - 4 * theta(a[rest], b[rest]), rel=1e-12)


def test_sign_units_and_level():
    a, b = pairs(np.random.default_rng(1), 8)
    found = log_spread_ratio(a, b)
    assert log_spread_ratio(b, a) == pytest.approx(-found)
    assert log_spread_ratio(5 * a, b) == pytest.approx(found + math.log(5))
    assert log_spread_ratio(a + 9, b - 4) == pytest.approx(found)
    assert log_spread_ratio(a, a) == pytest.approx(np.zeros(8))
    order = [3, 1, 7, 0, 2, 6, 5, 4]
    assert log_spread_ratio(a[order], b[order]) == pytest.approx(found[order])


@pytest.mark.parametrize(("n", "near"), [(10, 0.2), (100, 0.02), (1000, 0.002)])
def test_mean_is_close_to_theta(n, near):
    for seed in range(20):
        a, b = pairs(np.random.default_rng(seed), n)
        assert abs(log_spread_ratio(a, b).mean() - theta(a, b)) < near


def test_removes_most_of_the_bias():
    # The log of a standard deviation is too low by about (kurtosis - 1) / 4n: 5/80 for Laplace at n = 20, and
    # nearly nothing for random signs.
    rng, truth = np.random.default_rng(2), math.log(math.sqrt(2))
    draws = [(rng.laplace(size=20), rng.choice([-1.0, 1.0], 20)) for _ in range(2000)]
    plain = np.mean([theta(a, b) for a, b in draws]) - truth
    jackknifed = np.mean([log_spread_ratio(a, b).mean() for a, b in draws]) - truth
    assert -0.09 < plain < -0.04
    assert abs(jackknifed) < abs(plain) / 2


@pytest.mark.parametrize("common", [0.0, 0.8])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_interval_covers_the_truth(n, common):
    rng, covered = np.random.default_rng(3), 0
    for _ in range(300):
        _, low, high = interval(log_spread_ratio(*pairs(rng, n, (1.0, 3.0), common)))
        covered += low < math.log(1 / 3) < high
    assert 0.9 < covered / 300 < 0.99


def test_a_lost_trial_is_left_out():
    a, b = pairs(np.random.default_rng(4), 6)
    whole = log_spread_ratio(a[[0, 2, 3, 5]], b[[0, 2, 3, 5]])
    a[1], b[4] = np.nan, np.inf
    found = log_spread_ratio(a, b)
    assert np.isnan(found[[1, 4]]).all()
    assert found[[0, 2, 3, 5]] == pytest.approx(whole)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_too_few_trials(n):
    a, b = pairs(np.random.default_rng(5), n)
    if n > 2:
        a[2:] = np.nan
    found = log_spread_ratio(a, b)
    assert found.shape == (n,) and np.isnan(found).all()


@pytest.mark.parametrize("a", [[1.0, 1, 1, 1], [0.0, 1, 1, 1]])
def test_no_spread_has_no_logarithm(a):
    b = [1.0, 2, 4, 8]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(log_spread_ratio(a, b)).all()
        assert np.isnan(log_spread_ratio(b, a)).all()


@pytest.mark.parametrize(("a", "b"), [([1.0, 2], [1.0, 2, 3]), ([[1.0, 2, 3]], [[1.0, 2, 3]]), (1.0, 2.0)])
def test_other_shapes(a, b):
    with pytest.raises(BridgekitError, match="one value per trial"):
        log_spread_ratio(a, b)


def test_a_difference_by_hand_and_by_scipy():
    a, b = [1.0, 2.0, 3.0], [0.5, 1.9, 2.2]
    found, scipys = difference(a, b), stats.ttest_rel(a, b)
    assert found.mean == pytest.approx(1.4 / 3, rel=1e-12) and found.n == 3
    assert found.sd == pytest.approx(np.std([0.5, 0.1, 0.8], ddof=1), rel=1e-12)
    assert found.p == pytest.approx(scipys.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(scipys.confidence_interval()), rel=1e-9)
    assert (found.mean, found.low, found.high) == pytest.approx(interval(np.subtract(a, b)), rel=1e-9)
    assert str(found) == "+0.467 [-0.406, +1.34], p = 0.15 (n = 3)"


def test_a_difference_changes_its_sign_with_the_order_and_narrows_with_the_level():
    a, b = pairs(np.random.default_rng(1), 8)
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
