r"""Variational autoencoders of binary images, plain and with paper B's adversary activated.

Paper B, sections 3.3 and 4.2, eqs 17-19, 23, 48-50 and appendix G.2. Players: ``model`` (theta and eta: the
decoder G, the inference arm E and, where labels may be missing, the classifier C) and ``D`` (phi). A plain
game has no D. Everything carries a leading trials axis T, and every trial has its own part of the data.

An image is a row of d pixels, 0 or 1, followed by its label as one of K one-hot columns; with K = 0 there are
no labels and the conditional autoencoder is the ordinary one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data.binary import Pairs
from bridgekit.errors import BridgekitError
from bridgekit.models.batch_norm import untracked
from bridgekit.models.heads import Critic, GaussianEncoder
from bridgekit.models.labelled import convolutions, perceptrons
from bridgekit.play.draws import FromParts, Normal, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def coded(nets: SimpleNamespace, pairs: Tensor, eps: Tensor) -> tuple[Tensor, ...]:
    """-log p(x|z, y) at one posterior sample of each pair, (T, B), with mu, log sigma and that z."""
    mu, log_sigma = nets.E(pairs)
    z = reparametrise(mu, log_sigma, eps)
    x, y = pairs.tensor_split([nets.G.outputs], -1)
    return likelihood.bernoulli_nll(x, nets.G(_beside(z, y))), mu, log_sigma, z


def coded_for_each(nets: SimpleNamespace, x: Tensor, eps: Tensor) -> tuple[Tensor, ...]:
    """The same for images (T, B, d) under every label: (T, B, K), with mu, log sigma and z."""
    x = x[:, :, None]
    mu, log_sigma = nets.E.body.each(x).unflatten(-1, (2, -1)).unbind(-2)
    z = reparametrise(mu, log_sigma, eps[:, :, None])
    return likelihood.bernoulli_nll(x, nets.G.each(z)), mu, log_sigma, z


def _beside(x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([x, y], -1) if y.shape[-1] else x


def negative_bound(nets: SimpleNamespace, pairs: Tensor, eps: Tensor) -> Tensor:
    r"""Paper B, eq 17: :math:`-\mathrm{ELBO}` of :math:`\log p(x)`, or of :math:`\log p(x|y)` where K > 0.

    .. math:: \mathbb E_{q_\eta(z|x,y)}[-\log p_\theta(x|z,y)] + \mathrm{KL}(q_\eta(z|x,y)\,\|\,p(z))

    ``pairs`` (T, B, d + K), ``eps`` (T, B, z) standard normal; (T, B) in nats, one posterior sample each.
    """
    nll, mu, log_sigma, _ = coded(nets, pairs, eps)
    return likelihood.negative_elbo(nll, kl_to_standard_normal(mu, log_sigma))


def labelled_bounds(nets: SimpleNamespace, x: Tensor, eps: Tensor) -> Tensor:
    r"""Kingma et al. 2014, eq 6: :math:`\mathcal L(x,y)\ge-\log p(x,y)` for every label y, uniform p(y).

    ``x`` (T, B, d), ``eps`` (T, B, z), one draw for all labels, so that they differ by nothing else; the
    result is (T, B, K), in nats. :func:`negative_bound` of each pair, plus log K.
    """
    nll, mu, log_sigma, _ = coded_for_each(nets, x, eps)
    bound = likelihood.negative_elbo(nll, kl_to_standard_normal(mu, log_sigma))
    return bound + math.log(bound.shape[-1])


def unlabelled_bound(log_q: Tensor, bounds: Tensor) -> Tensor:
    r"""Kingma et al. 2014, eq 7: the label summed out, :math:`\mathcal U(x)\ge-\log p(x)`.

    .. math:: \mathcal U(x) = \sum_y q(y|x)\,\bigl(\mathcal L(x,y) + \log q(y|x)\bigr)

    ``log_q`` and ``bounds`` (..., K) -> (...), in nats. Least at :math:`q(y|x)\propto e^{-\mathcal L(x,y)}`,
    where it is :math:`-\log\sum_y e^{-\mathcal L}`. Nothing is detached.
    """
    return (log_q.exp() * (bounds + log_q)).sum(-1)


def generated(nets: SimpleNamespace, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
    r"""Paper B, eq 18, y = 0: :math:`x\sim\tilde p_\theta(x|z)`, Bernoulli *samples* beside their labels.

    Samples and not means: real images are binary, and D would tell grey pixels at a glance. ``u`` (T, B, d)
    is uniform on [0, 1). Detached: x is drawn at :math:`\theta_0`, and batch normalisation's averages, which
    are kept for codes of images, do not see it.
    """
    with torch.no_grad(), untracked(nets.G):
        return _beside((u < nets.G(_beside(z, y)).sigmoid()).to(z), y)


def _is_real(n: int, like: Tensor) -> Tensor:
    """1 for the first half of a batch of 2n, 0 for the second."""
    return (torch.arange(2 * n, device=like.device) < n).to(like)


def _neighbours(f: Tensor) -> Tensor:
    """D's logits, (T, 2B), each handed to the next image of its half, real or generated."""
    return f.unflatten(-1, (2, -1)).roll(1, -1).flatten(-2)


def autoencoder(
    data: Pairs,
    parts: Tensor,
    *,
    temperature: float | None = None,
    exchanged: bool = False,
    hidden: int = 500,
    width: int | None = None,
    z: int = 50,
    batch: int = 128,
    lr: float = 1e-3,
    rounds: int = 1000,
) -> Game:
    """The VAE (K = 0) and the class-conditional VAE (eq 17); with a ``temperature``, adversary-activated.

    ``parts`` (T, n) are the rows that each trial learns from. Activated (eqs 23, 50), every real batch comes
    with as many generated images under the same labels. The model minimises the mean over both of D's weight
    (temperature in the weights only) times the negative bound; D learns to tell them apart (labels beside the
    images, where there are any). Both move at once, on one pass through D. Networks are perceptrons of
    ``hidden`` units, or with a ``width`` DCGANs, which are the paper's.

    ``exchanged`` is a control, not a method: an image has the weight of its neighbour in its half of the
    batch, another one at random. Weights are as uneven as before and generated images weigh as much in all;
    what D thinks of the single image is lost. An infinite temperature is another: every weight is one half.
    Raises ``ValueError`` where there are no weights to exchange.
    """
    settings = {name: value for name, value in locals().items() if name != "parts"}
    pairs = settings["rows"] = FromParts(data.rows, parts, batch)
    networks = _networks(data, data.pixels + data.classes, z, hidden, width)
    if exchanged and temperature is None:
        raise ValueError("exchanged=True needs a temperature: a plain game has no weights to exchange")

    def plain(nets: SimpleNamespace, drawn: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {"model": negative_bound(nets, drawn.pairs, drawn.eps).mean(-1)}

    def activated(nets: SimpleNamespace, drawn: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        fake = generated(nets, drawn.z, drawn.pairs[..., data.pixels :], drawn.u)
        both = torch.cat([drawn.pairs, fake], 1)
        f, loss = nets.D(both), negative_bound(nets, both, drawn.eps)
        believed = _neighbours(f) if exchanged else f
        return {
            "D": labelling.label_nll(f, _is_real(batch, f)).mean(-1),
            "model": weighted.adversary_activated(believed, loss, temperature).mean(-1),
        }

    if temperature is None:
        draws = {"pairs": pairs, "eps": Normal((batch, z))}
        return _game("autoencoder", networks, Turn(("model",), draws, plain), settings)
    draws = {"pairs": pairs, "eps": Normal((2 * batch, z)), "z": Normal((batch, z))}
    draws |= {"u": Uniform((batch, data.pixels))}
    return _game("activated-autoencoder", networks, Turn(("D", "model"), draws, activated), settings)


def semi_supervised(
    data: Pairs,
    labelled: Tensor,
    unlabelled: Tensor,
    *,
    temperature: float | None = None,
    alpha: float = 0.1,
    hidden: int = 500,
    width: int | None = None,
    z: int = 50,
    batch: int = 64,
    lr: float = 1e-3,
    rounds: int = 1000,
) -> Game:
    r"""M2 of Kingma et al. 2014, eqs 6-9; with a ``temperature``, adversary-activated.

    .. math:: \mathbb E_l\bigl[\mathcal L(x,y) - \alpha\tfrac{N}{N_l}\log q(y|x)\bigr]
       + \mathbb E_u\,\mathcal U(x)

    with means where eq 9 has sums over N_l and N_u images, as is usual: the few labelled images count as much
    as all the others. ``labelled`` (T, N_l) and ``unlabelled`` (T, N_u) are row numbers; each gives ``batch``
    images a round. Activated, both kinds come with as many generated images, their labels drawn evenly and
    shown for the first kind, hidden for the second; D sees no labels, and its weight multiplies all that an
    image contributes.
    """
    settings = {name: value for name, value in locals().items() if name not in ("labelled", "unlabelled")}
    draws = {"known": FromParts(data.rows, labelled, batch), "rest": FromParts(data.rows, unlabelled, batch)}
    settings |= draws
    of_label = alpha * (labelled.shape[1] + unlabelled.shape[1]) / labelled.shape[1]
    networks = _networks(data, data.pixels, z, hidden, width, classifier=True)
    n = batch if temperature is None else 2 * batch
    draws |= {"eps_known": Normal((n, z)), "eps_rest": Normal((n, z))}
    if temperature is None:
        turn = _m2_turn(data, draws, of_label)
        return _game("semi-supervised", networks, turn, settings)
    draws |= {"z": Normal((n, z)), "c": Uniform((n,)), "u": Uniform((n, data.pixels))}
    turn = _activated_m2_turn(data, draws, of_label, temperature)
    return _game("activated-semi-supervised", networks, turn, settings)


def m2_terms(
    nets: SimpleNamespace, known: Tensor, x: Tensor, drawn: SimpleNamespace, of_label: float
) -> tuple[Tensor, Tensor]:
    """Kingma et al. 2014, eq 9: what labelled pairs (T, B, d + K) and unlabelled x (T, B, d) contribute.

    Each (T, B); the sum of their means is the loss. ``of_label`` is the classification's weight, alpha N /
    N_l; ``drawn`` holds the noise.
    """
    seen, y = known.tensor_split([x.shape[-1]], -1)
    log_q = nets.C(torch.cat([seen, x], 1)).log_softmax(-1)
    of_known, of_rest = log_q.split([seen.shape[1], x.shape[1]], 1)
    label = likelihood.negative_log_likelihood((of_known * y).sum(-1))
    bound = negative_bound(nets, known, drawn.eps_known) + math.log(y.shape[-1])
    every = labelled_bounds(nets, x, drawn.eps_rest)
    return bound + of_label * label, unlabelled_bound(of_rest, every)


def _m2_turn(data: Pairs, draws: dict, of_label: float) -> Turn:
    def losses(nets: SimpleNamespace, drawn: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        known, rest = m2_terms(nets, drawn.known, drawn.rest[..., : data.pixels], drawn, of_label)
        return {"model": known.mean(-1) + rest.mean(-1)}

    return Turn(("model",), draws, losses)


def _activated_m2_turn(data: Pairs, draws: dict, of_label: float, temperature: float) -> Turn:
    def losses(nets: SimpleNamespace, drawn: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        n, k, d = drawn.known.shape[1], data.classes, data.pixels
        y = F.one_hot((drawn.c * k).long(), k).to(drawn.z)
        fake = generated(nets, drawn.z, y, drawn.u)
        known = torch.cat([drawn.known, fake[:, :n]], 1)
        x = torch.cat([drawn.rest, fake[:, n:]], 1)[..., :d]
        f = nets.D(torch.cat([known[..., :d], x], 1))
        terms = m2_terms(nets, known, x, drawn, of_label)
        each = zip(f.split(2 * n, 1), terms, strict=True)
        of_known, of_rest = (weighted.adversary_activated(g, term, temperature).mean(-1) for g, term in each)
        return {"D": labelling.label_nll(f, _is_real(n, f).repeat(2)).mean(-1), "model": of_known + of_rest}

    return Turn(("D", "model"), draws, losses)


def _networks(
    data: Pairs, seen: int, z: int, hidden: int, width: int | None, classifier: bool = False
) -> dict[str, Callable]:
    """C first, where there is one, and D last: a plain game starts from the activated one's weights."""
    if width is not None and data.shape and data.shape[-1] != data.shape[-2]:
        _, height, side = data.shape  # 8 x 32 pixels are as many as 16 x 16
        raise BridgekitError(f"a DCGAN wants square images, not {side} x {height} pixels: pass size=32, say")
    make = perceptrons if width is None else convolutions
    build = make(data.pixels, data.classes, seen, z, hidden if width is None else width)
    networks = {"C": build["C"]} if classifier else {}
    return networks | {
        "G": build["G"],
        "E": lambda g: GaussianEncoder(build["E"](g)),
        "D": lambda g: Critic(build["D"](g)),
    }


def _game(name: str, networks: dict, turn: Turn, settings: dict) -> Game:
    """A game of one phase, ``train``, of one turn; without a D in the turn there is no such network."""
    networks = {key: build for key, build in networks.items() if key != "D" or "D" in turn.moves}
    owned = {"model": tuple(key for key in networks if key != "D"), "D": ("D",)}
    betas = (0.9, 0.999)
    players = {key: Player(owned[key], settings["lr"], betas) for key in turn.moves}
    return Game(name, networks, players, (Phase("train", settings["rounds"], (turn,)),), settings)
