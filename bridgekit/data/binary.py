"""Binary images for the likelihood games: drawn once, divided by seed, and handed out trial by trial."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.random import check_seeds, stream


@dataclass(frozen=True, eq=False)
class Pairs:
    """Binary images with their labels, ``rows`` (N, d + K): d pixels in {0, 1}, then K one-hot columns.

    ``shape`` is that of one image, (C, H, W), where it is known.
    """

    rows: Tensor
    pixels: int
    fingerprint: str
    shape: tuple[int, ...] = ()

    @property
    def classes(self) -> int:
        """K; 0 where the labels have been left out."""
        return self.rows.shape[1] - self.pixels

    def unlabelled(self) -> Pairs:
        """The same images without their labels: K = 0."""
        rows, name = self.rows[:, : self.pixels].contiguous(), self.fingerprint + "-unlabelled"
        return Pairs(rows, self.pixels, name, self.shape)


def binarised(images: Images, seed: int = 0) -> Pairs:
    """Static binarisation: each pixel is drawn once, 1 with probability (grey level in [0, 1]).

    One data set for every model and trial; it depends on ``seed`` and the split only. The draws are made on
    the CPU, so that all devices get the same bits.
    """
    grey = (images.x.flatten(1).cpu() + 1) / 2
    draws = torch.rand(grey.shape, generator=stream(seed, f"binarised {images.name} {images.split}"))
    x, y = (draws < grey).float(), F.one_hot(images.y.cpu(), len(images.classes)).float()
    rows = torch.cat([x, y], 1)
    digest = hashlib.sha256(rows.bool().numpy().tobytes() + str(x.shape).encode()).hexdigest()[:16]
    return Pairs(rows.to(images.x.device), x.shape[1], digest, tuple(images.x.shape[1:]))


def strata(y: Tensor, sizes: Sequence[int], seeds: Sequence[int]) -> list[Tensor]:
    """Disjoint stratified parts of a labelled data set and what is left, one division a trial.

    ``sizes`` images each, one size at least; the result is one ``(T, n)`` of row numbers for every size, and
    one for the rest. A class gives its share of each, rounded so that the sum is exact, and within a part the
    order is random. The division hangs on the seed and on what comes before: parts of 6000 and 600 have the
    same first part as parts of 6000 and 60, and the 60 are among the 600. Raises BridgekitError where
    there are not enough images of some class, or a seed is there twice.
    """
    check_seeds(seeds)
    labels, counts = y.cpu().unique(return_counts=True)
    quotas = torch.stack([_quotas(counts, n) for n in sizes])
    cuts = torch.cat([torch.zeros_like(counts)[None], quotas.cumsum(0), counts[None]])
    if (cuts.diff(dim=0) < 0).any() or (quotas < 1).any():
        raise BridgekitError(
            f"{list(sizes)} of {len(y)} images cannot be taken from each of {len(counts)} classes: change "
            "the shares, or take more images."
        )
    chosen: list[list[Tensor]] = [[] for _ in cuts[1:]]
    for seed in seeds:
        generator = stream(seed, "strata")
        rows = [(y.cpu() == label).nonzero().squeeze(1) for label in labels]
        rows = [of[torch.randperm(len(of), generator=generator)] for of in rows]
        for k, part in enumerate(chosen):
            mine = torch.cat([of[cut[k] : cut[k + 1]] for of, cut in zip(rows, cuts.T, strict=True)])
            part.append(mine[torch.randperm(len(mine), generator=stream(seed, f"order {k}"))])
    return [torch.stack(part).to(y.device) for part in chosen]


def _quotas(counts: Tensor, n: int) -> Tensor:
    """``n`` in proportion to ``counts``, by largest remainders."""
    exact = counts.double() * n / counts.sum()
    whole = exact.floor().long()
    order = (exact - whole).argsort(descending=True, stable=True)
    whole[order[: n - int(whole.sum())]] += 1
    return whole
