"""The turns that several algorithms share: D's, G's against D, and maximum
likelihood. All take the mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Setup
from bridgekit.models.convolutional import orthogonal_penalty
from bridgekit.models.mlp import power_iteration
from bridgekit.play.draws import Draw, Uniform
from bridgekit.play.game import Turn
from bridgekit.theory import adversarial, likelihood, wasserstein
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def repeated(
    setup: Setup,
    losses: Callable[..., Mapping[str, Tensor]],
    draws: Mapping[str, Draw],
    steps: int,
    critic: str = "D",
) -> tuple[Turn, ...]:
    """The turn of D, or of another ``critic``, ``steps`` times a round,
    each on fresh draws.

    Where the setup's D is spectrally normalised, one power iteration
    precedes each step. BridgekitError for fewer than one step.
    """
    if steps < 1:
        raise BridgekitError(
            f"{critic} takes {steps} steps a round: it would never learn; "
            "1 is the least"
        )

    def iterate(**nets):
        power_iteration(nets[critic])

    before = iterate if setup.spectral else None
    return (Turn(losses, (critic,), draws, before),) * steps


def regularised(setup: Setup, D: nn.Module, loss: Tensor) -> Tensor:
    """D's loss with the setup's orthogonal regularisation."""
    if not setup.orthogonal:
        return loss
    return loss + setup.orthogonal * orthogonal_penalty(D)


def discriminator_turns(
    setup: Setup,
    objective: Callable[
        [Tensor, Tensor], Tensor
    ] = adversarial.discriminator,
    *,
    steps: int = 1,
    penalty: float = 0.0,
) -> tuple[Turn, ...]:
    r"""D learns ``objective(f(x), f(G(z)))``, paper A's eq 4, ``steps``
    times a round, each on fresh samples.

    ``penalty`` is the weight :math:`\lambda` of the one-centred gradient
    penalty, evaluated where WGAN-GP has it: at one point of the segment
    between each real sample and its fake partner. BridgekitError for fewer
    than one step, and for labelled images.
    """
    if setup.labelled:
        raise BridgekitError(
            "only class-conditional games (games.importance) are played on "
            "labelled images"
        )

    def learned(G, D, x, z):
        with torch.no_grad():
            fake = G(z)
        return objective(D(x), D(fake)), fake

    def plain(G, D, x, z):
        loss = learned(G, D, x, z)[0].mean(-1)
        return {"D": regularised(setup, D, loss)}

    def penalised(G, D, x, z, u):
        loss, fake = learned(G, D, x, z)
        slope = D.slope(
            wasserstein.interpolate(x, fake, u, setup.event_dims)
        )
        added = wasserstein.one_centred_penalty(slope, setup.event_dims)
        loss = (loss + penalty * added).mean(-1)
        return {"D": regularised(setup, D, loss)}

    draws = {"x": setup.x, "z": setup.z}
    if penalty:
        draws["u"] = Uniform((setup.batch,))
    return repeated(setup, penalised if penalty else plain, draws, steps)


def generator_turn(
    setup: Setup, objective: Callable[[Tensor], Tensor]
) -> Turn:
    """G learns ``objective(f)`` on its own samples: eq 7 with
    ``adversarial.reverse_kl``."""

    def losses(G, D, z):
        return {"G": objective(D(G(z))).mean(-1)}

    return Turn(losses, ("G",), {"z": setup.z})


def elbo_terms(
    setup: Setup,
    sigma: float,
    G: nn.Module,
    E: nn.Module,
    x: Tensor,
    eps: Tensor,
    features: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[Tensor, Tensor]:
    """``-log p~(x|z)`` at one posterior sample, and ``KL[q(z|x) || p(z)]``:
    both ``(..., B)``.

    The observation noise lies on ``features``, x itself unless D lends its
    own.
    """
    mu, log_sigma = E(x)
    mean = features(G(reparametrise(mu, log_sigma, eps)))
    with torch.no_grad():
        seen = features(x)
    nll = likelihood.gaussian_nll(seen, mean, sigma, setup.event_dims)
    return nll, kl_to_standard_normal(mu, log_sigma)


def ml_turn(
    setup: Setup, sigma: float, moves: tuple[str, ...] = ("G", "E")
) -> Turn:
    """A.3, A.14: G and E maximise the ELBO of the semi-implicit
    surrogate; or E alone (step III)."""

    def losses(G, E, x, eps):
        loss = likelihood.negative_elbo(
            *elbo_terms(setup, sigma, G, E, x, eps)
        ).mean(-1)
        return dict.fromkeys(moves, loss)

    return Turn(losses, moves, {"x": setup.x, "eps": setup.z})
