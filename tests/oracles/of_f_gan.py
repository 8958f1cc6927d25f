"""Oracles of bridgekit.theory.f_gan: conjugates from f itself, and bounds that are tight at the optimum.

Each case holds a divergence as Nowozin et al. print it: f, the activation g, and the conjugate in T = g(v).
:func:`_optimum` checks these against one another before anything is compared with them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bridgekit.theory import divergences, f_gan
from oracles.gaussians import EPS, LOG_Q, M, S, X, log_normal, mean_eps
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor

# Pearson's chi-squared is finite, and its integrand well inside the grid, only for models about as wide as q.
WIDE = ((0.5, 1.0), (-0.6, 1.3), (0.2, 0.95))


@dataclass(frozen=True)
class Case:
    f: Callable[[Tensor], Tensor]
    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]
    v: Callable[[Tensor], Tensor]  # the optimal critic's output from log(q/p)
    divergence: Callable[[Tensor, Tensor], Tensor]


FORWARD_KL = Case(
    f=lambda u: u * u.log(),
    activation=lambda v: v,
    conjugate=lambda t: (t - 1).exp(),
    v=lambda r: 1 + r,
    divergence=divergences.forward_kl,
)
REVERSE_KL = Case(
    f=lambda u: -u.log(),
    activation=lambda v: -(-v).exp(),
    conjugate=lambda t: -1 - (-t).log(),
    v=lambda r: r,
    divergence=divergences.reverse_kl,
)
PEARSON_CHI2 = Case(
    f=lambda u: (u - 1) ** 2,
    activation=lambda v: v,
    conjugate=lambda t: t**2 / 4 + t,
    v=lambda r: 2 * torch.expm1(r),
    divergence=divergences.pearson_chi2,
)
SQUARED_HELLINGER = Case(
    f=lambda u: (u.sqrt() - 1) ** 2,
    activation=lambda v: 1 - (-v).exp(),
    conjugate=lambda t: t / (1 - t),
    v=lambda r: r / 2,
    divergence=divergences.squared_hellinger,
)
JENSEN_SHANNON = Case(
    f=lambda u: (u * u.log() - (u + 1) * ((u + 1) / 2).log()) / 2,
    activation=lambda v: (math.log(2) + logsigmoid(v)) / 2,
    conjugate=lambda t: -(2 - (2 * t).exp()).log() / 2,
    v=lambda r: r,
    divergence=divergences.jensen_shannon,
)


def _optimum(case: Case) -> None:
    """At v(log u), g(v) is f'(u) and f*(g(v)) is u f'(u) - f(u)."""
    (u,) = leaves([0.05, 0.4, 1.0, 1.7, 6.0])
    (slope,) = gradient(case.f(u), u)
    t = case.activation(case.v(u.detach().log()))
    close(t, slope)
    close(case.conjugate(t), (u * slope - case.f(u)).detach())


def critic(case: Case, function: Function) -> None:
    """Any critic's mean loss is minus its bound; the optimal one's is minus the divergence, and least."""
    _optimum(case)
    x, h = X[::2], 2 * (X[1] - X[0])
    log_q = log_normal(x, M, S)
    for (mu, sigma), shift in itertools.product(WIDE, (0.0, 0.4, -0.3)):
        log_p = log_normal(x, mu, sigma)
        v = (case.v(log_q - log_p) + shift).requires_grad_()
        loss = function(v[:, None].expand(len(x), len(x)), v[None].expand(len(x), len(x)))
        got = h**2 * (log_q.exp()[:, None] * log_p.exp() * loss).sum()
        t = case.activation(v)
        want = h * (log_p.exp() * case.conjugate(t) - log_q.exp() * t).sum()
        close(got, want)
        same_gradient(got, want, v)
        if shift == 0:
            close(got, -divergences.divergence(case.divergence, log_p, log_q, x))
            close(gradient(got, v)[0], torch.zeros_like(v))


def generator(case: Case, function: Function) -> None:
    """With the optimal critic frozen, the mean over p has the gradient of the divergence."""
    _optimum(case)
    values = tensor([-1.5, -0.2, 0.0, 0.7, 2.0])
    close(function(values), -case.conjugate(case.activation(values)))
    for mu, sigma in itertools.starmap(leaves, WIDE):
        x = mu + sigma * EPS
        ratio = log_normal(x, M, S) - log_normal(x, mu.detach(), sigma.detach())
        got = mean_eps(function(case.v(ratio)))
        log_p = log_normal(X, mu, sigma)
        same_gradient(got, divergences.divergence(case.divergence, log_p, LOG_Q, X), mu, sigma)


ORACLES = {
    f_gan.forward_kl_critic: partial(critic, FORWARD_KL),
    f_gan.forward_kl_generator: partial(generator, FORWARD_KL),
    f_gan.reverse_kl_critic: partial(critic, REVERSE_KL),
    f_gan.reverse_kl_generator: partial(generator, REVERSE_KL),
    f_gan.pearson_chi2_critic: partial(critic, PEARSON_CHI2),
    f_gan.pearson_chi2_generator: partial(generator, PEARSON_CHI2),
    f_gan.squared_hellinger_critic: partial(critic, SQUARED_HELLINGER),
    f_gan.squared_hellinger_generator: partial(generator, SQUARED_HELLINGER),
    f_gan.jensen_shannon_critic: partial(critic, JENSEN_SHANNON),
    f_gan.jensen_shannon_generator: partial(generator, JENSEN_SHANNON),
}
