"""Divergences by quadrature, in closed form and to fifty digits: values, gradients, limits and tails."""

from __future__ import annotations

import functools
import itertools
import math
from decimal import Decimal, localcontext

import pytest
import torch
from mutants import survivors
from oracles.gaussians import LOG_Q, MODELS, M, S, X, jensen_shannon, log_normal
from oracles.tools import close, gradient, leaves, same_gradient, tensor
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bridgekit.theory import divergences

ALPHAS = (0.0, 1e-12, 1e-6, 0.1, 0.5, 0.7, 1 - 1e-6, 1 - 1e-12, 1.0)
WIDE = ((0.5, 1.3), (-1.0, 1.6))  # models for which the Pearson divergence from q is finite


def exact_alpha(mu: Decimal, sigma: Decimal, alpha: float) -> Decimal:
    """Eq 8 between Gaussians as printed, in decimal arithmetic; its limits at 0 and 1."""
    a, m, s = Decimal(alpha), Decimal(M), Decimal(S)
    if a in (0, 1):
        (mu, sigma), (m, s) = ((mu, sigma), (m, s)) if a == 1 else ((m, s), (mu, sigma))
        return (s / sigma).ln() + ((sigma / s) ** 2 + ((mu - m) / s) ** 2 - 1) / 2
    v = a * s**2 + (1 - a) * sigma**2
    exponent = (1 - a) * sigma.ln() + a * s.ln() - v.ln() / 2 - a * (1 - a) * (mu - m) ** 2 / (2 * v)
    return (1 - exponent.exp()) / (a * (1 - a))


@functools.cache
def exact(mu: float, sigma: float, alpha: float) -> tuple[float, float, float]:
    """D_alpha and its derivatives in mu and sigma (central differences), right to every digit of a float."""
    with localcontext() as context:
        context.prec = 60
        at, h = (Decimal(mu), Decimal(sigma)), Decimal("1e-15")
        slopes = []
        for i, j in ((h, 0), (0, h)):
            up, down = exact_alpha(at[0] + i, at[1] + j, alpha), exact_alpha(at[0] - i, at[1] - j, alpha)
            slopes.append(float((up - down) / (2 * h)))
        return float(exact_alpha(*at, alpha)), *slopes


def check_exactly(divergence, model, alpha):
    mu, sigma = leaves(*model)
    value, *slopes = exact(*model, alpha)
    got = divergence(mu, sigma)
    close(got, tensor(value))
    for slope, want in zip(gradient(got, mu, sigma), slopes, strict=True):
        close(slope, tensor(want))


def alpha_normal(function):
    """The closed form and its gradient to every digit, for any alpha in [0, 1]."""
    for model, alpha in itertools.product(MODELS, ALPHAS):
        check_exactly(lambda mu, sigma, a=alpha: function(mu, sigma, tensor(a), M, S), model, alpha)
    mu, sigma = tensor([0.5, 0.2]), tensor(0.8)
    got = function(mu, sigma, tensor([[0.0], [0.3], [1.0]]))  # standard normal q; everything broadcasts
    assert got.shape == (3, 2)
    close(got[1, 1], function(mu[1], sigma, 0.3, 0.0, 1.0))


def kl_normal(function):
    (mu, sigma, m, s) = leaves(0.5, 0.8, M, S)
    want = kl_divergence(Normal(mu, sigma), Normal(m, s))
    close(function(mu, sigma, m, s), want)
    same_gradient(function(mu, sigma, m, s), want, mu, sigma, m, s)
    close(function(m, s), function(m, s, tensor(0.0), tensor(1.0)))


def integrand(want, models=MODELS):
    """An oracle for a pointwise contribution: its integral and gradient, zero where p = q, never negative."""

    def oracle(function):
        for mu, sigma in itertools.starmap(leaves, models):
            log_p = log_normal(X, mu, sigma)
            values = function(log_p, LOG_Q)
            assert isinstance(values, Tensor) and values.shape == X.shape
            assert (values >= -1e-15 * (log_p.exp() + LOG_Q.exp())).all()
            got = divergences.divergence(function, log_p, LOG_Q, X)
            close(got, want(mu, sigma))
            same_gradient(got, want(mu, sigma), mu, sigma)
        assert function(LOG_Q, LOG_Q).abs().max() < 1e-15
        for dtype, log_max in ((torch.float32, 88.0), (torch.float64, 700.0)):
            tails(function, dtype, log_max if want is pearson_closed else math.inf)

    return oracle


def tails(function, dtype, log_max):
    """Log densities down to -1000: finite with finite gradients, where (q/p)^2 p stays below e^{log_max}."""
    pairs = torch.cartesian_prod(*[torch.tensor([-1000.0, -500.0, -80.0, -1.0, 0.0], dtype=dtype)] * 2)
    log_p, log_q = pairs[2 * pairs[:, 1] - pairs[:, 0] < log_max].T.clone().requires_grad_()
    values = function(log_p, log_q)
    assert values.dtype == dtype and len(values) > 10
    for result in (values, *gradient(values, log_p, log_q)):
        assert result.isfinite().all()


def hellinger_closed(mu, sigma):
    total = sigma**2 + S**2
    return 2 - 2 * (2 * sigma * S / total).sqrt() * torch.exp(-((mu - M) ** 2) / (4 * total))


def pearson_closed(mu, sigma):
    excess = 2 * sigma**2 - S**2
    return sigma**2 / (S * excess.sqrt()) * torch.exp((mu - M) ** 2 / excess) - 1


def alpha(function):
    """The integrand: the closed form's digits by quadrature, for scalars and for one alpha per row."""
    for model, a in itertools.product(MODELS, ALPHAS):
        check_exactly(
            lambda mu, sigma, a=a: torch.trapezoid(function(log_normal(X, mu, sigma), LOG_Q, a), X), model, a
        )
    rows, log_p = tensor(ALPHAS)[:, None], log_normal(X, 0.5, 0.8)
    together = function(log_p, LOG_Q, rows)
    assert together.shape == (len(ALPHAS), len(X))
    for row, a in zip(together, ALPHAS, strict=True):
        close(row, function(log_p, LOG_Q, a))
    for a in (0.0, 0.3, 1.0):
        closed = functools.partial(divergences.alpha_normal, alpha=a, m=M, s=S)
        integrand(closed)(lambda log_p, log_q, a=a: function(log_p, log_q, a))


def log_ratio(function):
    close(function(tensor([2.0]), tensor([-3.0])), tensor([5.0]))


def integrate(function):
    uneven = tensor([0.0, 0.3, 1.0, 3.0])
    close(function(torch.stack([2 * uneven + 1, uneven * 0 + 2])[:, None], uneven), tensor([[12.0], [6.0]]))


def divergence(function):
    log_p = torch.stack([log_normal(X, *model) for model in MODELS])
    got = function(divergences.forward_kl, log_p, LOG_Q, X)
    want = [divergences.kl_normal(tensor(M), tensor(S), *map(tensor, model)) for model in MODELS]
    close(got, torch.stack(want))


ORACLES = {
    divergences.log_ratio: log_ratio,
    divergences.forward_kl: integrand(lambda *p: divergences.kl_normal(tensor(M), tensor(S), *p)),
    divergences.reverse_kl: integrand(lambda *p: divergences.kl_normal(*p, M, S)),
    divergences.jensen_shannon: integrand(lambda *p: jensen_shannon(log_normal(X, *p), LOG_Q)),
    divergences.squared_hellinger: integrand(hellinger_closed),
    divergences.pearson_chi2: integrand(pearson_closed, WIDE),
    divergences.alpha: alpha,
    divergences.integrate: integrate,
    divergences.divergence: divergence,
    divergences.kl_normal: kl_normal,
    divergences.alpha_normal: alpha_normal,
}
# Mutants (by their changed line) that are the same function, and why.
_QUOTIENT = "quotient = torch.where(au.abs() {}, q * torch.expm1(au.clamp({})), (log_q + au).exp() - q) / a"
EQUIVALENT = {
    divergences.jensen_shannon: {"def jensen_shannon(log_q: Tensor, log_p: Tensor) -> Tensor:": "symmetric"},
    divergences.squared_hellinger: {
        "def squared_hellinger(log_q: Tensor, log_p: Tensor) -> Tensor:": "symmetric"
    },
    divergences.alpha: {
        "low = a < 0.5": "both branches hold at 1/2",
        "a = torch.where(alpha == 0, torch.ones_like(1 - alpha), alpha)": "only its shape is used",
        _QUOTIENT.format("<= 1", "-1, 1"): "both branches hold at 1",
        _QUOTIENT.format("< 1", "-2, 1"): "the clamp guards the branch not taken",
        _QUOTIENT.format("< 1", "-1, 2"): "the clamp guards the branch not taken",
    },
    divergences.alpha_normal: {"low = a < 0.5": "both branches hold at 1/2"},
}
every = pytest.mark.parametrize("function", list(ORACLES), ids=lambda function: function.__name__)


@every
def test_against_its_oracle(function):
    ORACLES[function](function)


@every
def test_every_mutant_fails(function):
    assert survivors(ORACLES[function], function) == EQUIVALENT.get(function, {}).keys()


PAIRS = [(log_normal(X, *model), LOG_Q) for model in MODELS]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_alpha_swaps_its_arguments_with_one_minus_alpha(alpha):
    for log_p, log_q in PAIRS:
        close(divergences.alpha(log_p, log_q, alpha), divergences.alpha(log_q, log_p, 1 - alpha))


def test_limits_and_middle_of_the_alpha_family_point_by_point():
    for log_p, log_q in PAIRS:
        close(divergences.alpha(log_p, log_q, 0.0), divergences.forward_kl(log_p, log_q))
        close(divergences.alpha(log_p, log_q, 1.0), divergences.reverse_kl(log_p, log_q))
        close(divergences.alpha(log_p, log_q, 0.5), 2 * divergences.squared_hellinger(log_p, log_q))


def test_jensen_shannon_is_symmetric_and_reaches_log_2_only_without_overlap():
    near, far = log_normal(X, -6.0, 0.4), log_normal(X, 6.0, 0.4)
    integral = functools.partial(divergences.divergence, divergences.jensen_shannon, x=X)
    close(integral(near, far), tensor(math.log(2)))
    close(divergences.divergence(divergences.squared_hellinger, near, far, X), tensor(2.0))
    for log_p, log_q in PAIRS:
        close(integral(log_p, log_q), integral(log_q, log_p))
        assert 0 < integral(log_p, log_q) < math.log(2)


def test_nearly_equal_densities_keep_their_digits_in_the_square_forms():
    log_p, log_q = log_normal(X, 0.0, 1.0), log_normal(X, 1e-8, 1.0)
    for integrand, want in ((divergences.squared_hellinger, 1 / 4), (divergences.pearson_chi2, 1.0)):
        assert divergences.divergence(integrand, log_p, log_q, X).item() == pytest.approx(
            want * 1e-16, rel=1e-6
        )


def test_quadrature_converges_faster_than_any_power_of_the_spacing():
    exact_value = divergences.alpha_normal(tensor(0.5), tensor(0.8), 0.3, M, S)
    errors = []
    for points in (13, 25, 49, 2000):
        x = torch.linspace(-12, 12, points, dtype=torch.float64)
        integrand = functools.partial(divergences.alpha, alpha=0.3)
        found = divergences.divergence(integrand, log_normal(x, 0.5, 0.8), log_normal(x, M, S), x)
        errors.append((found / exact_value - 1).abs().item())
    assert errors[0] > 1e-3 and errors[1] < errors[0] ** 1.5 and errors[2] < errors[1] ** 1.5
    assert errors[3] < 1e-14
