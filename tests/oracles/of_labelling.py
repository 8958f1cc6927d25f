"""Oracles of bridgekit.theory.labelling: labels are enumerated, densities are Gaussians on the grid X."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from bridgekit.theory import adversarial, divergences, labelling
from oracles.gaussians import EPS, LOG_Q, MODELS, M, S, X, jensen_shannon, log_normal, mean_eps, mean_q
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor

STEP = math.log(X[1] - X[0])


def discriminators(x: Tensor) -> list[Tensor]:
    """Logits of discriminators that are far from optimal: a wave, a slope of the wrong sign, a constant."""
    return [0.8 * torch.sin(2 * x) - 0.3 * x + 0.4, -0.5 * x - 1.0, torch.full_like(x, -0.7)]


def reverse(function: Function) -> None:
    """The probabilities of the two labels change places."""
    (f,) = leaves([-50.0, -1.3, 0.0, 0.4, 50.0])
    got = function(f)
    close(Bernoulli(logits=got).probs, 1 - Bernoulli(logits=f).probs)
    close(gradient(got, f)[0], -torch.ones_like(f))
    close(function(got), f)


def label_nll(function: Function) -> None:
    """The Bernoulli's own, for each label; both labels' mean is half the discriminator's loss."""
    (f,) = leaves([-3.0, -0.2, 0.0, 1.1, 4.0])
    for label in (0.0, 1.0):
        got, want = function(f, torch.full_like(f, label)), -Bernoulli(logits=f).log_prob(tensor(label))
        close(got, want)
        same_gradient(got, want, f)
    for mu, sigma in MODELS:
        log_p = log_normal(X, mu, sigma)
        f = (LOG_Q - log_p).requires_grad_()
        both = log_p.exp() * function(f, torch.zeros_like(X)) + LOG_Q.exp() * function(f, torch.ones_like(X))
        loss = torch.trapezoid(both, X) / 2
        close(loss, math.log(2) - jensen_shannon(log_p, LOG_Q))
        close(gradient(loss, f)[0], torch.zeros_like(X))


def domain_confusion(function: Function) -> None:
    """With the optimal D frozen: the value, and the gradient with which either domain moves."""
    for model in MODELS:
        (mu, sigma), (m, s) = leaves(*model), leaves(M, S)
        source, target = m + s * EPS, mu + sigma * EPS
        f_source = log_normal(source, M, S) - log_normal(source, *model)
        f_target = log_normal(target, M, S) - log_normal(target, *model)
        got = mean_eps(function(f_source, f_target))
        log_p, log_q = log_normal(X, mu, sigma), log_normal(X, m, s)
        fixed_p, fixed_q = log_p.detach(), log_q.detach()
        log_mixture = torch.logaddexp(fixed_p, fixed_q)
        want = log_q.exp() * (log_mixture - fixed_p) + log_p.exp() * (log_mixture - fixed_q)
        close(got, torch.trapezoid(want, X))
        same_gradient(got, torch.trapezoid(want, X), m, s, mu, sigma)


def log_prior(function: Function) -> None:
    """The mixture's density, its mass, and how much of it is whose."""
    for model in MODELS:
        log_p, log_q = log_normal(X, *model).requires_grad_(), LOG_Q.clone().requires_grad_()
        got = function(log_p, log_q)
        close(got, ((log_p.exp() + log_q.exp()) / 2).log())
        for part, share in zip(gradient(got, log_p, log_q), (log_p - log_q, log_q - log_p), strict=True):
            close(part, share.sigmoid())
    close(function(tensor([-900.0]), tensor([-900.0])), tensor([-900.0]))


def log_posterior(function: Function) -> None:
    """A Gaussian prior times a Gaussian likelihood, closed form with its gradient; and labels, enumerated."""
    for (mu, sigma), (a, s) in itertools.product(MODELS, ((1.0, 0.9), (-0.7, 1.4))):
        m, noise = leaves(mu, s)
        log_likelihood = log_normal(tensor(a), X, noise) - 3.0
        got = function(log_likelihood, log_normal(X, m, sigma), STEP)
        precision = 1 / sigma**2 + 1 / noise**2
        mean = (m / sigma**2 + a / noise**2) / precision
        inside = (X - mean).detach().abs() < 6  # where the density is more than rounding
        want = log_normal(X, mean, precision.rsqrt())
        assert got.shape == X.shape
        close(got[inside], want[inside])
        same_gradient(got[inside], want[inside], m, noise)
    likelihood, prior = leaves([[0.2, 0.5, 0.9], [0.1, 0.8, 0.3]], [[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])
    want = likelihood * prior / (likelihood * prior).sum(-1, keepdim=True)
    got = function(likelihood.log(), prior.log())
    close(got.exp(), want)
    same_gradient(got.exp() * tensor([1.0, 3.0, -2.0]), want * tensor([1.0, 3.0, -2.0]), likelihood, prior)


def posterior_kl(function: Function) -> None:
    """Between Gaussians; only the first learns."""
    for model in MODELS:
        (mu, sigma), (m, s) = leaves(*model), leaves(M, S)
        log_p, log_q = log_normal(X, mu, sigma), log_normal(X, m, s)
        got = torch.trapezoid(function(log_p, log_q), X)
        want = divergences.kl_normal(mu, sigma, M, S)
        close(got, want)
        same_gradient(got, want + 0 * m + 0 * s, mu, sigma, m, s)


def _log_joint(f: Tensor, y: float, log_prior: Tensor) -> Tensor:
    """log q^r(y|x) + log p(x), enumerated: Bernoulli's, with the other label."""
    return Bernoulli(logits=f).log_prob(tensor(1 - y)) + log_prior


def lemma_1(function: Function) -> None:
    """At theta_0, for any discriminator: the gradient of -E log q^r, taken along samples with D frozen."""
    fixed = (log_normal(X, -0.4, 0.7), log_normal(X, 0.9, 1.2))
    for model in MODELS:
        for k, f in enumerate(discriminators(X)):
            (mu, sigma), (m, s) = leaves(*model), leaves(M, S)
            log_p, log_q = log_normal(X, mu, sigma), log_normal(X, m, s)
            mixture = ((log_p.exp() + log_q.exp()) / 2).log()
            joint = [_log_joint(f, y, mixture) for y in (0.0, 1.0)]
            evidence = [torch.trapezoid(j.exp(), X).log() for j in joint]
            got = torch.trapezoid(function(log_p, log_q, joint[0] - evidence[0], joint[1] - evidence[1]), X)
            fake, real = (discriminators(x)[k] for x in (mu + sigma * EPS, m + s * EPS))
            eq_5 = mean_eps(-Bernoulli(logits=fake).log_prob(tensor(1.0)))
            eq_5 = (eq_5 - mean_eps(Bernoulli(logits=real).log_prob(tensor(0.0)))) / 2
            close(got, eq_5 + (evidence[0] + evidence[1]) / 2)  # the constant that eq 24 leaves out
            same_gradient(got, eq_5 + 0 * (mu + m), mu, sigma, m, s)
        (mu, sigma), (m, s) = leaves(*model), leaves(M, S)
        got = torch.trapezoid(function(log_normal(X, mu, sigma), log_normal(X, m, s), *fixed), X)
        want = divergences.kl_normal(mu, sigma, -0.4, 0.7) + divergences.kl_normal(m, s, 0.9, 1.2)
        want = want / 2 - jensen_shannon(log_normal(X, mu, sigma), log_normal(X, m, s))
        close(got, want)
        same_gradient(got, want, mu, sigma, m, s)


def infogan(function: Function) -> None:
    """x = wz + b from a code z ~ N(0, 1) and some Gaussian q(z|x); the real side sees its label alone."""
    (w, b, slope, shift, spread) = leaves(0.9, -0.2, 0.8, 0.1, 0.6)
    for k in range(2):
        x = w * EPS + b
        log_code = log_normal(EPS, slope * x + shift, spread)
        got = mean_eps(function(discriminators(x)[k], torch.zeros_like(EPS), log_code))
        label = mean_eps(-Bernoulli(logits=discriminators(x)[k]).log_prob(tensor(0.0)))
        drift = (1 - slope * w) ** 2 + (slope * b + shift) ** 2  # of the code's mean, squared and averaged
        code = spread.log() + math.log(2 * math.pi) / 2 + drift / (2 * spread**2)
        close(got, label + code)
        same_gradient(got, label + code, w, b, slope, shift, spread)
        f, some = discriminators(X)[k].requires_grad_(), X.clone().requires_grad_()
        real = mean_q(function(f, torch.ones_like(X), some))
        want = mean_q(adversarial.non_saturating(f))
        close(real, want)
        same_gradient(real, want + 0 * some.sum(), f, some)
    prior, encoder = Normal(tensor(0.0), tensor(1.0)), Normal(tensor(0.4), tensor(0.8))  # the AAE's two codes
    codes, half = X, prior.log_prob(X) - encoder.log_prob(X)
    decoder = log_normal(tensor(0.6), 0.9 * codes, 0.5)
    losses = [function(half, torch.full_like(X, y), decoder) for y in (0.0, 1.0)]
    total = torch.trapezoid(encoder.log_prob(X).exp() * losses[0] + prior.log_prob(X).exp() * losses[1], X)
    of_codes = 2 * math.log(2) - 2 * jensen_shannon(encoder.log_prob(X), prior.log_prob(X))
    rest = ((0.6 - 0.9 * encoder.mean) ** 2 + (0.9 * encoder.stddev) ** 2) / (2 * 0.5**2)
    close(total, of_codes + rest + math.log(0.5) + math.log(2 * math.pi) / 2)


def label_divergence(function: Function) -> None:
    """Enumerated: the KL of a Bernoulli to the uniform one."""
    (f,) = leaves([-8.0, -1.3, 0.0, 0.4, 5.0])
    got, want = function(f), kl_divergence(Bernoulli(logits=f), Bernoulli(tensor(0.5)))
    close(got, want)
    same_gradient(got, want, f)
    close(function(tensor([-1000.0, 0.0, 1000.0])), tensor([math.log(2), 0.0, math.log(2)]))


ORACLES = {
    labelling.reverse: reverse,
    labelling.label_nll: label_nll,
    labelling.domain_confusion: domain_confusion,
    labelling.log_prior: log_prior,
    labelling.log_posterior: log_posterior,
    labelling.posterior_kl: posterior_kl,
    labelling.lemma_1: lemma_1,
    labelling.infogan: infogan,
    labelling.label_divergence: label_divergence,
}
