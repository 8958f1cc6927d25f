"""Comparing and choosing where some values are lost: what is made of NaN stays NaN.

Python and its libraries answer `nan < 1` with False, and the greatest of nothing is at place 0: a mean over
such answers is a number that nobody measured. Masks come before means.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def below(a: Tensor | float, b: Tensor | float) -> Tensor:
    """1.0 where ``a < b``, 0.0 where not, NaN where either is NaN; the arguments broadcast to (...)."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return (a < b).to(torch.result_type(a, b)).masked_fill(a.isnan() | b.isnan(), torch.nan)


def share_below(a: Tensor | float, b: Tensor | float) -> Tensor:
    """How often ``a < b`` among all of their common shape, from 0 to 1: (); NaN where one of them is NaN."""
    return below(a, b).mean()


def at_best(scores: ArrayLike, values: ArrayLike) -> np.ndarray:
    """The entry of ``values`` where ``scores`` is greatest along axis 0; NaN where no score is finite.

    (n,) and (n, ...) -> (...): one place for all. (n, T) and (n, T) or (n,) -> (T,): a place for each trial.
    Scores that are not finite are never the greatest.
    """
    scores, values = np.asarray(scores), np.asarray(values)
    known = np.where(np.isfinite(scores), scores, -np.inf)
    place = known.argmax(0)
    alike = scores.ndim == values.ndim
    found = np.take_along_axis(values, place[None], 0)[0] if alike else values[place]
    return np.where(np.isfinite(known.max(0)), found, np.nan)


def first(holds: ArrayLike, at: ArrayLike) -> float:
    """The entry of ``at`` (n,) where ``holds`` (n,), made by :func:`below`, is 1 for the first time.

    NaN where it never is, and where it is NaN before: then nobody knows.
    """
    holds = np.asarray(holds)
    places = np.flatnonzero(holds != 0)  # NaN is not 0
    return float(np.asarray(at)[places[0]]) if places.size and holds[places[0]] == 1 else np.nan


def mean(values: ArrayLike, axis: int = -1) -> np.ndarray:
    """The mean of the finite values along an axis; NaN where there is none."""
    values = np.asarray(values, dtype=float)
    kept = np.isfinite(values)
    total, count = np.where(kept, values, 0.0).sum(axis), kept.sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def quantiles(values: ArrayLike, shares: ArrayLike, axis: int = -1) -> np.ndarray:
    """Quantiles along an axis, with linear interpolation; what is not finite counts as worse than all else.

    (..., n, ...) with ``shares`` (k,) in [0, 1] -> (k, ...). A quantile that touches such a value is -inf.
    """
    values = np.moveaxis(np.asarray(values, dtype=float), axis, 0)
    ranked = np.sort(np.where(np.isfinite(values), values, -np.inf), axis=0)
    place = np.asarray(shares, dtype=float) * (len(ranked) - 1)
    low = np.floor(place).astype(int)
    below, above = ranked[low], ranked[np.ceil(place).astype(int)]
    lost = np.isneginf(below)  # infinity has no differences
    weight = (place - low).reshape(-1, *[1] * (ranked.ndim - 1))
    steps = np.where(lost, 0.0, above) - np.where(lost, 0.0, below)
    return np.where(lost, -np.inf, below + weight * steps)


def mask(values: Tensor, samples: Tensor) -> Tensor:
    """``values`` (...), but NaN for the trials of ``samples`` (..., N, d) that are not finite throughout."""
    broken = ~samples.isfinite().flatten(-2).all(-1)
    return values.to(samples.dtype).masked_fill(broken, math.nan)
