r"""What two methods' values say about each other, one value per trial, trial i of both from the same seed.

No tensors: these numbers are computed once, from what a page has measured.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bridgekit.errors import BridgekitError


def special():
    """scipy.special, imported when it is needed: many commands need no statistics."""
    from scipy import special as found

    return found


@dataclass(frozen=True)
class Difference:
    """What :func:`difference` finds: mean of a - b, its interval [low, high], p-value, pairs, spread.

    ``n`` is the number of pairs in which both are finite, ``sd`` the standard deviation of their differences
    (n - 1 in the denominator). With fewer than two pairs all but ``mean`` and ``n`` are NaN.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    sd: float

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.mean:+.3g} (n = {self.n})"
        return f"{self.mean:+.3g} [{self.low:+.3g}, {self.high:+.3g}], p = {self.p:.2g} (n = {self.n})"


def difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Difference:
    r"""``a - b`` over paired seeds: mean, two-sided t-interval of ``level``, p-value of the paired t-test.

    .. math:: \bar d \pm t_{n-1}\,s_d/\sqrt n, \qquad t = \bar d\,\sqrt n/s_d

    ``a`` and ``b`` are (n,), value i of both from the same seed. A pair of which either is not finite is left
    out, and ``n`` says how many remain. Equal differences have p = 0, or 1 where they are all zero. Raises
    BridgekitError unless both are (n,) and 0 < level < 1.

    Source: Student 1908 (The probable error of a mean).
    """
    pairs = _pairs("difference", a, b)
    _between_0_and_1(level=level)
    d = (pairs[0] - pairs[1])[np.isfinite(pairs).all(0)]
    n = d.size
    if n < 2:
        return Difference(float(d.mean()) if n else math.nan, *[math.nan] * 3, n, math.nan)
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    half = float(special().stdtrit(n - 1, 0.5 + level / 2)) * sd / math.sqrt(n)
    p = 2 * float(special().stdtr(n - 1, -abs(mean) * math.sqrt(n) / sd)) if sd else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, n, sd)


def gain(ours: ArrayLike, over: ArrayLike) -> np.ndarray:
    """``ours`` minus ``over``, trial by trial: (n,), in the values' own precision, NaN where either is lost.

    Value i of both is from the same seed. Raises BridgekitError unless both are (n,).
    """
    _pairs("gain", ours, over)
    return np.subtract(ours, over)


def power(effect: float, sd: float, n: int, level: float = 0.95) -> float:
    r"""The probability that the two-sided paired t-test of ``level`` on ``n`` pairs sees a true ``effect``.

    Exact for normal differences with standard deviation ``sd``: under the effect the statistic is a
    non-central t with n - 1 degrees of freedom and non-centrality :math:`\sqrt n\,\delta/s_d`; both tails
    count. ``effect`` and ``sd`` are in the same unit; n is at least 2. Raises BridgekitError otherwise.

    Source: Cohen 1988 (Statistical Power Analysis for the Behavioral Sciences), chapter 2.
    """
    _between_0_and_1(level=level)
    if not (sd > 0 and n >= 2):
        raise BridgekitError(f"power wants sd > 0 and at least two pairs, not sd = {sd}, n = {n}.")
    return _power(abs(effect) / sd, n, level)


def pairs_needed(effect: float, sd: float, power: float = 0.8, level: float = 0.95) -> int:
    """The fewest pairs with which the two-sided paired t-test sees a true ``effect`` with that ``power``.

    The inverse of :func:`power`; at least 2. Raises BridgekitError where the effect is zero or not finite, sd
    not positive, or power not above 1 - level.
    """
    _between_0_and_1(level=level, power=power)
    if not (math.isfinite(effect) and effect and 0 < sd < math.inf and power > 1 - level):
        raise BridgekitError(
            "pairs_needed wants an effect other than zero, a finite sd > 0 and power > 1 - level, not "
            f"effect = {effect}, sd = {sd}, power = {power}, level = {level}."
        )
    ratio = abs(effect) / sd
    few, many = 2, 4
    while _power(ratio, many, level) < power:
        few, many = many, 2 * many
    sizes = range(few, many + 1)
    return sizes[bisect_left(sizes, power, key=lambda n: _power(ratio, n, level))]


def pairs_needed_between(effect: float, values: ArrayLike, level: float = 0.95) -> tuple[int, int, int]:
    r"""``(n, low, high)``: :func:`pairs_needed` for the values' spread, and for the ends of its interval.

    ``values`` are the differences of n pairs, (n,), finite. The interval of ``level`` is that of a normal
    sample, :math:`s\sqrt{(n-1)/\chi^2}`: a handful of pairs says little about how many more are needed.
    Raises BridgekitError for fewer than two values, or differences that are all equal.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2 or not np.isfinite(values).all() or not values.std() > 0:
        raise BridgekitError("pairs_needed_between wants two finite differences that are not equal, or more.")
    sd, freedom = float(values.std(ddof=1)), values.size - 1
    tails = special().chdtri(
        freedom, [(1 - level) / 2, (1 + level) / 2]
    )  # the upper tail's, then the lower's
    low, high = sd * np.sqrt(freedom / np.asarray(tails))
    return tuple(pairs_needed(effect, float(each), level=level) for each in (sd, low, high))


def smallest_mean(sd: float, n: int, power: float = 0.8, level: float = 0.95) -> float:
    """The smallest true mean that the t-test of ``level`` on ``n`` values sees with that ``power``.

    The inverse of :func:`power` in its effect, by bisection to one part in a million; 0 where ``sd`` is.
    """
    _between_0_and_1(level=level, power=power)
    if not (sd >= 0 and n >= 2):
        raise BridgekitError(
            f"smallest_mean wants sd from 0 and at least two values, not sd = {sd}, n = {n}."
        )
    few, many = 0.0, 1.0
    while _power(many, n, level) < power:
        few, many = many, 2 * many
    while many - few > 1e-6 * many:
        middle = (few + many) / 2
        few, many = (middle, many) if _power(middle, n, level) < power else (few, middle)
    return sd * many


def _power(ratio: float, n: int, level: float) -> float:
    """:func:`power` for the standardised effect."""
    edge, shift = special().stdtrit(n - 1, 0.5 + level / 2), ratio * math.sqrt(n)
    # Far tails of the non-central t underflow to NaN: there the nearer tail has all the probability.
    near, far = 1 - special().nctdtr(n - 1, shift, edge), special().nctdtr(n - 1, shift, -edge)
    return float(near + (far if np.isfinite(far) else 0.0))


def _pairs(name: str, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Both as (2, n) float64."""
    values = [np.asarray(x, dtype=float) for x in (a, b)]
    if values[0].ndim != 1 or values[0].shape != values[1].shape:
        shapes = " and ".join(str(x.shape) for x in values)
        raise BridgekitError(f"{name} wants one value per trial of each method, not {shapes}.")
    return np.stack(values)


def _between_0_and_1(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise BridgekitError(f"{name} is between 0 and 1, not {value}.")
