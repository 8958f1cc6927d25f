r"""Wake-sleep, paper B, section 3.5: a Helmholtz machine of bits (Hinton et
al. 1995).

Players: G, the generative model, and E, the inference model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.data.images import Images
from bridgekit.games.setups import Setup
from bridgekit.play.draws import FromTensor, Uniform
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import likelihood
from bridgekit.theory.densities import bernoulli_log_prob


def bernoulli_given(logits: Tensor, x: Tensor) -> Tensor:
    """``log p(x)`` of independent bits with these logits, summed over the
    last axis: (..., d) -> (...)."""
    return bernoulli_log_prob(x, logits).sum(-1)


def sleep_loss(logits: Tensor, h: Tensor) -> Tensor:
    r"""B.20: sleep, :math:`-\log q_\lambda(h|x)` at the dreamed x, whose
    ``logits`` these are; (..., B).

    ``h`` (..., B, n) bits. One bit, h = y, whose logit is a
    discriminator's: eq 4.
    """
    return likelihood.negative_log_likelihood(bernoulli_given(logits, h))


def binary(images: Images) -> Tensor:
    """The images as bits (N, d): ink where a pixel is above the middle of
    [-1, 1]."""
    return (images.x.flatten(1) > 0).float()


@recorded
def wake_sleep(setup: Setup, *, units: int = 8, rounds: int = 2000) -> Game:
    """B.20: wake-sleep (Hinton et al. 1995), a Helmholtz machine of
    ``units`` fair bits h above binary images.

    Wake: G, p(x|h), learns at real x and inferred h. Sleep: E, q(h|x),
    learns at dreamed h and x. Neither samples nor the other's parameters
    are learned through. ``setup`` is a flat one.
    """
    bits = binary(setup.data)
    d, batch = bits.shape[1], setup.batch
    networks = {
        "G": setup.perceptron(units, d, depth=1),
        "E": setup.perceptron(d, units, depth=1),
    }

    def wake(G, E, x, u):
        with torch.no_grad():
            h = (u < E(x).sigmoid()).to(x)
        return {
            "G": likelihood.negative_log_likelihood(
                bernoulli_given(G(h), x)
            ).mean(-1)
        }

    def sleep(G, E, u, v):
        h = (u < 0.5).to(u)
        with torch.no_grad():
            dreamed = (v < G(h).sigmoid()).to(h)
        return {"E": sleep_loss(E(dreamed), h).mean(-1)}

    u, v = Uniform((batch, units)), Uniform((batch, d))
    turns = (
        Turn(wake, ("G",), {"x": FromTensor(bits, batch), "u": u}),
        Turn(sleep, ("E",), {"u": u, "v": v}),
    )
    return setup.train(rounds, turns, networks=networks)


def exact_bound(
    G: nn.Module, E: nn.Module, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-likelihood and bound of a Helmholtz machine, both exact, in nats:
    x (T, B, d) -> two (T, B).

    All 2^units states of h are summed: ``log p(x)``, and the mean of ``log
    p(x, h) - log q(h|x)`` under q. Their difference is KL[q(h|x) ||
    p(h|x)]. Keeps no gradient.
    """
    with torch.no_grad():
        logits = E(x)
        units = logits.shape[-1]
        states = torch.cartesian_prod(
            *[torch.tensor([0.0, 1.0], device=x.device)] * units
        )
        pixels = G(states.expand(len(x), -1, -1))  # (T, states, d)
        log_joint = (
            x @ pixels.mT
            - F.softplus(pixels).sum(-1)[:, None]
            - units * math.log(2)
        )
        log_q = logits @ states.mT - F.softplus(logits).sum(
            -1, keepdim=True
        )
        return log_joint.logsumexp(-1), (
            log_q.exp() * (log_joint - log_q)
        ).sum(-1)
