"""Oracles of bridgekit.theory.generalised: a linear-Gaussian model and encoder, on grids in x and z.

q(x) = N(M, S^2), p(z) = N(0, 1), p_theta(x|z) = N(wz + b, t^2), q_phi(z|x) = N(ux + c, s^2).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bridgekit.theory import alpha as twins
from bridgekit.theory import divergences, generalised
from oracles.gaussians import M, S, log_normal
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor

GRID = torch.linspace(-12, 12, 97, dtype=torch.float64)
ONE, OTHER = GRID[:, None], GRID[None, :]  # down the rows, along the columns
THETAS = ((0.9, -0.2, 0.7), (-0.6, 0.5, 1.1))
PHIS = ((0.4, 0.1, 0.8), (-0.7, -0.3, 0.6))
TWINS = list(itertools.product((0.1, 0.5, 0.9), (0.0, 0.3, 1.0)))


class Line(NamedTuple):
    """N(slope at + offset, width^2) given ``at``: a generator of z, or an encoder of x."""

    slope: Tensor
    offset: Tensor
    width: Tensor

    def log_prob(self, value: Tensor, at: Tensor) -> Tensor:
        return log_normal(value, self.slope * at + self.offset, self.width)

    def sample(self, at: Tensor, noise: Tensor) -> Tensor:
        return self.slope * at + self.offset + self.width * noise

    def fixed(self) -> Line:
        return Line(*(part.detach() for part in self))


def line(*parts: float) -> Line:
    return Line(*leaves(*parts))


def integral(values: Tensor) -> Tensor:
    """Over both axes of the grid; what lies on its edge is nothing."""
    return values.sum() * (GRID[1] - GRID[0]) ** 2


def normals() -> Tensor:
    """The density of two standard normals, down the rows and along the columns."""
    return (log_normal(ONE, 0.0, 1.0) + log_normal(OTHER, 0.0, 1.0)).exp()


def log_joints(theta: Line, phi: Line, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """log p_theta(x, z) and log q_phi(x, z)."""
    model = log_normal(z, 0.0, 1.0) + theta.log_prob(x, z)
    return model, log_normal(x, M, S) + phi.log_prob(z, x)


def h(theta: Line, phi: Line, x: Tensor, z: Tensor) -> Tensor:
    """The optimal discriminator of both joints, frozen: only (x, z) carry a gradient."""
    model, data = log_joints(theta.fixed(), phi.fixed(), x, z)
    return data - model


def moments(line: Line, mean: Tensor | float, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of (at, value) for at ~ N(mean, sigma^2)."""
    mean, sigma = (torch.as_tensor(value, dtype=torch.float64) for value in (mean, sigma))
    means = torch.stack([mean, line.slope * mean + line.offset])
    cross = line.slope * sigma**2
    last = line.slope**2 * sigma**2 + line.width**2
    return means, torch.stack([sigma**2, cross, cross, last]).view(2, 2)


def alpha_joint(theta: Line, phi: Line, alpha: float) -> Tensor:
    """D_alpha[p_theta(x, z) || q_phi(x, z)] in closed form; with 1 - alpha that of phi from theta."""
    mean_p, cov_p = moments(theta, 0.0, 1.0)  # of (z, x)
    mean_q, cov_q = moments(phi, M, S)  # of (x, z)
    mean_q, cov_q = mean_q.flip(0), cov_q.flip(0, 1)
    mixed = (1 - alpha) * cov_p + alpha * cov_q
    gap = mean_p - mean_q
    logs = (1 - alpha) * cov_p.logdet() + alpha * cov_q.logdet() - mixed.logdet()
    log_overlap = logs / 2 - alpha * (1 - alpha) / 2 * gap @ torch.linalg.solve(mixed, gap)
    return (1 - log_overlap.exp()) / (alpha * (1 - alpha))


def _printed(log_p: Tensor, f: Tensor, made: Tensor, alpha: float, gamma: float, clip: float) -> Tensor:
    weight, other = (g.detach().clamp(-clip, clip) for g in (f, made))
    forward = (1 - gamma) / (1 - alpha) * torch.exp(-alpha * weight) * -log_p
    return forward - gamma * torch.exp((1 - alpha) * other) * made


def _as_printed(function: Function, sign: int) -> None:
    """Term by term, clipped in the weights, which no gradient passes; shares may be tensors."""
    log_p, f, made = leaves(
        [1.0, -2.0, 3.0, -0.5, 1.5], [-50.0, -5.1, -1.0, 2.0, 5.1], [4.0, -20.0, 5.2, -1.5, 0.5]
    )
    for (alpha, gamma), clip in itertools.product(TWINS, ((), (5.0,), (60.0,))):
        want = _printed(log_p, sign * f, sign * made, alpha, gamma, *(clip or (1e3,)))
        for shares in ((alpha, gamma), (tensor(alpha), tensor(gamma))):
            got = function(log_p, f, made, *shares, *clip)
            close(got, want)
            same_gradient(got, want, log_p, f, made)


def _marginal(function: Function, model: tuple, latent: tuple, data: tuple, alpha: float, gamma: float):
    """``model`` makes y of a latent variable; with its exact posterior both twins have D_alpha's gradient."""
    maker, (mean, sigma) = line(*model), latent
    (_, center), cov = moments(maker, mean, sigma)
    spread, slope = cov[1, 1].sqrt(), (cov[0, 1] / cov[1, 1]).detach()
    posterior = Line(slope, (mean - slope * center).detach(), (sigma**2 - slope * cov[0, 1]).sqrt().detach())

    def f(y: Tensor) -> Tensor:
        return log_normal(y, *data) - log_normal(y, center.detach(), spread.detach())

    weight = (log_normal(ONE, *data) + posterior.log_prob(OTHER, ONE)).exp()
    log_p = maker.log_prob(ONE, OTHER)
    zero = torch.zeros_like(log_p)
    forward = integral(weight * function(log_p, f(ONE).expand_as(log_p), zero, alpha, gamma))
    made = maker.sample(mean + sigma * ONE, OTHER)
    reverse = integral(normals() * function(zero, zero, f(made), alpha, gamma))
    same_gradient(forward + reverse, divergences.alpha_normal(center, spread, alpha, *data), *maker)


def bridge(function: Function) -> None:
    """Each marginal's and theta's joint D_alpha, whatever gamma is; eq 16 as printed; eq 14 at alpha = 0."""
    _as_printed(function, 1)
    for alpha, gamma in TWINS:
        _marginal(function, THETAS[0], (0.0, 1.0), (M, S), alpha, gamma)
        _marginal(function, PHIS[0], (M, S), (0.0, 1.0), alpha, gamma)
        for parts, others in zip(THETAS, PHIS, strict=True):
            theta, phi = line(*parts), line(*others)
            got = _joint(function, theta, phi.fixed(), functools.partial(h, theta, phi), alpha, gamma)
            same_gradient(got, alpha_joint(theta, phi, alpha), *theta)
    log_p, f, made = leaves([1.0, -2.0], [3.0, -1.0], [-2.0, 1.0])
    assert torch.equal(function(log_p, f, made, 0.0, 0.0), -log_p)


def _joint(
    function: Function,
    maker: Line,
    giver: Line,
    ratio: Callable,
    alpha: float,
    gamma: float,
    swap: bool = False,
) -> Tensor:
    """Both lines of one player in the second display: the forward one on ``giver``'s joint, held fixed.

    ``swap``: the maker is phi, so that its value is z, and theta gives.
    """
    place, marginals = (lambda v, at: (at, v) if swap else (v, at)), [(0.0, 1.0), (M, S)]
    of_maker, of_value = reversed(marginals) if swap else marginals
    value, at = ONE, OTHER  # the giver draws `value` from its marginal, and `at` with its own line
    weight = (log_normal(value, *of_value) + giver.log_prob(at, value)).exp()
    log_p, zero = maker.log_prob(value, at), torch.zeros(len(GRID), len(GRID), dtype=torch.float64)
    at_data = ratio(*place(value, at))
    forward = integral(weight * function(log_p, at_data, zero, alpha, gamma))
    source = of_maker[0] + of_maker[1] * ONE
    at_made = ratio(*place(maker.sample(source, OTHER), source))
    return forward + integral(normals() * function(zero, zero, at_made, alpha, gamma))


def joint_encoder(function: Function) -> None:
    """Lines 2 and 4 as printed, and the gradient in phi of D_alpha of its joint from theta's."""
    _as_printed(function, -1)
    for (alpha, gamma), (parts, others) in itertools.product(TWINS, zip(THETAS, PHIS, strict=True)):
        theta, phi = line(*parts), line(*others)
        got = _joint(function, phi, theta.fixed(), functools.partial(h, theta, phi), alpha, gamma, swap=True)
        same_gradient(got, alpha_joint(theta, phi, 1 - alpha), *phi)
    log_q, of_model, of_data = leaves([1.0, -2.0], [3.0, -1.0], [-2.0, 1.0])
    want = twins.reverse_twin(-of_data, 0.4)
    assert torch.equal(function(log_q, of_model, of_data, 0.4, 1.0), want)
    assert torch.equal(
        gradient(function(log_q, of_model, of_data, 0.0, 0.0), log_q)[0], -torch.ones(2).double()
    )


ORACLES = {generalised.bridge: bridge, generalised.joint_encoder: joint_encoder}
