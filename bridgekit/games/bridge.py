r"""The alpha-Bridge, paper A's Algorithm 1, and what it is compared with: adversarial fine-tuning after ML.

Players: G (theta), E (phi, the inference arm), D (beta). All turns reduce by the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.distributions import kl_to_standard_normal, reparametrise
from bridgekit.game import Game, Phase, Turn
from bridgekit.games.arenas import Arena
from bridgekit.objectives import adversarial, likelihood
from bridgekit.objectives import bridge as twins


def discriminator_turn(arena: Arena) -> Turn:
    """D learns eq 4 on real x and noiseless fakes G(z)."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = nets.G(batch.z)
        return {"D": adversarial.discriminator(nets.D(batch.x), nets.D(fake)).mean(-1)}

    return Turn(("D",), {"x": arena.x, "z": arena.z}, losses)


def generator_turn(arena: Arena, objective: Callable[[Tensor], Tensor]) -> Turn:
    """G learns ``objective(f)`` on its own samples: eq 7 with ``adversarial.reverse_kl``."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {"G": objective(nets.D(nets.G(batch.z))).mean(-1)}

    return Turn(("G",), {"z": arena.z}, losses)


def _posterior_terms(arena: Arena, sigma: float, nets: SimpleNamespace, batch: SimpleNamespace):
    """``-log p~(x|z)`` at one posterior sample, and ``KL[q(z|x) || p(z)]``: both ``(..., B)``."""
    mu, log_sigma = nets.E(batch.x)
    z = reparametrise(mu, log_sigma, batch.eps)
    nll = likelihood.gaussian_nll(batch.x, nets.G(z), sigma, arena.event_dims)
    return nll, kl_to_standard_normal(mu, log_sigma)


def ml_turn(arena: Arena, sigma: float, moves: tuple[str, ...] = ("G", "E")) -> Turn:
    """Eqs 3 and 14: G and E maximise the ELBO of the semi-implicit surrogate; or E alone (step III)."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        loss = likelihood.negative_elbo(*_posterior_terms(arena, sigma, nets, batch)).mean(-1)
        return dict.fromkeys(moves, loss)

    return Turn(moves, {"x": arena.x, "eps": arena.z}, losses)


def bridge_turn(arena: Arena, sigma: float, clip: float) -> Turn:
    """Eq 15 for G and the plain ELBO for E; ``now.alpha`` and ``now.gamma`` come from the schedule."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        nll, kl = _posterior_terms(arena, sigma, nets, batch)
        with torch.no_grad():
            f_real = nets.D(batch.x)
        forward = twins.forward_twin(-nll, f_real, now.alpha, clip)
        reverse = twins.reverse_twin(nets.D(nets.G(batch.z)), now.alpha, clip)
        return {
            "G": twins.twin_combination(forward, reverse, now.gamma).mean(-1),
            "E": likelihood.negative_elbo(nll, kl).mean(-1),
        }

    return Turn(("G", "E"), {"x": arena.x, "eps": arena.z, "z": arena.z}, losses)


def rising_alpha(gamma: Callable[[Tensor], Tensor]) -> Callable[[int], Mapping[str, Tensor]]:
    """Step II's schedule: alpha linear from just above 0 to just below 1, gamma_alpha beside it."""

    def schedule(rounds: int) -> dict[str, Tensor]:
        alpha = torch.arange(1, rounds + 1, dtype=torch.float64) / (rounds + 1)
        return {"alpha": alpha.float(), "gamma": gamma(alpha).float()}

    return schedule


def _game(name: str, arena: Arena, phases: tuple[Phase, ...], settings: Mapping) -> Game:
    players = {network: arena.player(network) for network in arena.networks}
    return Game(name, arena.networks, players, phases, {**settings, "arena": arena.settings}, arena.stacked)


def alpha_bridge(
    arena: Arena,
    *,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    gamma: Callable[[Tensor], Tensor] = twins.sigmoid_gamma,
    clip: float = 5.0,
) -> Game:
    """Paper A, Algorithm 1: phases ``I`` (ML, D pre-trained), ``II`` (alpha 0+ to 1-), ``III`` (reverse KL).

    ``sigma`` is the surrogate's observation noise, ``clip`` bounds ``|f|`` in the weights only. E keeps
    learning the ELBO in all three.
    """
    settings = {"sigma": sigma, "rounds": rounds, "gamma": gamma, "clip": clip}
    d = discriminator_turn(arena)
    phases = (
        Phase("I", rounds[0], (d, ml_turn(arena, sigma))),
        Phase("II", rounds[1], (d, bridge_turn(arena, sigma, clip)), rising_alpha(gamma)),
        Phase(
            "III",
            rounds[2],
            (d, generator_turn(arena, adversarial.reverse_kl), ml_turn(arena, sigma, ("E",))),
        ),
    )
    return _game("alpha-bridge", arena, phases, settings)


def fine_tuning(arena: Arena, *, sigma: float = 0.3, ml_rounds: int = 2000, rounds: int = 20) -> Game:
    """Paper A, Figure 1: ML as in step I, then eqs 4 and 7 from its weights, with G's Adam fresh.

    Phase ``warm`` goes on with the pre-trained D, phase ``cold`` with a D that has never seen a sample: play
    either from a branch of the state after ``I``.
    """
    settings = {"sigma": sigma, "ml_rounds": ml_rounds, "rounds": rounds}
    d = discriminator_turn(arena)
    adversarial_turns = (d, generator_turn(arena, adversarial.reverse_kl))
    phases = (
        Phase("I", ml_rounds, (d, ml_turn(arena, sigma))),
        Phase("warm", rounds, adversarial_turns, fresh=("G",)),
        Phase("cold", rounds, adversarial_turns, fresh=("G", "D"), cold=("D",)),
    )
    return _game("fine-tuning", arena, phases, settings)
