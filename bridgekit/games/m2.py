r"""The semi-supervised model M2 of Kingma et al. 2014, plain and with paper
B's adversary activated.

Beside the players and images of :mod:`bridgekit.games.aavae` the model has
a classifier C, q(y|x), where labels are missing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.data.binary import Pairs
from bridgekit.games.aavae import (
    generated,
    is_real,
    negative_bound,
    networks_of,
    one_turn,
)
from bridgekit.play.draws import FromParts, Normal, Uniform
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def coded_for_each(
    G: nn.Module, E: nn.Module, x: Tensor, eps: Tensor
) -> tuple[Tensor, ...]:
    """:func:`bridgekit.games.aavae.coded` for images (T, B, d) under every
    label: (T, B, K), with mu, log sigma and z."""
    x = x[:, :, None]
    mu, log_sigma = E.body.each(x).unflatten(-1, (2, -1)).unbind(-2)
    z = reparametrise(mu, log_sigma, eps[:, :, None])
    return likelihood.bernoulli_nll(x, G.each(z)), mu, log_sigma, z


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
    r"""B Table 3, B Table 4: M2 (Kingma et al. 2014, eqs 6-9); with a
    ``temperature``, adversary-activated.

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
    networks = networks_of(
        data, data.pixels, z, hidden, width, classifier=True
    )
    eps = Normal((batch if temperature is None else 2 * batch, z))
    draws = {
        "known": FromParts(data.rows, labelled, batch),
        "rest": FromParts(data.rows, unlabelled, batch),
        "eps_known": eps,
        "eps_rest": eps,
    }
    n = labelled.shape[1]
    of_label = alpha * (n + unlabelled.shape[1]) / n
    if temperature is None:
        turn = _m2_turn(data, draws, of_label)
    else:
        turn = _activated_m2_turn(data, draws, of_label, temperature)
    return one_turn(networks, turn, lr, rounds)


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
    """As many images are generated as are real, of both kinds together."""
    k, d = data.classes, data.pixels
    both, z = draws["eps_rest"].shape
    made = {
        "z": Normal((both, z)),
        "c": Uniform((both,)),
        "u": Uniform((both, d)),
    }

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
            "D": labelling.label_nll(f, is_real(n, f).repeat(2)).mean(-1),
            "model": of_known + of_rest,
        }

    return Turn(losses, ("D", "model"), draws | made)
