"""Two Gaussians, and grids on which trapezoid sums are exact to rounding, in float64.

The model is p = N(mu, sigma^2), the data q = N(M, S^2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

M, S = 0.3, 1.1
MODELS = ((0.5, 0.8), (-1.0, 1.3), (0.2, 0.6))


def log_normal(x: Tensor, mu: Tensor | float, sigma: Tensor | float) -> Tensor:
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    return -0.5 * ((x - mu) / sigma) ** 2 - sigma.log() - 0.5 * math.log(2 * math.pi)


X = torch.linspace(-14, 14, 561, dtype=torch.float64)
EPS = torch.linspace(-25, 25, 1001, dtype=torch.float64)
LOG_Q = log_normal(X, M, S)


def mean_q(values: Tensor) -> Tensor:
    """The expectation over x ~ q of values on the grid X."""
    return torch.trapezoid(values * LOG_Q.exp(), X)


def mean_eps(values: Tensor) -> Tensor:
    """The expectation over eps ~ N(0, 1) of values on the grid EPS."""
    return torch.trapezoid(values * log_normal(EPS, 0.0, 1.0).exp(), EPS)


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The JSD from its definition, on the grid X."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    both = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
    return torch.trapezoid(both, X) / 2
