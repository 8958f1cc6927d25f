"""What is made of NaN stays NaN: comparisons, the best of several, the first of several, means."""

import math

import numpy as np
import pytest
import torch

from bridgekit.measure import finite

NAN = math.nan


def same(found, wanted) -> bool:
    """Equal, NaN where NaN is wanted."""
    return np.array_equal(np.asarray(found, dtype=float), np.asarray(wanted, dtype=float), equal_nan=True)


def test_a_comparison_with_nan_is_neither_true_nor_false():
    a, b = torch.tensor([1.0, 3.0, NAN, 1.0, NAN, 2.0]), torch.tensor([2.0, 2.0, 2.0, NAN, NAN, 2.0])
    assert same(finite.below(a, b), [1, 0, NAN, NAN, NAN, 0])
    assert same(finite.below(a, 2.0), [1, 0, NAN, 1, NAN, 0])
    assert same(finite.below(-math.inf, torch.tensor([[math.inf], [NAN]])), [[1], [NAN]])
    assert math.isnan(finite.below(a, b).mean())
    assert finite.below(a.double(), 0.0).dtype == torch.float64 and finite.below(a, 0.0).dtype == a.dtype


@pytest.mark.parametrize(
    ("scores", "values", "wanted"),
    [
        ([1.0, 3.0, 2.0], [10, 20, 30], 20),
        ([NAN, 1.0, math.inf], [10, 20, 30], 20),  # infinite is not measured either
        ([NAN, NAN], [10, 20], NAN),
        ([[1.0, NAN], [2.0, NAN]], [[10, 20], [30, 40]], [30, NAN]),
        ([[1.0, 5.0], [2.0, NAN]], [10, 20], [20, 10]),
        ([1.0, 2.0], [[10, NAN], [20, NAN]], [20, NAN]),
        ([NAN, NAN], [[10, 1], [20, 2]], [NAN, NAN]),
    ],
)
def test_the_value_at_the_best(scores, values, wanted):
    assert same(finite.at_best(scores, values), wanted)


def test_values_keep_their_kind():
    assert finite.at_best([1.0, 2.0], np.array([0.1, 0.2], np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("holds", "wanted"),
    [([0, 1, 1], 20), ([1, NAN, 0], 10), ([0, NAN, 1], NAN), ([0, 0, 0], NAN), ([NAN, 0, 0], NAN), ([], NAN)],
)
def test_the_first_time(holds, wanted):
    assert same(finite.first(np.array(holds), np.array([10, 20, 30])), wanted)


def test_the_mean_of_what_is_there():
    assert same(finite.mean([[1, 3], [NAN, 4], [NAN, NAN], [math.inf, 2]]), [2, 4, NAN, 2])
    assert same(finite.mean([[1, NAN], [3, NAN]], axis=0), [2, NAN])


def test_quantiles_are_numpys_where_all_is_finite():
    values = np.random.default_rng(0).normal(size=(3, 7, 2))
    for axis in range(3):
        ours = finite.quantiles(values, [0.0, 0.2, 0.5, 1.0], axis)
        np.testing.assert_allclose(ours, np.quantile(values, [0.0, 0.2, 0.5, 1.0], axis))


@pytest.mark.parametrize("lost", [np.nan, -np.inf, np.inf])
def test_what_is_lost_is_the_worst_in_every_quantile(lost):
    values = [3.0, lost, 1.0, 2.0, lost]
    found = finite.quantiles(values, [0.0, 0.3, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(found, [-np.inf, -np.inf, 1.0, 2.0, 3.0])
    assert np.isneginf(finite.quantiles([lost, lost], [0.5])).all()
