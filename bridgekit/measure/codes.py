r"""An encoder's codes: whether all together they are the prior's, and what a step among them does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bridgekit.measure import finite
from bridgekit.measure.on_images import agreement
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


@torch.no_grad()
def directions(codes: Tensor, labels: Tensor) -> Tensor:
    """For each attribute the mean code of the images that have it, minus that of those without: (A, d).

    ``codes`` (N, d), ``labels`` (N, A) zeros and ones. NaN for an attribute that all have, or nobody.
    Source: Larsen et al. 2016 (Autoencoding beyond pixels using a learned similarity metric), section 4.2.
    """
    has = labels.to(codes)
    lacks = 1 - has
    mean = has.T @ codes / has.sum(0)[:, None]
    return mean - lacks.T @ codes / lacks.sum(0)[:, None]


def edited(before: Tensor, after: Tensor, k: int) -> tuple[float, float]:
    """What an edit towards attribute ``k`` does to the images that lack it: the share of them that gains it,
    and the share of their other answers that stay.

    ``before`` and ``after`` (N, A) are what :func:`on_images.seen` finds. NaN where no image lacks it, or an
    image is not finite.
    """
    lack = before[:, k] == 0
    one, other = before[lack], after[lack]
    others = [a for a in range(before.shape[1]) if a != k]
    stayed = agreement(one[:, others], other[:, others]).mean().item()
    return agreement(torch.ones_like(one), other)[k].item(), stayed
