"""Tools of the oracles: two Gaussians, grids on which trapezoid sums are exact to rounding, comparisons.

The model is p = N(mu, sigma^2), the data q = N(M, S^2), everything in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Function = Callable[..., Tensor]

M, S = 0.3, 1.1
MODELS = ((0.5, 0.8), (-1.0, 1.3), (0.2, 0.6))


def tensor(values: float | Sequence) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def leaves(*values: float | Sequence) -> list[Tensor]:
    return [tensor(v).requires_grad_() for v in values]


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


def close(got: Tensor, want: Tensor) -> None:
    """Equal to nine digits. (``torch.testing`` takes seconds to import.)"""
    assert isinstance(got, Tensor) and got.shape == want.shape and got.dtype == want.dtype
    error = (got - want).detach().abs()
    assert (error <= 1e-11 + 1e-9 * want.detach().abs()).all(), f"off by up to {error.max():.3g}"


def same_gradient(got: Tensor, want: Tensor, *parameters: Tensor) -> None:
    assert got.requires_grad, "no gradient at all"
    for tried, exact in zip(gradient(got, *parameters), gradient(want, *parameters), strict=True):
        close(tried, exact)


def gradient(value: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    assert value.requires_grad, "no gradient at all"
    return torch.autograd.grad(value.sum(), parameters, retain_graph=True, materialize_grads=True)


def rejects(call: Callable[[], object]) -> bool:
    try:
        call()
    except ValueError:
        return True
    return False


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The JSD from its definition, on the grid X."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    both = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
    return torch.trapezoid(both, X) / 2
