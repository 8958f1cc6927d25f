"""Every kind of interval keeps its promise where it is offered, and says nothing where n is too small."""

import itertools
import math

import numpy as np
import pytest

from bridgekit.errors import BridgekitError
from bridgekit.measure import intervals

NAN = math.nan
SIZES = (3, 5, 10, 40)
DRAWS = 1200
NOMINAL = (1 - intervals.LEVEL) / 2
MEANS = {"Gaussian": 0.0, "log-normal": math.exp(0.5) - 1, "one collapse in ten": 0.9 * 0.13971 - 2}


def draw(shape, rng, size):
    """One value per trial; the median of every shape is 0, its mean in MEANS."""
    x = rng.normal(size=size)
    if shape == "log-normal":
        return np.exp(x) - 1
    if shape == "one collapse in ten":
        return np.where(rng.random(size) < 0.1, -20 + 5 * x, x + 0.13971)  # 0.9 Phi(-0.13971) + 0.1 = 0.5
    return x


def vectors_of(kind, shape, n, rng):
    """A sample whose true number is the second."""
    if kind == "share":
        return [(rng.random(n) < 0.1).astype(float)], 0.1
    if kind == "change":  # both methods change by the same
        return [draw(shape, rng, n) + shift for shift in (1, 0, 0, 1)], 0.0
    if kind == "spread":
        return [draw(shape, rng, n) for _ in range(2)], 0.0
    return [draw(shape, rng, n)], MEANS[shape] if kind == "mean" else 0.0


def errors(kind, shape, n):
    """How often the interval lies above the truth, and below it: two shares."""
    rng, above, below = np.random.default_rng([n, *map(ord, kind + shape)]), 0, 0
    for _ in range(DRAWS):
        vectors, truth = vectors_of(kind, shape, n, rng)
        _, low, high = intervals.estimate(kind, vectors)
        above, below = above + (low > truth), below + (high < truth)
    return above / DRAWS, below / DRAWS


def offered(kind, shape, n):
    return shape in intervals.KINDS[kind].shapes and intervals.reaches(kind, n)


@pytest.fixture(scope="module")
def simulated():
    """{(kind, shape, n): the error on each side}, printed as a table (pytest -s)."""
    print(f"\n{'kind':8s}{'shape':22s}{'n':>3s}   above   below   (nominal {NOMINAL:.3f} on each side)")
    found = {}
    for kind, shape, n in itertools.product(intervals.KINDS, intervals.ANY, SIZES):
        said = f"{kind:8s}{shape:22s}{n:3d}"
        if not intervals.reaches(kind, n):
            print(f"{said}   n too small")
            continue
        found[kind, shape, n] = sides = errors(kind, shape, n)
        print(
            f"{said}   {sides[0]:.3f}   {sides[1]:.3f}{'' if offered(kind, shape, n) else '   not offered'}"
        )
    return found


def test_an_interval_errs_no_more_than_it_says_where_it_is_offered(simulated):
    for (kind, shape, n), sides in simulated.items():
        if offered(kind, shape, n):
            assert max(sides) <= 1.5 * NOMINAL, (kind, shape, n, sides)


def test_the_mean_is_not_offered_where_it_errs(simulated):
    for shape in ("log-normal", "one collapse in ten"):
        assert not any(offered("mean", shape, n) for n in SIZES)
        assert all(max(simulated["mean", shape, n]) > 1.5 * NOMINAL for n in SIZES)


@pytest.mark.parametrize("kind", ["median", "spread", "change"])
def test_an_interval_that_n_is_too_small_for_is_infinite(kind):
    few = [np.arange(5.0)] * intervals.KINDS[kind].vectors[-1]
    assert intervals.estimate(kind, few)[1:] == (-math.inf, math.inf)


def test_the_mean_is_students():
    mean, low, high = intervals.estimate("mean", [[1.0, 2.0, 3.0]])
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)  # Student's t at 97.5 %, two degrees of freedom
    assert mean == 2 and high - mean == pytest.approx(quantile / math.sqrt(3), rel=1e-12)
    assert mean - low == pytest.approx(high - mean, rel=1e-12)
    paired = intervals.estimate("mean", [[2.0, 4.0, 6.0], [1.0, 2.0, 3.0]])
    assert paired == (mean, low, high)


@pytest.mark.parametrize("values", [[4.0], [4.0, NAN], [1.0, 2.0, NAN]])
def test_a_mean_of_one_trial_or_with_a_lost_one_has_no_interval(values):
    assert intervals.estimate("mean", [values])[1:] == (-math.inf, math.inf)


def test_the_median_is_the_sign_tests():
    values = np.arange(1.0, 11.0)
    # 10 tosses: 2 P(at most 1) = 22 / 1024 = 0.021, 2 P(at most 2) = 0.109: the second and the ninth.
    assert intervals.estimate("median", [values[::-1]]) == (5.5, 2, 9)
    assert intervals.estimate("median", [values[:6]]) == (3.5, 1, 6)
    assert intervals.estimate("median", [values[:5]]) == (3, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("worst", "interval"), [(intervals.LOW, (-math.inf, 6)), (intervals.HIGH, (1, math.inf))]
)
def test_a_lost_trial_counts_as_the_worst(worst, interval):
    values = [1.0, 2.0, 3.0, NAN, 5.0, 6.0]
    assert intervals.estimate("median", [values], worst=worst)[1:] == interval


def test_a_lost_trial_of_the_first_counts_against_it_and_of_the_second_for_it():
    ours, theirs = np.zeros(8), np.ones(8)
    ours[0], theirs[1], ours[2], theirs[2] = NAN, NAN, NAN, NAN
    low, high = intervals.LOW, intervals.HIGH
    found = [ends.tolist() for ends in intervals._ends([ours, theirs], low)]
    assert found == [[low, high, low, *[-1] * 5], [low, high, high, *[-1] * 5]]
    found = [ends.tolist() for ends in intervals._ends([ours, theirs], high)]
    assert found == [[high, low, low, *[-1] * 5], [high, low, high, *[-1] * 5]]


@pytest.mark.parametrize("kind", ["median", "spread"])
def test_trials_that_both_methods_lost_say_nothing(kind):
    """As ties they would decide: every trial lost, and 'above -0.5' would hold."""
    lost = np.full(14, NAN)
    assert intervals.estimate(kind, [lost, lost])[1:] == (-math.inf, math.inf)
    most = np.where(np.arange(14) < 13, NAN, 1.0)
    assert intervals.estimate(kind, [most, most])[1:] == (-math.inf, math.inf)


def test_where_a_bound_has_two_sides_a_lost_trial_lies_beyond_either():
    values = [1.0, 2.0, 3.0, NAN, 5.0, 6.0]
    assert intervals.estimate("median", [values], worst=intervals.EITHER)[1:] == (-math.inf, math.inf)
    found = intervals._ends([np.array([NAN, 1.0]), np.array([1.0, NAN])], intervals.EITHER)
    assert [ends.tolist() for ends in found] == [[-math.inf, -math.inf], [math.inf, math.inf]]


def test_a_share_is_clopper_and_pearsons():
    share, low, high = intervals.estimate("share", [[0.0] * 10])
    assert (share, low) == (0, 0) and (1 - high) ** 10 == pytest.approx(0.025)
    share, low, high = intervals.estimate("share", [[1.0] * 3 + [0.0] * 7])

    def at_most(k, p):
        return sum(math.comb(10, i) * p**i * (1 - p) ** (10 - i) for i in range(k + 1))

    assert at_most(3, high) == pytest.approx(0.025) and 1 - at_most(2, low) == pytest.approx(0.025)
    assert intervals.estimate("share", [[NAN] * 10], worst=intervals.HIGH)[0] == 1
    ends = [intervals.estimate("share", [[lost] + [0.0] * 9])[1:] for lost in (0.0, 1.0)]
    either = intervals.estimate("share", [[NAN] + [0.0] * 9], worst=intervals.EITHER)[1:]
    assert either == (ends[0][0], ends[1][1])
    with pytest.raises(BridgekitError, match="each value is 0 or 1"):
        intervals.estimate("share", [[0.5]])


def test_the_spread_compares_trials_of_the_same_two_seeds():
    a = np.tile([0.0, 1.0], 8)
    b = np.tile([0.0, 3.0], 8)
    assert intervals.estimate("spread", [a, b]) == (-2, -2, -2)
    b[0] = NAN
    value, low, high = intervals.estimate("spread", [a, b])
    assert (value, low, high) == (-2, -math.inf, -2)
    assert intervals.estimate("spread", [b, a])[1:] == (2, math.inf), (
        "the first method's loss counts against it"
    )
    assert intervals.estimate("spread", [a[:10], b[:10]])[1:] == (-math.inf, math.inf)  # five pairs


def test_a_change_is_of_sizes_and_not_of_signs():
    at_one, at_other = np.full(10, 5.0), np.full(10, 3.0)
    assert intervals.estimate("change", [at_other, at_one, at_one, at_one]) == (2, 2, 2)
    assert intervals.estimate("change", [at_one, at_other, at_other, at_one]) == (0, 0, 0)
    around = np.arange(10) - 4.5  # its median's interval holds 0, at most 4.5 away
    value, low, high = intervals.estimate("change", [around, np.zeros(10), at_one, at_other])
    assert value == -2 and low == -2 and high == pytest.approx(1.5)


def test_a_method_that_loses_trials_is_not_undisturbed():
    """Some lost at one end and others at the other would cancel, were each the worst score there is."""
    here, there = np.zeros(40), np.zeros(40)
    here[:8], there[8:16] = NAN, NAN
    calm = [np.full(40, 1.0), np.full(40, 0.0)]
    before = intervals.estimate("change", [np.zeros(40), np.zeros(40), *calm])
    value, low, high = intervals.estimate("change", [here, there, *calm])
    assert before == (-1, -1, -1) and high == math.inf > before[2], "it no longer holds"
    # Falling by 4 with some lost on one side: disturbed by 4 or more, not by less.
    fallen = np.full(40, -4.0)
    fallen[:12] = NAN
    assert intervals.estimate("change", [fallen, np.zeros(40), *calm])[1] >= 3


def test_what_was_lost_at_both_ends_of_a_change_says_nothing():
    lost = np.full(40, NAN)
    assert intervals.estimate("change", [lost, lost, np.ones(40), np.zeros(40)])[1:] == (-1, math.inf)


def test_a_noisy_method_is_not_disturbed_by_being_noisy():
    """Absolute differences trial by trial would call it so: their mean is far from 0 without any change."""
    rng = np.random.default_rng(0)
    noisy, calm = (rng.normal(size=(2, 40)) * scale for scale in (10, 0.1))
    assert np.abs(noisy[0] - noisy[1]).mean() - np.abs(calm[0] - calm[1]).mean() > 5
    _, low, high = intervals.estimate("change", [*noisy, *calm])
    assert low < 0 < high


@pytest.mark.parametrize("kind", intervals.KINDS)
def test_p_and_interval_are_one_test(kind):
    rng = np.random.default_rng(1)
    vectors = [rng.normal(size=30) + shift for shift in (0.9, 0, 0, 0)][: intervals.KINDS[kind].vectors[0]]
    vectors = [(vectors[0] > 0).astype(float)] if kind == "share" else vectors
    bound = 0.45 if kind == "share" else 0.1 if kind != "spread" else -3.0

    def decided(low, high):
        return low > bound or high < bound

    p = intervals.p_value(kind, vectors, decided, intervals.LOW)
    assert 0 < p < 1
    for alpha, wanted in ((p * 1.001, True), (p * 0.999, False)):
        assert decided(*intervals.estimate(kind, vectors, 1 - alpha)[1:]) is wanted


def test_the_p_of_the_sign_test_is_the_tosses():
    def decided(low, high):
        return low > 0 or high < 0

    assert intervals.p_value("median", [[1.0] * 7], decided, intervals.LOW) == pytest.approx(
        2 / 128, rel=1e-4
    )
    assert intervals.p_value("median", [[1.0] * 9 + [-1.0]], decided, intervals.LOW) == pytest.approx(
        22 / 1024, rel=1e-4
    )
    assert intervals.p_value("mean", [[1.0, NAN]], decided, intervals.LOW) == 1


@pytest.mark.parametrize(
    ("kind", "smallest"), [("mean", 2), ("median", 6), ("spread", 12), ("change", 7), ("share", 2)]
)
def test_how_many_trials_can_decide_anything(kind, smallest):
    assert not intervals.reaches(kind, smallest - 1) and intervals.reaches(kind, smallest)
    assert not intervals.reaches(kind, 6, 1 - 0.05 / 8) or kind in ("mean", "share")


@pytest.mark.parametrize(("kind", "n"), [("mean", 5), ("mean", 20), ("median", 20), ("median", 40)])
def test_the_smallest_effect_is_seen_four_times_in_five(kind, n):
    """Estimated from one sample, tried on others of the same scatter."""
    rng = np.random.default_rng(2)
    effects = [intervals.smallest_effect(kind, [rng.normal(size=n)]) for _ in range(200)]
    effect = float(np.median(effects))
    seen = np.mean([intervals.estimate(kind, [rng.normal(size=n) + effect])[1] > 0 for _ in range(1500)])
    assert 0.68 < seen < 0.92, seen


@pytest.mark.parametrize("kind", ["share", "spread", "change"])
def test_a_smallest_effect_is_finite_where_n_reaches_and_no_less_than_the_interval(kind):
    rng = np.random.default_rng(3)
    vectors = [rng.normal(size=40) for _ in range(intervals.KINDS[kind].vectors[0])]
    vectors = [(vectors[0] > 0).astype(float)] if kind == "share" else vectors
    found = intervals.smallest_effect(kind, vectors)
    value, low, high = intervals.estimate(kind, vectors)
    assert 0 < found < 3 * (high - low)
    few = [vector[:4] for vector in vectors]
    assert math.isinf(intervals.smallest_effect(kind, few)) or kind == "share"


def test_of_vectors_of_different_lengths_the_first_trials_are_taken():
    a, b = np.arange(12.0), np.zeros(8)
    assert intervals.estimate("median", [a, b]) == intervals.estimate("median", [a[:8]])


@pytest.mark.parametrize(
    ("kind", "vectors", "message"),
    [
        ("medium", [[1.0]], "unknown kind of metric 'medium': did you mean 'median'?"),
        ("change", [[1.0], [2.0]], "kind change wants 4 vectors"),
        ("median", [[1.0], [2.0], [3.0]], "kind median wants 1 or 2 vectors"),
        ("mean", [[[1.0]]], "one value per trial"),
    ],
)
def test_what_is_no_estimate_is_refused(kind, vectors, message):
    with pytest.raises(BridgekitError, match=message):
        intervals.estimate(kind, vectors)
