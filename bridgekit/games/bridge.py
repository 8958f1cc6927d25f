r"""The alpha-Bridge, paper A's Algorithm 1, and the two other ways to combine both ends that it rejects.

Players: G (theta), E (phi, the inference arm), D (beta). All turns reduce by the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Arena
from bridgekit.games.turns import discriminator_turns, generator_turn, ml_turn, posterior_terms
from bridgekit.play.game import Game, Phase, Turn
from bridgekit.theory import adversarial, likelihood
from bridgekit.theory import alpha as twins


def bridge_turn(arena: Arena, sigma: float, clip: float) -> Turn:
    """Eq 15 for G and the plain ELBO for E; ``now.alpha`` and ``now.gamma`` come from the schedule."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        nll, kl = posterior_terms(arena, sigma, nets, batch)
        with torch.no_grad():
            f_real = nets.D(batch.x)
        forward = twins.forward_twin(-nll, f_real, now.alpha, clip)
        reverse = twins.reverse_twin(nets.D(nets.G(batch.z)), now.alpha, clip)
        return {
            "G": twins.twin_combination(forward, reverse, now.gamma).mean(-1),
            "E": likelihood.negative_elbo(nll, kl).mean(-1),
        }

    return Turn(("G", "E"), {"x": arena.x, "eps": arena.z, "z": arena.z}, losses)


def combination_turn(arena: Arena, sigma: float, weight: float) -> Turn:
    """``(1 - weight)`` times eq 14's loss plus ``weight`` times eq 7's for G, and the plain ELBO for E."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        nll, kl = posterior_terms(arena, sigma, nets, batch)
        adverse = adversarial.reverse_kl(nets.D(nets.G(batch.z)))
        return {
            "G": ((1 - weight) * nll + weight * adverse).mean(-1),
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
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """Paper A, Algorithm 1: phases ``I`` (ML, D pre-trained), ``II`` (alpha 0+ to 1-), ``III`` (reverse KL).

    ``sigma`` is the surrogate's observation noise, ``clip`` bounds ``|f|`` in the weights only; ``gamma`` is
    ``twins.linear_gamma``, say, or ``functools.partial(twins.sigmoid_gamma, c=10.0, d=-5.0)``. ``d_steps``
    and ``penalty`` are D's, as in :func:`bridgekit.games.baselines.gan`. E learns the ELBO throughout.
    Raises BridgekitError for other than three numbers of rounds.
    """
    if len(rounds) != 3:
        raise BridgekitError(f"the bridge has three steps, I, II and III; {list(rounds)} are {len(rounds)}")
    settings = {"sigma": sigma, "rounds": rounds, "gamma": gamma, "clip": clip}
    settings |= {"d_steps": d_steps, "penalty": penalty}
    d = discriminator_turns(arena, steps=d_steps, penalty=penalty)
    adverse = generator_turn(arena, adversarial.reverse_kl)
    phases = (
        Phase("I", rounds[0], (*d, ml_turn(arena, sigma))),
        Phase("II", rounds[1], (*d, bridge_turn(arena, sigma, clip)), rising_alpha(gamma)),
        Phase("III", rounds[2], (*d, adverse, ml_turn(arena, sigma, ("E",)))),
    )
    return _game("alpha-bridge", arena, phases, settings)


def fine_tuning(
    arena: Arena,
    *,
    sigma: float = 0.3,
    ml_rounds: int = 2000,
    rounds: int = 20,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """Adversarial fine-tuning: ML as in step I, then eqs 4 and 7 from its weights, with G's Adam fresh.

    Phase ``warm`` goes on with the pre-trained D, phase ``cold`` with a D that has never seen a sample: play
    either from a branch of the state after ``I``. E rests in both. The default is paper A's Figure 1; with
    ``rounds=8000``, ``I`` and ``warm`` together are as long as the bridge.
    """
    settings = {"sigma": sigma, "ml_rounds": ml_rounds, "rounds": rounds}
    settings |= {"d_steps": d_steps, "penalty": penalty}
    d = discriminator_turns(arena, steps=d_steps, penalty=penalty)
    adversarial_turns = (*d, generator_turn(arena, adversarial.reverse_kl))
    phases = (
        Phase("I", ml_rounds, (*d, ml_turn(arena, sigma))),
        Phase("warm", rounds, adversarial_turns, fresh=("G",)),
        Phase("cold", rounds, adversarial_turns, fresh=("G", "D"), cold=("D",)),
    )
    return _game("fine-tuning", arena, phases, settings)


def fixed_combination(
    arena: Arena,
    *,
    weight: float = 0.5,
    sigma: float = 0.3,
    rounds: int = 10_000,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """``(1 - weight)`` forward plus ``weight`` reverse KL from scratch: what paper A says does not work well.

    A convex combination of the two *different* gradients, eqs 14 and 7, with one weight for all rounds; eq 12
    combines two forms of the *same* gradient. The one phase is ``train``.
    """
    settings = {"weight": weight, "sigma": sigma, "rounds": rounds, "d_steps": d_steps, "penalty": penalty}
    d = discriminator_turns(arena, steps=d_steps, penalty=penalty)
    phases = (Phase("train", rounds, (*d, combination_turn(arena, sigma, weight))),)
    return _game("fixed-combination", arena, phases, settings)
