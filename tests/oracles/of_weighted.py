"""Oracles of bridgekit.theory.weighted."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from bridgekit.theory import adversarial, divergences, likelihood, weighted
from oracles.gaussians import EPS, LOG_Q, MODELS, M, S, X, log_normal, mean_eps
from oracles.tools import Function, close, gradient, leaves, rejects, same_gradient, tensor

DATA = tensor(M), tensor(S)


def log_weight(function: Function) -> None:
    """The exact posterior's weights are all the evidence; elsewhere their mean is, their log's is less."""
    z, noise = tensor([-2.0, 0.1, 3.0]), 0.5
    for model in MODELS:
        mu, sigma = leaves(*model)
        evidence = log_normal(tensor(1.4), mu, (sigma**2 + noise**2).sqrt())
        variance = 1 / (1 / sigma**2 + 1 / noise**2)
        mean = variance * (mu / sigma**2 + 1.4 / noise**2)
        log_likelihood, log_prior = log_normal(tensor(1.4), z, noise), log_normal(z, mu, sigma)
        got = function(log_likelihood, log_prior, log_normal(z, mean, variance.sqrt()))
        close(got, evidence.expand(3))
        same_gradient(got, 3 * evidence, mu, sigma)
        x = mu.detach() + 0.7 * EPS  # another proposal
        log_p = log_normal(x, mu.detach(), 0.7)
        got = function(log_normal(tensor(1.4), x, noise), log_normal(x, mu, sigma), log_p)
        close(mean_eps(got.exp()), evidence.exp())
        gap = kl_divergence(Normal(mu, tensor(0.7)), Normal(mean, variance.sqrt()))
        close(mean_eps(got), evidence - gap)


def importance_log_weight(function: Function) -> None:
    """At the optimal D: in proportion to data over model; the weights sum to one over the last axis."""
    x = tensor([[-1.0, 0.3, 1.2, 2.0], [0.5, -0.4, 0.0, 1.0]])
    for model in MODELS:
        f = (log_normal(x, M, S) - log_normal(x, *model)).requires_grad_()
        ratio = log_normal(x, M, S).exp() / log_normal(x, *model).exp()
        weights = ratio / ratio.sum(-1, keepdim=True)
        got = function(f)
        close(got.exp(), weights)
        close(gradient(got, f)[0], 1 - 4 * weights)
        close(function(f[0]), got[0])


def class_log_weight(function: Function) -> None:
    """Class by class; one class is the plain weight, as many classes as samples a plain mean."""
    (f,) = leaves([[0.3, -1.0, 2.0, 0.0, 1.5, -3.0], [1.0, 1.0, -2.0, 4.0, 0.0, 0.5]])
    labels = torch.tensor([[0, 1, 0, 2, 1, 0], [1, 1, 1, 0, 0, 1]])
    want = torch.zeros_like(f)
    for trial in range(2):
        for c in labels[trial].unique():
            of = (labels[trial] == c).nonzero()[:, 0]
            shares = f[trial, of].exp() / f[trial, of].exp().sum() * len(of) / 6
            want = want.index_put((torch.tensor(trial), of), shares)
    got = function(f, labels)
    close(got.exp(), want)
    scale = torch.arange(12.0, dtype=torch.float64).view(2, 6)
    same_gradient(got.exp() * scale, want * scale, f)
    close(function(f[1], labels[1]), got[1])
    close(function(f[None], labels[None]), got[None])
    close(function(f, torch.tensor(3)), weighted.importance_log_weight(f))
    close(function(f, torch.arange(6)), torch.full_like(f, -math.log(6)))


def importance_weighted(function: Function) -> None:
    """Summed over a grid as over a minibatch: the optimal D's weights turn p into q. k = 1 is the GAN."""
    for mu, sigma in MODELS:
        log_p = log_normal(X, mu, sigma)
        f = (LOG_Q - log_p).requires_grad_()
        log_weights = f + log_p + math.log(X[1] - X[0])
        got = function(f, log_weights).sum()
        log_mixture = torch.logaddexp(log_p, LOG_Q)
        close(got, torch.trapezoid(LOG_Q.exp() * (log_mixture - LOG_Q), X))
        close(gradient(got, f)[0], -(X[1] - X[0]) * (LOG_Q + log_p - log_mixture).exp())
    (f,) = leaves([0.4])
    alone = function(f, weighted.importance_log_weight(f))
    close(alone, adversarial.non_saturating(f))
    same_gradient(alone, adversarial.non_saturating(f), f)


def _enumerated(f: Tensor, fake: Tensor, real: Tensor) -> Tensor:
    """Eq 23 for the labels' joint with a code, both labels' terms added up; q^r(y = 0) = D."""
    reversed_label = Bernoulli(logits=-f.detach())  # q^r(y = 1|x) = 1 - D(x)
    terms = torch.stack([fake, real])
    chances = torch.stack([reversed_label.log_prob(tensor(y)).exp() for y in (0.0, 1.0)])
    return (chances * terms).sum(0) + kl_divergence(reversed_label, Bernoulli(tensor(0.5)))


def adversary_activated(function: Function) -> None:
    """The perfect D gives the VAE, an ignorant one half of it; else data are re-weighted, softly if T > 1."""
    loss, perfect = leaves([1.0, -2.0, 3.0, 0.5], [math.inf, math.inf, -math.inf, -math.inf])
    got = function(perfect, loss)
    close(got, tensor([1.0, -2.0, 0.0, 0.0]))
    same_gradient(got, loss * tensor([1.0, 1.0, 0.0, 0.0]) + torch.zeros(4), loss)
    close(function(torch.zeros(4, dtype=torch.float64), loss, 7.0), loss / 2)
    for temperature in ((), (1.0,), (3.0,)):
        for model in MODELS:  # the optimal D: E over real and fake is q's alone at T = 1
            (m, s), log_p = leaves(0.1, 0.9), log_normal(X, *model)
            f = (LOG_Q - log_p).requires_grad_()
            term = -log_normal(X, m, s)
            got = torch.trapezoid((log_p.exp() + LOG_Q.exp()) * function(f, term, *temperature), X)
            odds = torch.exp(-f.detach() / (temperature or (1.0,))[0])
            want = torch.trapezoid((log_p.exp() + LOG_Q.exp()) / (1 + odds) * term, X)
            close(got, want)
            same_gradient(got, want + 0 * f.sum(), m, s, f)
            if temperature != (3.0,):
                exact = divergences.kl_normal(*DATA, m, s) + Normal(*DATA).entropy()
                close(got, exact)
                same_gradient(got, exact, m, s)
    assert rejects(lambda: function(perfect, loss, 0.0)) and rejects(lambda: function(perfect, loss, -1.0))
    assert not rejects(lambda: function(perfect, loss, 0.5))


def activated_vae(function: Function) -> None:
    """Both labels enumerated; with a perfect D half the negative ELBO, and log 2 that no one can change."""
    f, fake, real = leaves([-2.0, 0.3, 1.0, 0.0], [3.0, 1.0, 0.5, -1.0], [0.2, 0.7, 0.7, 0.4])
    got, want = function(f, fake, real), _enumerated(f, fake, real)
    close(got, want)
    same_gradient(got, want + 0 * f, f, fake, real)
    data = tensor([-1.0, 0.4, 2.5])
    (b,) = leaves(0.2)
    nelbo = likelihood.negative_elbo(-log_normal(data, b, 1.2), torch.zeros_like(data))
    sure, none = torch.full_like(data, 1000.0), torch.zeros_like(data)
    got = (function(sure, nelbo, none) + function(-sure, nelbo, none)).mean() / 2
    close(got, nelbo.mean() / 2 + math.log(2))
    same_gradient(got, nelbo.mean() / 2, b)


ORACLES = {
    weighted.log_weight: log_weight,
    weighted.importance_log_weight: importance_log_weight,
    weighted.class_log_weight: class_log_weight,
    weighted.importance_weighted: importance_weighted,
    weighted.adversary_activated: adversary_activated,
    weighted.activated_vae: activated_vae,
}
