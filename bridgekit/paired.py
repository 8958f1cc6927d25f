r"""What two methods' values say about each other, one value per trial, trial i of both from the same seed.

Numpy only: these numbers are computed once, from what a page has measured.
"""

import numpy as np
from numpy.typing import ArrayLike

from bridgekit.errors import BridgekitError

__all__ = ["log_spread_ratio"]


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
    values = [np.asarray(x, dtype=float) for x in (a, b)]
    if values[0].ndim != 1 or values[0].shape != values[1].shape:
        shapes = " and ".join(str(x.shape) for x in values)
        raise BridgekitError(f"log_spread_ratio wants one value per trial of each method, not {shapes}.")
    pairs = np.stack(values)
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
