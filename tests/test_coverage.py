"""Thresholds of coverage: what they were at 10,000 samples, and that perfect samples pass them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bridgekit.data import mixture
from bridgekit.errors import BridgekitError
from bridgekit.measure import coverage, on_plane

GRID = mixture("gaussians25")
INSIDE = 1 - math.exp(-4.5)  # of a Gaussian in the plane, within three standard deviations


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("n", "modes", "hits"),
    [(10_000, 25, 20), (10_240, 25, 20), (4000, 25, 8), (500, 25, 1), (200, 25, 1), (10_000, 9, 55)],
)
def test_a_mode_wants_a_twentieth_of_what_perfect_samples_put_there(n, modes, hits):
    assert coverage.mode_hits(n, modes, 2, 3.0) == hits
    assert abs(hits - n * INSIDE / modes / 20) <= 0.5 or hits == 1


def test_the_share_is_that_of_the_radius_and_the_dimensions():
    for dims, radius in ((1, 2.0), (2, 3.0), (3, 1.0)):
        share = stats.chi2.cdf(radius**2, dims)
        assert coverage.mode_hits(100_000, 10, dims, radius) == round(100_000 * share / 10 / 20)


@pytest.mark.parametrize(
    ("name", "least"), [("gaussians25", 194), ("grid9", 59), ("grid49", 417), ("ring8", 51)]
)
def test_perfect_samples_cover_all_modes_where_a_count_is_allowed(name, least):
    """At the least number that is allowed, and where a further hit is asked for."""
    target = mixture(name)
    modes = len(target.means)
    with pytest.raises(BridgekitError, match=f"{least - 1} samples .* {modes} modes .* take {least} or more"):
        coverage.mode_hits(least - 1, modes, 2, 3.0)
    second = next(n for n in range(least, 10**4) if coverage.mode_hits(n, modes, 2, 3.0) == 2)
    for n in (least, second):
        x = target.sample(200 * n, generator(n)).view(200, n, 2)
        short = (on_plane.modes_covered(x, target) < modes).double().mean().item()
        assert short < 0.01 + 3 * math.sqrt(0.01 / 200), n


def test_the_bound_is_near_the_probability_and_above_it():
    n, modes = 150, 25  # too few: much is missed
    x = GRID.sample(1000 * n, generator()).view(1000, n, 2)
    short = ((on_plane._mode_counts(x, GRID, 3.0) > 0).sum(-1) < modes).double().mean().item()
    bound = coverage.missed(n, np.full(modes, INSIDE / modes), 1)
    assert short < bound + 3 * math.sqrt(bound / 1000) and short > 0.7 * bound


@pytest.mark.parametrize(("n", "hits"), [(300, None), (500, None), (2500, 1), (10_000, 20), (1000, 20)])
def test_perfect_samples_cover_the_grid(n, hits):
    """The example: twenty hits at any N made 0.3 modes of 300 perfect samples and 13 of 500."""
    assert on_plane.modes_covered(GRID.sample(n, generator()), GRID, hits).item() == 25


def test_what_perfect_samples_would_miss_is_not_counted():
    for n, hits in ((100, None), (500, 20), (300, 20), (0, None)):
        with pytest.raises(BridgekitError, match=f"{n} samples are too few to say which of 25 modes"):
            on_plane.modes_covered(GRID.sample(n, generator()), GRID, hits)
    with pytest.raises(BridgekitError, match="one sample or more, not by 0"):
        on_plane.modes_covered(GRID.sample(500, generator()), GRID, 0)
    with pytest.raises(BridgekitError, match="not even 1,000,000 are enough"):
        coverage.mode_hits(10_000, 25, 2, 3.0, 10**6)


# ---------------------------------------------------------------------------------------------- classes


@pytest.mark.parametrize(("n", "classes", "hits"), [(2000, 10, 50), (500, 10, 13), (2000, 60, 8), (60, 3, 5)])
def test_a_class_wants_a_quarter_of_an_even_share(n, classes, hits):
    labels = torch.arange(7 * classes) % classes
    assert coverage.class_hits(n, labels, classes).tolist() == [hits] * classes


def test_a_rare_class_wants_half_of_its_own_share():
    labels = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
    assert coverage.class_hits(400, labels, 3).tolist() == [33, 30, 10]


@pytest.mark.parametrize("classes", [2, 3, 10, 60])
def test_real_images_cover_all_classes_where_a_count_is_allowed(classes):
    """The example: of 60 classes real images covered one or two, as each had to have 2.5 % of them."""
    labels = torch.arange(2 * classes) % classes
    enough = least(labels, classes)
    drawn = labels[torch.randint(len(labels), (400, enough), generator=generator())]
    missing = coverage.classes_missing(drawn, classes, coverage.class_hits(enough, labels, classes))
    assert (missing > 0).double().mean().item() < 0.01 + 3 * math.sqrt(0.01 / 400)


def least(labels: torch.Tensor, classes: int) -> int:
    """The number of images that the error asks for."""
    with pytest.raises(BridgekitError) as caught:
        coverage.class_hits(1, labels, classes)
    return int(str(caught.value).split("take ")[1].split()[0].replace(",", ""))


def test_a_class_without_images_cannot_be_covered():
    with pytest.raises(BridgekitError, match="among 4 images there are none of some of 3 classes"):
        coverage.class_hits(100, torch.tensor([0, 0, 2, 2]), 3)
    with pytest.raises(BridgekitError, match="none of some of 2 classes"):
        coverage.class_hits(100, torch.tensor([0, 1, 2]), 2)


def test_classes_missing_counts_hits():
    labels = torch.tensor([[0, 0, 0, 1, 2, 2], [3, 3, 3, 3, 3, 3]])
    assert coverage.class_histogram(labels, 4).tolist() == [[3, 1, 2, 0], [0, 0, 0, 6]]
    assert coverage.classes_missing(labels, 4).tolist() == [1, 3]
    assert coverage.classes_missing(labels, 4, hits=2).tolist() == [2, 3]
    assert coverage.classes_missing(labels, 4, hits=3).tolist() == [3, 3]
    assert coverage.classes_missing(labels, 4, torch.tensor([4, 1, 1, 1])).tolist() == [2, 3]


def test_a_broken_sample_has_no_class():
    labels = torch.tensor([[0, 1], [-1, 0]])
    histogram, missing = coverage.class_histogram(labels, 3), coverage.classes_missing(labels, 3)
    assert histogram[0].tolist() == [1, 1, 0] and histogram[1].isnan().all()
    assert missing[0].item() == 1 and missing[1].isnan()


@pytest.mark.parametrize("hits", [0, -1, math.nan, 0.5])
def test_a_threshold_that_nothing_misses_is_refused(hits):
    with pytest.raises(BridgekitError, match="one sample or more"):
        coverage.classes_missing(torch.tensor([0, 1]), 2, hits)


def test_a_label_beyond_the_classes_is_not_lost():
    with pytest.raises(BridgekitError, match="labels of 10 classes are 0 to 9, not 10"):
        coverage.class_histogram(torch.tensor([3, 10]), 10)
