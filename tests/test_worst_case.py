"""Descent over a box finds what random draws miss; papers' statements that are made of everything meet it."""

import math

import pytest
import torch

from bridgekit.errors import BridgekitError
from bridgekit.measure import on_line, worst_case
from bridgekit.random import stream
from bridgekit.theory import divergences, labelling, weighted
from bridgekit.theory.densities import normal_log_prob

DOUBLE = {"dtype": torch.float64}


def box(*sides):
    """Low and high ends, (d,) each, of sides given as pairs."""
    return torch.tensor(sides, **DOUBLE).unbind(-1)


def evenly(low, high, count):
    """Points drawn evenly from a box."""
    return low + (high - low) * torch.rand(count, len(low), generator=stream(0, "even"), **DOUBLE)


# ---- the descent

CENTRE = torch.tensor([0.9, -0.7, 0.2, -0.95, 0.55, 0.0, 0.3, -0.4], **DOUBLE)
CUBE = box(*[(-1.0, 1.0)] * 8)


def test_a_place_that_random_draws_miss_is_found():
    rare = lambda t: ((t - CENTRE) ** 2).sum(-1) - 0.1  # noqa: E731  negative in a thousandth of a percent
    assert rare(evenly(*CUBE, 2000)).min() > 0
    points, values = worst_case.search(rare, *CUBE, 4, 150, stream(0, "search"))
    assert values.min() < -0.0999
    torch.testing.assert_close(points[values.argmin()], CENTRE, atol=1e-2, rtol=0)
    torch.testing.assert_close(rare(points), values)


def test_steps_grow_shorter():
    kink = lambda t: (t - CENTRE).abs().sum(-1)  # noqa: E731  steps of one length would cross it back and forth
    _, values = worst_case.search(kink, *CUBE, 4, 150, stream(0, "s"))
    assert values.max() < 0.01


def test_the_lowest_point_of_a_box_may_be_its_corner_and_sides_are_units():
    low, high = box((-1.0, 1.0), (100.0, 5000.0))
    points, values = worst_case.search(lambda t: t[:, 0] + 1e-3 * t[:, 1], low, high, 3, 100, stream(0, "s"))
    assert torch.equal(points, low.expand(3, 2))
    assert torch.equal(values, torch.full((3,), -0.9, **DOUBLE))


def test_each_row_keeps_the_lowest_point_that_it_has_seen():
    sides = box((-0.2, 2.6))
    given = torch.tensor([[0.02], [7.0]], **DOUBLE)  # a step of Adam overshoots; outside of the box
    hills = lambda t: -(8 * t[:, 0]).cos()  # noqa: E731
    start = hills(given.clamp(max=2.6))
    points, values = worst_case.search(hills, *sides, 0, 1, stream(0, "s"), given)
    torch.testing.assert_close(points[0], given[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(values[0], start[0])
    assert values[1] < start[1] and 2.2 < points[1] < 2.6
    points, values = worst_case.search(hills, *sides, 2, 9, stream(0, "s"), given)
    assert points.shape == (4, 1) and (points >= -0.2).all() and (points <= 2.6).all()
    assert (values[:2] <= start).all()
    unmoved, values = worst_case.search(hills, *sides, 0, 0, stream(0, "s"), given)
    torch.testing.assert_close(unmoved, given.clamp(max=2.6))
    torch.testing.assert_close(values, start)


def test_rows_descend_alone_and_the_generator_decides():
    hilly = lambda t: (5 * t).sin().sum(-1) + (t**2).sum(-1)  # noqa: E731
    before = torch.get_rng_state()
    points, values = worst_case.search(hilly, *CUBE, 5, 40, stream(3, "s"))
    again, _ = worst_case.search(hilly, *CUBE, 5, 40, stream(3, "s"))
    other, _ = worst_case.search(hilly, *CUBE, 5, 40, stream(4, "s"))
    starts = CUBE[0] + 2 * torch.rand(5, 8, generator=stream(3, "s"), **DOUBLE)
    alone, value = worst_case.search(hilly, *CUBE, 0, 40, stream(0, "unused"), starts[2:3])
    assert torch.equal(points, again) and not torch.equal(points, other)
    torch.testing.assert_close(alone[0], points[2])
    torch.testing.assert_close(value[0], values[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("broken", [lambda t: t[:, 0].log(), lambda t: t[:, 0].sqrt()])
def test_what_is_not_finite_is_an_error(broken):
    given = torch.tensor([[0.5], [0.0]], **DOUBLE)  # at 0 the value, or the slope alone, is infinite
    with pytest.raises(BridgekitError, match="at step 0 the value or the slope of row 1 is not finite"):
        worst_case.search(broken, *box((0.0, 1.0)), 0, 3, stream(0, "s"), given)


# ---- eq 30 of paper B, and what it needs (claim B4)

X = torch.linspace(-12, 12, 481, **DOUBLE)


def normal(mean, width):
    """The log density on the grid."""
    return normal_log_prob(X, mean, torch.as_tensor(width, **DOUBLE).log())


def gap(log_start, log_data, f, log_now, kl=labelling.posterior_kl):
    """The KL term at log_now minus the JSD, posteriors made at log_start."""
    kls, jsd = on_line.lemma_1_terms(log_now, log_data, on_line.posteriors(f, log_start, log_data, X), X, kl)
    return kls - jsd


def advantage(log_start, log_data, f):
    """How much higher D is on average on data than on samples."""
    return divergences.integrate((log_data.exp() - log_start.exp()) * f.sigmoid(), X)


def test_off_theta_0_the_bound_breaks_for_a_discriminator_that_is_better_than_guessing():
    start, data, now, f = normal(0.0, 1.0), normal(0.1, 1.0), normal(4.0, 0.4), 8 * (X - 4)
    assert advantage(start, data, f) > 2e-5
    torch.testing.assert_close(gap(start, data, f, now).item(), -0.6650158, atol=1e-7, rtol=0)
    assert gap(start, data, f, start) > 0  # at theta_0 it holds for the same discriminator


SIDES = box((-4.0, 4.0), (-2.0, 2.0), (-2.0, 8.0), (-4.0, 4.0), (-1.0, 1.0))


def line(t, moved):
    """N(0, 1), data N(m, 1), a line as logit, and N(a, e^2b) where the generator has moved."""
    m, slope, level, a, b = (t[:, k, None] for k in range(5))
    start, f = normal(0.0, 1.0), slope * X - level
    now = normal(a, b.exp()) if moved else start + 0 * a
    return start, normal(m, 1.0), f, now


def ratings(t, moved):
    """D's means over the old model, the data and the new model: (n,) each."""
    start, data, f, now = line(t, moved)
    return [divergences.integrate(log_p.exp() * f.sigmoid(), X) for log_p in (start, data, now)]


def better(start, data, now):
    """What D lacks to rate data above old samples, in units of its label's variance; negative if nothing."""
    mean = (start + data) / 2
    return (start - data) / (mean * (1 - mean))


def converged(start, data, now):
    """What it lacks not to rate new samples above both together."""
    return 2 * now / (start + data) - 1


def good(start, data, now):
    """What it lacks to be good: its variance is at least its mean error on data."""
    mean = (start + data) / 2
    return 1 - data - mean * (1 - mean)


def searched(moved, *conditions, weight=3):
    """Gaps and D's means where the search has ended and D meets the conditions; `weight` keeps it there."""

    def objective(t):
        start, data, f, now = line(t, moved)
        value = gap(start, data, f, now, divergences.reverse_kl)
        return value + weight * sum((lacks(*ratings(t, moved)) + 1e-3).relu() for lacks in conditions)

    points, _ = worst_case.search(objective, *SIDES, 8, 100, stream(0, "bound"))
    means = torch.stack(ratings(points, moved))
    kept = torch.stack([lacks(*means) < 0 for lacks in conditions]).all(0)
    start, data, f, now = line(points, moved)
    return gap(start, data, f, now)[kept], means[:, kept]


def test_search_breaks_the_bound_off_theta_0_and_not_at_theta_0():
    at, means = searched(False, better)
    off, _ = searched(True, better)
    assert len(at) > 4 and len(off) > 4
    assert (at >= -better(*means) / 4).all()  # the page's proof says so
    assert at.min() < 1e-3  # down to the condition's edge, where nothing is left of the gap
    assert off.min() < -0.3


@pytest.mark.parametrize("conditions, weight", [((better, converged), 3), ((good,), 30)])
def test_the_bound_holds_off_theta_0_where_new_samples_are_rated_no_higher_or_d_is_good(conditions, weight):
    off, _ = searched(True, *conditions, weight=weight)
    assert len(off) > 3 and 0 <= off.min() < 0.1


# ---- what is drawn and searched


def test_a_logit_is_three_sines_and_a_line():
    t = torch.tensor([[1.0, 0.0, -2.0, 0.5, 1.0, 1.5, 0.0, 0.3, -0.2, 0.8, -0.4]] * 2, **DOUBLE)
    wanted = torch.sin(X) - 2 * torch.sin(3 * X - 0.2) + 0.4 * X - 0.4
    torch.testing.assert_close(on_line.sines(t)(X), wanted.expand(2, -1))
    assert len(on_line.SINES) == t.shape[1]


def test_a_mixture_has_its_mass_and_its_mean():
    parts = ([[-1.0, 2.0], [0.0, 3.0]], [[0.5, 1.0], [1.0, 0.7]], [[0.3, 0.7], [1.0, 0.0]])
    p = on_line.log_mixture(X, *parts).exp()
    torch.testing.assert_close(divergences.integrate(p, X), torch.ones(2, **DOUBLE))
    torch.testing.assert_close(divergences.integrate(p * X, X), torch.tensor([1.1, 0.0], **DOUBLE))


def test_the_optimal_discriminator_makes_the_fake_posterior_the_data_and_a_guess_makes_it_the_prior():
    start, data = normal(0.5, 1.0), normal(-1.0, 1.4)
    fake, real = on_line.posteriors(data - start, start, data, X)
    torch.testing.assert_close(fake, data, atol=1e-6, rtol=0)
    torch.testing.assert_close(real, start, atol=1e-6, rtol=0)
    for each in on_line.posteriors(0 * X, start, data, X):
        torch.testing.assert_close(each, labelling.log_prior(start, data), atol=1e-6, rtol=0)


# ---- Lemma 1 with a mistake in it, and the weights of eqs 42 and 44


def lemma_error(t, limit=math.inf):
    """Eq 10's error for N(mu, 1), mu = 0.5, and a line as logit; the posterior sees it up to `limit`."""
    f = t[:, :1] * X + t[:, 1:]
    mu = torch.full_like(t[:, :1], 0.5).requires_grad_()
    start, data = normal(0.5, 1.0), normal(0.0, 1.4)
    log_p = normal(mu, 1.0)
    seen = f.clamp(-limit, limit)
    fake, _ = on_line.posteriors(seen, start, data, X)
    right = divergences.reverse_kl(log_p, fake) / 2 - divergences.jensen_shannon(log_p, data)
    (slope,) = torch.autograd.grad(divergences.integrate(right, X).sum(), mu, create_graph=True)
    loss = labelling.label_nll(labelling.reverse(f), torch.zeros(()))
    left = divergences.integrate(start.exp() * (X - 0.5) * loss, X) / 2
    return (slope[:, 0] - left).abs()


@pytest.mark.parametrize("limit, wrong", [(math.inf, False), (10.0, True)])
def test_search_tells_an_identity_from_one_with_a_rare_mistake(limit, wrong):
    low, high = box((-3.0, 3.0), (-6.0, 6.0))
    few = evenly(low / 4, high / 4, 40)  # underconfident random discriminators see no mistake
    assert lemma_error(few, limit).max() < 1e-6
    objective = lambda t: -(lemma_error(t, limit) + 1e-20).log()  # noqa: E731
    points, _ = worst_case.search(objective, low, high, 4, 60, stream(0, "lemma"))
    assert (lemma_error(points, limit).max() > 1e-4) == wrong


def weights(t):
    """The largest relative deviation of eq 44's weights from eq 42's, for log densities (n, 2k)."""
    log_p, log_q = t.chunk(2, -1)
    f = divergences.log_ratio(log_q, log_p)
    by_eq_44 = weighted.importance_log_weight(f)
    of_y = -labelling.label_nll(labelling.reverse(f), torch.zeros_like(f))
    by_eq_42 = weighted.log_weight(of_y, labelling.log_prior(log_p, log_q), log_p).log_softmax(-1)
    return torch.expm1(by_eq_44 - by_eq_42).abs().amax(-1)


def test_the_weights_of_eqs_42_and_44_agree_whatever_the_densities():
    sides = box(*[(-9.0, 9.0)] * 16)  # logits up to 18: from 20 up torch's softplus is off by up to 2e-9
    points, _ = worst_case.search(lambda t: -weights(t), *sides, 50, 40, stream(0, "weights"))
    assert weights(points).max() < 1e-9
