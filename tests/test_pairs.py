"""The oracles of paper C's pairs: closed forms, paper A's twins as two pairs of one divergence, refusals."""

import math

import pytest
import torch

from bridgekit.errors import BridgekitError
from bridgekit.measure import estimators, pairs
from bridgekit.measure.pairs import Line
from bridgekit.theory import divergences, method
from bridgekit.theory.densities import Mixture
from bridgekit.theory.method import Pair


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def gaussian(mu, sigma=1.0):
    return Line(number(mu), number(sigma), Mixture(number([[0.0]]), 1.0))


def two_modes(mu, sigma=1.0):
    return Line(number(mu), number(sigma), Mixture(number([[-1.5], [1.5]]), 0.8))


LINES = {"one": gaussian(1.3, 0.9), "far": gaussian(6.0), "two": two_modes(0.7), "two, far": two_modes(5.0)}
HELLINGER = Pair.of(lambda r: (r.sqrt() - 1) ** 2)
ROWS = {
    "reverse KL": (method.REVERSE_KL, divergences.reverse_kl),
    "forward KL": (method.FORWARD_KL, divergences.forward_kl),
    "JSD": (method.JENSEN_SHANNON, lambda p, q: 2 * divergences.jensen_shannon(p, q)),
    "both": (method.SYMMETRISED_KL, lambda p, q: divergences.reverse_kl(p, q) + divergences.forward_kl(p, q)),
    "Hellinger": (HELLINGER, divergences.squared_hellinger),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_pair_and_its_exchanged_one_have_the_divergences_gradient(name):
    pair, integrand = ROWS[name]
    for each in (pair, pair.exchanged()):
        assert pairs.check(name, each, integrand, LINES) < 1e-13


def test_a_pair_says_whether_it_wants_the_ratio_at_data():
    constant = (
        method.REVERSE_KL,
        method.FORWARD_KL,
        method.SYMMETRISED_KL,
        method.JENSEN_SHANNON.exchanged(),
    )
    assert not any(pair.weighs for pair in constant)
    assert all(pair.weighs for pair in (method.JENSEN_SHANNON, HELLINGER))


@pytest.mark.parametrize(
    "wrong",
    [
        Pair(torch.zeros_like, lambda log_r: -torch.ones_like(log_r)),
        Pair(torch.zeros_like, lambda log_r: torch.full_like(log_r, math.nan)),
        Pair(lambda log_r: log_r * 1e-6, torch.ones_like),
    ],
)
def test_a_pair_that_fails_its_oracle_is_an_error_that_names_the_line(wrong):
    with pytest.raises(BridgekitError, match=r"the pair of 'mine' is not the gradient .* for (one|far|two)"):
        pairs.check("mine", wrong, divergences.forward_kl, LINES)


def test_exact_variances_between_gaussians():
    line, d = gaussian(2.0), 2.0
    honest, exchanged = pairs.variance(line, method.FORWARD_KL), method.FORWARD_KL.exchanged()
    assert honest == pytest.approx([1, 2 + 4 * d**2])  # of x - d and (x - d)^2 - 1 under the data
    second = math.exp(d**2) * (1 + (2 * d) ** 2)  # of q^2/p, a Gaussian at -d
    assert pairs.variance(line, exchanged)[0] == pytest.approx(second - d**2)
    reverse = pairs.variance(line, method.REVERSE_KL)[0]  # of u e with u = d e + d^2/2 under N(0, 1)
    assert reverse == pytest.approx(3 * d**2 + d**4 / 4 - d**2)


def test_the_loss_has_the_gradient_by_samples_that_move_and_no_other_way():
    line = two_modes(0.7, 0.9)
    true = pairs.divergence_gradient(line, divergences.forward_kl)
    assert torch.allclose(pairs.loss_gradient(line, method.FORWARD_KL), true)
    assert torch.allclose(pairs.loss_gradient(line, method.FORWARD_KL.exchanged()), true)
    assert not torch.allclose(pairs.loss_gradient(line, method.REVERSE_KL), true, rtol=0.1)


def test_minibatches_have_the_gradient_as_their_mean_and_the_variance_over_their_size():
    line, pair = two_modes(0.7), method.JENSEN_SHANNON
    found = pairs.minibatches(line, pair, 4, 40_000, torch.Generator().manual_seed(0))
    true, variance = pairs.pair_gradient(line, pair), pairs.variance(line, pair) / 4
    assert found.shape == (2, 40_000)
    assert ((found.mean(-1) - true).abs() < 4 * (variance / 40_000).sqrt()).all()
    assert found[0].var() == pytest.approx(float(variance[0]), rel=0.06)  # the other one has heavy tails


def test_a_wrong_discriminator_makes_a_wrong_gradient():
    line = gaussian(1.0)
    wrong = pairs.pair_gradient(line, method.JENSEN_SHANNON, lambda x: 0.5 * line.logit(x))
    assert pairs.pair_gradient(line, method.JENSEN_SHANNON, line.logit).equal(
        pairs.pair_gradient(line, method.JENSEN_SHANNON)
    )
    assert not torch.allclose(wrong, pairs.pair_gradient(line, method.JENSEN_SHANNON), rtol=0.1)


@pytest.mark.parametrize("name", ["JSD", "Hellinger", "forward KL"])
def test_the_pair_of_a_variational_form_feels_a_wrong_discriminator_to_second_order_only(name):
    pair, integrand = ROWS[name]
    line = two_modes(0.7)
    true, sizes = pairs.divergence_gradient(line, integrand), (0.01, 0.02)

    def errors(pair):
        wrong = (pairs.pair_gradient(line, pair, lambda x, s=s: line.logit(x) + s * x.sin()) for s in sizes)
        return [(each - true).norm().item() for each in wrong]

    small, large = errors(pair)
    assert large == pytest.approx(4 * small, rel=0.1, abs=1e-14)
    small, large = errors(pair.exchanged())
    assert large == pytest.approx(2 * small, rel=0.1) and small > 1e-4


def test_the_pair_of_a_convex_function_has_a_g_that_is_nowhere_negative():
    log_r = torch.linspace(-6, 6, 49, dtype=torch.float64)
    r = log_r.exp()
    for phi, f, g in (
        (lambda r: (r.sqrt() - 1) ** 2, 1 - 0.5 * r**-0.5, 0.5 * r.sqrt()),
        (lambda r: r * r.log(), r.log() + 2, r),
        (lambda r: -r.log(), 0 * r, 1 + 0 * r),
    ):
        pair = Pair.of(phi)
        assert torch.allclose(pair.f(log_r), f) and torch.allclose(pair.g(log_r), g)
        assert (pair.g(log_r) >= 0).all()


def test_shares_of_wrong_signs_and_quantiles_of_the_error():
    estimates, true = number([[1.0, -1.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0]]), number([2.0, -1.0])
    assert pairs.wrong_signs(estimates, true).tolist() == [0.5, 1.0]
    levels = number([0.0, 0.5, 1.0])
    assert pairs.relative_errors(estimates, true, levels).T.tolist() == [[0.5, 0.75, 1.5], [3.0, 3.0, 3.0]]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_paper_as_twins_are_two_pairs_of_one_divergence(alpha):
    line, eps = gaussian(0.8, 1.2), torch.linspace(-2, 2, 9, dtype=torch.float64)
    forward = Pair(torch.zeros_like, lambda log_r: (alpha * log_r).exp() / (1 - alpha))
    reverse = forward.exchanged()
    for pair in (forward, reverse):
        assert pairs.error(line, pair, lambda p, q: divergences.alpha(p, q, alpha)) < 1e-12
    x = line.mu + line.sigma * eps
    ours = pairs.terms(line, forward, x, x)
    assert torch.allclose(ours, estimators.forward_estimate(x, line.mu, line.sigma, number(alpha)))
    mu, sigma = line.leaves()
    moved, zero = mu + sigma * eps, torch.zeros_like(eps)
    loss = method.loss(line.logit(moved), zero, zero, *reverse)
    # Sample by sample: the gradient of the sum, by weights.
    for k in range(len(eps)):
        ours = torch.stack(torch.autograd.grad(loss[k], (mu, sigma), retain_graph=True))
        theirs = estimators.reverse_estimate(eps[k], line.mu, line.sigma, number(alpha))
        assert torch.allclose(ours, theirs)
