"""Oracles of bridgekit.theory.adversarial."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from bridgekit.theory import adversarial, divergences
from oracles.gaussians import EPS, LOG_Q, MODELS, M, S, X, jensen_shannon, log_normal, mean_eps
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor


def discriminator(function: Function) -> None:
    """f is free on a grid: at log q - log p the loss is least, 2 log 2 - 2 JSD; at 0 it is 2 log 2."""
    x, h = X[::2], 2 * (X[1] - X[0])
    log_p, log_q = log_normal(x, 0.5, 0.8), log_normal(x, M, S)
    for shift in (0.0, 0.7, -2.0):
        f = (log_q - log_p + shift).requires_grad_()
        loss = function(f[:, None].expand(len(x), len(x)), f[None].expand(len(x), len(x)))
        total = h**2 * (log_q.exp()[:, None] * log_p.exp() * loss).sum()
        slope = h * (log_p.exp() * f.sigmoid() - log_q.exp() * (-f).sigmoid())
        close(gradient(total, f)[0], slope)
        if shift == 0:
            close(slope, torch.zeros_like(x))
            close(total, 2 * math.log(2) - 2 * jensen_shannon(log_normal(X, 0.5, 0.8), LOG_Q))
    close(function(tensor([0.0]), tensor([0.0])), tensor([2 * math.log(2)]))


def _generator(function: Function, value: Function, objective: Function) -> None:
    """With the optimal D frozen: the mean's value, and its gradient that of the objective (both on X)."""
    for mu, sigma in itertools.starmap(leaves, MODELS):
        x = mu + sigma * EPS
        got = mean_eps(function(log_normal(x, M, S) - log_normal(x, mu.detach(), sigma.detach())))
        log_p = log_normal(X, mu, sigma)
        close(got, torch.trapezoid(log_p.exp() * value(log_p, LOG_Q), X))
        same_gradient(got, objective(log_p, LOG_Q, mu, sigma), mu, sigma)


def _reverse_kl(log_p: Tensor, log_q: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    return divergences.kl_normal(mu, sigma, M, S)


def saturating(function: Function) -> None:
    """E_p log(1 - D*), with the gradient of 2 JSD."""
    _generator(
        function,
        lambda log_p, log_q: log_p - torch.logaddexp(log_p, log_q),
        lambda log_p, log_q, *_: 2 * jensen_shannon(log_p, log_q),
    )


def non_saturating(function: Function) -> None:
    """-E_p log D*, with the gradient of KL[p||q] - 2 JSD."""
    _generator(
        function,
        lambda log_p, log_q: torch.logaddexp(log_p, log_q) - log_q,
        lambda *args: _reverse_kl(*args) - 2 * jensen_shannon(*args[:2]),
    )


def reverse_kl(function: Function) -> None:
    """KL[p||q], gradient included."""
    _generator(function, lambda log_p, log_q: log_p - log_q, _reverse_kl)


ORACLES = {
    adversarial.discriminator: discriminator,
    adversarial.saturating: saturating,
    adversarial.non_saturating: non_saturating,
    adversarial.reverse_kl: reverse_kl,
}
