"""Oracles of bridgekit.theory.alpha."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from bridgekit.theory import adversarial, divergences, likelihood
from bridgekit.theory import alpha as twins
from oracles.gaussians import EPS, LOG_Q, MODELS, M, S, X, log_normal, mean_eps, mean_q
from oracles.tools import Function, close, gradient, leaves, rejects, same_gradient, tensor


def _tilted(alpha: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p^alpha q^(1 - alpha) between the Gaussians: its integral, and mean and variance once normalised."""
    variance = 1 / (alpha / sigma**2 + (1 - alpha) / S**2)
    mean = variance * (alpha * mu / sigma**2 + (1 - alpha) * M / S**2)
    overlap = 1 - alpha * (1 - alpha) * divergences.alpha_normal(mu, sigma, alpha, M, S)
    return overlap, mean, variance


def _mean_log_normal(mean: Tensor, variance: Tensor, mu: Tensor | float, sigma: Tensor | float) -> Tensor:
    """The expectation of log N(x; mu, sigma^2) under N(mean, variance)."""
    return log_normal(mean, mu, sigma) - variance / (2 * sigma**2)


def _weight(exponent: float, f: Tensor, *clip: float) -> Tensor:
    bounded = f.detach().clamp(-clip[0], clip[0]) if clip else f.detach()
    return torch.exp(exponent * bounded)


def forward_twin(function: Function) -> None:
    """The mean over q has the gradient of D_alpha; its value is a tilted Gaussian's mean of log p."""
    for alpha, model in itertools.product((0.1, 0.5, 0.9, 0.0), MODELS):
        (mu, sigma), a = leaves(*model), tensor(alpha)
        log_p = log_normal(X, mu, sigma)
        f = LOG_Q - log_p  # not detached: the weight must do so itself
        got = mean_q(function(log_p, f, a))
        overlap, mean, variance = _tilted(a, mu, sigma)
        close(got, -overlap * _mean_log_normal(mean, variance, mu, sigma) / (1 - a))
        same_gradient(got, divergences.alpha_normal(mu, sigma, a, M, S), mu, sigma)
        close(function(log_p, f, alpha), function(log_p, f, a))
        if alpha == 0:  # maximum likelihood, to the last bit
            assert torch.equal(function(log_p, f, a), likelihood.negative_log_likelihood(log_p))
            assert torch.equal(gradient(function(log_p, f, a), log_p)[0], -torch.ones_like(X))
    log_p, f = leaves([1.0, -2.0, 3.0, -0.5, 1.5, -1.0, 2.0], [-50.0, -5.1, -1.0, 0.0, 2.0, 5.1, 50.0])
    for clip in ((), (5.0,), (60.0,)):
        got, weight = function(log_p, f, 0.4, *clip), _weight(-0.4, f, *clip) / 0.6
        close(got, -weight * log_p)
        same_gradient(got, -weight * log_p, log_p, f)


def reverse_twin(function: Function) -> None:
    """With f frozen, the mean over p has the gradient of D_alpha; at alpha = 1 it is eq 7's term."""
    for alpha, model in itertools.product((0.1, 0.5, 0.9, 0.0, 1.0), MODELS):
        (mu, sigma), a = leaves(*model), tensor(alpha)
        x = mu + sigma * EPS
        f = log_normal(x, M, S) - log_normal(x, mu.detach(), sigma.detach())
        got = mean_eps(function(f, a))
        overlap, mean, variance = _tilted(a, mu, sigma)
        log_ratio = _mean_log_normal(mean, variance, M, S) - _mean_log_normal(mean, variance, mu, sigma)
        close(got, -overlap * log_ratio)
        same_gradient(got, divergences.alpha_normal(mu, sigma, a, M, S), mu, sigma)
        close(function(f, alpha), function(f, a))
        if alpha == 1:
            assert torch.equal(function(f, a), adversarial.reverse_kl(f))
    (f,) = leaves([-50.0, -5.1, -1.0, 0.0, 2.0, 5.1, 50.0])
    for clip in ((), (5.0,), (60.0,)):
        got, weight = function(f, 0.4, *clip), _weight(0.6, f, *clip)
        close(got, -weight * f)
        same_gradient(got, -weight * f, f)


def _equation_15(function: Function) -> None:
    """Against eq 15 as printed, for a linear generator, its exact posterior and some discriminator."""
    (w, b), (alpha, gamma), noise = leaves(0.9, -0.2), (0.35, 0.3), 0.5
    variance = 1 / (1 + w.detach() ** 2 / noise**2)
    x, eps = X[::2, None], EPS[300:701:4]  # x ~ q down the rows, posterior draws along the columns
    z = variance * w.detach() * (x - b.detach()) / noise**2 + variance.sqrt() * eps
    cell = 8 * (X[1] - X[0]) * (EPS[1] - EPS[0])
    weight = cell * log_normal(x, M, S).exp() * log_normal(eps, 0.0, 1.0).exp()
    f, slope = (lambda x: 0.4 - 0.2 * x - 0.1 * x**2), (lambda x: -0.2 - 0.2 * x)
    log_joint = log_normal(x, w * z + b, noise) + log_normal(z, 0.0, 1.0)
    forward = (weight * twins.forward_twin(log_joint, f(x), alpha)).sum()
    fake = w * EPS + b
    got = function(forward, mean_eps(twins.reverse_twin(f(fake), alpha)), gamma)
    pull = weight * torch.exp(-alpha * f(x)) * (x - w * z - b) / noise**2
    push = torch.exp((1 - alpha) * f(fake)) * slope(fake)
    for parameter, forward_path, reverse_path in ((w, z, EPS), (b, 1.0, 1.0)):
        likelihood_side = -(pull * forward_path).sum()
        adversarial_side = -mean_eps(push * reverse_path)
        want = (1 - gamma) / (1 - alpha) * likelihood_side + gamma * adversarial_side
        close(gradient(got, parameter)[0], want)


def twin_combination(function: Function) -> None:
    """Exact at both ends; any share of the two twins has the gradient of D_alpha; eq 15 comes out."""
    forward, reverse = leaves([1.0, -2.0, 3.0], [0.5, 5.0, -1.0])
    for gamma in (tensor(0.0), tensor(0.3), tensor([0.0, 0.5, 1.0]), 1.0):
        got, want = function(forward, reverse, gamma), forward + gamma * (reverse - forward)
        close(got, want)
        same_gradient(got, want, forward, reverse)
    assert torch.equal(function(forward, reverse, 0.0), forward)
    assert torch.equal(function(forward, reverse, 1.0), reverse)
    for gamma, (mean, scale) in itertools.product((0.0, 0.3, 1.0), MODELS):
        (mu, sigma), alpha = leaves(mean, scale), 0.4
        log_p, x = log_normal(X, mu, sigma), mu + sigma * EPS
        f = log_normal(x, M, S) - log_normal(x, mean, scale)
        forward_mean = mean_q(twins.forward_twin(log_p, LOG_Q - log_p, alpha))
        got = function(forward_mean, mean_eps(twins.reverse_twin(f, alpha)), gamma)
        same_gradient(got, divergences.alpha_normal(mu, sigma, alpha, M, S), mu, sigma)
    _equation_15(function)


def semi_implicit_sample(function: Function) -> None:
    """A linear generator wz + b plus noise: mean b, variance w^2 + sigma^2."""
    w, b = leaves(0.9, -0.2)
    grid, sigma = EPS[250:751:5], 0.4
    weight = log_normal(grid, 0.0, 1.0).exp() * (grid[1] - grid[0])
    x = function(w * grid[:, None] + b, sigma, grid)
    assert x.shape == (len(grid), len(grid))
    close(x, w * grid[:, None] + b + sigma * grid)
    mean = weight @ x @ weight
    variance = weight @ (x - mean) ** 2 @ weight
    for got, want in ((mean, b), (variance, w**2 + sigma**2)):
        close(got, want)
        same_gradient(got, want + 0 * w, w, b)


def sigmoid_gamma(function: Function) -> None:
    """0 and 1 at the ends, footnote 1 between them, increasing; its slope in alpha; flat settings refused."""
    for settings in ((), (10.0, -5.0), (7.0, -1.0), (-4.0, 3.0)):
        c, d = settings or (20.0, -10.0)
        assert not rejects(lambda settings=settings: function(tensor(0.5), *settings))
        ends = [function(tensor(end), *settings) for end in (0.0, 1.0)]
        close(torch.stack(ends), tensor([0.0, 1.0]))
        (alpha,) = leaves([i / 64 for i in range(65)])
        got = function(alpha, *settings)
        low, high = (1 / (1 + math.exp(-v)) for v in (d, c + d))
        s = 1 / (1 + torch.exp(-(c * alpha + d)))
        close(got, (s - low) / (high - low))
        close(gradient(got, alpha)[0], c * s * (1 - s) / (high - low))
        assert (got.diff() > 0).all()
    for flat in ((0.0, 1.0), (1.0, 60.0)):
        assert rejects(lambda flat=flat: function(tensor(0.5), *flat))


def linear_gamma(function: Function) -> None:
    """alpha itself."""
    (alpha,) = leaves([0.0, 0.3, 1.0])
    assert torch.equal(function(alpha), alpha)
    close(gradient(function(alpha), alpha)[0], torch.ones_like(alpha))


def cosine_gamma(function: Function) -> None:
    """0, a half and 1, even about the middle, with the slope of a sine."""
    (alpha,) = leaves([i / 64 for i in range(65)])
    got = function(alpha)
    close(got, torch.sin(math.pi / 2 * alpha).square())
    close(got + got.flip(0), torch.ones_like(got))
    close(gradient(got, alpha)[0], math.pi / 2 * torch.sin(math.pi * alpha))


def _log_weight(function: Function, exponent: Callable[[float], float]) -> None:
    """The logarithm of the printed weight; beyond the clip it stays where it is."""
    for alpha in (0.0, 0.3, 0.8, 1.0):
        (f,) = leaves([-50.0, -5.1, -1.0, 0.0, 2.0, 5.1, 50.0])
        for clip in ((), (5.0,), (60.0,)):
            bounded = torch.maximum(torch.minimum(f, tensor(*clip or (99.0,))), -tensor(*clip or (99.0,)))
            close(function(f, tensor(alpha), *clip), exponent(alpha) * bounded)
            same_gradient(function(f, alpha, *clip), exponent(alpha) * bounded, f)


def forward_log_weight(function: Function) -> None:
    """-alpha f, and its exponential is p^alpha q^-alpha."""
    _log_weight(function, lambda alpha: -alpha)


def reverse_log_weight(function: Function) -> None:
    """(1 - alpha) f."""
    _log_weight(function, lambda alpha: 1 - alpha)


ORACLES = {
    twins.sigmoid_gamma: sigmoid_gamma,
    twins.linear_gamma: linear_gamma,
    twins.cosine_gamma: cosine_gamma,
    twins.forward_log_weight: forward_log_weight,
    twins.reverse_log_weight: reverse_log_weight,
    twins.forward_twin: forward_twin,
    twins.reverse_twin: reverse_twin,
    twins.twin_combination: twin_combination,
    twins.semi_implicit_sample: semi_implicit_sample,
}
