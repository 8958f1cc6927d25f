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


@pytest.mark.parametrize("distance", [0.4, 0.1, 0.02])
def test_a_lipschitz_network_is_sure_and_its_slope_is_anything(distance):
    """Proposition 1, equally sure at each distance: as promised, steeper across the error, and flat."""
    x, other = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[distance, 0.0]], dtype=torch.float64)

    def over_promised(feature, across):
        """Of a logit that falls by 6 from x to the other, with slope ``across`` the error."""
        fall = float(feature(other[:, 0]) - feature(x[:, 0]))

        def logit(at):
            return -6 / fall * feature(at[..., 0]) + across / distance * at[..., 1]

        due = slopes.promised(logit(x), logit(other), distance)
        assert float(due * distance) == pytest.approx(6)
        assert (slopes.steepest(logit, x, other, points=3) >= due * (1 - 1e-12)).all()
        return float(slopes.slope(logit, other) / due)

    width = distance**2
    u = torch.tensor(distance / width, dtype=torch.float64)
    assert over_promised(lambda first: first, 0.0) == pytest.approx(1)
    assert over_promised(lambda first: first, 6 * 3**0.5) == pytest.approx(2)
    flat = float(u / u.cosh() ** 2 / u.tanh())
    assert over_promised(lambda first: (first / width).tanh(), 0.0) == pytest.approx(flat, abs=1e-12)
    assert flat < 0.1
