"""The twins' exact moments against closed forms and Monte Carlo; eq 15 assembled by hand against eq 16."""

import pytest
import torch

from bridgekit.divergences import alpha_normal
from bridgekit.networks import MLP, Critic
from bridgekit.objectives import likelihood
from bridgekit.objectives import twin_moments as tm
from bridgekit.objectives.bridge import forward_twin, reverse_twin, sigmoid_gamma, twin_combination
from bridgekit.training import stream

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
    close(tm.forward_estimate(x, *grid()), forward, 1e-12)
    close(tm.reverse_estimate(x, *grid()), reverse, 1e-12)
    assert forward.shape == (2, 7, 3, 5, 4)


@pytest.mark.parametrize("moments", [tm.forward_moments, tm.reverse_moments])
def test_means_are_the_gradient_of_the_divergence(moments):
    mu, sigma, alpha = (t.clone().requires_grad_() for t in grid())
    exact = torch.stack(torch.autograd.grad(alpha_normal(mu, sigma, alpha).sum(), (mu, sigma)))
    close(moments(*grid())[0], exact, 1e-11)


@pytest.mark.parametrize("twin", ["forward", "reverse"])
def test_variances_are_the_closed_forms_and_infinite_exactly_where_those_diverge(twin):
    mu, sigma, alpha = grid()
    power = 2 * alpha if twin == "forward" else 2 * alpha - 1
    mean, variance = getattr(tm, f"{twin}_moments")(mu, sigma, alpha)
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
    close(getattr(tm, f"{twin}_border")(sigma), torch.tensor(border, dtype=DOUBLE), 1e-12)
    alpha = torch.tensor([border - 1e-3, border + 1e-3], dtype=DOUBLE)
    one = torch.tensor(1.0, dtype=DOUBLE)
    forward, reverse = (m(one, sigma, alpha)[1].isinf() for m in (tm.forward_moments, tm.reverse_moments))
    assert forward.tolist() == [[False, twin == "forward"]] * 2
    assert reverse.tolist() == [[twin == "reverse", False]] * 2


def test_between_the_borders_both_variances_are_finite_for_every_alpha():
    mu, sigma, alpha = torch.meshgrid(
        *double([0.0, 1.0], [0.71, 1.0, 1.41], [1e-6, 0.5, 1 - 1e-6]), indexing="ij"
    )
    assert tm.forward_moments(mu, sigma, alpha)[1].isfinite().all()
    assert tm.reverse_moments(mu, sigma, alpha)[1].isfinite().all()
    assert tm.forward_border(sigma).eq(1).all() and tm.reverse_border(sigma).eq(0).all()


def test_variances_are_what_samples_have():
    mu, sigma, alpha = double(0.3, 1.05, [0.2, 0.5, 0.8])  # finite fourth moments
    x = torch.randn(400_000, 1, generator=stream(1, "x"), dtype=DOUBLE)
    for estimate, moments in (
        (tm.forward_estimate, tm.forward_moments),
        (tm.reverse_estimate, tm.reverse_moments),
    ):
        mean, variance = moments(mu, sigma, alpha)
        sample = estimate(x, mu, sigma, alpha)
        torch.testing.assert_close(sample.var(1), variance, rtol=0.05, atol=0)
        assert ((sample.mean(1) - mean).abs() < 4 * (variance / len(x)).sqrt()).all()


def test_between_equal_widths_the_reverse_twin_of_mu_is_constant_at_one():
    mean, variance = tm.reverse_moments(*double(1.3, 1.0, 1.0))
    close(mean[0], torch.tensor(1.3, dtype=DOUBLE), 1e-13)
    assert variance[0].abs() < 1e-13 and variance[1] > 1


def test_the_best_gamma_minimises_the_combination_and_survives_infinities():
    forward, reverse = double([2.0, 0.5], [1.0, 3.0])
    best = tm.best_gamma(forward, reverse)
    least = tm.combination_variance(forward, reverse, best)
    close(least, forward * reverse / (forward + reverse), 1e-12)
    for gamma in (0.0, 1.0, best - 0.01, best + 0.01):
        assert (tm.combination_variance(forward, reverse, gamma) > least).all()
    infinite = torch.tensor(torch.inf, dtype=DOUBLE)
    assert tm.best_gamma(infinite, reverse).eq(1).all() and tm.best_gamma(forward, infinite).eq(0).all()


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
        return tm.printed_gradient(
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
