r"""When a mode or a class counts as covered: thresholds that scale with the samples and with what is counted.

A threshold asks each of K kinds for a part of what perfect samples would put there. Few samples scatter, so
that even perfect ones miss it somewhere. Where that is likely, the count would say more of the number of
samples than of the generator, and is refused.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import special  # scipy.stats would take a second to import
from torch import Tensor

from bridgekit.errors import BridgekitError

MODE = 0.05  # of what perfect samples put on a mode
CLASS = 0.25  # of an even share of the images
MISSED = 0.01  # the probability with which perfect samples may miss a kind
MOST = 10**6  # samples that an error may ask for


def missed(n: int, shares: np.ndarray, hits: np.ndarray | int) -> float:
    r"""A bound of the probability that ``n`` perfect samples give one of K kinds fewer than its ``hits``.

    .. math:: P \le \sum_k P[\mathrm{Bin}(n, s_k) < h_k]

    ``shares`` (K,) are the :math:`s_k`; they need not add up to 1. Unless all kinds are sure it lies close to
    the probability, and never below it.
    """
    return min(1.0, float(special.bdtr(np.asarray(hits) - 1.0, n, shares).sum()))


@functools.lru_cache
def mode_hits(n: int, modes: int, dims: int, radius: float, hits: int | None = None) -> int:
    r"""The fewest of ``n`` samples within ``radius`` sigma that cover one of ``modes`` even Gaussians.

    Of perfect samples a mode gets the share :math:`s = P[\chi^2_d \le r^2]/K`, 0.0396 for 25 modes in the
    plane and r = 3. Asked for is a twentieth of :math:`n s`, to the nearest whole number and at least one: 20
    of 10,000 for 25 modes, 8 of 4,000, 1 of 500. ``hits`` puts another threshold in its place.

    Raises BridgekitError where perfect samples would miss some mode with a probability above 0.01, by the
    bound of :func:`missed`: with the twentieth and 25 modes in the plane, below 194 samples. All that is for
    modes that stand apart. Where they overlap, those at the edge get more than s and those inside less.
    """
    if hits is not None and hits < 1:
        raise BridgekitError(f"a mode is covered by one sample or more, not by {hits}.")
    shares = np.full(modes, special.gammainc(dims / 2, radius**2 / 2) / modes)

    def asked(n: int) -> np.ndarray:
        return _whole(MODE * n * shares) if hits is None else np.full(modes, hits)

    return int(_sure(n, shares, asked, "modes")[0])


def class_hits(n: int, labels: Tensor, n_classes: int) -> Tensor:
    r"""The fewest of ``n`` images that cover each class of a data set with these ``labels`` (M,): (K,) int64.

    A quarter of an even share, :math:`n/4K`, or half of the class's own share of the data where that is less,
    to the nearest whole number and at least one: 50 of 2,000 for ten classes of about equal size.

    Raises BridgekitError where a class has no image, and where ``n`` images drawn from the data would miss
    some class with a probability above 0.01, by the bound of :func:`missed`. Who labels the generated images
    is taken to make no mistakes.
    """
    counts = torch.bincount(labels.cpu(), minlength=n_classes).numpy()
    if len(counts) > n_classes or not counts.all():
        raise BridgekitError(
            f"among {len(labels)} images there are none of some of {n_classes} classes: take more of them."
        )
    shares = counts / counts.sum()
    asked = np.minimum(CLASS / n_classes, shares / 2)
    found = _sure(n, shares, lambda n: _whole(n * asked), "classes")
    return torch.from_numpy(found).to(labels.device)


@torch.no_grad()
def class_histogram(labels: Tensor, n_classes: int) -> Tensor:
    """Samples of each class: (..., N) -> (..., n_classes), float32; NaN for a trial with a label of -1.

    Raises BridgekitError for a label of ``n_classes`` or more.
    """
    if labels.numel() and labels.max() >= n_classes:
        raise BridgekitError(f"labels of {n_classes} classes are 0 to {n_classes - 1}, not {labels.max()}.")
    counts = (labels[..., None] == torch.arange(n_classes, device=labels.device)).sum(-2).float()
    return counts.masked_fill((labels < 0).any(-1, keepdim=True), math.nan)


@torch.no_grad()
def classes_missing(labels: Tensor, n_classes: int, hits: int | Tensor = 1) -> Tensor:
    """How many classes have fewer than ``hits`` samples: (..., N) -> (...), float32; NaN as above.

    ``hits`` is one number, at least 1, or one a class, as from :func:`class_hits`.
    """
    hits = torch.as_tensor(hits, device=labels.device)
    if not (hits >= 1).all():
        raise BridgekitError(f"a class is covered by one sample or more, not by {hits.min()}.")
    counts = class_histogram(labels, n_classes)
    return (counts < hits).sum(-1).float().masked_fill(counts.isnan().any(-1), math.nan)


def _whole(hits: np.ndarray) -> np.ndarray:
    """The nearest whole numbers, at least 1."""
    return np.maximum(1, np.floor(hits + 0.5)).astype(np.int64)


def _sure(n: int, shares: np.ndarray, hits: Callable[[int], np.ndarray], what: str) -> np.ndarray:
    """``hits(n)``, if perfect samples have as many nearly surely."""
    if missed(n, shares, hits(n)) <= MISSED:
        return hits(n)
    # Hits are rounded, and each further one makes the bound jump up: enough is what lies behind the last.
    sizes = np.unique(np.geomspace(n + 1, MOST, 1000).astype(int))
    few = [size for size in sizes if missed(size, shares, hits(size)) > MISSED]
    enough = sizes[np.searchsorted(sizes, few[-1], "right") :][:1] if few else sizes[:1]
    way = f"take {enough[0]:,} or more" if len(enough) else f"not even {MOST:,} are enough"
    raise BridgekitError(
        f"{n} samples are too few to say which of {len(shares)} {what} are covered, as perfect samples would "
        f"often miss one: {way}."
    )
