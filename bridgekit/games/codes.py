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

from bridgekit.data import Images
from bridgekit.distributions import bernoulli_log_prob
from bridgekit.game import FromTensor, Game, Phase, Player, Turn, Uniform
from bridgekit.games.arenas import Builder
from bridgekit.networks import MLP
from bridgekit.objectives import likelihood

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


def masked(code: Tensor, blind: bool = False) -> Tensor:
    """What each unit's predictor sees: which unit it is about and, unless ``blind``, the other units.

    ``code`` (T, B, k) -> (T, B k, 2 k): one row a unit, its own place empty.
    """
    k = code.shape[-1]
    which = torch.eye(k, dtype=code.dtype, device=code.device).expand(*code.shape, k)
    seen = 0 * which if blind else code.unsqueeze(-2) * (1 - which)
    return torch.cat([seen, which], -1).flatten(-3, -2)


def predictability_minimisation(
    images: Images,
    *,
    units: int = 4,
    blind: bool = False,
    hidden: int = 64,
    batch: int = 64,
    rounds: int = 2000,
    p_steps: int = 2,
    lr: float = 5e-4,
) -> Game:
    """Schmidhuber 1992 (paper B, appendix C): a code in (0, 1)^units whose units do not tell of each other.

    P predicts each unit from the others and minimises the squared error, that is
    :func:`~bridgekit.objectives.likelihood.gaussian_nll` with sigma 1; E maximises the same. The most that it
    can reach is a variance of 1/4 a unit, with independent fair bits. P moves faster, ``p_steps`` times a
    round at ten times ``lr``: against guesses that lag behind, E gains by not depending on x at all. With
    ``blind`` predictors E maximises each unit's variance alone.
    """
    d = images.x[0].numel()
    settings = {"images": images, "units": units, "blind": blind}
    settings |= {"hidden": hidden, "batch": batch, "rounds": rounds, "p_steps": p_steps, "lr": lr}
    networks: dict[str, Builder] = {
        "E": lambda g: MLP([d, hidden, units], g),
        "P": lambda g: MLP([2 * units, hidden, 1], g),
    }

    def unpredicted(nets: SimpleNamespace, code: Tensor) -> Tensor:
        guess = nets.P(masked(code, blind)).unflatten(-2, code.shape[-2:]).squeeze(-1)
        return likelihood.gaussian_nll(code, guess, 1.0).mean(-1)

    def predicting(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        with torch.no_grad():
            code = nets.E(batch.x).sigmoid()
        return {"P": unpredicted(nets, code)}

    def coding(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        return {"E": -unpredicted(nets, nets.E(batch.x).sigmoid())}

    draws = {"x": FromTensor(images.x.flatten(1), batch)}
    turns = (*(Turn(("P",), draws, predicting),) * p_steps, Turn(("E",), draws, coding))
    players = {"E": Player(("E",), lr, (0.5, 0.999)), "P": Player(("P",), 10 * lr, (0.5, 0.999))}
    return Game("predictability-minimisation", networks, players, (Phase("train", rounds, turns),), settings)
