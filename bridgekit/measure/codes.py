r"""Whether an encoder's codes, all together, are the prior's: the aggregated posterior and the normal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bridgekit.measure import finite
from bridgekit.measure.on_plane import FAR


@torch.no_grad()
def discrepancy(codes: Tensor, scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0)) -> Tensor:
    r"""The squared maximum mean discrepancy of codes (..., N, d) to the standard normal: (...).

    .. math:: \mathrm E\,k(z,z') - 2\,\mathrm E\,k(z,n) + \mathrm E\,k(n,n'),\qquad
       k(a,b) = \tfrac1S\sum_{s} e^{-\|a-b\|^2/2s^2}

    with z, z' two different codes, n and n' standard normal, and s = ``scales`` times :math:`\sqrt d`. What
    is expected of the normal is in closed form, so that no sample of it adds noise. From 0, for the normal
    itself, to 2; its estimate from few codes has no bias, and may be below 0. Source: Gretton et al. 2012 (A
    kernel two-sample test), lemma 6.
    """
    n, d = codes.shape[-2:]
    apart = torch.cdist(codes, codes, compute_mode="donot_use_mm_for_euclid_dist").square()
    norms, found = codes.square().sum(-1), torch.zeros_like(codes[..., 0, 0])
    for scale in scales:
        s2 = d * scale**2
        own = ((-apart / (2 * s2)).clamp(min=-FAR).exp().sum((-2, -1)) - n) / (n * (n - 1))
        crossed = math.sqrt(s2 / (s2 + 1)) ** d * (-norms / (2 * (s2 + 1))).exp().mean(-1)
        found += own - 2 * crossed + math.sqrt(s2 / (s2 + 2)) ** d
    return finite.mask(found / len(scales), codes)
