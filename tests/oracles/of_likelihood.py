"""Oracles of bridgekit.theory.likelihood."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import logsigmoid

from bridgekit.theory import divergences, likelihood
from oracles.gaussians import EPS, MODELS, M, S, X, log_normal, mean_eps, mean_q
from oracles.tools import Function, close, gradient, leaves, rejects, same_gradient, tensor


def negative_log_likelihood(function: Function) -> None:
    """The mean over q is KL[q||p] plus q's entropy."""
    for mu, sigma in itertools.starmap(leaves, MODELS):
        got = mean_q(function(log_normal(X, mu, sigma)))
        want = divergences.kl_normal(tensor(M), tensor(S), mu, sigma)
        close(got, want + Normal(tensor(M), tensor(S)).entropy())
        same_gradient(got, want, mu, sigma)


def gaussian_nll(function: Function) -> None:
    """Linear generator wz + b: integrating z out leaves sigma^2 across w, and |w|^2 more along it."""
    x, (w, b), sigma = tensor([[0.2, 1.0], [-1.5, 0.3], [2.0, -2.0]]), leaves([0.9, -0.4], [0.1, 0.6]), 0.7
    assert not rejects(lambda: function(x, x, sigma))
    assert rejects(lambda: function(x, x, 0.0)) and rejects(lambda: function(x, x, -1.0))
    mean = (w * X[:, None] + b)[:, None]
    nll = function(x, mean, sigma)
    assert nll.shape == (len(X), len(x))
    got = torch.logsumexp(log_normal(X, 0.0, 1.0)[:, None] - nll, 0) + math.log(X[1] - X[0])
    along, across = (x - b) @ w / w.norm(), (x - b) @ torch.stack([-w[1], w[0]]) / w.norm()
    want = log_normal(along, 0.0, (w @ w + sigma**2).sqrt()) + log_normal(across, 0.0, sigma)
    close(got, want)
    same_gradient(got, want, w, b)
    close(function(x[..., None], mean[..., None], sigma, 2), nll)
    close(function(x, mean, sigma, 0).sum(-1), nll)


def bernoulli_nll(function: Function) -> None:
    """Probabilities of all outcomes sum to 1; the gradient in the logits is sigmoid(logits) - x."""
    (logits,) = leaves([[0.3, -1.2, 2.0], [0.0, 4.0, -0.7]])
    outcomes = tensor(list(itertools.product((0.0, 1.0), repeat=3)))[:, None]
    nll = function(outcomes.expand(8, 2, 3), logits.expand(8, 2, 3))
    assert nll.shape == (8, 2)
    close(torch.logsumexp(-nll, 0), torch.zeros_like(logits[:, 0]))
    close(nll, -Bernoulli(logits=logits).log_prob(outcomes.expand(8, 2, 3)).sum(-1))
    close(function(outcomes, logits.expand(8, 2, 3)), nll)
    grey = tensor([0.2, 0.9, 0.5])
    got = function(grey, logits)
    close(got, -(grey * logsigmoid(logits) + (1 - grey) * logsigmoid(-logits)).sum(-1))
    close(gradient(got, logits)[0], logits.sigmoid() - grey)
    close(function(grey[:, None], logits[..., None], 2), got)
    close(function(grey, logits, 0).sum(-1), got)


def _linear_vae(w: Tensor, b: Tensor, x: Tensor) -> tuple[Normal, Normal, Callable[[Tensor], Tensor]]:
    """p(x), p(z|x) and z -> log p(x|z) of z ~ N(0, 1), x ~ N(wz + b, 0.7^2)."""
    noise = 0.7
    variance = 1 / (1 + w**2 / noise**2)
    posterior = Normal(variance * w * (x - b) / noise**2, variance.sqrt().expand_as(x))
    return Normal(b, (w**2 + noise**2).sqrt()), posterior, lambda z: log_normal(x, w * z + b, noise)


def negative_elbo(function: Function) -> None:
    """Linear-Gaussian VAE: -log p(x) at the exact posterior, elsewhere above it by KL[q(z|x)||p(z|x)]."""
    x, (w, b, m, s) = tensor([-1.0, 0.4, 2.5]), leaves(0.9, 0.2, [0.3, -0.2, 1.0], [0.5, 0.9, 1.2])
    marginal, posterior, log_likelihood = _linear_vae(w, b, x)
    prior = Normal(tensor(0.0), tensor(1.0))

    def expected(code: Normal) -> Tensor:
        z = code.mean + code.stddev * EPS[:, None]
        loss = function(-log_likelihood(z), kl_divergence(code, prior).expand(z.shape))
        return mean_eps(loss.T)

    close(expected(posterior), -marginal.log_prob(x))
    same_gradient(expected(posterior), -marginal.log_prob(x), w, b)
    want = kl_divergence(Normal(m, s), posterior) - marginal.log_prob(x)
    close(expected(Normal(m, s)), want)
    same_gradient(expected(Normal(m, s)), want, w, b, m, s)


def importance_weighted_bound(function: Function) -> None:
    """Linear-Gaussian VAE: log p(x) for any draws from the exact posterior; else between it and the ELBO."""
    x, (w, b) = tensor([-1.0, 0.4, 2.5]), leaves(0.9, 0.2)
    marginal, posterior, log_likelihood = _linear_vae(w, b, x)

    def log_weights(code: Normal, eps: Tensor) -> Tensor:
        z = code.mean + code.stddev * eps[..., None]
        return log_likelihood(z) + log_normal(z, 0.0, 1.0) - code.log_prob(z)

    got = function(log_weights(posterior, tensor([-2.0, 0.1, 0.5, 3.0, -1.0])))
    close(got, marginal.log_prob(x))
    same_gradient(got, marginal.log_prob(x), w, b)
    weights = log_weights(Normal(tensor([0.1, -0.2, 0.9]), tensor(0.8)), tensor([-0.4, 1.0])).detach()
    weights.requires_grad_()
    close(function(weights), weights.exp().mean(0).log())
    close(gradient(function(weights), weights)[0], weights.softmax(0))
    _rises(lambda eps: function(log_weights(Normal(posterior.mean, 1.5 * posterior.stddev), eps)), x, w, b)


def _rises(bound: Callable[[Tensor], Tensor], x: Tensor, w: Tensor, b: Tensor) -> None:
    """The expected bound, for 1, 2 and 3 draws: the ELBO, then strictly up, below log p(x)."""
    grid = torch.linspace(-7, 7, 29, dtype=torch.float64)
    weight = log_normal(grid, 0.0, 1.0).exp() * (grid[1] - grid[0])
    marginal, posterior, _ = _linear_vae(w, b, x)
    means = []
    for k in (1, 2, 3):
        eps = torch.stack(torch.meshgrid(*[grid] * k, indexing="ij"))
        means.append(
            (bound(eps.flatten(1)).T * torch.cartesian_prod(*[weight] * k).view(-1, k).prod(-1)).sum(-1)
        )
    gap = kl_divergence(Normal(posterior.mean, 1.5 * posterior.stddev), posterior)
    close(means[0], marginal.log_prob(x) - gap)
    assert (means[1] > means[0] + 0.01).all() and (means[2] > means[1] + 0.01).all()
    assert (means[2] < marginal.log_prob(x)).all()


ORACLES = {
    likelihood.negative_log_likelihood: negative_log_likelihood,
    likelihood.gaussian_nll: gaussian_nll,
    likelihood.bernoulli_nll: bernoulli_nll,
    likelihood.negative_elbo: negative_elbo,
    likelihood.importance_weighted_bound: importance_weighted_bound,
}
