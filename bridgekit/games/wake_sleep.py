r"""Codes made of bits: wake-sleep (paper B, section 3.5) and predictability minimisation (appendix C).

Players: G, the generative model, and E, the inference model or encoder; in predictability minimisation P, the
code's predictors, which its adversary is.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data.images import Images
from bridgekit.games.setups import Builder
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import FromTensor, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import likelihood
from bridgekit.theory.densities import bernoulli_log_prob

Losses = dict[str, Tensor]


def bernoulli_given(logits: Tensor, x: Tensor) -> Tensor:
    """``log p(x)`` of independent bits with these logits, summed over the last axis: (..., d) -> (...)."""
    return bernoulli_log_prob(x, logits).sum(-1)


def sleep_loss(logits: Tensor, h: Tensor) -> Tensor:
    r"""Eq 20, sleep: :math:`-\log q_\lambda(h|x)` at the dreamed x, whose ``logits`` these are; (..., B).

    ``h`` (..., B, n) bits. One bit, h = y, whose logit is a discriminator's: eq 4.
    """
    return likelihood.negative_log_likelihood(bernoulli_given(logits, h))


def binary(images: Images) -> Tensor:
    """The images as bits (N, d): ink where a pixel is above the middle of [-1, 1]."""
    return (images.x.flatten(1) > 0).float()


def wake_sleep(
    images: Images,
    *,
    units: int = 8,
    hidden: int = 64,
    batch: int = 64,
    rounds: int = 2000,
    lr: float = 1e-3,
) -> Game:
    """Paper B, eq 20 (Hinton et al. 1995): a Helmholtz machine of ``units`` fair bits h above binary images.

    Wake: G, p(x|h), learns at real x and inferred h. Sleep: E, q(h|x), learns at dreamed h and x. Neither
    samples nor the other's parameters are learned through.
    """
    x = binary(images)
    d = x.shape[1]
    settings = {"images": images, "units": units, "hidden": hidden}
    settings |= {"batch": batch, "rounds": rounds, "lr": lr}
    networks: dict[str, Builder] = {
        "G": lambda g: MLP([units, hidden, d], g),
        "E": lambda g: MLP([d, hidden, units], g),
    }

    def wake(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        with torch.no_grad():
            h = (batch.u < nets.E(batch.x).sigmoid()).to(batch.x)
        log_p = bernoulli_given(nets.G(h), batch.x)
        return {"G": likelihood.negative_log_likelihood(log_p).mean(-1)}

    def sleep(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        h = (batch.u < 0.5).to(batch.u)
        with torch.no_grad():
            dreamed = (batch.v < nets.G(h).sigmoid()).to(h)
        return {"E": sleep_loss(nets.E(dreamed), h).mean(-1)}

    u, v = Uniform((batch, units)), Uniform((batch, d))
    turns = (Turn(("G",), {"x": FromTensor(x, batch), "u": u}, wake), Turn(("E",), {"u": u, "v": v}, sleep))
    players = {n: Player((n,), lr, (0.9, 0.999)) for n in networks}
    return Game("wake-sleep", networks, players, (Phase("train", rounds, turns),), settings)


def exact_bound(nets: SimpleNamespace, x: Tensor) -> tuple[Tensor, Tensor]:
    """Log-likelihood and bound of a Helmholtz machine, both exact, in nats: x (T, B, d) -> two (T, B).

    All 2^units states of h are summed: ``log p(x)``, and the mean of ``log p(x, h) - log q(h|x)`` under q.
    Their difference is KL[q(h|x) || p(h|x)]. Keeps no gradient.
    """
    with torch.no_grad():
        logits = nets.E(x)
        units = logits.shape[-1]
        states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], device=x.device)] * units)
        pixels = nets.G(states.expand(len(x), -1, -1))  # (T, states, d)
        log_joint = x @ pixels.mT - F.softplus(pixels).sum(-1)[:, None] - units * math.log(2)
        log_q = logits @ states.mT - F.softplus(logits).sum(-1, keepdim=True)
        return log_joint.logsumexp(-1), (log_q.exp() * (log_joint - log_q)).sum(-1)
