r"""Oracles of paper C's pairs (f, g) on a line: the divergence's own gradient, and what estimates of it do.

The model is :math:`p = N(\mu, \sigma^2)`, the data are an even mixture of Gaussians, and every expectation is
a trapezoid sum that is exact to rounding. Gradients stack the two parameters on a leading axis of size 2: row
0 is d/dmu, row 1 is d/dsigma. Use float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.measure import worst_case
from bridgekit.theory import method
from bridgekit.theory.densities import Mixture, normal_log_prob
from bridgekit.theory.divergences import divergence, integrate, log_ratio
from bridgekit.theory.method import Pair

Integrand = Callable[[Tensor, Tensor], Tensor]  # of log p and log q at the same points, as in `divergences`

# The grid: for scales from a third to 1.3 and means from 0 to 6, with room on the left, where q^2/p has its
# mass; farther out the third derivatives of powers of r leave float64.
LOW, HIGH, POINTS = -16.0, 20.0, 3601
TOLERANCE = 1e-8  # of a pair against its divergence, relative to the gradient's length


@dataclass(frozen=True)
class Line:
    """The model N(mu, sigma^2) and data on a line: ``mu`` and ``sigma`` are (), ``data`` has means (K, 1)."""

    mu: Tensor
    sigma: Tensor
    data: Mixture

    @property
    def x(self) -> Tensor:
        """The grid, (n,)."""
        return torch.linspace(LOW, HIGH, POINTS, dtype=self.mu.dtype)

    def log_p(self, x: Tensor, mu: Tensor | None = None, sigma: Tensor | None = None) -> Tensor:
        """The model's log density at ``x``, (...), with its own parameters or others."""
        mu, sigma = self.mu if mu is None else mu, self.sigma if sigma is None else sigma
        return normal_log_prob(x, mu, sigma.log())

    def log_q(self, x: Tensor) -> Tensor:
        """The data's, (...)."""
        return self.data.log_prob(x.unsqueeze(-1))

    def logit(self, x: Tensor) -> Tensor:
        """The optimal discriminator's, (...), as a function of x alone."""
        return log_ratio(self.log_q(x), self.log_p(x))

    def scores(self, x: Tensor) -> Tensor:
        """The gradient of ``log_p``, (2, ...)."""
        away = (x - self.mu) / self.sigma
        return torch.stack([away, away**2 - 1]) / self.sigma

    def leaves(self) -> tuple[Tensor, Tensor]:
        """The parameters as leaves, to differentiate by."""
        return self.mu.clone().requires_grad_(), self.sigma.clone().requires_grad_()


def _gradient(value: Tensor, parameters: tuple[Tensor, Tensor]) -> Tensor:
    return torch.stack(torch.autograd.grad(value, parameters, materialize_grads=True)).detach()


def divergence_gradient(line: Line, integrand: Integrand) -> Tensor:
    """Of the divergence itself, through the density and through the ratio: (2,)."""
    parameters, x = line.leaves(), line.x
    return _gradient(divergence(integrand, line.log_p(x, *parameters), line.log_q(x), x), parameters)


def terms(line: Line, pair: Pair, x: Tensor, other: Tensor, logit: Callable | None = None) -> Tensor:
    """C.11, C.12: the gradient's estimate from samples ``x`` of p and ``other`` of q, (2, ...), by a
    discriminator's ``logit``, or the optimal one's."""
    logit = logit or line.logit
    return method.gradient(logit(x), logit(other), line.scores(x), line.scores(other), *pair)


def _sides(line: Line, pair: Pair, logit: Callable | None = None) -> tuple[Tensor, Tensor]:
    """What each sample of p, and of q, adds to the estimate, on the grid: (2, n) each."""
    nothing = torch.zeros_like
    model, data = Pair(pair.f, nothing), Pair(nothing, pair.g)
    return terms(line, model, line.x, line.x, logit), terms(line, data, line.x, line.x, logit)


def pair_gradient(line: Line, pair: Pair, logit: Callable | None = None) -> Tensor:
    """Eq 12's expectation, (2,): with the optimal discriminator, or with the one whose ``logit`` is given."""
    return sum(_means(line, *_sides(line, pair, logit)))


def _means(line: Line, on_model: Tensor, on_data: Tensor) -> tuple[Tensor, Tensor]:
    x = line.x
    return integrate(line.log_p(x).exp() * on_model, x), integrate(line.log_q(x).exp() * on_data, x)


def loss_gradient(line: Line, pair: Pair) -> Tensor:
    """C.13: autograd of the loss, D held fixed, samples moving with the parameters: (2,)."""
    parameters, x = line.leaves(), line.x
    eps = (x - line.mu) / line.sigma
    moved, nothing = parameters[0] + parameters[1] * eps, torch.zeros_like(x)
    on_model = method.loss(line.logit(moved), nothing, nothing, pair.f, torch.zeros_like)
    on_data = method.loss(nothing, line.logit(x), -line.log_p(x, *parameters), torch.zeros_like, pair.g)
    return _gradient(sum(_means(line, on_model, on_data)), parameters)


def variance(line: Line, pair: Pair) -> Tensor:
    """Of eq 12 from one sample of p and one of q, by the optimal discriminator: (2,)."""
    sides = _sides(line, pair)
    means, seconds = _means(line, *sides), _means(line, *(side**2 for side in sides))
    return sum(second - mean**2 for second, mean in zip(seconds, means, strict=True))


def error(line: Line, pair: Pair, integrand: Integrand) -> float:
    """The larger distance of the pair's gradient and of its loss's from the divergence's, relative to it."""
    true = divergence_gradient(line, integrand)
    found = (pair_gradient(line, pair), loss_gradient(line, pair))
    return worst_case.largest(*(worst_case.relative(each - true, true) for each in found))


def check(name: str, pair: Pair, integrand: Integrand, lines: dict[str, Line]) -> float:
    """The largest :func:`error` of a pair; BridgekitError, which names the line, where it is no rounding."""
    found = {where: error(line, pair, integrand) for where, line in lines.items()}
    where = max(found, key=lambda key: found[key] if found[key] == found[key] else float("inf"))
    if not found[where] <= TOLERANCE:
        raise BridgekitError(
            f"the pair of {name!r} is not the gradient of its divergence: off by {found[where]:.2g} of its "
            f"length for {where}. f and g are functions of log r, with r = p/q, and eq 11 subtracts g's term"
        )
    return found[where]


def minibatches(line: Line, pair: Pair, size: int, repetitions: int, generator: torch.Generator) -> Tensor:
    """Estimates of the gradient from ``size`` samples of p and ``size`` of q, repeated: (2, repetitions)."""
    eps = torch.randn(repetitions, size, generator=generator, dtype=line.mu.dtype)
    other = line.data.sample(repetitions * size, generator).view(repetitions, size)
    return terms(line, pair, line.mu + line.sigma * eps, other).mean(-1)


def wrong_signs(estimates: Tensor, true: Tensor) -> Tensor:
    """The share of estimates, (k, n), that have not the sign of the truth, (k,): (k,)."""
    return (estimates * true[:, None] <= 0).to(estimates).mean(-1)


def relative_errors(estimates: Tensor, true: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of |estimate - truth| in units of |truth|, at ``levels`` (m,): (m, k)."""
    return ((estimates - true[:, None]) / true[:, None]).abs().quantile(levels, dim=-1)
