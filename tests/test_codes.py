"""The aggregated posterior's distance to the prior, against quadrature, brute force and known cases."""

from __future__ import annotations

import math

import pytest
import torch

from bridgekit.measure import codes


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(a: torch.Tensor, b: torch.Tensor, scales, d: int) -> torch.Tensor:
    apart = (a - b).square().sum(-1)
    return sum(torch.exp(-apart / (2 * d * s**2)) for s in scales) / len(scales)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("scales", [None, (0.5,), (0.25, 1.0, 3.0)])
def test_the_normal_is_integrated_exactly(scales, d):
    """The two expectations over the normal by quadrature, axis by axis; the codes pair by pair."""
    z, n = draw(7, d), torch.linspace(-9, 9, 1501, dtype=torch.float64)
    density = torch.exp(-0.5 * n**2) / math.sqrt(2 * math.pi) * 0.012
    given, scales = [scales] if scales else [], scales or (0.25, 0.5, 1.0, 2.0)
    pairs = kernel(z[:, None], z, scales, d)
    own = (pairs.sum() - pairs.diag().sum()) / (7 * 6)
    want = float(own)
    for s in scales:
        crossed = (kernel(z[..., None, None], n[:, None], [s], d) @ density).prod(-1).mean()
        prior = (density @ kernel(n[:, None, None], n[:, None], [s], d) @ density) ** d
        want += float(prior - 2 * crossed) / len(scales)
    assert float(codes.discrepancy(z, *given)) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 16])
def test_codes_of_the_prior_are_at_zero_on_average_and_others_are_not(d):
    right = codes.discrepancy(draw(40, 300, d))
    assert right.shape == (40,)
    assert abs(float(right.mean())) < 4 * float(right.std()) / math.sqrt(40)
    spread = 4 * float(right.std())
    for wrong in (0.6 * draw(300, d), draw(300, d) + 0.5, 1.6 * draw(300, d)):
        assert float(codes.discrepancy(wrong)) > spread
    apart = torch.full((2, d), 1e6, dtype=torch.float64) * torch.tensor([[1.0], [-1.0]])
    assert 0 < float(codes.discrepancy(apart)) < 2


def test_a_trial_with_a_lost_code_is_lost_alone():
    z = draw(3, 20, 2)
    z[1, 4, 0] = math.nan
    found = codes.discrepancy(z)
    assert found.isnan().tolist() == [False, True, False]
    assert torch.equal(found[::2], codes.discrepancy(z[::2]))
