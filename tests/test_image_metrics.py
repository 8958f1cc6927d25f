"""Scores of images by a classifier: oracles by hand, float64, and every bad input."""

import math
import warnings
from types import SimpleNamespace

import pytest
import torch

from bridgekit.errors import BridgekitError
from bridgekit.measure import on_images


def classifier(classes: int = 3) -> SimpleNamespace:
    """A classifier whose logits and features are the images themselves."""
    flat = lambda x: x.flatten(1)  # noqa: E731
    return SimpleNamespace(name="flat", classes=tuple(range(classes)), logits=flat, features=flat)


def images(rows) -> torch.Tensor:
    """(N, K) as images (N, K, 1, 1)."""
    return torch.as_tensor(rows, dtype=torch.float64)[..., None, None]


def inception(posterior) -> float:
    return on_images.inception_score(classifier(), images(posterior).log().clamp(min=-1e4))


def test_inception_score_by_hand():
    p = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
    marginal = [0.4, 0.5, 0.1]
    each = [sum(a * math.log(a / m) for a, m in zip(row, marginal, strict=True)) for row in p]
    assert inception(p) == pytest.approx(math.exp(sum(each) / 2), rel=1e-14)


def test_inception_score_at_its_ends():
    assert inception(torch.eye(3)) == pytest.approx(3, rel=1e-14)  # surely one class each, evenly
    assert inception([[0.5, 0.3, 0.2]] * 7) == pytest.approx(1, abs=1e-14)
    assert inception([[1, 0, 0]] * 5) == pytest.approx(1, abs=1e-14)
    # three of four in one class: exp of the marginal's entropy
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    sure = torch.eye(3)[[0, 0, 0, 1]]
    assert inception(sure) == pytest.approx(math.exp(entropy), rel=1e-14)


def test_inception_score_does_not_look_at_the_order_nor_touch_global_randomness():
    x = images(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = on_images.inception_score(classifier(), x)
    assert torch.equal(before, torch.get_rng_state())
    assert on_images.inception_score(classifier(), x) == score
    assert on_images.inception_score(classifier(), x.flip(0)) == pytest.approx(score, rel=1e-12)


def gaussians(seed: int, scale, shift=0.0, n: int = 400) -> torch.Tensor:
    """(n, 2) correlated samples."""
    x = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x @ torch.tensor(scale, dtype=torch.float64) + shift


def closed_form(a: torch.Tensor, b: torch.Tensor) -> float:
    """Between the Gaussians with the samples' moments; for 2 x 2, tr M^(1/2) = (tr M + 2 |M|^(1/2))^(1/2)."""
    s, t = a.T.cov(), b.T.cov()
    product = s @ t
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    return ((a.mean(0) - b.mean(0)).square().sum() + s.trace() + t.trace() - 2 * root).item()


def test_frechet_distance_is_the_closed_form():
    a, b = gaussians(0, [[1.0, 0.3], [0.0, 0.5]]), gaussians(1, [[0.4, 0.0], [0.9, 2.0]], 1.5, 300)
    found = on_images.frechet_distance(classifier(), images(a), images(b))
    assert closed_form(a, b) > 1
    assert found == pytest.approx(closed_form(a, b), rel=1e-12)
    assert on_images.frechet_distance(classifier(), images(b), images(a)) == pytest.approx(found, rel=1e-12)


def test_two_images_a_side_have_a_frechet_distance_and_one_has_none():
    x, y = images([[0.0, 0.5], [0.5, 0.0]]), images([[0.25, 0.25], [-0.25, -0.25]])
    assert math.isfinite(on_images.frechet_distance(classifier(), x, y))
    for one, other in ((x[:1], y), (x, y[:1])):
        with pytest.raises(BridgekitError, match="two images a side"):
            on_images.frechet_distance(classifier(), one, other)


def test_frechet_distance_of_axes_that_differ_in_mean_and_scale():
    # exactly: +-1 has variance n / (n - 1), so scale s has deviation s r
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    y, r = x * torch.tensor([2.0, 0.5]) + torch.tensor([3.0, -1.0]), math.sqrt(4 / 3)
    expected = 9 + 1 + r**2 * ((2 - 1) ** 2 + (1 - 0.5) ** 2)
    found = on_images.frechet_distance(classifier(), images(x), images(y))
    assert found == pytest.approx(expected, rel=1e-12)
    assert on_images.frechet_distance(classifier(), images(x), images(x)) == pytest.approx(0, abs=1e-12)


def test_precision_and_recall_by_hand():
    real = images([[0.0], [0.1], [0.3], [0.6]])  # the nearest neighbours are 0.1, 0.1, 0.2 and 0.3 away
    made = images([[-0.09], [0.95], [0.94]])  # 1.03, 0.01 and 0.01
    assert on_images.precision_and_recall(classifier(), made, real, k=1) == (1 / 3, 1.0)
    assert on_images.precision_and_recall(classifier(), real, made, k=1) == (1.0, 1 / 3)
    far = images([[-0.9], [-0.89], [0.88], [0.89]])
    assert on_images.precision_and_recall(classifier(), far, real, 1) == (0.5, 0.0)
    assert on_images.precision_and_recall(classifier(), far, real, 2) == (0.5, 1.0)
    for k in (0, 3):
        with pytest.raises(BridgekitError, match=f"k = {k} neighbours of 3 and 4 images"):
            on_images.precision_and_recall(classifier(), made, real, k)


def test_kinds_are_an_entropy():
    x = images([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7], [0.3, 0.4]])
    assert on_images.kinds(classifier(2), x) == pytest.approx(2) == on_images.kinds(classifier(2), x[1:3])
    assert on_images.kinds(classifier(2), x[:3]) == pytest.approx(3 / 2 ** (2 / 3))
    assert on_images.kinds(classifier(2), x[:2]) == 1
    signs = images([[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0], [0.5, -0.5]])
    assert on_images.kinds(finder("a", "b"), signs) == pytest.approx(2 * 2**0.5)


def test_sharpness_is_the_laplacians_variance():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1.0  # the Laplacian is -4 there, 1 beside it on four sides, 0 at the corners
    assert on_images.sharpness(x) == pytest.approx(20 / 9)
    assert on_images.sharpness(torch.cat([x, -x], 1)) == pytest.approx(20 / 9)
    ramp = torch.linspace(-1, 1, 8).expand(2, 3, 8, 8)
    assert on_images.sharpness(ramp) == pytest.approx(0, abs=1e-12)
    assert on_images.sharpness(ramp.square()) == pytest.approx(0, abs=1e-12)  # one value everywhere
    assert on_images.sharpness(ramp.mT**3 / 2) == pytest.approx(on_images.sharpness(ramp**3 / 2)) != 0


def test_classifier_accuracy():
    x = images(torch.eye(3)[[0, 1, 2, 2]])
    assert on_images.classifier_accuracy(classifier(), x, torch.tensor([0, 1, 2, 0])) == 0.75
    assert on_images.classifier_accuracy(classifier(), x, torch.tensor([1, 2, 0, 0])) == 0


def finder(*names: str) -> SimpleNamespace:
    """Finds attributes in the signs of the images' numbers."""
    flat = lambda x: x.flatten(1)  # noqa: E731
    return SimpleNamespace(name="flat", classes=(), attributes=dict.fromkeys(names, 1.0), logits=flat)


def test_attribute_accuracy():
    x, y = (
        images([[1.0, -2.0], [3.0, 0.5], [-1.0, -0.1], [2.0, -3.0]]),
        torch.tensor([[1, 0], [1, 1], [1, 1], [1, 1]]),
    )
    assert on_images.attribute_accuracy(finder("a", "b"), x, y) == {"a": 0.75, "b": 0.5}
    broken = torch.where(x == 3.0, math.inf, x)
    assert all(map(math.isnan, on_images.attribute_accuracy(finder("a", "b"), broken, y).values()))


@pytest.mark.parametrize(
    ("which", "labels", "said"),
    [
        (finder("a", "b"), [[1, 0, 1]] * 2, r"labels \(2, 2\) of zeros and ones, not \(2, 3\)"),
        (finder("a", "b"), [1, 0], r"labels \(2, 2\) of zeros and ones, not \(2,\)"),
        (finder("a", "b"), [[1, 2], [0, 0]], r"labels \(2, 2\) of zeros and ones"),
        (finder("a", "b"), [[1, -1], [1, 1]], r"labels \(2, 2\) of zeros and ones"),
        (finder(), [[], []], "labels none: it has no attributes"),
    ],
)
def test_attributes_that_do_not_match(which, labels, said):
    with pytest.raises(BridgekitError, match=said):
        on_images.attribute_accuracy(which, images([[1.0, 1.0], [0.0, 0.5]]), torch.tensor(labels))


def test_attributes_have_no_inception_score():
    for act in (on_images.inception_score, lambda c, x: on_images.classifier_accuracy(c, x, torch.zeros(2))):
        with pytest.raises(BridgekitError, match="no inception score.*take frechet_distance"):
            act(finder("a", "b"), images([[1.0, 1.0], [0.0, 0.5]]))


def test_images_that_are_not_finite_score_nan():
    x, y = images(torch.eye(3)), torch.arange(3)
    broken = x.clone()
    broken[1, 0] = math.nan
    assert math.isnan(on_images.inception_score(classifier(), broken))
    assert math.isnan(on_images.frechet_distance(classifier(), broken, x))
    assert math.isnan(on_images.frechet_distance(classifier(), x, broken))
    assert math.isnan(on_images.classifier_accuracy(classifier(), broken, y))
    assert math.isnan(on_images.kinds(classifier(), broken))
    assert math.isnan(on_images.sharpness(torch.full((1, 1, 3, 3), math.nan)))
    for pair in ((broken, x), (x, broken)):
        assert all(map(math.isnan, on_images.precision_and_recall(classifier(), *pair, k=1)))
    broken[1, 0] = -math.inf  # which the logits may not show: a ReLU makes 0 of it
    rectified = classifier()
    rectified.logits = lambda x: x.flatten(1).relu()
    assert math.isnan(on_images.inception_score(rectified, broken))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            [0, 1, 3],
            r"flat classifier wants one of 0 to 2 each: 3 labels out of \[0, 1, 3\] for 3 images",
        ),
        ([0, -1, 2], r"3 labels out of \[-1, 0, 2\]"),
        ([0, 1], "2 labels out of .* for 3 images"),
    ],
)
def test_labels_that_do_not_match(labels, said):
    with pytest.raises(BridgekitError, match=said):
        on_images.classifier_accuracy(classifier(), images(torch.eye(3)), torch.tensor(labels))


def test_too_few_images():
    x = images(torch.eye(3))
    with pytest.raises(BridgekitError, match="two images a side: 3 and 1 given"):
        on_images.frechet_distance(classifier(), x, x[:1])
