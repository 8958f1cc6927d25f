"""Log-probabilities, KL terms and sampling against torch.distributions, and their mutants."""

from __future__ import annotations

import math

import pytest
import torch
from mutants import survivors
from oracles.tools import close, gradient, leaves, same_gradient, tensor
from scipy import stats
from torch.distributions import Bernoulli, Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from bridgekit.theory import densities
from bridgekit.theory.densities import Mixture


def normal_log_prob(function):
    x, mu, log_sigma = leaves([[0.3, -1.0], [2.0, 5.0]], [0.1, 0.4], [-0.7, 1.2])
    want = Normal(mu, log_sigma.exp()).log_prob(x)
    close(function(x, mu, log_sigma), want)
    same_gradient(function(x, mu, log_sigma), want, x, mu, log_sigma)
    close(function(x, 0.0, 0.5), Normal(tensor(0.0), tensor(math.exp(0.5))).log_prob(x))
    assert function(x.float(), 0.0, 0.5).dtype == torch.float32


def bernoulli_log_prob(function):
    (logits,) = leaves([[-3.0, 0.0, 1.5], [0.2, 4.0, -0.1]])
    x = tensor([0.0, 1.0, 1.0])
    want = Bernoulli(logits=logits).log_prob(x.expand(2, 3))
    close(function(x, logits), want)
    same_gradient(function(x, logits), want, logits)
    grey = tensor([0.25, 0.5, 0.9])
    p = logits.sigmoid()
    close(function(grey, logits), grey * p.log() + (1 - grey) * (1 - p).log())
    sure = tensor([-500.0, 500.0, 500.0])
    close(function(x, sure), torch.zeros_like(x))
    close(function(1 - x, sure), tensor([-500.0, -500.0, -500.0]))


def kl_to_standard_normal(function):
    mu, log_sigma = leaves([[0.3, -1.0, 0.0], [2.0, 5.0, 0.1]], [[-0.7, 0.2, 0.0], [1.0, -1.0, 0.5]])
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    want = kl_divergence(Normal(mu, log_sigma.exp()), prior).sum(-1)
    close(function(mu, log_sigma), want)
    same_gradient(function(mu, log_sigma), want, mu, log_sigma)
    close(function(mu[:, None], log_sigma[:, None]), want[:, None])


def reparametrise(function):
    mu, log_sigma = leaves([0.3, -1.0], [-0.7, 0.2])
    eps = tensor([[1.0, -2.0], [0.0, 0.5]])
    x = function(mu, log_sigma, eps)
    close(x, mu + log_sigma.exp() * eps)
    slopes = gradient(x, mu, log_sigma)
    close(slopes[0], tensor([2.0, 2.0]))
    close(slopes[1], log_sigma.exp() * eps.sum(0))


ORACLES = {
    densities.normal_log_prob: normal_log_prob,
    densities.bernoulli_log_prob: bernoulli_log_prob,
    densities.kl_to_standard_normal: kl_to_standard_normal,
    densities.reparametrise: reparametrise,
}
every = pytest.mark.parametrize("function", list(ORACLES), ids=lambda function: function.__name__)


@every
def test_against_its_oracle(function):
    ORACLES[function](function)


@every
def test_every_mutant_fails(function):
    assert survivors(ORACLES[function], function) == set()


MIXTURE = Mixture(tensor([[0.0, 0.0], [2.0, 1.0], [-1.0, 3.0]]), 0.5)


def reference(mixture: Mixture) -> MixtureSameFamily:
    k = len(mixture.means)
    parts = Independent(Normal(mixture.means, torch.full_like(mixture.means, mixture.sigma)), 1)
    return MixtureSameFamily(Categorical(torch.full((k,), 1 / k, dtype=mixture.means.dtype)), parts)


def test_mixture_density_and_score():
    (x,) = leaves([[[0.1, 0.2], [1.0, 2.0]], [[-4.0, 9.0], [30.0, -30.0]]])
    got, want = MIXTURE.log_prob(x), reference(MIXTURE).log_prob(x)
    assert got.shape == (2, 2)
    close(got, want)
    same_gradient(got, want, x)


def test_mixture_posterior_is_bayes_rule():
    x = tensor([[[0.1, 0.2], [1.0, 2.0]], [[-4.0, 9.0], [300.0, -300.0]]])
    got = MIXTURE.log_posterior(x)
    assert got.shape == (2, 2, 3)
    joint = reference(MIXTURE).component_distribution.log_prob(x.unsqueeze(-2)) - math.log(3)
    close(got, joint - joint.logsumexp(-1, keepdim=True))
    close(got.exp().sum(-1), torch.ones_like(x[..., 0]))


def test_mixture_follows_its_points_in_dtype_and_its_means_in_device():
    x = torch.zeros(5, 2)
    assert MIXTURE.log_prob(x).dtype == MIXTURE.log_posterior(x).dtype == torch.float32
    close(MIXTURE.to("cpu").means, MIXTURE.means)
    assert MIXTURE.to("meta").means.device.type == "meta" and MIXTURE.to("meta").sigma == MIXTURE.sigma


def test_mixture_sample_has_the_mixtures_moments():
    n = 40_000
    x = MIXTURE.sample(n, torch.Generator().manual_seed(3))
    assert x.shape == (n, 2) and x.dtype == MIXTURE.means.dtype
    centred = MIXTURE.means - MIXTURE.means.mean(0)
    covariance = centred.T @ centred / 3 + 0.25 * torch.eye(2, dtype=x.dtype)
    z_mean = (x.mean(0) - MIXTURE.means.mean(0)) / (covariance.diag() / n).sqrt()
    assert z_mean.abs().max() < 3.5
    products = (x - MIXTURE.means.mean(0)).unsqueeze(-1) * (x - MIXTURE.means.mean(0)).unsqueeze(-2)
    z_covariance = (products.mean(0) - covariance) / (products.std(0) / math.sqrt(n))
    assert z_covariance.abs().max() < 3.5


def test_mixture_sample_draws_modes_evenly_with_normal_noise_around_them():
    mixture = Mixture(tensor([[-50.0], [0.0], [50.0], [100.0]]), 2.0)
    x = mixture.sample(20_000, torch.Generator().manual_seed(4)).squeeze(-1)
    which = (x[:, None] - mixture.means.T).abs().argmin(-1)
    assert stats.chisquare(torch.bincount(which, minlength=4)).pvalue > 1e-3
    noise = (x - mixture.means.squeeze(-1)[which]) / 2
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    neighbours = torch.corrcoef(torch.stack([which[1:].double(), which[:-1].double()]))[0, 1]
    assert abs(neighbours) * math.sqrt(len(x)) < 3.5


def test_mixture_sample_depends_on_its_generator_alone():
    before = torch.get_rng_state()
    first = MIXTURE.sample(10, torch.Generator().manual_seed(5))
    assert torch.equal(first, MIXTURE.sample(10, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, MIXTURE.sample(10, torch.Generator().manual_seed(6)))
    assert torch.equal(before, torch.get_rng_state())
