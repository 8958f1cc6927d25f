"""The metrics against closed forms, brute force and scikit-learn, one trial and many."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from sklearn.neighbors import KernelDensity

from bridgekit.data import mixture
from bridgekit.errors import BridgekitError
from bridgekit.measure import evidence, on_images, on_plane
from bridgekit.theory.densities import Mixture

GRID = mixture("gaussians25")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at_centres(counts: list[int], target: Mixture = GRID) -> torch.Tensor:
    """Exactly ``counts[k]`` points on centre k."""
    return target.means[: len(counts)].repeat_interleave(torch.tensor(counts), dim=0)


def entropy(*p: float) -> float:
    return -sum(q * math.log(q) for q in p)


# ------------------------------------------------------------------------------------- inception score


@pytest.mark.parametrize("modes", [1, 2, 7, 25])
def test_inception_score_counts_even_modes(modes):
    score = on_plane.inception_score(at_centres([40] * modes), GRID)
    assert score.item() == pytest.approx(modes, rel=1e-5)


def test_inception_score_of_perfect_samples_has_the_known_bias():
    # 2N (log K - log IS) is chi-squared with K - 1 degrees of freedom: the modes do not overlap.
    n = 10_000
    score = on_plane.inception_score(GRID.sample(n, generator()).double(), GRID).item()
    statistic = 2 * n * (math.log(25) - math.log(score))
    assert stats.chi2.ppf(0.001, 24) < statistic < stats.chi2.ppf(0.999, 24)
    assert score == pytest.approx(25 * math.exp(-24 / (2 * n)), rel=2e-3)


def test_inception_score_of_unsure_posteriors():
    pair = Mixture(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.1)
    middle, left = torch.zeros(50, 2), pair.means[:1].repeat(50, 1)
    assert on_plane.inception_score(middle, pair).item() == pytest.approx(1)
    both = on_plane.inception_score(torch.cat([middle, left]), pair).item()
    assert both == pytest.approx(math.exp(entropy(0.75, 0.25) - 0.5 * math.log(2)), rel=1e-5)


def test_inception_score_with_a_junk_class():
    even = at_centres([8] * 25)
    blur = even + 1.0  # the middle between four modes: far from all
    x = torch.cat([even, blur])
    expected = math.exp(math.log(2) + 0.5 * math.log(25))
    assert on_plane.inception_score(x, GRID, junk=True).item() == pytest.approx(expected, rel=1e-5)
    assert on_plane.inception_score(even, GRID, junk=True).item() == pytest.approx(25, rel=1e-5)
    assert on_plane.inception_score(blur, GRID, junk=True).item() == pytest.approx(1, rel=1e-5)
    # 3 sigma is the border, for a perfect posterior on either side of it.
    for radius, score in ((2.99, 1.0), (3.01, 2.0)):
        edge = torch.cat([at_centres([10]), at_centres([10]) + torch.tensor([radius * 0.05, 0.0])])
        assert on_plane.inception_score(edge, GRID, junk=True).item() == pytest.approx(score, rel=1e-5)


def test_inception_score_far_from_everything_is_finite():
    x = torch.full((10, 2), 1e6)
    assert on_plane.inception_score(x, GRID).item() == pytest.approx(1)


# ------------------------------------------------------------------------------------------------ modes


def test_modes_covered_counts_hits():
    x = at_centres([20, 19, 30, 0, 21, 1])
    x = torch.cat([x, torch.ones(10_000 - len(x), 2)])  # the others lie between modes
    assert on_plane.modes_covered(x, GRID).item() == 3
    assert on_plane.modes_covered(x[:4000], GRID).item() == 4  # of so many, 8 are enough
    assert on_plane.modes_covered(x, GRID, hits=19).item() == 4
    assert on_plane.modes_covered(x, GRID, hits=1).item() == 5
    assert on_plane.modes_covered(GRID.sample(10_000, generator()), GRID).item() == 25


@pytest.mark.parametrize(("radius", "inside"), [(2.99, 1.0), (3.01, 0.0)])
def test_the_radius_is_three_sigma(radius, inside):
    angle = torch.linspace(0, 6, 200)
    x = GRID.means[3] + radius * 0.05 * torch.stack([angle.cos(), angle.sin()], -1)
    assert on_plane.high_quality_share(x, GRID).item() == inside
    assert on_plane.modes_covered(x, GRID).item() == inside
    assert on_plane.high_quality_share(x, GRID, radius=4.0).item() == 1


def test_share_of_perfect_samples():
    n, expected = 10_000, 1 - math.exp(-4.5)
    share = on_plane.high_quality_share(GRID.sample(n, generator()), GRID).item()
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_mode_reverse_kl():
    pair = Mixture(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.1)
    x = torch.cat([at_centres([30, 10], pair), torch.zeros(60, 2)])  # the far ones do not count
    expected = math.log(2) - entropy(0.75, 0.25)
    assert on_plane.mode_reverse_kl(x, pair).item() == pytest.approx(expected, rel=1e-5)
    assert on_plane.mode_reverse_kl(at_centres([9]), GRID).item() == pytest.approx(math.log(25), rel=1e-6)
    assert on_plane.mode_reverse_kl(at_centres([9] * 25), GRID).item() == pytest.approx(0, abs=1e-6)
    assert on_plane.mode_reverse_kl(torch.zeros(9, 2), pair).isnan()


def test_mode_reverse_kl_of_perfect_samples_has_the_known_bias():
    n = 10_000
    kl = on_plane.mode_reverse_kl(GRID.sample(n, generator(1)).double(), GRID).item()
    assert stats.chi2.ppf(0.001, 24) < 2 * n * kl < stats.chi2.ppf(0.999, 24)


# -------------------------------------------------------------------------------------------------- KDE


@pytest.mark.parametrize("d", [1, 2, 3])
def test_kde_equals_scikit_learn(d):
    samples = torch.randn(300, d, generator=generator(), dtype=torch.float64)
    points = 3 * torch.randn(70, d, generator=generator(1), dtype=torch.float64)
    for h in (0.02, 0.1, 1.5):
        # One leaf: far from the samples, bounds over many leaves cost scikit-learn a percent.
        oracle = KernelDensity(bandwidth=h, leaf_size=1000).fit(samples.numpy())
        expected = oracle.score_samples(points.numpy()).mean()
        assert on_plane.kde_log_likelihood(samples, points, h).item() == pytest.approx(expected, rel=1e-12)
        single = on_plane.kde_log_likelihood(samples.float(), points.float(), h).item()
        assert single == pytest.approx(expected, rel=1e-5)


def test_kde_of_far_points_is_finite_and_exact():
    samples, points = torch.zeros(4, 2), torch.tensor([[300.0, 400.0]])
    expected = -0.5 * (500 / 0.1) ** 2 - 2 * (math.log(0.1) + 0.5 * math.log(2 * math.pi))
    assert on_plane.kde_log_likelihood(samples, points, 0.1).item() == pytest.approx(expected, rel=1e-6)


def test_kde_chunks_and_bandwidths_per_trial():
    x = torch.randn(2, 3, 200, 2, generator=generator(), dtype=torch.float64)
    points = torch.randn(50, 2, generator=generator(1), dtype=torch.float64)
    whole = on_plane.kde_log_likelihood(x, points, 0.3)
    assert whole.shape == (2, 3)
    torch.testing.assert_close(
        on_plane.kde_log_likelihood(x, points, 0.3, chunk=7), whole, rtol=1e-12, atol=0
    )
    h = 0.2 + 0.1 * torch.arange(6, dtype=torch.float64).view(2, 3)
    each = [
        [on_plane.kde_log_likelihood(x[i, j], points, h[i, j].item()) for j in range(3)] for i in range(2)
    ]
    expected = torch.stack([torch.stack(row) for row in each])
    torch.testing.assert_close(on_plane.kde_log_likelihood(x, points, h), expected, rtol=1e-12, atol=0)


# ---------------------------------------------------------------------------------------- many trials


def test_effective_sample_size():
    even, one = torch.full((8,), -700.0), torch.tensor([0.0, -300.0, -300.0])
    assert evidence.effective_sample_size(even).item() == pytest.approx(8)
    assert evidence.effective_sample_size(even + 1400).item() == pytest.approx(8)
    assert evidence.effective_sample_size(one).item() == pytest.approx(1)
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.5, 0.5]], dtype=torch.float64)
    exact = weights.sum(-1) ** 2 / (weights**2).sum(-1)
    torch.testing.assert_close(evidence.effective_sample_size(weights.log()), exact)


def test_effective_sample_size_of_log_normal_weights():
    # E[w]^2 / E[w^2] = exp(-s^2) for w = e^{s n}
    n = torch.randn(400_000, generator=generator(3), dtype=torch.float64)
    share = evidence.effective_sample_size(0.8 * n).item() / len(n)
    assert share == pytest.approx(math.exp(-(0.8**2)), rel=0.02)


POINTS = GRID.sample(30, generator(9))
METRICS = {
    "inception_score": lambda x: on_plane.inception_score(x, GRID),
    "inception_score_junk": lambda x: on_plane.inception_score(x, GRID, junk=True),
    "modes_covered": lambda x: on_plane.modes_covered(x, GRID, hits=3),
    "high_quality_share": lambda x: on_plane.high_quality_share(x, GRID),
    "mode_reverse_kl": lambda x: on_plane.mode_reverse_kl(x, GRID),
    "kde_log_likelihood": lambda x: on_plane.kde_log_likelihood(x, POINTS, 0.1),
    "drift": lambda x: on_plane.drift(x, torch.zeros_like(x)),
    "effective_sample_size": lambda x: evidence.effective_sample_size(x.sum(-1)),
}


@pytest.mark.parametrize("name", METRICS)
def test_trials_are_apart_and_a_broken_one_is_nan(name):
    x = torch.stack([GRID.sample(400, generator(i)) + 0.05 * i for i in range(4)])
    alone = torch.stack([METRICS[name](trial) for trial in x])
    assert alone.shape == (4,) and alone.isfinite().all() and len(alone.unique()) > 1
    torch.testing.assert_close(METRICS[name](x.view(2, 2, 400, 2)), alone.view(2, 2), rtol=1e-6, atol=1e-6)
    x[1, 7, 0], x[3, 0, 1] = math.nan, math.inf
    found = METRICS[name](x.requires_grad_())
    assert found.isnan().tolist() == [False, True, False, True] and not found.requires_grad
    torch.testing.assert_close(found[[0, 2]], alone[[0, 2]], rtol=1e-6, atol=1e-6)


def test_the_scores_of_the_plane_are_the_single_functions():
    x = torch.stack([GRID.sample(600, generator(i)) + 0.03 * i for i in range(6)]).view(2, 3, 600, 2)
    x[1, 0, 5, 1] = math.nan
    found = on_plane.plane_scores(x.requires_grad_(), GRID, POINTS, (0.1, 0.05, 0.2))
    expected = {
        "is": on_plane.inception_score(x, GRID),
        "is_junk": on_plane.inception_score(x, GRID, junk=True),
        "modes": on_plane.modes_covered(x, GRID),
        "high_quality": on_plane.high_quality_share(x, GRID),
        "reverse_kl": on_plane.mode_reverse_kl(x, GRID),
        "log_likelihood": on_plane.kde_log_likelihood(x, POINTS, 0.1),
        "log_likelihood_0.05": on_plane.kde_log_likelihood(x, POINTS, 0.05),
        "log_likelihood_0.2": on_plane.kde_log_likelihood(x, POINTS, 0.2),
    }
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.shape == (2, 3) and not value.requires_grad
        assert value.isnan().flatten().tolist() == [False] * 3 + [True] + [False] * 2, name
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(
            value[0, 2], on_plane.plane_scores(x[0, 2], GRID, POINTS, (0.1, 0.05, 0.2))[name]
        )
    values = torch.stack(list(found.values()))[:, 0]
    assert len(values.unique(dim=0)) == len(found)  # none of them is another one's


def test_the_scores_of_the_plane_name_the_bandwidths_after_the_first():
    usual = {"is", "is_junk", "modes", "high_quality", "reverse_kl", "log_likelihood"}
    x = GRID.sample(200, generator())
    assert on_plane.plane_scores(x, GRID, POINTS).keys() == usual
    alone = on_plane.kde_log_likelihood(x, POINTS, 0.1)
    torch.testing.assert_close(on_plane.plane_scores(x, GRID, POINTS)["log_likelihood"], alone)
    other = on_plane.plane_scores(x, GRID, POINTS, [0.3, 0.1])
    assert other.keys() == usual | {"log_likelihood_0.1"}
    assert other["log_likelihood"] == on_plane.kde_log_likelihood(x, POINTS, 0.3)


# ------------------------------------------------------------------------------- the surrogate's bound


def test_surrogate_bound_is_exact_with_the_exact_posterior_and_grows_with_k():
    # G(z) = w z with one code: p~(x) = N(0, w w^T + sigma^2 I), and the posterior is a Gaussian.
    w, sigma = torch.tensor([0.7, -1.2, 0.4], dtype=torch.float64), 0.3
    precision = 1 + (w @ w) / sigma**2
    x = torch.randn(2, 2000, 3, generator=generator(), dtype=torch.float64)
    covariance = torch.outer(w, w) + sigma**2 * torch.eye(3, dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance).log_prob(x)

    def encoder(spread):
        def encode(x):
            mu = (x @ w / sigma**2 / precision)[..., None]
            return mu, torch.full_like(mu, math.log(spread * precision.rsqrt()))

        return encode

    def bound(k, spread):
        eps = torch.randn(k, 2, 2000, 1, generator=generator(1), dtype=torch.float64)
        return evidence.surrogate_log_likelihood(
            lambda z: z * w, encoder(spread), x, sigma, eps, event_dims=1
        )

    torch.testing.assert_close(bound(1, 1.0), exact, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(bound(5, 1.0), exact, rtol=1e-9, atol=1e-9)
    gaps = [(exact - bound(k, 2.0)).mean().item() for k in (1, 10, 200)]
    assert gaps[0] == pytest.approx(0.5 * (4 - 1 - math.log(4)), abs=0.12)  # KL of encoder from posterior
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2] and gaps[2] == pytest.approx(0, abs=0.01)


# ----------------------------------------------------------------------------------------- classes


def test_knn_equals_brute_force():
    reference = torch.randn(60, 1, 4, 4, generator=generator())
    labels = torch.randint(3, (60,), generator=generator(1))
    x = torch.randn(2, 15, 1, 4, 4, generator=generator(2))
    found = on_images.knn_classify(x, reference, labels, k=7, chunk=4)
    assert found.shape == (2, 15) and found.dtype == torch.int64
    for image, label in zip(x.flatten(0, 1), found.flatten(), strict=True):
        nearest = labels[((reference - image) ** 2).sum((1, 2, 3)).argsort()[:7]].tolist()
        # most votes first; among equals the one that comes first
        assert label == max(sorted(set(nearest), key=nearest.index), key=nearest.count)


def test_knn_ties_and_few_references():
    reference, labels = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([2, 1, 1, 2])
    assert on_images.knn_classify(torch.tensor([[-0.5], [2.4]]), reference, labels, k=4).tolist() == [2, 1]
    assert on_images.knn_classify(torch.tensor([[-0.5]]), reference, labels, k=3).tolist() == [1]
    assert on_images.knn_classify(torch.tensor([[1.1]]), reference, labels, k=99).tolist() == [1]


def test_labels_of_broken_samples():
    reference, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    x = torch.tensor([[[0.1], [0.9]], [[math.nan], [0.2]]])
    found = on_images.knn_classify(x, reference, labels, k=1)
    assert found.tolist() == [[0, 1], [-1, 0]]


def test_what_has_no_neighbours_has_no_label():
    x, y = torch.arange(60.0)[:, None], torch.arange(60)
    for k in (0, -1, 51):
        with pytest.raises(BridgekitError, match=f"1 to 50 neighbours, not {k}"):
            on_images.knn_classify(x, x, y, k=k)
    for bad_x, bad_y in ((x / 0, y), (x, y - 1)):
        with pytest.raises(BridgekitError, match="labelled references"):
            on_images.knn_classify(x, bad_x, bad_y)


@pytest.mark.parametrize("sigma", [math.nan, -0.05, 0.0])
def test_a_mixture_without_width_has_no_modes(sigma):
    broken = Mixture(GRID.means, sigma)
    for score in (on_plane.modes_covered, on_plane.high_quality_share, on_plane.mode_reverse_kl):
        with pytest.raises(BridgekitError, match=f"sigma = {sigma}"):
            score(GRID.means.repeat(20, 1), broken)
