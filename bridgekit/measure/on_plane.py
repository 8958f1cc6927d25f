r"""How good samples are on the plane, against the true mixture.

Samples may carry leading trials axes: ``x`` is ``(..., N, d)`` and every number comes out as ``(...)``, one a
trial, in the samples' dtype. A trial with a sample that is not finite gets NaN, and the others are not
touched. Nothing here keeps a gradient.

Sources: IS = Salimans et al. 2016 (Improved techniques for training GANs); Parzen = Breuleux et al. 2011 and
Goodfellow et al. 2014; VEEGAN = Srivastava et al. 2017; PacGAN = Lin et al. 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.measure import coverage, finite
from bridgekit.theory.densities import Mixture

# Where exp(-d) is below float's range, the CPU's exp takes twenty times as long; e^-80 is invisible beside 1.
FAR = 80.0
_PAIRS = 2**17  # pairs of sample and point at a time: half a megabyte of float32, which a core's cache holds


def _nearest(x: Tensor, mixture: Mixture, radius: float) -> tuple[Tensor, Tensor]:
    """Index of each point's nearest centre, and whether it is within ``radius`` sigma: both (..., N)."""
    if not 0 < radius * mixture.sigma < math.inf:
        raise BridgekitError(
            f"modes have a radius above 0, and not of {radius} sigma with sigma = {mixture.sigma}."
        )
    # The matmul form of cdist loses what counts here: distances small beside the coordinates.
    distance = torch.cdist(x, mixture.means.to(x), compute_mode="donot_use_mm_for_euclid_dist")
    least, index = distance.min(-1)
    return index, least <= radius * mixture.sigma


def _mode_counts(x: Tensor, mixture: Mixture, radius: float) -> Tensor:
    """Points within ``radius`` sigma of a centre, counted at their nearest: (..., N, d) -> (..., K) int64."""
    index, close = _nearest(x, mixture, radius)
    k = torch.arange(len(mixture.means), device=x.device)
    return ((index[..., None] == k) & close[..., None]).sum(-2)


@torch.no_grad()
def inception_score(x: Tensor, mixture: Mixture, junk: bool = False) -> Tensor:
    """A Figure 4: ``IS = exp E_x KL[p(y|x) || p(y)]``, from 1 to K; (..., N, d) -> (...).

    ``p(y|x)`` is the true mixture's own posterior over its K components, ``p(y)`` its mean over the samples.
    The plain score hardly sees blur, since points between modes still have a sure posterior: ``junk`` adds a
    class K + 1 that takes, surely, every point beyond 3 sigma of all centres (the score then ends at K + 1).
    N perfect samples give about ``K exp(-(K - 1) / 2N)``. Source: IS, with the posterior for the network.
    """
    posterior = mixture.log_posterior(x).clamp(min=-FAR).exp()
    if junk:
        far = ~_nearest(x, mixture, 3.0)[1][..., None]
        posterior = torch.cat([posterior.masked_fill(far, 0), far.to(posterior)], dim=-1)
    # entr(p) = -p log p with entr(0) = 0: no log of zero, and no epsilon.
    conditional = torch.special.entr(posterior).sum(-1).mean(-1)
    marginal = torch.special.entr(posterior.mean(-2)).sum(-1)
    return finite.mask((marginal - conditional).exp(), x)


@torch.no_grad()
def modes_covered(x: Tensor, mixture: Mixture, hits: int | None = None, radius: float = 3.0) -> Tensor:
    """How many of the K centres have ``hits`` or more samples within ``radius`` sigma; (..., N, d) -> (...).

    A sample counts for its nearest centre only. By default a mode wants a twentieth of what perfect samples
    put there, 20 of N = 10,000 on each of 25 (:func:`bridgekit.measure.coverage.mode_hits`). VEEGAN and
    PacGAN count a mode from its first hit among 2,500: ``hits=1``. Raises BridgekitError where N is so small
    that perfect samples would often miss a mode, whatever ``hits``.
    """
    counts = _mode_counts(x, mixture, radius)
    hits = coverage.mode_hits(x.shape[-2], *mixture.means.shape, radius, hits)
    return finite.mask((counts >= hits).sum(-1), x)


@torch.no_grad()
def high_quality_share(x: Tensor, mixture: Mixture, radius: float = 3.0) -> Tensor:
    """The share of samples within ``radius`` sigma of some centre, from 0 to 1; (..., N, d) -> (...).

    Perfect samples in two dimensions reach ``1 - exp(-radius^2 / 2)``, 0.9889 for 3. Source: VEEGAN, PacGAN.
    """
    return finite.mask(_nearest(x, mixture, radius)[1].to(x).mean(-1), x)


@torch.no_grad()
def mode_reverse_kl(x: Tensor, mixture: Mixture, radius: float = 3.0) -> Tensor:
    """``KL[h || uniform] = log K - H[h]`` in nats, from 0 to log K; (..., N, d) -> (...).

    ``h`` is the histogram over nearest centres of the samples within ``radius`` sigma of one, as in PacGAN's
    table; the others do not count. Without any such sample there is no histogram: NaN. Perfect samples give
    about ``(K - 1) / 2n`` for n counted ones.
    """
    counts = _mode_counts(x, mixture, radius).to(x)
    share = counts / counts.sum(-1, keepdim=True)  # 0 / 0 = NaN where nothing is close
    return finite.mask(math.log(len(mixture.means)) - torch.special.entr(share).sum(-1), x)


@torch.no_grad()
def kde_log_likelihood(
    samples: Tensor, points: Tensor, bandwidth: float | Tensor, chunk: int | None = None
) -> Tensor:
    """A Figure 4: Parzen window estimate, in nats a point.

    It is ``(1/M) sum_m log (1/N) sum_n N(points_m; samples_n, h^2 I)`` for ``samples`` (..., N, d), held-out
    ``points`` (M, d), ``bandwidth`` h in the samples' units, a number or one a trial -> (...). Made for few
    dimensions: differences are formed axis by axis, which loses no digits. ``chunk`` points are evaluated
    together, which changes memory and speed only (by default as many as make 131,072 pairs over all trials on
    a CPU, 64 times that on a GPU). Even perfect samples give the likelihood of the target smoothed with
    N(0, h^2): h belongs to the number. Source: Parzen.
    """
    n, d = samples.shape[-2:]
    h = torch.as_tensor(bandwidth, dtype=samples.dtype, device=samples.device)[..., None, None]
    axes = (samples / (math.sqrt(2) * h)).movedim(-1, 0)[..., None, :].contiguous()
    points = points.to(samples) / (math.sqrt(2) * h)
    pairs = _PAIRS if samples.device.type == "cpu" else 64 * _PAIRS
    found = []
    for part in points.split(chunk or max(1, pairs // axes[0].numel()), dim=-2):
        squared = reduce(Tensor.add_, ((part[..., i, None] - axis).square_() for i, axis in enumerate(axes)))
        least = squared.amin(-1, keepdim=True)
        kernel = (least - squared).clamp_(min=-FAR).exp_()
        found.append(kernel.sum(-1).log() - least.squeeze(-1))
    log_norm = math.log(n) + d * (h[..., 0, 0].log() + 0.5 * math.log(2 * math.pi))
    return finite.mask(torch.cat(found, -1).mean(-1) - log_norm, samples)


def plane_scores(
    x: Tensor, mixture: Mixture, points: Tensor, bandwidths: Sequence[float] = (0.1,)
) -> dict[str, Tensor]:
    """Every number of the plane at once, for samples (..., N, 2) and held-out points (M, 2); each (...).

    ``is`` and ``is_junk``, ``log_likelihood`` (at the first of ``bandwidths``; at another one, 0.05 say, it
    is ``log_likelihood_0.05``), ``modes``, ``high_quality`` and ``reverse_kl``, with the defaults above.
    """
    scores = {
        "is": inception_score(x, mixture),
        "is_junk": inception_score(x, mixture, junk=True),
        "modes": modes_covered(x, mixture),
        "high_quality": high_quality_share(x, mixture),
        "reverse_kl": mode_reverse_kl(x, mixture),
    }
    for i, h in enumerate(bandwidths):
        scores[f"log_likelihood_{h:g}" if i else "log_likelihood"] = kde_log_likelihood(x, points, h)
    return scores


@torch.no_grad()
def drift(samples: Tensor, start: Tensor) -> Tensor:
    """How far a generator moved: the mean Euclidean distance between G(z) then and now, at the same z.

    ``samples`` and ``start`` (..., N, d), row by row of one z -> (...), in the samples' units.
    """
    apart = samples - start
    return finite.mask(apart.norm(dim=-1).mean(-1), apart)


def drift_since(clouds: np.ndarray, start: int) -> np.ndarray:
    """:func:`drift` from evaluation ``start`` to the last one: (evaluations, trials, N, d) -> (trials,)."""
    then, now = (torch.from_numpy(clouds[k]) for k in (start, -1))
    return drift(now, then).numpy()


def distance_back(back: Tensor, points: Tensor) -> Tensor:
    """How far from each point its own code leads back, over the mean distance of two unrelated points.

    ``back`` and ``points`` are (..., N, d) and (N, d) or broadcast -> (...); 0 where every point comes back.
    """
    off = (back - points).norm(dim=-1).mean(-1)
    return off / torch.pdist(points).mean()
