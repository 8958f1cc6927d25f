"""The turns that several algorithms share: D's, G's against D, and maximum likelihood. All take the mean."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Arena
from bridgekit.models.mlp import power_iteration
from bridgekit.play.draws import Uniform
from bridgekit.play.game import Turn
from bridgekit.theory import adversarial, likelihood, wasserstein
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def discriminator_turns(
    arena: Arena,
    objective: Callable[[Tensor, Tensor], Tensor] = adversarial.discriminator,
    *,
    steps: int = 1,
    penalty: float = 0.0,
) -> tuple[Turn, ...]:
    r"""D learns ``objective(f(x), f(G(z)))``, paper A's eq 4, ``steps`` times a round, each on fresh samples.

    ``penalty`` is the weight :math:`\lambda` of the one-centred gradient penalty, evaluated where WGAN-GP has
    it: at one point of the segment between each real sample and its fake partner. Where the arena's D is
    spectrally normalised, one power iteration precedes each step. BridgekitError for fewer than one step.
    """
    if steps < 1:
        raise BridgekitError(f"D takes {steps} steps a round: it would never learn; 1 is the least")

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = nets.G(batch.z)
        loss = objective(nets.D(batch.x), nets.D(fake))
        if penalty:
            points = wasserstein.interpolate(batch.x, fake, batch.u, arena.event_dims)
            slope = nets.D.slope(points)
            loss = loss + penalty * wasserstein.one_centred_penalty(slope, arena.event_dims)
        return {"D": loss.mean(-1)}

    draws = {"x": arena.x, "z": arena.z}
    if penalty:
        draws["u"] = Uniform(arena.z.shape[:1])
    before = (lambda nets: power_iteration(nets.D)) if arena.spectral else None
    return (Turn(("D",), draws, losses, before),) * steps


def generator_turn(arena: Arena, objective: Callable[[Tensor], Tensor]) -> Turn:
    """G learns ``objective(f)`` on its own samples: eq 7 with ``adversarial.reverse_kl``."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {"G": objective(nets.D(nets.G(batch.z))).mean(-1)}

    return Turn(("G",), {"z": arena.z}, losses)


def posterior_terms(
    arena: Arena, sigma: float, nets: SimpleNamespace, batch: SimpleNamespace
) -> tuple[Tensor, Tensor]:
    """``-log p~(x|z)`` at one posterior sample, and ``KL[q(z|x) || p(z)]``: both ``(..., B)``."""
    mu, log_sigma = nets.E(batch.x)
    z = reparametrise(mu, log_sigma, batch.eps)
    nll = likelihood.gaussian_nll(batch.x, nets.G(z), sigma, arena.event_dims)
    return nll, kl_to_standard_normal(mu, log_sigma)


def ml_turn(arena: Arena, sigma: float, moves: tuple[str, ...] = ("G", "E")) -> Turn:
    """Eqs 3 and 14: G and E maximise the ELBO of the semi-implicit surrogate; or E alone (step III)."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        loss = likelihood.negative_elbo(*posterior_terms(arena, sigma, nets, batch)).mean(-1)
        return dict.fromkeys(moves, loss)

    return Turn(moves, {"x": arena.x, "eps": arena.z}, losses)
