"""Paper B's autoencoders of binary images: VAE, CVAE and SVAE, plain and activated, composed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import torch

from bridgekit.data.binary import Pairs
from bridgekit.games import aavae, m2
from games import autoencoder_lines as lines
from games import tools
from games.harness import Case, Move, Owner, Paper, Part, Steps
from games.paper_a import noise_images


def pairs(size: int, n: int = 20, classes: int = 3, seed: int = 0) -> Pairs:
    """Random bits, no two images alike, with labels."""
    images = noise_images(n, size, classes, seed)
    rows = torch.cat([(images.x.flatten(1) > 0).float(), torch.eye(classes)[images.y]], 1)
    assert len(rows.unique(dim=0)) == n
    return Pairs(rows, size**2, f"bits {size} {seed}")


BITS, OTHER_BITS, LARGE_BITS = pairs(4), pairs(4, seed=1), pairs(16)
BARE, OTHER_BARE = BITS.unlabelled(), OTHER_BITS.unlabelled()
PARTS = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [13, 12, 11, 10, 9, 8, 7]])
OTHER_PARTS = torch.tensor([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
REST = torch.tensor([[14, 15, 16, 17, 18, 19, 7, 8, 9], [0, 1, 2, 3, 4, 5, 14, 15, 16]])
OTHER_REST = torch.tensor([[7, 8, 9, 10], [1, 2, 3, 4]])


def shapes(a: SimpleNamespace, seen: int, names: str) -> dict[str, list]:
    """Two hidden layers, or DCGANs whose first layers see the label; E gives mean and log sigma."""
    d, k, h = a.data.pixels, a.data.classes, a.hidden
    if a.width is None:
        found = {
            "G": tools.mlp(a.z + k, h, h, d),
            "E": tools.mlp(d + k, h, h, 2 * a.z),
            "D": tools.mlp(seen, h, h, 1),
            "C": tools.mlp(d, h, h, k),
        }
    else:
        size = math.isqrt(d)
        found = {
            "G": tools.dcgan_generator(a.z + k, a.width, 1, size),
            "E": tools.dcgan_body(2 * a.z, a.width, 1 + k, size),
            "D": tools.dcgan_body(1, a.width, 1 + seen - d, size),
            "C": tools.dcgan_body(k, a.width, 1, size),
        }
    return {name: found[name] for name in names}


def paper(a: SimpleNamespace, model: str, seen: int, line: lines.Line, draws: Mapping) -> Paper:
    """One player for the whole model, and D where it is activated; both in one turn."""
    players = {"model": Owner(model, a.lr, (0.9, 0.999))}
    if a.temperature is not None:
        players["D"] = Owner("D", a.lr, (0.9, 0.999))
    networks = model if a.temperature is None else model + "D"
    return Paper(players, shapes(a, seen, networks), {"train": Steps(a.rounds, (Move(line, draws),))})


def autoencoder(a: SimpleNamespace) -> Paper:
    """As many made images as real ones; D sees labels where there are any."""
    d, n, seen = a.data.pixels, a.batch, a.data.pixels + a.data.classes
    draws = {"pairs": tools.rows_of_parts(a.data.rows, a.parts, n)}
    if a.temperature is None:
        (line,) = lines.plain(d)
        return paper(a, "GE", seen, line, draws | {"eps": tools.normal(n, a.z)})
    draws |= {"eps": tools.normal(2 * n, a.z), "z": tools.normal(n, a.z), "u": tools.uniform(n, d)}
    (line,) = lines.activated(d, a.temperature, a.exchanged)
    return paper(a, "GE", seen, line, draws)


def semi_supervised(a: SimpleNamespace) -> Paper:
    """The classification's weight is alpha N / N_l; as many made images as real ones of either kind."""
    d, k, n = a.data.pixels, a.data.classes, a.batch
    known, rest = a.labelled.shape[1], a.unlabelled.shape[1]
    of_label = a.alpha * (known + rest) / known
    draws = {"known": tools.rows_of_parts(a.data.rows, a.labelled, n)}
    draws |= {"rest": tools.rows_of_parts(a.data.rows, a.unlabelled, n)}
    if a.temperature is None:
        (line,) = lines.semi_supervised(d, of_label)
    else:
        (line,) = lines.activated_semi_supervised(d, k, of_label, a.temperature)
        draws |= {"z": tools.normal(2 * n, a.z), "c": tools.uniform(2 * n), "u": tools.uniform(2 * n, d)}
        n = 2 * n
    draws |= {"eps_known": tools.normal(n, a.z), "eps_rest": tools.normal(n, a.z)}
    return paper(a, "CGE", d, line, draws)


SETTINGS = {"z": 2, "batch": 3, "lr": 1e-2, "rounds": 2}
SMALL, LARGE = {"hidden": 5, **SETTINGS}, {"width": 2, **SETTINGS}
CHANGES = {"hidden": 7, "z": 3, "batch": 4, "lr": 2e-2, "rounds": 3}


def own(**arguments) -> Callable[[int], Mapping[str, torch.Tensor]]:
    """Trial i's parts alone."""
    return lambda i: {name: parts[i : i + 1] for name, parts in arguments.items()}


def autoencoder_case(changes: dict, data: Pairs, **arguments) -> Case:
    call = Part(aavae.autoencoder, {"data": data, "parts": PARTS} | arguments)
    return Case(call, autoencoder, changes, alone=own(parts=PARTS))


def semi_supervised_case(changes: dict, data: Pairs, **arguments) -> Case:
    given = {"data": data, "labelled": PARTS, "unlabelled": REST}
    call = Part(m2.semi_supervised, given | arguments)
    return Case(call, semi_supervised, changes, alone=own(labelled=PARTS, unlabelled=REST))


VAE_CHANGES = {"data": OTHER_BARE, "parts": OTHER_PARTS} | CHANGES
CVAE_CHANGES = {"data": [OTHER_BITS, BARE], "parts": OTHER_PARTS} | CHANGES
SVAE_CHANGES = {"data": OTHER_BITS, "labelled": OTHER_PARTS, "unlabelled": OTHER_REST, "alpha": 0.4}
SVAE_CHANGES |= CHANGES
HOT = {"temperature": 1.5}
HEAT = {"temperature": [None, 3.0, math.inf]}
CASES = {
    "autoencoder": autoencoder_case(VAE_CHANGES, BARE, **SMALL),
    "autoencoder, activated": autoencoder_case(
        VAE_CHANGES | HEAT | {"exchanged": True}, BARE, **SMALL, **HOT
    ),
    "autoencoder, labelled and activated": autoencoder_case(CVAE_CHANGES | HEAT, BITS, **SMALL, **HOT),
    "autoencoder, convolutional": autoencoder_case({"width": 3, **HEAT}, LARGE_BITS, **LARGE, **HOT),
    "semi_supervised": semi_supervised_case(SVAE_CHANGES, BITS, **SMALL),
    "semi_supervised, activated": semi_supervised_case(SVAE_CHANGES | HEAT, BITS, **SMALL, **HOT),
    "semi_supervised, convolutional": semi_supervised_case({"width": 3, **HEAT}, LARGE_BITS, **LARGE, **HOT),
}
