"""How good generated images are, against labelled references or by an evaluation classifier.

Nothing here keeps a gradient. Sources: IS = Salimans et al. 2016 (Improved techniques for training GANs);
FID = Heusel et al. 2017; precision and recall = Kynkäänniemi et al. 2019.
"""

from __future__ import annotations

import math
import threading
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError
from bridgekit.measure.on_plane import FAR

if TYPE_CHECKING:
    from bridgekit.measure.classifiers import Classifier

# Warning filters and the global generator belong to the process; games are evaluated in several threads.
_ALONE = threading.Lock()


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


@torch.no_grad()
def inception_score(classifier: Classifier, x: Tensor) -> float:
    """B Table 2: ``IS = exp E_x KL[p(y|x) || p(y)]`` of images (N, C, H, W), from 1 to K.

    ``p(y|x)`` is the classifier's. All N make one split. Numbers of two networks cannot be compared: say
    which one scored. An image that is not finite makes it NaN. Source: IS; through torchmetrics, in float64.
    Raises BridgekitError for a classifier of attributes.
    """
    from torchmetrics.image.inception import InceptionScore

    _classes(classifier)
    if not x.isfinite().all():
        return math.nan
    # A posterior below e^-80 is as good as none; torchmetrics would otherwise take the log of an exact zero.
    log_posterior = classifier.logits(x).double().log_softmax(-1).clamp(min=-FAR).cpu()
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
def precision_and_recall(
    classifier: Classifier, x: Tensor, reference: Tensor, k: int = 3
) -> tuple[float, float]:
    """The share of images (N, C, H, W) that lie among the references, and of references that lie among them.

    In the classifier's features; *among* is within the distance of some image of the other set to its own
    ``k``-th nearest neighbour in that set. NaN where an image is not finite. Source: Kynkäänniemi et al. 2019
    (Improved precision and recall metric for assessing generative models), eqs 1 and 2. Raises BridgekitError
    for k below 1 or as many as one of the sets.
    """
    if not 1 <= k < min(len(x), len(reference)):
        raise BridgekitError(
            f"k = {k} neighbours of {len(x)} and {len(reference)} images: fewer, or more images"
        )
    if not (x.isfinite().all() and reference.isfinite().all()):
        return math.nan, math.nan
    made, real = (classifier.features(images).double() for images in (x, reference))
    apart = torch.cdist(made, real)

    def radius(of: Tensor) -> Tensor:
        return torch.cdist(of, of).kthvalue(k + 1).values  # the nearest of all is an image itself

    among = [(apart <= radius(real)).any(1), (apart <= radius(made)[:, None]).any(0)]
    return tuple(part.double().mean().item() for part in among)


@torch.no_grad()
def kinds(classifier: Classifier, x: Tensor) -> float:
    """How many kinds of images (N, C, H, W) there are, from 1 to N: the exponential of their entropy.

    Of one kind are images that the classifier gives the same class, or all the same attributes. Few images
    bias it downwards: compare at equal N. NaN where an image is not finite.
    """
    if not x.isfinite().all():
        return math.nan
    share = seen(classifier, x).unique(dim=0, return_counts=True)[1].double() / len(x)
    return torch.special.entr(share).sum().exp().item()


@torch.no_grad()
def seen(classifier: Classifier, x: Tensor) -> Tensor:
    """What the classifier sees in images (N, C, H, W), float64: (N, 1), the number of the class, or (N, A), a
    zero or one for each attribute; NaN for an image that is not finite.
    """
    logits = classifier.logits(x)
    found = logits.argmax(1, keepdim=True) if classifier.classes else logits > 0
    return found.double().masked_fill(~x.flatten(1).isfinite().all(1, keepdim=True), math.nan)


def agreement(one: Tensor, other: Tensor) -> Tensor:
    """The share of N images that still show the same, for each of A answers: (N, A) and (N, A) -> (A,).

    Of what :func:`seen` finds in two images for each code; NaN where one of them is not finite.
    """
    lost = one.isnan() | other.isnan()
    return (one == other).double().masked_fill(lost, math.nan).mean(0)


@torch.no_grad()
def sharpness(x: Tensor) -> float:
    """The variance of the Laplacian of images (N, C, H, W), each channel for itself, over all of them.

    The Laplacian is what four neighbours differ from a pixel, inside the border: edges and noise have a large
    one, blur has a small one. NaN where an image is not finite. Source: Pech-Pacheco et al. 2000 (Diatom
    autofocusing in brightfield microscopy).
    """
    sides = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return (sides - 4 * x[..., 1:-1, 1:-1]).double().var(unbiased=False).item()


@torch.no_grad()
def classifier_accuracy(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """B Table 2: the share of images (N, C, H, W) that are given their label ``y`` (N,); NaN as above.

    Raises BridgekitError where the labels are none of its classes, or not one for each image.
    """
    classes = _classes(classifier)
    if len(y) != len(x) or not ((y >= 0) & (y < classes)).all():
        got = f"{len(y)} labels out of {sorted(set(y.tolist()))} for {len(x)} images"
        raise BridgekitError(f"the {classifier.name} classifier wants one of 0 to {classes - 1} each: {got}")
    right = classifier.logits(x).argmax(-1) == y.to(x.device)
    return right.double().mean().item() if x.isfinite().all() else math.nan


@torch.no_grad()
def attribute_accuracy(classifier: Classifier, x: Tensor, y: Tensor) -> dict[str, float]:
    """For each attribute the share of images (N, C, H, W) in which it is found as ``y`` (N, A) has it.

    NaN where an image is not finite. Raises BridgekitError unless ``y`` has a column of zeros and ones for
    each of the classifier's attributes.
    """
    names = tuple(classifier.attributes)
    if y.shape != (len(x), len(names)) or not names or not ((y == 0) | (y == 1)).all():
        wanted = f"({len(x)}, {len(names)}) of zeros and ones" if names else "none: it has no attributes"
        raise BridgekitError(f"the {classifier.name} classifier wants labels {wanted}, not {tuple(y.shape)}")
    right = ((classifier.logits(x) > 0) == y.to(x.device)).double().mean(0)
    return dict(zip(names, (right if x.isfinite().all() else right * math.nan).tolist(), strict=True))


def _classes(classifier: Classifier) -> int:
    """How many classes it tells apart; BridgekitError for one that finds attributes."""
    if not classifier.classes:
        raise BridgekitError(
            f"the {classifier.name} classifier finds attributes, not classes, so that there is no inception "
            "score and no one label: take frechet_distance or attribute_accuracy."
        )
    return len(classifier.classes)
