r"""What two methods' values say about each other, one value per trial, trial i of both from the same seed.

No tensors: these numbers are computed once, from what a page has measured.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special  # scipy.stats would take a second to import

from bridgekit.errors import BridgekitError

__all__ = ["Difference", "difference", "log_spread_ratio", "pairs_needed", "power"]


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
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * sd / math.sqrt(n)
    p = 2 * float(special.stdtr(n - 1, -abs(mean) * math.sqrt(n) / sd)) if sd else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, n, sd)


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


def _power(ratio: float, n: int, level: float) -> float:
    """:func:`power` for the standardised effect."""
    edge, shift = special.stdtrit(n - 1, 0.5 + level / 2), ratio * math.sqrt(n)
    # Far tails of the non-central t underflow to NaN: there the nearer tail has all the probability.
    near, far = 1 - special.nctdtr(n - 1, shift, edge), special.nctdtr(n - 1, shift, -edge)
    return float(near + (far if np.isfinite(far) else 0.0))


def log_spread_ratio(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    r"""Jackknife pseudo-values of :math:`\theta=\log(s_a/s_b)`, one a trial: (n,) and (n,) -> (n,) float64.

    :math:`s` is the standard deviation over trials (n - 1 in the denominator). With :math:`\theta_{(i)}` the
    same number without trial i,

    .. math:: \tilde\theta_i = n\,\theta - (n - 1)\,\theta_{(i)} .

    A spread is one number for all trials; the pseudo-values make it one a trial, so that it can be treated as
    a mean: theirs is :math:`\theta` with its bias of order 1/n removed, and their t-interval is the
    jackknife's for :math:`\theta`. Both methods leave out the same trial, so that what the pairs have in
    common counts. Below 0, ``a`` varies less than ``b``.

    A trial that is not finite in ``a`` or in ``b`` gets NaN and is left out of :math:`\theta`. All are NaN
    where fewer than three trials are left, or where a spread is zero and the logarithm has no value. Raises
    BridgekitError unless both are (n,).

    Source: Tukey 1958 (Bias and confidence in not-quite large samples); Efron and Tibshirani 1993 (An
    Introduction to the Bootstrap), chapter 11.
    """
    pairs = _pairs("log_spread_ratio", a, b)
    kept = np.isfinite(pairs).all(0)
    pseudo, n = np.full(kept.shape, np.nan), int(kept.sum())
    if n < 3:
        return pseudo
    left = pairs[:, kept]
    with np.errstate(divide="ignore", invalid="ignore"):  # a spread of zero
        without = np.array([_theta(np.delete(left, i, axis=1)) for i in range(n)])
        found = n * _theta(left) - (n - 1) * without
    if np.isfinite(found).all():
        pseudo[kept] = found
    return pseudo


def _theta(pairs: np.ndarray) -> float:
    """``log(sd(a) / sd(b))`` of (2, n)."""
    log_a, log_b = np.log(pairs.std(axis=1, ddof=1))
    return log_a - log_b


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
