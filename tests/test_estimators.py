"""The twins' moments against closed forms and Monte Carlo; which weights win; eq 15 by hand against eq 16."""

import pytest
import torch

from bridgekit.measure import estimators
from bridgekit.models.heads import Critic
from bridgekit.models.mlp import MLP
from bridgekit.random import stream
from bridgekit.theory import likelihood
from bridgekit.theory.alpha import forward_twin, reverse_twin, sigmoid_gamma, twin_combination
from bridgekit.theory.divergences import alpha_normal

DOUBLE = torch.float64


def double(*values):
    return [torch.tensor(v, dtype=DOUBLE) for v in values]


def grid():
    return torch.meshgrid(
        *double([-0.5, 0.25, 2.0], [0.5, 0.8, 1.0, 1.4, 2.0], [0.05, 0.4, 0.6, 0.95]), indexing="ij"
    )


def close(got, wanted, rtol):
    torch.testing.assert_close(got, wanted, rtol=rtol, atol=rtol * 1e-3)


def formulas(x, eps, mu, sigma, alpha):
    """Eqs 10 and 11 for Gaussians, differentiated by hand."""

    def ratio(y):
        return -sigma.log() - (y - mu) ** 2 / (2 * sigma**2) + y**2 / 2

    score = torch.stack([(x - mu) / sigma**2, ((x - mu) ** 2 - sigma**2) / sigma**3])
    y = mu + sigma * eps
    path = torch.stack([torch.ones_like(y), eps.expand_as(y)]) * (y - (y - mu) / sigma**2)
    return -(alpha * ratio(x)).exp() * score / (1 - alpha), (-(1 - alpha) * ratio(y)).exp() * path


def gaussian_second_moments(mu, sigma, power, twin):
    """Closed form of the integral of p^k q^(1-k) times the squared polynomial of either twin, (2, ...)."""
    precision = power / sigma**2 + 1 - power
    centre, variance = power * mu / sigma**2 / precision, 1 / precision
    mass = (power * (1 - power) * mu**2 / (-2 * sigma**2 * precision)).exp() * sigma**-power * precision**-0.5
    c = centre - mu  # x - mu = c + sqrt(variance) t
    second = c**2 + variance
    fourth = c**4 + 6 * c**2 * variance + 3 * variance**2
    if twin == "forward":
        polynomials = [second / sigma**4, (fourth - 2 * sigma**2 * second + sigma**4) / sigma**6]
    else:
        a, b = 1 - sigma**-2, mu  # d_x L = a (x - mu) + b
        third = c**3 + 3 * c * variance
        squared = a**2 * second + 2 * a * b * c + b**2
        polynomials = [squared, (a**2 * fourth + 2 * a * b * third + b**2 * second) / sigma**2]
    return mass * torch.stack(polynomials)


def test_one_sample_estimates_are_the_printed_formulas():
    x = torch.randn(7, 1, 1, 1, generator=stream(0, "x"), dtype=DOUBLE)
    forward, reverse = formulas(x, x, *grid())
    close(estimators.forward_estimate(x, *grid()), forward, 1e-12)
    close(estimators.reverse_estimate(x, *grid()), reverse, 1e-12)
    assert forward.shape == (2, 7, 3, 5, 4)


@pytest.mark.parametrize("moments", [estimators.forward_moments, estimators.reverse_moments])
def test_means_are_the_gradient_of_the_divergence(moments):
    mu, sigma, alpha = (t.clone().requires_grad_() for t in grid())
    exact = torch.stack(torch.autograd.grad(alpha_normal(mu, sigma, alpha).sum(), (mu, sigma)))
    close(moments(*grid())[0], exact, 1e-11)


@pytest.mark.parametrize("twin", ["forward", "reverse"])
def test_variances_are_the_closed_forms_and_infinite_exactly_where_those_diverge(twin):
    mu, sigma, alpha = grid()
    power = 2 * alpha if twin == "forward" else 2 * alpha - 1
    mean, variance = getattr(estimators, f"{twin}_moments")(mu, sigma, alpha)
    finite = (power / sigma**2 + 1 - power > 0).expand_as(variance)
    second = gaussian_second_moments(mu, sigma, power, twin) / ((1 - alpha) ** 2 if twin == "forward" else 1)
    close(variance[finite], (second - mean**2)[finite], 1e-10)
    assert finite.any() and not finite.all()
    assert torch.equal(variance.isinf(), ~finite)


@pytest.mark.parametrize(
    ("twin", "sigma", "border"), [("forward", 2.0, 2 / 3), ("reverse", 0.6, 0.21875), ("reverse", 0.5, 1 / 3)]
)
def test_the_borders_of_infinite_variance(twin, sigma, border):
    sigma = torch.tensor(sigma, dtype=DOUBLE)
    close(getattr(estimators, f"{twin}_border")(sigma), torch.tensor(border, dtype=DOUBLE), 1e-12)
    alpha = torch.tensor([border - 1e-3, border + 1e-3], dtype=DOUBLE)
    one = torch.tensor(1.0, dtype=DOUBLE)
    forward, reverse = (
        m(one, sigma, alpha)[1].isinf() for m in (estimators.forward_moments, estimators.reverse_moments)
    )
    assert forward.tolist() == [[False, twin == "forward"]] * 2
    assert reverse.tolist() == [[twin == "reverse", False]] * 2


def test_between_the_borders_both_variances_are_finite_for_every_alpha():
    mu, sigma, alpha = torch.meshgrid(
        *double([0.0, 1.0], [0.71, 1.0, 1.41], [1e-6, 0.5, 1 - 1e-6]), indexing="ij"
    )
    assert estimators.forward_moments(mu, sigma, alpha)[1].isfinite().all()
    assert estimators.reverse_moments(mu, sigma, alpha)[1].isfinite().all()
    assert estimators.forward_border(sigma).eq(1).all() and estimators.reverse_border(sigma).eq(0).all()


def test_variances_are_what_samples_have():
    mu, sigma, alpha = double(0.3, 1.05, [0.2, 0.5, 0.8])  # finite fourth moments
    x = torch.randn(400_000, 1, generator=stream(1, "x"), dtype=DOUBLE)
    for estimate, moments in (
        (estimators.forward_estimate, estimators.forward_moments),
        (estimators.reverse_estimate, estimators.reverse_moments),
    ):
        mean, variance = moments(mu, sigma, alpha)
        sample = estimate(x, mu, sigma, alpha)
        torch.testing.assert_close(sample.var(1), variance, rtol=0.05, atol=0)
        assert ((sample.mean(1) - mean).abs() < 4 * (variance / len(x)).sqrt()).all()


def test_between_equal_widths_the_reverse_twin_of_mu_is_constant_at_one():
    mean, variance = estimators.reverse_moments(*double(1.3, 1.0, 1.0))
    close(mean[0], torch.tensor(1.3, dtype=DOUBLE), 1e-13)
    assert variance[0].abs() < 1e-13 and variance[1] > 1


def test_the_best_gamma_minimises_the_combination_and_survives_infinities():
    forward, reverse = double([2.0, 0.5], [1.0, 3.0])
    best = estimators.best_gamma(forward, reverse)
    least = estimators.combination_variance(forward, reverse, best)
    close(least, forward * reverse / (forward + reverse), 1e-12)
    for gamma in (0.0, 1.0, best - 0.01, best + 0.01):
        assert (estimators.combination_variance(forward, reverse, gamma) > least).all()
    infinite = torch.tensor(torch.inf, dtype=DOUBLE)
    assert (
        estimators.best_gamma(infinite, reverse).eq(1).all()
        and estimators.best_gamma(forward, infinite).eq(0).all()
    )


ALPHAS = torch.arange(1, 20, dtype=DOUBLE) / 20


def twin_variances(mu, sigma, alpha):
    """The exact variances of both twins at one model, each (2, len(alpha))."""
    mu, sigma = double(mu, sigma)
    return estimators.forward_moments(mu, sigma, alpha)[1], estimators.reverse_moments(mu, sigma, alpha)[1]


def in_band(mu, sigma, c, d, alpha=ALPHAS):
    """Where footnote 1's weight makes a combination that is below both twins, (2, len(alpha))."""
    low, high = estimators.winning_band(*twin_variances(mu, sigma, alpha))
    log_odds = estimators.sigmoid_log_odds(alpha, *double(c, d))
    return (low < log_odds) & (log_odds < high)


def test_the_winning_band_is_where_the_combination_is_below_both_twins():
    gamma = torch.linspace(0.001, 0.999, 999, dtype=DOUBLE)
    log_odds = gamma.logit()
    for forward, reverse in ((1.0, 5.0), (1.0, 1.1), (2.0, 2.0), (1.1, 1.0), (300.0, 1.0)):
        low, high = estimators.winning_band(*double(forward, reverse))
        lowest = estimators.combination_variance(forward, reverse, gamma) < min(forward, reverse)
        assert lowest.any() and torch.equal((low < log_odds) & (log_odds < high), lowest)


def test_no_weight_wins_against_a_variance_of_zero_or_infinity():
    for forward, reverse in ((0.0, 1.0), (1.0, 0.0), (torch.inf, 1.0), (1.0, torch.inf), (0.0, 0.0)):
        low, high = estimators.winning_band(*double(forward, reverse))
        assert not low < high


@pytest.mark.parametrize(("c", "d"), [(0.5, 0.2), (15.0, -1.8), (20.0, -10.0), (6.0, 3.0), (6.0, -9.0)])
def test_the_log_odds_are_those_of_the_weight_in_footnote_1(c, d):
    close(estimators.sigmoid_log_odds(ALPHAS, *double(c, d)).sigmoid(), sigmoid_gamma(ALPHAS, c, d), 1e-12)


def test_members_with_one_c_are_one_curve_moved_and_right_where_the_weight_is_one_in_floating_point():
    steep = estimators.sigmoid_log_odds(ALPHAS, *double(200.0, [[-20.0], [-100.0]]))
    close(steep[0] - steep[1], (steep[0] - steep[1])[:1].expand(19), 1e-12)
    rest = torch.tensor(-170.0, dtype=DOUBLE).exp() - torch.tensor(-180.0, dtype=DOUBLE).exp()
    close(steep[0, -1], -rest.log(), 1e-9)  # at 0.95, without e^-20 beside 1
    assert sigmoid_gamma(ALPHAS, 200.0, -20.0)[-1] == 1


def test_whether_the_combination_is_lowest_at_the_stated_point_depends_on_c_and_d():
    """The errata say so: (15, -1.8) beats both twins at all nineteen alpha, (20, -10) does not."""
    assert in_band(1.0, 1.0, 15.0, -1.8).all()
    assert in_band(1.0, 1.0, 20.0, -10.0).sum(1).tolist() == [2, 12]
    forward, reverse = twin_variances(1.0, 1.0, ALPHAS)
    combination = estimators.combination_variance(forward, reverse, sigmoid_gamma(ALPHAS, 15.0, -1.8))
    assert (combination < torch.minimum(forward, reverse)).all()


@pytest.mark.parametrize("sigma", [0.75, 1.25])
@pytest.mark.parametrize(("c", "d"), [(10.0, -5.0), (20.0, -10.0), (15.0, -1.8)])
def test_close_enough_to_one_no_member_of_the_family_beats_the_reverse_twin(c, d, sigma):
    """The slope at 1 is not zero, and the forward variance grows like (1 - alpha)^-2."""
    near = 1 - torch.tensor([1e-2, 1e-5, 1e-6], dtype=DOUBLE)
    forward, reverse = twin_variances(1.0, sigma, near)
    low, _ = estimators.winning_band(forward, reverse)
    assert (estimators.sigmoid_log_odds(near, *double(c, d)) < low)[:, 1:].all()


def test_no_weight_of_any_form_beats_both_twins_for_a_near_and_a_far_model():
    """The errata say so: at one alpha their bands have no point in common, for either parameter."""
    near = estimators.winning_band(*twin_variances(0.25, 1.0, ALPHAS[:1]))
    far = estimators.winning_band(*twin_variances(2.0, 0.75, ALPHAS[:1]))
    assert (near[0] < near[1]).all() and (far[0] < far[1]).all()
    assert (far[1] < near[0]).all()


def test_which_twin_is_quieter_as_alpha_goes_to_zero_at_equal_widths():
    """Closed forms at alpha = 0, sigma = 1: the forward twin is quieter above |mu| = 0.898 and 0.834."""
    mu = torch.tensor([0.3, 0.8331, 0.8341, 0.8975, 0.8985, 2.0], dtype=DOUBLE)
    square, zero = mu**2, torch.zeros_like(mu)
    forward, reverse = (
        m(mu, zero + 1, zero)[1] for m in (estimators.forward_moments, estimators.reverse_moments)
    )
    close(forward, torch.stack([zero + 1, 2 + 4 * square]), 1e-11)
    reverse_mu = square * torch.expm1(square)
    reverse_sigma = square * (1 + 4 * square) * square.exp() - square**2
    close(reverse, torch.stack([reverse_mu, reverse_sigma]), 1e-11)
    quieter = (forward < reverse).tolist()
    assert quieter == [[False, False, False, False, True, True], [False, False, True, True, True, True]]


class Setting:
    """A small generator, a fixed critic and one minibatch, all float64."""

    alpha, sigma = 0.6, 0.5
    gamma = float(sigmoid_gamma(torch.tensor(0.6, dtype=DOUBLE), 10.0, -5.0))

    def __init__(self):
        self.G = MLP([2, 8, 3], [stream(0, "G")]).double()
        self.f = Critic(MLP([3, 8, 1], [stream(0, "f")])).double().requires_grad_(False)
        self.x, self.codes, self.z = (
            torch.randn(1, 16, d, generator=stream(0, f"{i}"), dtype=DOUBLE) for i, d in enumerate((3, 2, 2))
        )

    def printed(self):
        return estimators.printed_gradient(
            self.G, self.f, self.x, self.codes, self.z, self.alpha, self.gamma, self.sigma
        )

    def surrogate(self, forward=forward_twin, reverse=reverse_twin):
        log_p = -likelihood.gaussian_nll(self.x, self.G(self.codes), self.sigma)
        fake = self.f(self.G(self.z))
        loss = twin_combination(
            forward(log_p, self.f(self.x), self.alpha), reverse(fake, self.alpha), self.gamma
        ).mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, tuple(self.G.parameters()))])


def test_equation_15_is_the_gradient_of_equation_16():
    setting = Setting()
    close(setting.surrogate(), setting.printed(), 1e-12)


@pytest.mark.parametrize(
    "mutant",
    [
        {"reverse": lambda f, a: -torch.exp((1 - a) * f) * f},  # the detach removed
        {"reverse": lambda f, a: -reverse_twin(f, a)},  # the sign flipped
        {"forward": lambda log_p, f, a: forward_twin(log_p, -f, a)},  # p and q swapped
        {"forward": lambda log_p, f, a: 16 * forward_twin(log_p, f, a)},  # sum for mean
    ],
)
def test_mutants_of_equation_16_miss_equation_15(mutant):
    setting = Setting()
    exact = setting.printed()
    assert (setting.surrogate(**mutant) - exact).norm() > 1e-3 * exact.norm()
