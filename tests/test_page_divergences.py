"""What the page *divergences* states in prose and does not compute: the table of prices, the Taylor term."""

import math

import pytest
import torch

from bridgekit.theory import divergences
from bridgekit.theory.densities import normal_log_prob


def family(alpha):
    return lambda log_p, log_q: divergences.alpha(log_p, log_q, alpha)


LOG_T = torch.tensor(-400.0, dtype=torch.float64)
NONE = torch.zeros((), dtype=torch.float64)
GROWS = float(-LOG_T) - 1  # log(1/t) - 1


@pytest.mark.parametrize(
    ("integrand", "missing", "wasted"),
    [
        (divergences.forward_kl, GROWS, 1),
        (family(0.0), GROWS, 1),
        (family(0.25), 4, 4 / 3),
        (family(0.5), 2, 2),
        (family(0.8), 1.25, 5),
        (family(1.0), 1, GROWS),
        (divergences.reverse_kl, 1, GROWS),
        (divergences.jensen_shannon, math.log(2) / 2, math.log(2) / 2),
        (divergences.squared_hellinger, 1, 1),
    ],
)
def test_the_prices_of_missing_data_and_of_wasted_mass_are_those_of_the_table(integrand, missing, wasted):
    assert float(integrand(LOG_T, NONE)) == pytest.approx(missing, rel=1e-12)
    assert float(integrand(NONE, LOG_T)) == pytest.approx(wasted, rel=1e-12)


def test_pearsons_price_of_missing_data_grows_as_the_inverse_density():
    log_t = torch.tensor(-10.0, dtype=torch.float64)
    assert float(divergences.pearson_chi2(log_t, NONE)) == pytest.approx(math.exp(10) - 2, rel=1e-4)
    assert float(divergences.pearson_chi2(NONE, LOG_T)) == pytest.approx(1)


def test_the_first_order_term_at_the_forward_end_is_kl_minus_half_the_mean_square_log_ratio():
    x = torch.linspace(-30, 30, 3001, dtype=torch.float64)
    log_p, log_q = normal_log_prob(x, 1.0, math.log(0.8)), normal_log_prob(x, 0.0, 0.0)
    kl = divergences.divergence(divergences.forward_kl, log_p, log_q, x)
    square = divergences.integrate(log_q.exp() * (log_p - log_q) ** 2, x)
    slope = (divergences.divergence(family(1e-6), log_p, log_q, x) - kl) / 1e-6
    assert float(slope) == pytest.approx(float(kl - square / 2), rel=1e-4)
