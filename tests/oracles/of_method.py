"""Oracles of bridgekit.theory.method: the divergence itself, with all that depends on theta, by quadrature.

Data are a Gaussian or two modes. The divergence's gradient is autograd's, through both the density and the
ratio; scores are autograd's too.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from bridgekit.theory import divergences, method
from oracles.gaussians import EPS, LOG_Q, MODELS, M, S, X, log_normal, mean_eps
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor

TWO_MODES = torch.logaddexp(
    log_normal(X, -1.2, 0.7) + math.log(0.35), log_normal(X, 1.4, 0.8) + math.log(0.65)
)
CASES = tuple(itertools.product(MODELS, (LOG_Q, TWO_MODES)))
WRITTEN = (torch.square, torch.tanh, lambda log_r: log_r.sigmoid() * log_r)  # no divergences, any functions

DIVERGENCES = {
    method.REVERSE_KL: divergences.reverse_kl,
    method.FORWARD_KL: divergences.forward_kl,
    method.JENSEN_SHANNON: lambda log_p, log_q: 2 * divergences.jensen_shannon(log_p, log_q),
    method.SYMMETRISED_KL: lambda p, q: divergences.reverse_kl(p, q) + divergences.forward_kl(p, q),
}
RATIOS = tensor([-3.0, -0.4, 0.0, 0.7, 2.5])


def scores(mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """d log p/d mu and d log p/d sigma on the grid X, by hand."""
    away = (X - mu.detach()) / sigma.detach()
    return away / sigma.detach(), (away**2 - 1) / sigma.detach()


def mean(log_density: Tensor, values: Tensor) -> Tensor:
    return torch.trapezoid(log_density.exp() * values, X)


def moving_optimum(function: Function) -> None:
    """Autograd of q/(p + q) at points of the line."""
    for (mu, sigma), log_q in CASES:
        m, s = leaves(mu, sigma)
        for at in (180, 280, 330):
            log_p = log_normal(X[at], m, s)
            want = gradient(log_q[at].exp() / (log_p.exp() + log_q[at].exp()), m, s)
            logit = (log_q[at] - log_p).detach()
            for score, exact in zip(scores(m, s), want, strict=True):
                close(function(logit, score[at]), exact)


def written_f(function: Function) -> None:
    """E_p[a(log p/q)], where p moves twice."""
    for ((mu, sigma), log_q), integrand in itertools.product(CASES, WRITTEN):
        m, s = leaves(mu, sigma)
        log_p = log_normal(X, m, s)
        want = gradient(mean(log_p, integrand(log_p - log_q)), m, s)
        f = function((log_p - log_q).detach(), integrand)
        for score, exact in zip(scores(m, s), want, strict=True):
            close(mean(log_p.detach(), f * score), exact)


def written_g(function: Function) -> None:
    """E_q[b(log p/q)], where p moves once, with the sign of eq 11."""
    for ((mu, sigma), log_q), integrand in itertools.product(CASES, WRITTEN):
        m, s = leaves(mu, sigma)
        log_r = log_normal(X, m, s) - log_q
        want = gradient(mean(log_q, integrand(log_r)), m, s)
        g = function(log_r.detach(), integrand)
        for score, exact in zip(scores(m, s), want, strict=True):
            close(-mean(log_q, g * score), exact)


def exchanged(function: Function) -> None:
    """One mean over p in place of two."""
    f, g = torch.tanh, torch.sigmoid
    for (mu, sigma), log_q in CASES:
        log_p = log_normal(X, mu, sigma)
        both = mean(log_p, X * f(log_p - log_q)) - mean(log_q, X * g(log_p - log_q))
        close(mean(log_p, X * function(log_p - log_q, f, g)), both)


def jensen_shannon_f(function: Function) -> None:
    d = 1 / (1 + RATIOS.exp())
    close(function(RATIOS), d + (1 - d).log())


def jensen_shannon_g(function: Function) -> None:
    close(function(RATIOS), RATIOS.exp() / (1 + RATIOS.exp()))


def identity(function: Function) -> None:
    """Paper C's log((1 - D)/D), the gradient of the reverse KL."""
    d = 1 / (1 + RATIOS.exp())
    close(function(RATIOS), ((1 - d) / d).log())


def whole_gradient(function: Function) -> None:
    """The mean over independent pairs is the gradient of the divergence, whatever the logits depend on."""
    thin, h = slice(None, None, 2), X[2] - X[0]
    for ((mu, sigma), log_q), (pair, integrand) in itertools.product(CASES, DIVERGENCES.items()):
        m, s = leaves(mu, sigma)
        log_p = log_normal(X, m, s)
        want = gradient(divergences.divergence(integrand, log_p, log_q, X), m, s)
        logit, n = (log_q - log_p)[thin], len(X[thin])
        weights = h**2 * log_p.detach()[thin].exp()[:, None] * log_q[thin].exp()
        for score, exact in zip(scores(m, s), want, strict=True):
            fake, real = (each[:, None].expand(n, n) for each in (logit, score[thin]))
            got = function(fake, logit.expand(n, n), real, score[thin].expand(n, n), *pair)
            assert not got.requires_grad
            close((weights * got).sum(), exact)


def loss(function: Function) -> None:
    """With D frozen and samples that move it has the divergence's gradient, and eq 13's own value."""
    for (mu, sigma), (pair, integrand) in itertools.product(MODELS, DIVERGENCES.items()):
        m, s = leaves(mu, sigma)
        log_p, none, zero = log_normal(X, m, s), torch.zeros_like(EPS), torch.zeros_like(X)
        want = divergences.divergence(integrand, log_p, LOG_Q, X)
        x = m + s * EPS
        fake = log_normal(x, M, S) - log_normal(x, m.detach(), s.detach())
        on_data = function(zero, LOG_Q - log_p, -log_p, *pair) - pair.f(zero)
        same_gradient(mean_eps(function(fake, none, none, *pair)) + mean(LOG_Q, on_data), want, m, s)
    for pair in DIVERGENCES:
        f, g = pair.f(-RATIOS), pair.g(RATIOS + 0.3)
        close(function(RATIOS, -RATIOS - 0.3, RATIOS.square(), *pair), f + g * RATIOS.square())


ORACLES = {
    method.moving_optimum: moving_optimum,
    method.written_f: written_f,
    method.written_g: written_g,
    method.exchanged: exchanged,
    method.jensen_shannon_f: jensen_shannon_f,
    method.jensen_shannon_g: jensen_shannon_g,
    method.identity: identity,
    method.gradient: whole_gradient,
    method.loss: loss,
}
