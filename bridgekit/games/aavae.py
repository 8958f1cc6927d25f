r"""Variational autoencoders of binary images, plain and with paper B's
adversary activated.

Paper B, sections 3.3 and 4.2, eqs 17-19, 23, 48-50 and appendix G.2.
Players: ``model`` (theta and eta: the decoder G, the encoder E and, where
labels may be missing, the classifier C) and ``D`` (phi). A plain game has
no D. Everything carries a leading trials axis T, and every trial has its
own part of the data.

An image is a row of d pixels, 0 or 1, followed by its label as one of K
one-hot columns; with K = 0 there are no labels and the conditional
autoencoder is the ordinary one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.data.binary import Pairs
from bridgekit.errors import BridgekitError
from bridgekit.models.batch_norm import untracked
from bridgekit.models.heads import Critic, GaussianEncoder
from bridgekit.models.labelled import convolutions, perceptrons
from bridgekit.play.draws import FromParts, Normal, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn, adam, recorded
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def coded(
    G: nn.Module, E: nn.Module, pairs: Tensor, eps: Tensor
) -> tuple[Tensor, ...]:
    """-log p(x|z, y) at one posterior sample of each pair, (T, B), with mu,
    log sigma and that z."""
    mu, log_sigma = E(pairs)
    z = reparametrise(mu, log_sigma, eps)
    x, y = pairs.tensor_split([G.outputs], -1)
    return likelihood.bernoulli_nll(x, G(_beside(z, y))), mu, log_sigma, z


def coded_for_each(
    G: nn.Module, E: nn.Module, x: Tensor, eps: Tensor
) -> tuple[Tensor, ...]:
    """The same for images (T, B, d) under every label: (T, B, K), with mu,
    log sigma and z."""
    x = x[:, :, None]
    mu, log_sigma = E.body.each(x).unflatten(-1, (2, -1)).unbind(-2)
    z = reparametrise(mu, log_sigma, eps[:, :, None])
    return likelihood.bernoulli_nll(x, G.each(z)), mu, log_sigma, z


def _beside(x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([x, y], -1) if y.shape[-1] else x


def negative_bound(
    G: nn.Module, E: nn.Module, pairs: Tensor, eps: Tensor
) -> Tensor:
    r"""Paper B, eq 17: :math:`-\mathrm{ELBO}` of :math:`\log p(x)`, or of
    :math:`\log p(x|y)` where K > 0.

    .. math:: \mathbb E_{q_\eta(z|x,y)}[-\log p_\theta(x|z,y)]
       + \mathrm{KL}(q_\eta(z|x,y)\,\|\,p(z))

    ``pairs`` (T, B, d + K), ``eps`` (T, B, z) standard normal; (T, B) in
    nats, one posterior sample each.
    """
    nll, mu, log_sigma, _ = coded(G, E, pairs, eps)
    return likelihood.negative_elbo(
        nll, kl_to_standard_normal(mu, log_sigma)
    )


def labelled_bounds(
    G: nn.Module, E: nn.Module, x: Tensor, eps: Tensor
) -> Tensor:
    r"""Kingma et al. 2014, eq 6: :math:`\mathcal L(x,y)\ge-\log p(x,y)` for
    every label y, uniform p(y).

    ``x`` (T, B, d), ``eps`` (T, B, z), one draw for all labels, so that
    they differ by nothing else; the result is (T, B, K), in nats.
    :func:`negative_bound` of each pair, plus log K.
    """
    nll, mu, log_sigma, _ = coded_for_each(G, E, x, eps)
    bound = likelihood.negative_elbo(
        nll, kl_to_standard_normal(mu, log_sigma)
    )
    return bound + math.log(bound.shape[-1])


def unlabelled_bound(log_q: Tensor, bounds: Tensor) -> Tensor:
    r"""Kingma et al. 2014, eq 7: the label summed out, :math:`\mathcal
    U(x)\ge-\log p(x)`.

    .. math::
       \mathcal U(x)
       = \sum_y q(y|x)\,\bigl(\mathcal L(x,y) + \log q(y|x)\bigr)

    ``log_q`` and ``bounds`` (..., K) -> (...), in nats. Least at
    :math:`q(y|x)\propto e^{-\mathcal L(x,y)}`, where it is
    :math:`-\log\sum_y e^{-\mathcal L}`. Nothing is detached.
    """
    return (log_q.exp() * (bounds + log_q)).sum(-1)


def generated(G: nn.Module, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
    r"""Paper B, eq 18, y = 0: :math:`x\sim\tilde p_\theta(x|z)`, Bernoulli
    *samples* beside their labels.

    Samples and not means: real images are binary, and D would tell grey
    pixels at a glance. ``u`` (T, B, d) is uniform on [0, 1). Detached: x is
    drawn at :math:`\theta_0`, and batch normalisation's averages, which are
    kept for codes of images, do not see it.
    """
    with torch.no_grad(), untracked(G):
        return _beside((u < G(_beside(z, y)).sigmoid()).to(z), y)


def _is_real(n: int, like: Tensor) -> Tensor:
    """1 for the first half of a batch of 2n, 0 for the second."""
    return (torch.arange(2 * n, device=like.device) < n).to(like)


def _neighbours(f: Tensor) -> Tensor:
    """D's logits, (T, 2B), each handed to the next image of its half, real
    or generated."""
    return f.unflatten(-1, (2, -1)).roll(1, -1).flatten(-2)


@recorded
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
    """The VAE (K = 0) and the class-conditional VAE (eq 17); with a
    ``temperature``, adversary-activated.

    ``parts`` (T, n) are the rows that each trial learns from. Activated
    (eqs 23, 50), every real batch comes with as many generated images under
    the same labels. The model minimises the mean over both of D's weight
    (temperature in the weights only) times the negative bound; D learns to
    tell them apart (labels beside the images, where there are any). Both
    move at once, on one pass through D. Networks are perceptrons of
    ``hidden`` units, or with a ``width`` DCGANs, which are the paper's.

    ``exchanged`` is a control, not a method: an image has the weight of its
    neighbour in its half of the batch, another one at random. Weights are
    as uneven as before and generated images weigh as much in all; what D
    thinks of the single image is lost. An infinite temperature is another:
    every weight is one half. Raises ``ValueError`` where there are no
    weights to exchange.
    """
    pairs = FromParts(data.rows, parts, batch)
    networks = _networks(data, data.pixels + data.classes, z, hidden, width)
    if exchanged and temperature is None:
        raise ValueError(
            "exchanged=True needs a temperature: "
            "a plain game has no weights to exchange"
        )

    def plain(G, E, pairs, eps):
        return {"model": negative_bound(G, E, pairs, eps).mean(-1)}

    def activated(G, E, D, pairs, eps, z, u):
        fake = generated(G, z, pairs[..., data.pixels :], u)
        both = torch.cat([pairs, fake], 1)
        f, loss = D(both), negative_bound(G, E, both, eps)
        believed = _neighbours(f) if exchanged else f
        return {
            "D": labelling.label_nll(f, _is_real(batch, f)).mean(-1),
            "model": weighted.adversary_activated(
                believed, loss, temperature
            ).mean(-1),
        }

    if temperature is None:
        turn = Turn(
            plain, ("model",), {"pairs": pairs, "eps": Normal((batch, z))}
        )
    else:
        draws = {
            "pairs": pairs,
            "eps": Normal((2 * batch, z)),
            "z": Normal((batch, z)),
        }
        turn = Turn(
            activated,
            ("D", "model"),
            draws | {"u": Uniform((batch, data.pixels))},
        )
    return _game(networks, turn, lr, rounds)


@recorded
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
    r"""M2 of Kingma et al. 2014, eqs 6-9; with a ``temperature``,
    adversary-activated.

    .. math::
       \mathbb E_l\bigl[\mathcal L(x,y)
       - \alpha\tfrac{N}{N_l}\log q(y|x)\bigr]
       + \mathbb E_u\,\mathcal U(x)

    with means where eq 9 has sums over N_l and N_u images, as is usual: the
    few labelled images count as much as all the others. ``labelled`` (T,
    N_l) and ``unlabelled`` (T, N_u) are row numbers; each gives ``batch``
    images a round. Activated, both kinds come with as many generated
    images, their labels drawn evenly and shown for the first kind, hidden
    for the second; D sees no labels, and its weight multiplies all that an
    image contributes.
    """
    known, rest = (
        FromParts(data.rows, rows, batch) for rows in (labelled, unlabelled)
    )
    of_label = (
        alpha
        * (labelled.shape[1] + unlabelled.shape[1])
        / labelled.shape[1]
    )
    networks = _networks(
        data, data.pixels, z, hidden, width, classifier=True
    )
    n = batch if temperature is None else 2 * batch
    draws = {
        "known": known,
        "rest": rest,
        "eps_known": Normal((n, z)),
        "eps_rest": Normal((n, z)),
    }
    if temperature is None:
        return _game(networks, _m2_turn(data, draws, of_label), lr, rounds)
    draws |= {
        "z": Normal((n, z)),
        "c": Uniform((n,)),
        "u": Uniform((n, data.pixels)),
    }
    return _game(
        networks,
        _activated_m2_turn(data, draws, of_label, temperature),
        lr,
        rounds,
    )


def m2_terms(
    G: nn.Module,
    E: nn.Module,
    C: nn.Module,
    known: Tensor,
    x: Tensor,
    eps_known: Tensor,
    eps_rest: Tensor,
    of_label: float,
) -> tuple[Tensor, Tensor]:
    """Kingma et al. 2014, eq 9: what labelled pairs (T, B, d + K) and
    unlabelled x (T, B, d) contribute.

    Each (T, B); the sum of their means is the loss. ``of_label`` is the
    classification's weight, alpha N / N_l.
    """
    seen, y = known.tensor_split([x.shape[-1]], -1)
    log_q = C(torch.cat([seen, x], 1)).log_softmax(-1)
    of_known, of_rest = log_q.split([seen.shape[1], x.shape[1]], 1)
    label = likelihood.negative_log_likelihood((of_known * y).sum(-1))
    bound = negative_bound(G, E, known, eps_known) + math.log(y.shape[-1])
    every = labelled_bounds(G, E, x, eps_rest)
    return bound + of_label * label, unlabelled_bound(of_rest, every)


def _m2_turn(data: Pairs, draws: dict, of_label: float) -> Turn:
    def losses(G, E, C, known, rest, eps_known, eps_rest):
        x = rest[..., : data.pixels]
        of_known, of_rest = m2_terms(
            G, E, C, known, x, eps_known, eps_rest, of_label
        )
        return {"model": of_known.mean(-1) + of_rest.mean(-1)}

    return Turn(losses, ("model",), draws)


def _activated_m2_turn(
    data: Pairs, draws: dict, of_label: float, temperature: float
) -> Turn:
    k, d = data.classes, data.pixels

    def losses(G, E, C, D, known, rest, eps_known, eps_rest, z, c, u):
        n = known.shape[1]
        fake = generated(G, z, F.one_hot((c * k).long(), k).to(z), u)
        known = torch.cat([known, fake[:, :n]], 1)
        x = torch.cat([rest, fake[:, n:]], 1)[..., :d]
        f = D(torch.cat([known[..., :d], x], 1))
        terms = m2_terms(G, E, C, known, x, eps_known, eps_rest, of_label)
        each = zip(f.split(2 * n, 1), terms, strict=True)
        of_known, of_rest = (
            weighted.adversary_activated(g, term, temperature).mean(-1)
            for g, term in each
        )
        return {
            "D": labelling.label_nll(f, _is_real(n, f).repeat(2)).mean(-1),
            "model": of_known + of_rest,
        }

    return Turn(losses, ("D", "model"), draws)


def _networks(
    data: Pairs,
    seen: int,
    z: int,
    hidden: int,
    width: int | None,
    classifier: bool = False,
) -> dict[str, Callable]:
    """C first, where there is one, and D last: a plain game starts from the
    activated one's weights."""
    if (
        width is not None
        and data.shape
        and data.shape[-1] != data.shape[-2]
    ):
        _, height, side = data.shape  # 8 x 32 pixels are as many as 16 x 16
        raise BridgekitError(
            f"a DCGAN wants square images, not {side} x {height} pixels: "
            "pass size=32, say"
        )
    make = perceptrons if width is None else convolutions
    build = make(
        data.pixels,
        data.classes,
        seen,
        z,
        hidden if width is None else width,
    )
    networks = {"C": build["C"]} if classifier else {}
    return networks | {
        "G": build["G"],
        "E": lambda g: GaussianEncoder(build["E"](g)),
        "D": lambda g: Critic(build["D"](g)),
    }


def _game(networks: dict, turn: Turn, lr: float, rounds: int) -> Game:
    """A game of one phase, ``train``, of one turn; without a D in the turn
    there is no such network."""
    networks = {
        key: build
        for key, build in networks.items()
        if key != "D" or "D" in turn.moves
    }
    owned = {
        "model": tuple(key for key in networks if key != "D"),
        "D": ("D",),
    }
    players = {key: Player(owned[key], adam(lr, 0.9)) for key in turn.moves}
    return Game(networks, players, (Phase("train", rounds, (turn,)),))
