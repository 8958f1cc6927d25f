r"""How steep a discriminator is between a sample and its reconstruction (paper C, Proposition 1).

``logit`` is any differentiable function, ``(..., d) -> (...)``, one number a point. What stands below
:func:`steepest` is made of curves over the evaluations of a training, arrays (evaluations, trials).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

Logit = Callable[[Tensor], Tensor]


def slope(logit: Logit, x: Tensor) -> Tensor:
    r"""The length of the gradient of :math:`\log\frac{1-D(x)}{D(x)}` in x: (..., d) -> (...)."""
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(logit(x).sum(), x)
    return found.norm(dim=-1)


def promised(f_real: Tensor, f_fake: Tensor, distance: Tensor) -> Tensor:
    r"""C Proposition 1: what the proof promises, from the logits at x and at its reconstruction.

    .. math:: \frac{2\log\frac{1-\epsilon}\epsilon}{\|\hat x-x\|} \quad\text{with}\quad
       2\log\tfrac{1-\epsilon}\epsilon = f(x) - f(\hat x)

    for a discriminator that is as sure of the one as of the other. It is the mean slope between both.
    """
    return (f_real - f_fake) / distance


def steepest(logit: Logit, x: Tensor, other: Tensor, points: int = 65) -> Tensor:
    """The largest slope on the segments from ``x`` to ``other``, both (..., d), at evenly spaced points."""
    shares = torch.linspace(0, 1, points).tolist()
    # One by one: a batch of networks takes no axis more.
    return torch.stack([slope(logit, x + share * (other - x)) for share in shares]).amax(0)


def sure(f_real: ArrayLike, f_fake: ArrayLike, odds: float) -> ArrayLike:
    """Where D is at least as sure as these log-odds, of real samples and of the others: bool."""
    return (f_real >= odds) & (f_fake <= -odds)


def first_sure(curves: Mapping[str, np.ndarray], odds: float) -> dict[str, np.ndarray]:
    """All curves at each trial's first evaluation at which D is :func:`sure`, by ``real`` and ``fake``.

    (evaluations, trials) -> (trials,) by name; NaN everywhere for a trial that never is.
    """
    holds = sure(curves["real"], curves["fake"], odds)
    found = {name: np.take_along_axis(curve, holds.argmax(0)[None], 0)[0] for name, curve in curves.items()}
    return {name: np.where(holds.any(0), values, np.nan) for name, values in found.items()}


def power(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """The power of ``x`` with which ``y`` grows: the slope of log y over log x, by least squares.

    Along axis 0; both above 0. (n, trials), ``x`` also (n, 1), the same for all -> (trials,). NaN for a trial
    that is lost.
    """
    x, y = (np.log(values) - np.log(values).mean(0) for values in (x, y))
    return (x * y).sum(0) / (x**2).sum(0)


def _over(values: np.ndarray, due: np.ndarray) -> np.ndarray:
    return values / np.where(due > 0, due, np.nan)


def mean_over(values: np.ndarray, due: np.ndarray) -> np.ndarray:
    """The mean of ``values`` over what is ``due``, along axis 0: (n, trials) -> (trials,).

    NaN for a trial to which nothing is due somewhere: where D is wrong on average nothing is promised.
    """
    return _over(values, due).mean(0)


def geometric_over(values: np.ndarray, due: np.ndarray) -> np.ndarray:
    """The same with the geometric mean, that of the ratios' logarithms."""
    return np.exp(np.log(_over(values, due)).mean(0))
