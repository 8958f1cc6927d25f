r"""Step II's gradient, as the game computes it, against quadrature of its own expectation (paper A, eq 15).

A case with everything known: data q = N(0, 1), generator G(z) = mu + s z with (mu, s) = (0.5, 0.8), where
both twins have finite variance for every alpha; E is the surrogate's exact posterior, D the exact log-ratio
log q - log p. F uses the noisy p~ and R the noiseless p, so the expectation is that of the printed formula,
which is not the gradient of one divergence.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bridgekit.games import bridge, setups
from bridgekit.random import stream
from bridgekit.theory.alpha import linear_gamma, sigmoid_gamma
from bridgekit.theory.densities import Mixture, normal_log_prob
from bridgekit.theory.divergences import alpha_normal, integrate, kl_normal

MU, S, SIGMA = 0.5, 0.8, 0.6
TRIALS, BATCH = 2000, 64
X = torch.linspace(-14, 14, 4001, dtype=torch.float64)


class LogRatio(nn.Module):
    """The optimal discriminator's logit: (T, B, 1) -> (T, B)."""

    def forward(self, x):
        return (normal_log_prob(x, 0.0, 0.0) - normal_log_prob(x, MU, math.log(S))).squeeze(-1)


def posterior(x):
    """Mean and variance of z given x under the surrogate x = MU + S z + SIGMA eps."""
    variance = 1 / (1 + S**2 / SIGMA**2)
    return variance * S * (x - MU) / SIGMA**2, variance


def networks(trials):
    """The known G, E and D as the game's own kinds of network, one copy a trial."""
    setup = setups.plane(Mixture(torch.zeros(1, 1), 1.0), batch=BATCH, z=1, depth=0)
    built = {name: setup.networks[name]([stream(0, "unused")] * trials).double() for name in ("G", "E")}
    slope, variance = posterior(MU + 1)
    with torch.no_grad():
        built["G"].weights[0].fill_(S), built["G"].biases[0].fill_(MU)
        built["E"].body.weights[0].copy_(torch.tensor([[slope, 0.0]]))
        built["E"].body.biases[0].copy_(torch.tensor([[-slope * MU, 0.5 * math.log(variance)]]))
    return setup, SimpleNamespace(**built, D=LogRatio())


def game_gradient(alpha, gamma, make_turn):
    """G's gradient of one step, an independent one for each trial: (2, T) for mu and s."""
    setup, nets = networks(TRIALS)
    generator = stream(1, f"step two, {alpha}")
    draws = (torch.randn(TRIALS, BATCH, 1, generator=generator, dtype=torch.float64) for _ in range(3))
    batch = dict(zip(("x", "eps", "z"), draws, strict=True))
    now = {"alpha": torch.tensor(alpha), "gamma": torch.tensor(gamma)}
    loss = make_turn(setup)(**vars(nets), **batch, **now)["G"]
    grads = torch.autograd.grad(loss.sum(), (nets.G.biases[0], nets.G.weights[0]))
    return torch.stack([g.flatten() for g in grads])


def step_two(setup):
    return bridge.bridge_turn(setup, SIGMA, float("inf"))


def forward_mean(alpha):
    r"""E_q[-e^{-alpha f} grad log p~(x, z)] by quadrature over x, in closed form over the posterior: (2,)."""
    m, variance = posterior(X)
    residual = X - MU - S * m
    scores = torch.stack([residual, residual * m - S * variance]) / SIGMA**2
    log_q, log_p = normal_log_prob(X, 0.0, 0.0), normal_log_prob(X, MU, math.log(S))
    return integrate(-(log_q + alpha * (log_p - log_q)).exp() * scores, X)


def reverse_mean(alpha):
    r"""E_p[-dG e^{(1 - alpha) f} f'] by quadrature over z: (2,)."""
    z = X
    x = MU + S * z
    f = normal_log_prob(x, 0.0, 0.0) - normal_log_prob(x, MU, math.log(S))
    slope = -x + (x - MU) / S**2
    weight = (normal_log_prob(z, 0.0, 0.0) + (1 - alpha) * f).exp() * slope
    return integrate(-torch.stack([weight, weight * z]), z)


def expectation(alpha, gamma):
    return (1 - gamma) / (1 - alpha) * forward_mean(alpha) + gamma * reverse_mean(alpha)


def z_scores(samples, mean):
    error = samples.std(-1) / math.sqrt(samples.shape[-1])
    return (samples.mean(-1) - mean) / error


ALPHAS = pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])


@ALPHAS
@pytest.mark.parametrize("gamma", [sigmoid_gamma, linear_gamma])
def test_step_twos_gradient_has_its_own_expectation(alpha, gamma):
    gamma = gamma(torch.tensor(alpha, dtype=torch.float64)).item()
    samples = game_gradient(alpha, gamma, step_two)
    assert z_scores(samples, expectation(alpha, gamma)).abs().max() < 3.5


def test_the_z_test_would_notice_a_slip():
    alpha, gamma = 0.5, 0.4  # where both twins and both weights count
    samples, share = game_gradient(alpha, gamma, step_two), (1 - gamma) / (1 - alpha)
    assert z_scores(samples, expectation(alpha, gamma)).abs().max() < 3.5
    for wrong in (
        expectation(alpha + 0.1, gamma),
        expectation(alpha, 1 - gamma),
        (1 - gamma) * forward_mean(alpha) + gamma * reverse_mean(alpha),  # no 1/(1 - alpha)
        share * forward_mean(0.0) + gamma * reverse_mean(alpha),  # a weight lost
        share * forward_mean(alpha) + gamma * reverse_mean(1.0),
    ):
        assert z_scores(samples, wrong).abs().max() > 6


@ALPHAS
def test_the_reverse_mean_is_the_divergences_gradient(alpha):
    """R is about the noiseless p, the model itself; F about the wider p~, so its mean is another one."""
    mu, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (MU, S))
    exact = torch.autograd.grad(alpha_normal(mu, s, alpha), (mu, s))
    torch.testing.assert_close(reverse_mean(alpha), torch.stack(exact), rtol=1e-9, atol=1e-12)
    assert ((forward_mean(alpha) / (1 - alpha) - torch.stack(exact)).abs() > 0.02).any()


def reverse_kl_gradient():
    mu, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (MU, S))
    return torch.stack(torch.autograd.grad(kl_normal(mu, s), (mu, s)))


@pytest.mark.parametrize("gamma", [sigmoid_gamma, linear_gamma])
def test_the_mean_converges_as_alpha_goes_to_one(gamma):
    """To the reverse KL's gradient and gamma'(1) times the surrogate's share, which is all that F leaves."""
    one = torch.ones((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(gamma(one), one)
    limit = slope * forward_mean(1.0) + reverse_kl_gradient()
    errors = []
    for gap in (1e-2, 1e-3, 1e-4):
        alpha = torch.tensor(1 - gap, dtype=torch.float64)
        errors.append((expectation(alpha, gamma(alpha)) - limit).abs().max())
    assert errors[0] < 0.1 and errors[1] < 0.2 * errors[0] and errors[2] < 0.2 * errors[1]
    near = gamma(torch.tensor(0.999, dtype=torch.float64)).item()
    samples = game_gradient(0.999, near, step_two)
    assert z_scores(samples, expectation(0.999, near)).abs().max() < 3.5
    assert (samples.mean(-1) - limit).abs().max() < 0.02


def test_the_noise_of_the_forward_term_stays():
    """As alpha goes to 1 with linear gamma the F term keeps its weight p/q, and so its noise."""
    near = game_gradient(0.999, 0.999, step_two)
    alone = game_gradient(0.999, 1.0, step_two)
    assert (near.var(-1) > 1.5 * alone.var(-1)).all()


def test_step_three_has_the_gradient_of_the_reverse_kl_and_no_more():
    samples = game_gradient(1.0, 1.0, lambda setup: bridge.alpha_bridge(setup).phase("III").turns[1])
    assert z_scores(samples, reverse_kl_gradient()).abs().max() < 3.5
