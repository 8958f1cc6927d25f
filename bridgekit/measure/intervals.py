r"""What values of several seeds say about the number behind them: an estimate with its interval, by kind.

A metric declares its kind, which says what it estimates and what may go wrong with a single trial. Every kind
is a test turned inside out: a bound lies outside the interval of level :math:`1-\alpha` where the kind's
two-sided test of that bound has :math:`p\le\alpha`, and each side's error is at most :math:`\alpha/2`.

A trial that is lost (its value is NaN) is never left out. It counts as the worst that its method can do:
:data:`LOW` or :data:`HIGH`, and :data:`EITHER` where a bound has two sides. What cannot be known, the
difference of two lost trials say, is taken at both ends of the line: on the wrong side of every bound.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bridgekit.errors import BridgekitError, nearest
from bridgekit.measure.paired import smallest_mean, special

LEVEL = 0.95
LOW, HIGH, EITHER = -math.inf, math.inf, math.nan  # what a lost trial counts as

Interval = tuple[float, float, float]  # estimate, low end, high end
Vectors = Sequence[np.ndarray]  # of one value per trial; trial i of all has the same seed
Ends = tuple[np.ndarray, np.ndarray]  # of each value, (n,): they differ where it is unknown


@dataclass(frozen=True)
class Kind:
    """What a metric estimates, from how many vectors of one value per trial, by which interval."""

    name: str
    vectors: tuple[int, ...]
    shapes: tuple[str, ...]  # of single values, for which the interval keeps its promise
    interval: Callable[[Vectors, float, float], Interval]  # of vectors, level, worst
    effect: Callable[[Vectors, float, float], float]  # what would have been seen, likewise
    reach: Callable[[int], float] = lambda n: 0.0 if n > 1 else math.inf  # the smallest alpha that n allows


def of(name: str) -> Kind:
    """The kind called ``name``; BridgekitError where there is none."""
    if name not in KINDS:
        raise BridgekitError(f"unknown kind of metric {name!r}: {nearest(name, KINDS)}")
    return KINDS[name]


def estimate(kind: str, vectors: Vectors, level: float = LEVEL, worst: float = LOW) -> Interval:
    """Estimate and interval of ``level``.

    Of vectors of different lengths the first trials are taken. An interval that n is too small for is
    infinite on both sides. Raises BridgekitError for an unknown kind or the wrong number of vectors.
    """
    return of(kind).interval(_aligned(of(kind), vectors), level, worst)


def p_value(kind: str, vectors: Vectors, decided: Callable[[float, float], bool], worst: float) -> float:
    """The smallest alpha at which ``decided(low, high)`` is true of the interval; 1 where none is.

    Intervals of one kind are nested, so that bisection finds it (from above, to one part in a million).
    """
    few, many = -40.0, 0.0  # natural logarithm of alpha
    vectors = _aligned(of(kind), vectors)

    def at(log_alpha: float) -> bool:
        return decided(*of(kind).interval(vectors, 1 - math.exp(log_alpha), worst)[1:])

    if not at(math.log1p(-1e-12)):
        return 1.0
    while many - few > 1e-6:
        middle = (few + many) / 2
        few, many = (few, middle) if at(middle) else (middle, many)
    return math.exp(many)


def smallest_effect(kind: str, vectors: Vectors, level: float = LEVEL, worst: float = LOW) -> float:
    """The distance from a bound that this many trials would have seen in four of five experiments.

    Worked out from the scatter of the values at hand; infinite where n cannot reach ``level`` at all.
    """
    vectors = _aligned(of(kind), vectors)
    if not reaches(kind, vectors[0].size, level):
        return math.inf
    return of(kind).effect(vectors, level, worst)


def reaches(kind: str, n: int, level: float = LEVEL) -> bool:
    """Whether ``n`` trials can decide anything at ``level``, whatever their values."""
    return of(kind).reach(n) <= 1 - level + 1e-12


def _aligned(kind: Kind, vectors: Vectors) -> list[np.ndarray]:
    vectors = [np.asarray(vector, dtype=float) for vector in vectors]
    if len(vectors) not in kind.vectors or any(vector.ndim != 1 for vector in vectors):
        wanted = " or ".join(map(str, kind.vectors))
        raise BridgekitError(f"kind {kind.name} wants {wanted} vectors with one value per trial.")
    n = min(vector.size for vector in vectors)
    return [vector[:n] for vector in vectors]


# ------------------------------------------------------------------------------------------------------ mean


def _mean(vectors, level, worst) -> Interval:
    """Student's t. A lost trial has no place in a mean: the interval is infinite then."""
    values = difference_of(vectors)
    left = values[np.isfinite(values)]
    mean = float(left.mean()) if left.size else math.nan
    if left.size < values.size or left.size < 2:
        return mean, -math.inf, math.inf
    edge = float(special().stdtrit(left.size - 1, (1 + level) / 2))
    half = edge * float(left.std(ddof=1)) / math.sqrt(left.size)
    return mean, mean - half, mean + half


def _mean_effect(vectors, level, worst) -> float:
    values = difference_of(vectors)
    if not np.isfinite(values).all():
        return math.inf
    return smallest_mean(float(values.std(ddof=1)), values.size, level=level)


# ----------------------------------------------------------------------------------------------------- signs


def _by_signs(ends: Callable[[Vectors, float], Ends]) -> tuple[Callable, Callable]:
    """The sign test's interval and effect: no shape is presumed. ``ends(vectors, worst)`` has the values."""
    return (
        lambda vectors, level, worst: _signs(*ends(vectors, worst), level),
        lambda vectors, level, worst: _signs_effect(*ends(vectors, worst), level),
    )


def _distances(vectors, worst) -> Ends:
    """How much farther apart one method's trials lie than the other's: |a₁ - a₂| - |b₁ - b₂|, (n // 2,).

    A pair of seeds gives each method one distance; seeds are paired once, so that the distances are
    independent. No centre is estimated, which a test of deviations from it would have to pay for. With a lost
    trial a pair is infinitely far apart.
    """
    n = vectors[0].size // 2 * 2
    apart = [np.abs(vector[:n:2] - vector[1:n:2]) for vector in vectors]
    return _minus(*(np.where(np.isnan(each), math.inf, each) for each in apart))


def _signs(lower: np.ndarray, upper: np.ndarray, level: float) -> Interval:
    """Two order statistics of values in [lower, upper], which differ only where a value is unknown."""
    lower, upper = np.sort(lower), np.sort(upper)
    k = _rank(lower.size, level)
    ends = (lower[k - 1], upper[-k]) if k else (-math.inf, math.inf)
    return _middle(lower, upper), float(ends[0]), float(ends[1])


def _rank(n: int, level: float) -> int:
    """The largest k for which fewer than k of n fair tosses come with probability (1 - level) / 2 or less."""
    tails = special().bdtr(np.arange(n // 2 + 1, dtype=float), n, 0.5)
    return int((tails <= (1 - level) / 2 * (1 + 1e-9)).sum())


def _middle(lower: np.ndarray, upper: np.ndarray) -> float:
    """The median of ordered values; NaN where it hangs on an unknown one."""
    pair = [values[i] for values in (lower, upper) for i in ((values.size - 1) // 2, values.size // 2)]
    if math.isinf(pair[0]):
        return float(pair[0]) if len(set(pair)) == 1 else math.nan
    return float(np.mean(pair))


def _signs_effect(lower: np.ndarray, upper: np.ndarray, level: float) -> float:
    """How far the values would have to move for the sign test to see them in four of five experiments."""
    n = lower.size
    k = _rank(n, level)
    # The test sees at most k - 1 values on the wrong side; each lies there with probability `wrong`.
    wrong = float(special().bdtri(k - 1.0, n, 0.8))
    lower, upper = np.sort(lower), np.sort(upper)
    # Towards either side; the one that needs more counts.
    below = lower[max(0, math.ceil(wrong * n) - 1)]
    above = upper[min(n - 1, math.floor((1 - wrong) * n))]
    middle = _middle(lower, upper)
    found = [abs(middle - end) for end in (below, above) if math.isfinite(middle) and math.isfinite(end)]
    return max(found) if len(found) == 2 else math.inf


# ---------------------------------------------------------------------------------------------------- share


def _share(vectors, level, worst) -> Interval:
    """Clopper and Pearson's exact interval for k of n trials. A lost trial counts as the worst."""
    ends = [float(end > 0) for end in ((LOW, HIGH) if math.isnan(worst) else (worst, worst))]
    few, many = (np.where(np.isnan(vectors[0]), end, vectors[0]) for end in ends)  # lost: had it, or had not
    if not np.isin([few, many], (0.0, 1.0)).all():
        raise BridgekitError("a share is of trials: each value is 0 or 1.")
    n, tail = few.size, (1 - level) / 2
    k, least, most = float(few.sum() + many.sum()) / 2, float(few.sum()), float(many.sum())
    low = float(special().betaincinv(least, n - least + 1, tail)) if least else 0.0
    high = float(special().betaincinv(most + 1, n - most, 1 - tail)) if most < n else 1.0
    return k / n, low, high


def _share_effect(vectors, level, worst) -> float:
    """The half width of the interval, and the 0.84 standard errors that four of five ask for."""
    share, low, high = _share(vectors, level, worst)
    n = vectors[0].size
    return (high - low) / 2 + 0.84 * math.sqrt(max(share * (1 - share), 1 / n) / n)


# ---------------------------------------------------------------------------------------------------- change


def _change(vectors, level, worst) -> Interval:
    """Size of the first pair's median difference minus that of the second pair's.

    Each median has an interval of half the error, so that both hold together with at least ``level``.
    """
    half = (1 + level) / 2
    (a, *ends_a), (b, *ends_b) = (_disturbed(pair, half) for pair in (vectors[:2], vectors[2:]))
    (near_a, far_a), (near_b, far_b) = _sizes(*ends_a), _sizes(*ends_b)
    low = near_a - far_b if math.isfinite(far_b) else -math.inf
    high = far_a - near_b if math.isfinite(far_a) else math.inf
    with np.errstate(invalid="ignore"):
        return float(np.abs(a) - np.abs(b)), low, high


def _disturbed(pair, level: float) -> Interval:
    """The median difference where what is lost at one end alone has moved to the side that moves it most.

    Counted as the worst score such trials would cancel, some lost here and others there, and a method that
    loses trials would look undisturbed.
    """
    moved = [_signs(*_ends_of_change(pair, side), level) for side in (LOW, HIGH)]
    return max(
        moved, key=lambda found: (abs(found[0]) if found[0] == found[0] else math.inf, _sizes(*found[1:])[1])
    )


def _ends_of_change(pair, side: float) -> Ends:
    first, second = pair
    lost = np.isnan(first), np.isnan(second)
    moved = np.where(lost[0] ^ lost[1], side, first - second)
    return np.where(lost[0] & lost[1], LOW, moved), np.where(lost[0] & lost[1], HIGH, moved)


def _sizes(low: float, high: float) -> tuple[float, float]:
    """The least and the greatest absolute value in [low, high]."""
    far = max(abs(low), abs(high))
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), far


def _change_effect(vectors, level, worst) -> float:
    half = (1 + level) / 2
    return sum(
        max(_signs_effect(*_ends_of_change(pair, side), half) for side in (LOW, HIGH))
        for pair in (vectors[:2], vectors[2:])
    )


# ------------------------------------------------------------------------------------------------ lost trials


def difference_of(vectors) -> np.ndarray:
    """One vector, or the difference of two: (n,); NaN where a trial is lost."""
    return vectors[0] if len(vectors) == 1 else vectors[0] - vectors[1]


def _ends(vectors, worst: float) -> Ends:
    """The same with lost trials counted as ``worst``, and what is unknown at both ends: two times (n,)."""
    low, high = (LOW, HIGH) if math.isnan(worst) else (worst, worst)
    counted = [[np.where(np.isnan(vector), end, vector) for vector in vectors] for end in (low, high)]
    if len(vectors) == 1:
        return counted[0][0], counted[1][0]
    if math.isnan(worst):  # the first lowest and the second highest, and the other way round
        counted = [[counted[0][0], counted[1][1]], [counted[1][0], counted[0][1]]]
    lower, upper = _minus(*counted[0])[0], _minus(*counted[1])[1]
    return lower, upper


def _minus(a: np.ndarray, b: np.ndarray) -> Ends:
    """a - b; of two equal infinities, both trials lost, nothing is known: the lower and the upper end."""
    with np.errstate(invalid="ignore"):
        unknown, found = np.isinf(a) & (a == b), a - b
    return np.where(unknown, LOW, found), np.where(unknown, HIGH, found)


def _halves(n: int) -> float:
    """The smallest alpha of the two-sided sign test: all n on one side."""
    return 2.0 ** (1 - n) if n else math.inf


ANY = ("Gaussian", "log-normal", "one collapse in ten")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("mean", (1, 2), ("Gaussian",), _mean, _mean_effect),
        Kind("median", (1, 2), ANY, *_by_signs(_ends), _halves),
        Kind("share", (1,), ANY, _share, _share_effect),
        Kind("spread", (2,), ANY, *_by_signs(_distances), lambda n: _halves(n // 2)),
        Kind("change", (4,), ANY, _change, _change_effect, lambda n: 2 * _halves(n)),
    )
}
