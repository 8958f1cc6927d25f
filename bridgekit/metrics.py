r"""How good samples are: on the plane against the true mixture, on images against labelled references.

Samples may carry leading trials axes: ``x`` is ``(..., N, d)`` and every number comes out as ``(...)``, one a
trial, in the samples' dtype. A trial with a sample that is not finite gets NaN, and the others are not
touched. Nothing here keeps a gradient.

Sources: IS = Salimans et al. 2016 (Improved techniques for training GANs); Parzen = Breuleux et al. 2011 and
Goodfellow et al. 2014; VEEGAN = Srivastava et al. 2017; PacGAN = Lin et al. 2018.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bridgekit import coverage
from bridgekit.distributions import Mixture, normal_log_prob, reparametrise
from bridgekit.errors import BridgekitError
from bridgekit.objectives import likelihood

if TYPE_CHECKING:
    from bridgekit.classifiers import Classifier

# Where exp(-d) is below float's range, the CPU's exp takes twenty times as long; e^-80 is invisible beside 1.
_FAR = 80.0
_PAIRS = 2**17  # pairs of sample and point at a time: half a megabyte of float32, which a core's cache holds


def _mask(values: Tensor, samples: Tensor) -> Tensor:
    """``values`` (...), but NaN for the trials of ``samples`` (..., N, d) that are not finite throughout."""
    broken = ~samples.isfinite().flatten(-2).all(-1)
    return values.to(samples.dtype).masked_fill(broken, math.nan)


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
    """``IS = exp E_x KL[p(y|x) || p(y)] = exp(H[p(y)] - E_x H[p(y|x)])``, from 1 to K; (..., N, d) -> (...).

    ``p(y|x)`` is the true mixture's own posterior over its K components, ``p(y)`` its mean over the samples.
    The plain score hardly sees blur, since points between modes still have a sure posterior: ``junk`` adds a
    class K + 1 that takes, surely, every point beyond 3 sigma of all centres (the score then ends at K + 1).
    N perfect samples give about ``K exp(-(K - 1) / 2N)``. Source: IS, with the posterior for the network.
    """
    posterior = mixture.log_posterior(x).clamp(min=-_FAR).exp()
    if junk:
        far = ~_nearest(x, mixture, 3.0)[1][..., None]
        posterior = torch.cat([posterior.masked_fill(far, 0), far.to(posterior)], dim=-1)
    # entr(p) = -p log p with entr(0) = 0: no log of zero, and no epsilon.
    conditional = torch.special.entr(posterior).sum(-1).mean(-1)
    marginal = torch.special.entr(posterior.mean(-2)).sum(-1)
    return _mask((marginal - conditional).exp(), x)


@torch.no_grad()
def modes_covered(x: Tensor, mixture: Mixture, hits: int | None = None, radius: float = 3.0) -> Tensor:
    """How many of the K centres have ``hits`` or more samples within ``radius`` sigma; (..., N, d) -> (...).

    A sample counts for its nearest centre only. By default a mode wants a twentieth of what perfect samples
    put there, 20 of N = 10,000 on each of 25 (:func:`bridgekit.coverage.mode_hits`). VEEGAN and PacGAN count
    a mode from its first hit among 2,500: ``hits=1``. Raises BridgekitError where N is so small that perfect
    samples would often miss a mode, whatever ``hits``.
    """
    counts = _mode_counts(x, mixture, radius)
    hits = coverage.mode_hits(x.shape[-2], *mixture.means.shape, radius, hits)
    return _mask((counts >= hits).sum(-1), x)


@torch.no_grad()
def high_quality_share(x: Tensor, mixture: Mixture, radius: float = 3.0) -> Tensor:
    """The share of samples within ``radius`` sigma of some centre, from 0 to 1; (..., N, d) -> (...).

    Perfect samples in two dimensions reach ``1 - exp(-radius^2 / 2)``, 0.9889 for 3. Source: VEEGAN, PacGAN.
    """
    return _mask(_nearest(x, mixture, radius)[1].to(x).mean(-1), x)


@torch.no_grad()
def mode_reverse_kl(x: Tensor, mixture: Mixture, radius: float = 3.0) -> Tensor:
    """``KL[h || uniform] = log K - H[h]`` in nats, from 0 to log K; (..., N, d) -> (...).

    ``h`` is the histogram over nearest centres of the samples within ``radius`` sigma of one, as in PacGAN's
    table; the others do not count. Without any such sample there is no histogram: NaN. Perfect samples give
    about ``(K - 1) / 2n`` for n counted ones.
    """
    counts = _mode_counts(x, mixture, radius).to(x)
    share = counts / counts.sum(-1, keepdim=True)  # 0 / 0 = NaN where nothing is close
    return _mask(math.log(len(mixture.means)) - torch.special.entr(share).sum(-1), x)


@torch.no_grad()
def kde_log_likelihood(
    samples: Tensor, points: Tensor, bandwidth: float | Tensor, chunk: int | None = None
) -> Tensor:
    """Parzen window estimate ``(1/M) sum_m log (1/N) sum_n N(points_m; samples_n, h^2 I)``, in nats a point.

    ``samples`` (..., N, d), held-out ``points`` (M, d), ``bandwidth`` h in the samples' units, a number or
    one a trial -> (...). Made for few dimensions: differences are formed axis by axis, which loses no digits.
    ``chunk`` points are looked at together, which changes memory and speed only (by default as many as make
    131,072 pairs over all trials on a CPU, 64 times that on a GPU). Even perfect samples give the likelihood
    of the target smoothed with N(0, h^2): h belongs to the number. Source: Parzen.
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
        kernel = (least - squared).clamp_(min=-_FAR).exp_()
        found.append(kernel.sum(-1).log() - least.squeeze(-1))
    log_norm = math.log(n) + d * (h[..., 0, 0].log() + 0.5 * math.log(2 * math.pi))
    return _mask(torch.cat(found, -1).mean(-1) - log_norm, samples)


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
    return _mask((samples - start).norm(dim=-1).mean(-1), samples - start)


@torch.no_grad()
def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""``(sum w)^2 / sum w^2``, from 1 (one sample has all the weight) to N (all alike); (..., N) -> (...).

    ``log_weights`` need no normalisation. Source: Kong 1992; for the alpha-Bridge's weights these are
    :func:`bridgekit.objectives.bridge.forward_log_weight` and ``reverse_log_weight`` at D's logits.
    """
    weights = (log_weights - log_weights.amax(-1, keepdim=True)).exp()
    return _mask(weights.sum(-1).square() / weights.square().sum(-1), log_weights[..., None])


@torch.no_grad()
def knn_classify(
    x: Tensor, reference_x: Tensor, reference_y: Tensor, k: int = 5, chunk: int = 1024
) -> Tensor:
    """Labels by majority of the ``k`` nearest references (Euclidean): int64, -1 where ``x`` is not finite.

    ``reference_x`` (M, *shape) with labels ``reference_y`` (M,); ``x`` (..., *shape) -> (...). Of tied
    classes the one with the nearest reference wins. ``chunk`` samples are compared at a time. Raises
    BridgekitError unless k is from 1 to 50 and all references are finite and have a label of 0 or more.
    """
    shape = reference_x.shape[1:]
    flat, reference = x.reshape(-1, shape.numel()), reference_x.reshape(len(reference_x), -1).to(x)
    k = min(k, len(reference))
    if not (1 <= k <= 50 and reference_y.min() >= 0 and reference.isfinite().all()):
        raise BridgekitError(
            f"knn_classify wants 1 to 50 neighbours, not {k}, of finite, labelled references."
        )
    # In units of 2^-k each neighbour has one vote and a fraction that halves with its rank. The fractions
    # together stay below one vote: they settle ties and nothing else.
    votes = 2**k + 2 ** torch.arange(k - 1, -1, -1, device=x.device)
    labels = torch.arange(int(reference_y.max()) + 1, device=x.device)
    found = []
    for part in flat.split(chunk):
        nearest = torch.cdist(part, reference).topk(k, largest=False).indices
        is_label = reference_y.to(x.device)[nearest][..., None] == labels
        found.append((is_label * votes[:, None]).sum(-2).argmax(-1))
    found = torch.cat(found).masked_fill(~flat.isfinite().all(-1), -1)
    return found.reshape(x.shape[: x.dim() - len(shape)])


# Warning filters and the global generator belong to the process; games are looked at in several threads.
_ALONE = threading.Lock()


@torch.no_grad()
def image_inception_score(classifier: Classifier, x: Tensor) -> float:
    """``IS = exp E_x KL[p(y|x) || p(y)]`` of images (N, C, H, W), ``p(y|x)`` the classifier's; from 1 to K.

    All N make one split. Numbers of two networks cannot be compared: say which one scored. An image that is
    not finite makes it NaN. Source: IS; through torchmetrics, in float64.
    """
    from torchmetrics.image.inception import InceptionScore

    if not x.isfinite().all():
        return math.nan
    # A posterior below e^-80 is as good as none; torchmetrics would otherwise take the log of an exact zero.
    log_posterior = classifier.logits(x).double().log_softmax(-1).clamp(min=-_FAR).cpu()
    with _ALONE, warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that features are kept, and that one split has no deviation
        torch.manual_seed(0)  # it shuffles, with the global generator, what is one split anyway
        score = InceptionScore(feature=nn.Identity(), splits=1)
        score.update(log_posterior)
        return score.compute()[0].item()


@torch.no_grad()
def frechet_distance(classifier: Classifier, x: Tensor, reference: Tensor) -> float:
    """``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))``: the "FID" in the classifier's own features, from 0 up.

    m and S are mean and covariance of the features of ``x`` (N, C, H, W) and of ``reference`` (M, C, H, W).
    Few images bias it upwards: compare at equal N and M. An image that is not finite makes it NaN. Source:
    Heusel et al. 2017, eq 6; through torchmetrics, in float64. Fewer than two images raise BridgekitError.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(len(x), len(reference)) < 2:
        raise BridgekitError(
            f"a Frechet distance wants two images a side: {len(x)} and {len(reference)} given"
        )
    if not (x.isfinite().all() and reference.isfinite().all()):
        return math.nan
    same = nn.Identity()
    features = [classifier.features(images).double().cpu() for images in (x, reference)]
    same.num_features = features[0].shape[1]
    distance = FrechetInceptionDistance(feature=same)
    for found, real in zip(features, (False, True), strict=True):
        distance.update(found, real=real)
    return distance.compute().item()


@torch.no_grad()
def classifier_accuracy(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """The share of images (N, C, H, W) that the classifier gives their label ``y`` (N,); NaN as above.

    Raises BridgekitError where the labels are none of its classes, or not one for each image.
    """
    classes = len(classifier.classes)
    if len(y) != len(x) or not ((y >= 0) & (y < classes)).all():
        got = f"{len(y)} labels out of {sorted(set(y.tolist()))} for {len(x)} images"
        raise BridgekitError(f"the {classifier.name} classifier wants one of 0 to {classes - 1} each: {got}")
    right = classifier.logits(x).argmax(-1) == y.to(x.device)
    return right.double().mean().item() if x.isfinite().all() else math.nan


@torch.no_grad()
def surrogate_log_likelihood(
    generator: nn.Module, encoder: nn.Module, x: Tensor, sigma: float, eps: Tensor, event_dims: int
) -> Tensor:
    r"""K-sample lower bound of the semi-implicit surrogate's ``log p~(x)`` (paper A, eqs 3 and 13), in nats.

    ``x`` (..., B, event) and ``eps`` (K, ..., B, z), standard normal; the result is (..., B). The encoder
    ``q(z|x)`` proposes, so the bound also loosens where the generator moves away from its encoder.
    """
    mu, log_sigma = encoder(x)

    def log_weight(noise: Tensor) -> Tensor:
        z = reparametrise(mu, log_sigma, noise)
        log_joint = normal_log_prob(z, 0.0, 0.0).sum(-1) - likelihood.gaussian_nll(
            x, generator(z), sigma, event_dims
        )
        return log_joint - normal_log_prob(z, mu, log_sigma).sum(-1)

    return likelihood.importance_weighted_bound(torch.stack([log_weight(noise) for noise in eps]))
