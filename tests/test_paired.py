"""Pseudo-values of a ratio of spreads: by hand, on average, in simulation, and where trials are missing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from bridgekit.claims import interval
from bridgekit.errors import BridgekitError
from bridgekit.paired import log_spread_ratio


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
