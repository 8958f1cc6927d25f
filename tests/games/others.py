"""Games beside the two papers' own: domain adaptation, a classifier, a density fitted by quadrature."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data import Images
from bridgekit.games import adaptation, classifying, fitting, setups
from bridgekit.theory import divergences
from games import tools
from games.harness import Case, Move, Owner, Paper, Part, Steps
from games.paper_a import noise_images, owners, within

# --- adaptation -----------------------------------------------------------------------------------------


def adaptation_paper(a: SimpleNamespace) -> Paper:
    """Paper B, eqs 4 and 5: D tells source (y = 1) from target, G the reverse, with C the labels."""
    d, classes = a.setup.data.x[0].numel(), len(a.setup.data.classes)
    labelled = torch.cat([a.setup.data.x.flatten(1), a.setup.data.y[:, None].double()], 1)

    def telling(nets, batch, now):
        f_source, f_target = nets.D(nets.G(batch.source[..., :d])), nets.D(nets.G(batch.target))
        return {"D": tools.tell(f_source, f_target).mean(-1) / 2}

    def learning(nets, batch, now):
        of_source, of_target = nets.G(batch.source[..., :d]), nets.G(batch.target)
        p = torch.softmax(nets.C(of_source), -1)
        label = F.one_hot(batch.source[..., d].long(), classes)
        confused = -torch.log(1 - torch.sigmoid(nets.D(of_source))) - torch.log(
            torch.sigmoid(nets.D(of_target))
        )
        loss = -torch.log((p * label).sum(-1)).mean(-1) + a.weight * confused.mean(-1) / 2
        return {"G": loss, "C": loss}

    n, h = a.setup.batch, a.setup.hidden
    draws = {"source": tools.rows(labelled, n), "target": tools.rows(a.target.x.flatten(1), n)}
    networks = {
        "G": tools.mlp(d, h, a.features),
        "C": tools.mlp(a.features, h, classes),
        "D": tools.mlp(a.features, h, 1),
    }
    turns = Move(telling, draws), Move(learning, draws)
    return Paper(owners(a, "GCD"), networks, {"train": Steps(a.rounds, turns)})


SOURCE = {"data": noise_images(12, 4, seed=1), "hidden": 6, "batch": 4, "lr": 1e-2}
OTHER_SOURCE = {"data": noise_images(12, 4, seed=3), "hidden": 7, "batch": 5, "lr": 2e-2, "beta1": 0.8}
ADAPTATION = {
    "setup": Part(setups.flat, SOURCE),
    "target": noise_images(9, 4, seed=2),
    "weight": 0.5,
    "features": 5,
    "rounds": 2,
}
ADAPTATION_CHANGES = within("setup", OTHER_SOURCE) | {
    "target": noise_images(8, 4, seed=4),
    "weight": [1.0, 0.0],
    "features": 4,
    "rounds": 3,
}


# --- classifying ----------------------------------------------------------------------------------------


def moved(x: Tensor, draw: Tensor, reach: int) -> Tensor:
    """Each image moved by up to ``reach`` whole pixels, its edge repeated, by padding and cutting."""
    h, w = x.shape[-2:]
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    starts = [[int(v * (2 * reach + 1)) for v in pair] for pair in draw.tolist()]
    cut = [image[:, r : r + h, c : c + w] for image, (r, c) in zip(padded, starts, strict=True)]
    return torch.stack(cut)


def classification_paper(a: SimpleNamespace) -> Paper:
    """The mean of -log p(y|x); of attributes, each with a p of its own."""
    images, labels = a.dataset, len(a.dataset.labels)

    def losses(nets, batch, now):
        y, logits = images.y[batch.index], nets.C(moved(images.x[batch.index], batch.move, a.shift))
        if y.dim() == 2:
            p = torch.where(y == 1, torch.sigmoid(logits), 1 - torch.sigmoid(logits))
        else:
            p = torch.softmax(logits, -1)[range(a.batch), y]
        return {"C": -torch.log(p).mean()}

    draws = {"index": tools.indices(len(images.y), a.batch), "move": tools.uniform(a.batch, 2)}
    networks = {"C": residual_net(labels, images.x.shape[1], a.width)}
    owned = {"C": Owner("C", a.lr, (0.9, 0.999))}
    return Paper(owned, networks, {"learn": Steps(a.rounds, (Move(losses, draws),))})


def residual_net(classes: int, channels: int, width: int) -> list[tuple[int, ...]]:
    """A convolution, three blocks of two, shortcuts where widths or sides change, and one linear layer."""
    w, found = width, [(width, channels, 3, 3)]
    for n_in, n_out, short in ((w, w, False), (w, 2 * w, True), (2 * w, 4 * w, True)):
        found += [(n_out, n_in, 3, 3), (n_out, n_out, 3, 3)] + [(n_out, n_in, 1, 1)] * short
    norms = [(shape[0],) for shape in found for _ in "wb"]
    return [*found, *norms, (classes, 4 * w), (classes,)]


def noise_attributes(n: int = 12, size: int = 8) -> Images:
    """Noise with the last four binary digits of each image's number."""
    y = (torch.arange(n)[:, None] // 2 ** torch.arange(4)) % 2
    return replace(noise_images(n, size), y=y, labels=tuple("abcd"), fingerprint="attributes")


CLASSIFICATION = {"dataset": noise_images(12, 8), "rounds": 2, "batch": 4, "width": 2, "lr": 1e-2, "shift": 2}
CLASSIFICATION_CHANGES = {
    "dataset": [noise_images(13, 8, seed=1), noise_attributes()],
    "rounds": 3,
    "batch": 5,
    "width": 3,
    "lr": 2e-2,
    "shift": [0, 1],
}


# --- fitting --------------------------------------------------------------------------------------------


def log_standard(x: Tensor) -> Tensor:
    return -(x**2) / 2 - math.log(2 * math.pi) / 2


def log_wide(x: Tensor) -> Tensor:
    return -((x - 0.5) ** 2) / 8 - math.log(8 * math.pi) / 2


# The integral of each integrand, with the densities p and q of the grid.
INTEGRALS = {
    "forward_kl": lambda p, q: q * torch.log(q / p) - q + p,
    "reverse_kl": lambda p, q: p * torch.log(p / q) - p + q,
    "squared_hellinger": lambda p, q: (p.sqrt() - q.sqrt()) ** 2,
    "alpha": lambda p, q: 4 * ((p + q) / 2 - (p * q).sqrt()),
}
half = functools.partial(divergences.alpha, alpha=0.5)


def fit_paper(a: SimpleNamespace) -> Paper:
    """D[p || q] by the trapezoid rule, in the mean and scale of p."""
    name = getattr(a.integrand, "func", a.integrand).__name__

    def losses(nets, batch, now):
        mu, scale = nets.p.mu[:, None], torch.exp(nets.p.log_sigma)[:, None]
        p, q = torch.exp(tools.log_normal(a.x, mu, scale)), torch.exp(a.log_q)
        y = INTEGRALS[name](p, q)
        return {"p": ((y[:, 1:] + y[:, :-1]) / 2 * (a.x[1:] - a.x[:-1])).sum(-1)}

    owned = {"p": Owner("p", a.lr, (0.9, 0.999))}
    return Paper(owned, {"p": [(), ()]}, {"fit": Steps(a.rounds, (Move(losses, {}),))})


GRID = torch.linspace(-6, 6, 61, dtype=torch.float64)
MU, SIGMA = (torch.tensor(v, dtype=torch.float64) for v in ([0.5, -1.0], [0.8, 1.3]))
FIT = {
    "integrand": divergences.forward_kl,
    "log_q": log_standard(GRID),
    "x": GRID,
    "mu": MU,
    "sigma": SIGMA,
    "rounds": 2,
    "lr": 0.05,
}
FIT_CHANGES = {
    "integrand": [divergences.reverse_kl, divergences.squared_hellinger, half],
    "log_q": log_wide(GRID),
    "x": GRID + 0.1,
    "mu": MU + 0.1,
    "sigma": SIGMA + 0.1,
    "rounds": 3,
    "lr": 0.1,
}


CASES = {
    "domain_adaptation": Case(
        Part(adaptation.adversarial_domain_adaptation, ADAPTATION), adaptation_paper, ADAPTATION_CHANGES
    ),
    "classification": Case(
        Part(classifying.classification, CLASSIFICATION),
        classification_paper,
        CLASSIFICATION_CHANGES,
        seeds=(3,),
    ),
    "gaussian_fit": Case(
        Part(fitting.gaussian_fit, FIT),
        fit_paper,
        FIT_CHANGES,
        alone=lambda i: {"mu": MU[i : i + 1], "sigma": SIGMA[i : i + 1]},
    ),
}
