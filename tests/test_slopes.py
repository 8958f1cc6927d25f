"""Slopes of a discriminator between two points: where the proposition is an equality, and where it is not."""

import pytest
import torch

from bridgekit.measure import slopes


def tanh_step(width):
    """From 3 to -3, half-way between 0 and 1 in the first coordinate."""
    return lambda x: -3 * torch.tanh((x[..., 0] - 0.5) / width)


X, OTHER = torch.zeros(4, 2, dtype=torch.float64), torch.tensor([[1.0, 0.0]] * 4, dtype=torch.float64)


def promised(logit):
    return slopes.promised(logit(X), logit(OTHER), (OTHER - X).norm(dim=-1))


def test_a_linear_logit_is_as_steep_as_promised_everywhere():
    def logit(x):
        return 2 - 4 * x[..., 0]

    assert slopes.slope(logit, OTHER).tolist() == promised(logit).tolist() == [4.0] * 4
    assert slopes.steepest(logit, X, OTHER).tolist() == [4.0] * 4


@pytest.mark.parametrize("width", [0.05, 0.2])
def test_a_step_is_flat_at_the_reconstruction_and_steeper_than_promised_in_between(width):
    logit = tanh_step(width)
    assert (slopes.slope(logit, OTHER) < 0.3 * promised(logit)).all()
    assert slopes.steepest(logit, X, OTHER).tolist() == pytest.approx([3 / width] * 4)
    assert (slopes.steepest(logit, X, OTHER) > promised(logit)).all()
    assert (slopes.steepest(logit, X, OTHER, points=2) < promised(logit)).all(), "only both ends"


def test_a_slope_is_a_length():
    assert slopes.slope(lambda x: 3 * x[..., 0] - 4 * x[..., 1], X).tolist() == [5.0] * 4
