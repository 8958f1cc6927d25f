"""The functions that compute what the ledger decides: by hand, and so closely that every mutant fails."""

import math

import numpy as np
import pytest
import torch
from mutants import survivors

from bridgekit.errors import BridgekitError
from bridgekit.measure import (
    codes,
    estimators,
    finite,
    on_images,
    on_plane,
    paired,
    slopes,
    training,
    worst_case,
)

NAN, INF = math.nan, math.inf
AT = [0, 10, 20, 30, 40]
# Five evaluations of three trials: one wobbles and falls, one rises, one is lost from the fourth on.
CURVE = np.array([[9.0, 1, 4], [8, 2, 5], [3, 2, 6], [1, 3, NAN], [5, 5, NAN]], np.float32)


def same(found, wanted):
    """Equal to rounding, NaN where NaN is wanted, and of the same shape."""
    found = found.detach() if isinstance(found, torch.Tensor) else found
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-6)
    assert np.shape(found) == np.shape(wanted)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def refuses(function, *args, **options):
    """Whether it raises a BridgekitError."""
    try:
        function(*args, **options)
    except BridgekitError:
        return True
    return False


def gain(function):
    same(function([3.0, 1.0, NAN, 0.0], [1.0, 4.0, 0.0, NAN]), [2, -3, NAN, NAN])
    assert function(CURVE[0], CURVE[1]).dtype == np.float32
    assert refuses(function, [1.0, 2.0], [1.0]) and refuses(function, [[1.0]], [[1.0]])


def trend(function):
    gains = {0.1: [7.0, 5.0], 0.01: [4.0, NAN], 1.0: [1.0, 1.0]}
    same(function(gains), [3, NAN])


def wobble(function):
    late = [math.sqrt(((3 - 3) ** 2 + (1 - 3) ** 2 + (5 - 3) ** 2) / 2), math.sqrt(7 / 3), NAN]
    same(function(CURVE, AT, after=10), late)  # 10 itself is before it
    same(function(CURVE, AT, 19.5), late)
    same(function(CURVE, AT, after=20), [math.sqrt(8), math.sqrt(2), NAN])
    same(function(CURVE, AT, after=30), [NAN] * 3)  # one evaluation does not scatter
    same(function(CURVE, AT, after=99), [NAN] * 3)
    assert function(CURVE, AT, 10).dtype == np.float32


def stable(function):
    modes = np.array([[0, 20, 20, 20], [20, 19, 20, 20], [21, 25, 20, NAN]])
    found = function(modes, [5, 10, 15], since=10, wanted=20)  # 10 itself counts, and so do 20 modes
    assert found.dtype == bool and found.tolist() == [True, False, True, False]
    assert function(modes, [5, 10, 15], 11, 21).tolist() == [True, True, False, False]
    assert refuses(function, modes, [5, 10, 15], 16, 20)  # of nothing all is true


def after_a_fifth(function):
    same(function(CURVE), CURVE[1:]), same(function(CURVE[:4]), CURVE[:4])
    same(function(np.arange(19)), range(3, 19)), same(function(np.arange(20)), range(4, 20))


def at_rest(function):
    rest = np.array([8.0, 1, 9, 9, 9, -9, 10, 10, 12, 10, 10])[
        :, None
    ]  # two evaluations a fifth, the last ones
    same(function(rest), [10])  # medians 11 and 10: a difference of 1 in 11
    same(function(rest, 0.0909), [NAN]), same(function(-rest, within=0.091), [-10])
    short = np.array([[0.0, 0, NAN], [0, 0, 0], [0, 1, 0], [1, 5, 0], [1.05, 4, NAN]], np.float32)
    same(function(short), [1.05, NAN, NAN]), same(function(short, 0.5), [1.05, 4, NAN])
    same(function(short, 0.2), [1.05, NAN, NAN])  # a difference of the bound itself is no rest
    same(function(short[:4]), [NAN] * 3)
    assert function(short).dtype == np.float32


def late(function):
    at = np.arange(40.0)[:, None]
    same(function(at, 0.2), at[32:]), same(function(at, share=0.5), at[20:])
    same(function(at[:7], 0.2), [[6]]), same(function(at[:8], 0.2), at[6:8])  # 1.4 and 1.6 of them
    same(function(at[:2], 0.2), [[1]])  # one at least


def late_median(function):
    same(function(CURVE, 0.6), [3, 3, NAN]), same(function(CURVE[:3], 0.7), [5.5, 2, 5.5])
    assert function(CURVE, 0.2).dtype == np.float32


# Two curves of three trials, above 0: where both have come to rest, ten times, a tenth and an unknown share.
REST = np.array([[3.0, 1, 1], [7, 1, 1], [100, 3, 1], [100, 2, 1], [100, 1, 1]])
OTHER = np.array([[1.0, 5, 1], [1, 9, 1], [1, 3, 1], [0.1, 20, 1], [10, 10, 2]])


def orders(function):
    middle, least = function(REST, OTHER, 0.6)
    same(middle, [2, -1, 0]), same(least, [1, -1, -math.log10(2)])
    middle, least = function(REST, OTHER, share=0.2)
    same(middle, least), same(least, [1, -1, -math.log10(2)])
    below = np.array([[1, 1, 1], [1, 1, NAN]])
    same(function(REST[-2:], below, 1.0), [[2, math.log10(2) / 2, NAN], [2, 0, NAN]])


AT_REST = np.array([[9.0, 9, 9], [1, 1, 9], [8, 8, 9], [1, 2, 1], [1, 2, 2]])


def log_over(function):
    same(function(8 * AT_REST, AT_REST), [math.log(8), math.log(8), NAN])
    same(function(AT_REST, 4 * AT_REST[:, ::-1]), [NAN, -math.log(4), NAN])
    same(function(AT_REST[:4], AT_REST[:4]), [NAN] * 3)


OTHERS = [AT_REST[:, :2] * [4, 1 / 4], AT_REST[:, :2] * [1 / 2, 1 / 2]]


def log_over_most(function):
    same(function(AT_REST[:, :2], OTHERS), [-math.log(4), math.log(2)])
    same(function(AT_REST, [AT_REST, 3 * AT_REST[:, ::-1]]), [NAN, -math.log(3), NAN])


def log_over_least(function):
    same(function(AT_REST[:, :2], OTHERS), [math.log(2), math.log(4)])
    same(function(AT_REST, [AT_REST, AT_REST[:, ::-1] / 3]), [NAN, math.log(3), NAN])


def lost(function):
    score = np.array([[NAN, 1, NAN, 1, 1], [NAN, NAN, NAN, NAN, 1], [1, 1, 1, NAN, 1]])
    other = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, -INF, 1, 1]])
    modes = np.array([[9, 9, 9, 9, 9], [1, 9, 9, 9, 9], [3, 2, 9, 9, NAN]])
    same(function([score, other], modes), [0, 1, 1, 1, 1])
    same(function([score, other], modes, few=1), [0, 0, 1, 1, 1])


def deepest_fall(function):
    same(function(CURVE, 0), [8, -1, NAN])
    same(function(CURVE, 1), [7, 0, NAN])
    same(function(CURVE, 3), [-4, -2, NAN])


def share_kept(function):
    modes = np.array([[4.0, 0, 4, 2, -1], [1, 0, 5, 0, -1], [3, 2, 9, 1, -1]], np.float32)
    same(function(modes, 0), [0.25, NAN, 1.25, 0, NAN])  # nothing covered: nothing to keep
    same(function(modes, 1), [3, NAN, 1.8, NAN, NAN])
    assert function(modes, 0).dtype == np.float32


def fall(function):
    same(function(CURVE), [4, -4, NAN])
    same(function(CURVE, 2), [6, -1, -2])
    same(function(torch.from_numpy(CURVE), end=1), [1, -1, -1])


def share_lost(function):
    same(function(CURVE[:, :2]), [4 / 9, -4])
    same(function(CURVE[:, :2], floor=-3.0), [4 / 12, -4 / 4])
    same(function(CURVE, 1.0 / 2, end=2), [6 / 8.5, -1 / 0.5, -2 / 3.5])
    same(function(torch.from_numpy(CURVE[:, :2]), -3.0, 3), [8 / 12, -2 / 4])


def kept(function):
    same(function([0.9, 0.5, 0.1, NAN], [0.1, 0.1, 0.5, 0.1], 1.0), [8 / 9, 4 / 9, -0.8, NAN])
    same(function([3.0, 0.0, 5.0], [4.0, 4.0, 4.0], 0.0), [0.25, 1, -0.25])  # distances: the whole is none
    same(function(np.array([[1.0, 3], [2, 4]]), [2.0, 4.0], 6), [[-0.25, -0.5], [0, 0]])
    same(function([1.0, 0.5], [1.0, 1.0], 1.0), [NAN, NAN])


def of_the_next(function):
    def less(one, other):
        return other - one

    same(function(less, [1.0, 2.0, 4.0], [10.0, 20.0, 50.0]), [19, 48, 6])
    found = function(less, np.array([[1.0, 2], [3, 4]]), np.array([[5.0, 7], [9, NAN]]))
    same(found, [[8, NAN], [2, 3]])
    assert isinstance(found, np.ndarray) and refuses(function, less, [1.0], [2.0])


def moved(function):
    same(function(CURVE, CURVE + np.array([2, -3, 1])), [2, 3, NAN])
    same(function(CURVE, CURVE[:1]), [4, 4, NAN])


def over_settings(function):
    same(function([[True, False, True], [True, True, NAN]], 3), [1, 0.5, NAN])
    same(function([], 2), [NAN, NAN])


def at_stop(function):
    held = np.array([[1.0, 5, NAN], [3, 4, NAN], [3, NAN, NAN], [2, 6, -INF]])
    test = np.array([[9.0, 8, 7], [1, 2, 3], [4, 5, 6], [7, 7, 7]])
    curves = {"held_elbo": held, "held": -held, "test_elbo": test, "at": np.arange(4)}
    same(function(curves, "test_elbo", by="held_elbo"), [1, 7, NAN])
    same(function(curves, "at", "held_elbo"), [1, 3, NAN])
    same(function(curves, "test_elbo", by="held"), [9, 2, NAN])  # the least of the bounds
    assert refuses(function, curves, "at", by="test_elbo") and refuses(function, curves, "at", by="at")


def best_setting(function):
    scores = {"a": [1.0, 3.0], "b": [9.0, NAN], "c": [2.5, 2.5], "d": [5.0, 0.0]}
    assert function(scores) == "c"  # "d" has the same mean, and comes later
    assert function(scores | {"e": [0.0, 7.0]}) == "e" and function(scores | {"f": [INF, 9.0]}) == "c"
    assert function({"a": [1.0, 1.0, 1.0], "b": [2.0]}) == "b" and function({"b": [NAN]}) is None


def halfway(function):
    course = np.array([[0, 0, 0, 2], [1, 1.7, 0, 2], [2, 3, NAN, 2], [3, 3, 1, 2], [4, 4, 1, 2]])
    same(function(course, [0.1, 0.2, 0.4, 0.8, 1.0]), [0.4, 0.4, NAN, 0.1])


def quickest(function):
    course = np.array([[0.0, 0, 0], [1, 3, 0], [2, 1, NAN], [4, 4, 1]])
    same(function(course), [0.5, 0.75, NAN]), same(function(-course[:, :1]), [0.5])


def typical(function):
    assert function([5.0, 1.0, 3.0]) == 2 and function([4.0, 1.0, 3.0, 2.0]) == 3
    assert function([NAN, 1.0, 3.0]) == 2 and function([2.0, 2.0]) == 0 and function([7.0]) == 0
    assert type(function([1.0])) is int


# Two trials: the first is sure enough from the third evaluation on, the second once of each alone.
LOGITS = {
    "real": np.array([[1.0, 3], [2, 0], [2, 1], [3, 2.5]]),
    "fake": np.array([[-3.0, 0], [-1, -2], [-2, -9], [-2, -1.5]]),
}


def sure(function):
    found = function(LOGITS["real"], LOGITS["fake"], 2)
    assert found.T.tolist() == [[False, False, True, True], [False] * 4]
    assert function(np.array([NAN, 9.0]), np.array([-9.0, NAN]), 2).tolist() == [False, False]


def first_sure(function):
    curves = LOGITS | {"here": np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)}
    found = function(curves, 2)
    same(found["here"], [5, NAN]), same(found["real"], [2, NAN]), same(found["fake"], [-2, NAN])
    same(function(curves, odds=1.5)["here"], [5, 8]), same(function(curves, 2.5)["here"], [NAN, NAN])
    assert found["here"].dtype == np.float32


def power(function):
    x = np.array([1.0, 2, 4])[:, None]
    same(function(x, x ** [-1.0, 2] * 7), [-1, 2])
    same(function(x, np.array([[8.0, NAN], [2, 1], [2, 1]])), [-1, NAN])
    y = np.array([[1.0, 1], [8, 1], [16, 2]])  # by logarithms to base 2: 0, 3, 4 and 0, 0, 1
    same(function(x, y), [2, 0.5]), same(function(np.array([[1.0], [1], [4]]), y[:, :1]), [1.25])
    same(function(x * [1, 3], y * [5, 6]), [2, 0.5])


def mean_over(function):
    values, due = np.array([[2.0, 1, 3, 1], [9, 1, 1, 1]]), np.array([[1.0, 2, 0, -1], [3, 4, 1, 1]])
    same(function(values, due), [2.5, 0.375, NAN, NAN])


def geometric_over(function):
    values, due = np.array([[2.0, 1, 3, 1], [24, 1, 1, 1]]), np.array([[1.0, 2, 0, -1], [3, 8, 1, 1]])
    same(function(values, due), [4, 0.25, NAN, NAN])


def directions(function):
    z, has = (
        tensor([1, 0], [3, 0], [0, 5], [0, 7], [3, 3]),
        tensor([1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]),
    )
    same(function(z, has.long())[:2], [[1, -5], [-1.5, -5 / 6]])
    assert function(z, has)[2].isnan().all() and not function(z.requires_grad_(), has).requires_grad
    assert function(z, has)[2].shape == (2,)


def edited(function):
    before = tensor([0, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 1])
    after = tensor([1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1])
    same(function(before, after, 0), [0.75, 0.75])  # of the four that lack it; two of eight answers changed
    same(function(before, after, 2), [0, 0.5])
    same(function(torch.ones(2, 2), torch.ones(2, 2), 0), [NAN, NAN])
    assert all(type(share) is float for share in function(before, after, 0))
    after[0] = NAN
    same(function(before, after, 0), [NAN, NAN])


class Finder:
    """A classifier whose logits are the images; of two classes, or of attributes."""

    def __init__(self, *classes):
        self.classes = classes

    def logits(self, x):
        return x.flatten(1)


def seen(function):
    x = tensor([0.5, -0.5], [-0.9, -0.1], [0.0, 0.25], [NAN, 0.5])[..., None, None]
    same(function(Finder("a", "b"), x), [[0], [1], [1], [NAN]])
    same(function(Finder(), x), [[1, 0], [0, 0], [0, 1], [NAN, NAN]])
    found = function(Finder(), x.float().requires_grad_())
    assert found.dtype == torch.float64 and not found.requires_grad


def agreement(function):
    one, other = tensor([3, 0], [1, 1], [2, 1], [2, 0]), tensor([3, 1], [2, 1], [2, 1], [2, 0])
    same(function(one, other), [0.75, 0.75]), same(function(one[:2], other[:2]), [0.5, 0.5])
    for pair in (
        (one, tensor([3, 0], [1, NAN], [2, 1], [2, 0])),
        (tensor([3, 0], [1, NAN], [2, 1], [2, 0]), one),
    ):
        same(function(*pair), [1, NAN])
    assert function(one, other).dtype == torch.float64


def share_below(function):
    a, b = tensor(1, 2, 3, 4), tensor(2, 2, 2, 9)
    same(function(a, b), 0.5), same(function(b, a), 0.25), same(function(a, 4.0), 0.75)
    same(function(a, tensor(2, 2, NAN, 2)), NAN)


def log_variance_ratio(function):
    same(function(tensor(1, 4, INF), tensor(2, 1, 1)), [-math.log(2), math.log(4), INF])


def log_excess(function):
    same(function(tensor(1, 2, 6), tensor(2, 2, 2)), 1)
    same(function(tensor(1, NAN), tensor(0, 0)), NAN)


def lowest(function):
    found = function(tensor(1, 3, 3, 2, 1, NAN), tensor(2, 2, 4, 2, 9, 1), tensor(4, 4, 2, 9, NAN, 1))
    same(found, [1, 0, 0, 0, NAN, NAN])


def combination_gain(function):
    e = math.exp
    forward, reverse = tensor([e(4), e(0)], [e(1), e(1)]), tensor([e(1), e(5)], [e(9), e(0)])
    combination = tensor([e(0), e(1)], [e(3), e(1)])
    same(function(forward, reverse, combination), [1.5, -1])
    same(function(reverse[0], forward[0], combination[0]), 1.5)


def in_winning_band(function):
    forward, reverse = tensor(4.0), tensor(1.0)  # below both from log 3/2 on, with no other end
    odds = tensor(1.4, 1.6, 30).log()
    assert function(odds, forward, reverse).tolist() == [False, True, True]
    assert function(-odds, reverse, forward).tolist() == [False, True, True]
    for pair in ((forward, reverse), (reverse, forward)):
        assert not function(torch.stack(estimators.winning_band(*pair)), *pair).any()


def lowest_member(function):
    wins = torch.tensor([[[1, 1, 0], [1, 0, 0]], [[1, 0, 1], [0, 1, 1]]], dtype=torch.bool)
    assert function(wins, tensor([5, 1], [3, 4])) == 2
    assert function(wins, tensor([5, 1], [6, 4])) == 3 and function(wins, tensor([-5, 1], [3, 4])) == 0


# Two codes of two trials: at the last evaluation they are 5 and 0 from the first, 2 and 6 from the second.
CLOUDS = np.array(
    [[[[0, 0], [0, 6]], [[0, 0]] * 2], [[[3, 2], [0, 0]], [[1, 0]] * 2], [[[3, 4], [0, 6]], [[INF, 0]] * 2]]
)


def drift(function):
    first, second, last = torch.from_numpy(CLOUDS)
    same(function(last, first), [2.5, NAN]), same(function(second, last), [4, NAN])
    same(function(second[1].requires_grad_(), first[1]), 1)


def drift_since(function):
    same(function(CLOUDS, 0), [2.5, NAN]), same(function(CLOUDS, 1), [4, NAN])
    same(function(CLOUDS[:2], start=0), [(math.sqrt(13) + 6) / 2, 1])
    assert isinstance(function(CLOUDS, 0), np.ndarray)


def mixture_distances(function):
    target, one, other = tensor([3, 0], [4, 2]), tensor([0, 0], [0, 1]), tensor([3, 4], [4, 2])
    same(function(target, one, other, tensor(0, 1)), [[1, 0.5], [0, 2]])
    same(function(target, one, other, tensor(0.75)), [[0.25, math.hypot(3, 0.25) / 2]])
    lost = function(target, one, tensor([3, NAN], [4, 2]), tensor(0, 1))
    same(lost, [[1, NAN], [0, NAN]])
    same(function(target[:, 0], one[:, 0], other[:, 0], tensor(0.5)), [0.5])


def root_mean_square(function):
    same(function(tensor([[3, -4], [0, 0]], [[1, 1], [-1, 1]], [[1, 1], [1, NAN]])), [2.5, 1, NAN])
    same(function(tensor([3, -4, 0, 0])), [2.5])


def distance_back(function):
    points = tensor([0, 0], [3, 4], [0, 0])  # two pairs are 5 apart, one 0: 10/3 on average
    same(function(points, points), 0)
    back = torch.stack([points, points + tensor(0, 2), tensor([0, 1], [3, 4], [NAN, 0])])
    same(function(back, points), [0, 2 / (10 / 3), NAN])


def relative(function):
    error, one, two = tensor([3, 0], [4, 0]), tensor([0, 6], [-8, 8]), tensor([2, 0], [0, 1])
    same(function(error, one, dim=0), [5 / 8, 0])
    same(function(error, one, two, dim=0), [5 / 10, 0])
    same(function(error, error), 1)
    same(function(error, two), 5 / math.sqrt(5))


def relative_errors(function):
    a, b = (
        torch.tensor([[3.0], [1.0]], requires_grad=True),
        torch.tensor([[[1.0], [2]], [[2], [1]]], requires_grad=True),
    )
    theirs = (
        a[:, 0] * b.sum((1, 2))
    ) ** 2 / 2  # 81/2 and 9/2; slopes are 9 times (3, 3, 3) and 3 times (3, 1, 1)
    value, slope = function(1.5 * theirs, theirs, [a, b])
    same(value, [0.5, 0.5]), same(slope, [0.5, 0.5])
    value, slope = function(theirs + 7, theirs, [a, b], 7.0)
    same(value, [0, 0]), same(slope, [0, 0])
    value, slope = function(theirs - 4.5, theirs, [a, b])
    same(value, [1 / 9, 1]), same(slope, [0, 0])
    assert not value.requires_grad
    value, slope = function(theirs + a[:, 0], theirs, [a, b], tensor(3.0, 1.0))
    same(value, [0, 0]), same(slope, [1 / 27 / math.sqrt(3), 1 / 3 / math.sqrt(11)])


def largest(function):
    assert function(1.0, tensor([-3, 2]), np.array([0.5])) == 3.0 and function(tensor(4.0), -1e-9) == 4.0
    assert function(1.0 + 1e-12) == 1.0 + 1e-12 and isinstance(function(1.0), float)  # float64 throughout
    for lost in ((1.0, NAN), (NAN, 1.0), (tensor(1, NAN), 2.0)):
        assert math.isnan(function(*lost))
    assert function(torch.ones(2, requires_grad=True)) == 1.0


def smallest(function):
    assert function(1.0, tensor([-3, 2])) == -3.0 and function(np.array([4.0]), 1 + 1e-12) == 1 + 1e-12
    assert isinstance(function(1.0), float)
    assert math.isnan(function(1.0, NAN)) and math.isnan(function(NAN, 1.0))
    assert function(torch.ones(2, requires_grad=True)) == 1.0


ORACLES = {
    paired.gain: gain,
    training.trend: trend,
    training.wobble: wobble,
    training.stable: stable,
    training.after_a_fifth: after_a_fifth,
    training.at_rest: at_rest,
    training.late: late,
    training.late_median: late_median,
    training.orders: orders,
    training.log_over: log_over,
    training.log_over_most: log_over_most,
    training.log_over_least: log_over_least,
    training.lost: lost,
    training.deepest_fall: deepest_fall,
    training.share_kept: share_kept,
    training.fall: fall,
    training.share_lost: share_lost,
    training.kept: kept,
    training.of_the_next: of_the_next,
    training.moved: moved,
    training.over_settings: over_settings,
    training.at_stop: at_stop,
    training.best_setting: best_setting,
    training.halfway: halfway,
    training.quickest: quickest,
    training.typical: typical,
    slopes.sure: sure,
    slopes.first_sure: first_sure,
    slopes.power: power,
    slopes.mean_over: mean_over,
    slopes.geometric_over: geometric_over,
    codes.directions: directions,
    codes.edited: edited,
    on_images.seen: seen,
    on_images.agreement: agreement,
    finite.share_below: share_below,
    estimators.log_variance_ratio: log_variance_ratio,
    estimators.log_excess: log_excess,
    estimators.lowest: lowest,
    estimators.combination_gain: combination_gain,
    estimators.in_winning_band: in_winning_band,
    estimators.lowest_member: lowest_member,
    on_plane.drift: drift,
    on_plane.drift_since: drift_since,
    estimators.mixture_distances: mixture_distances,
    estimators.root_mean_square: root_mean_square,
    on_plane.distance_back: distance_back,
    worst_case.relative: relative,
    worst_case.relative_errors: relative_errors,
    worst_case.largest: largest,
    worst_case.smallest: smallest,
}
# Mutants (by their changed line) that are the same function, and why.
FLAT = "return {}torch.cat([torch.as_tensor(part, dtype=torch.float64){}.flatten() for part in parts])"
EQUIVALENT = {
    paired.gain: {
        "return values": "only its checks are used",
        "return -np.stack(values)": "only its checks are used",
        "shapes = ' and '": "words of an error",
        "if values[1].ndim != 1 or values[0].shape != values[1].shape:": "equal shapes have equal ndim",
    },
    training.moved: {
        "def moved(default: np.ndarray, curve: np.ndarray) -> np.ndarray:": "symmetric",
    },
    training.at_rest: {"return -np.full(curve.shape[1:], np.nan)": "NaN has no sign"},
    on_images.agreement: {"def agreement(other: Tensor, one: Tensor) -> Tensor:": "symmetric"},
    on_plane.drift: {"def drift(start: Tensor, samples: Tensor) -> Tensor:": "symmetric"},
    estimators.combination_gain: {
        "def combination_gain(reverse: Tensor, forward: Tensor, combination: Tensor) -> Tensor:": "symmetric"
    },
    worst_case.relative_errors: {
        "mine, known = (torch.cat([g.flatten(1) for g in torch.autograd.grad(side.mean(), parameters, "
        "retain_graph=True)], 1) for side in (ours, theirs))": "both sides are divided by T"
    },
    worst_case.largest: {
        FLAT.format("", ""): "all is on the CPU here",
        FLAT.format("-", ".cpu()"): "of sizes the sign is lost; smallest has it",
    },
    worst_case.smallest: {FLAT.format("", ""): "all is on the CPU here"},
}
every = pytest.mark.parametrize("function", list(ORACLES), ids=lambda function: function.__name__)


@every
@pytest.mark.filterwarnings("error", "ignore::ResourceWarning")  # of sockets elsewhere
def test_by_hand(function):
    ORACLES[function](function)


@every
@pytest.mark.filterwarnings("error", "ignore::ResourceWarning")  # a mutant that warns has failed
def test_every_mutant_fails(function):
    assert survivors(ORACLES[function], function) == EQUIVALENT.get(function, {}).keys()
