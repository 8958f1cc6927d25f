r"""The alpha-Bridge, paper A's Algorithm 1, and the two other ways to
combine both ends that it rejects.

Players: G (theta), E (phi, the encoder), D (beta). All turns reduce by the
mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Setup
from bridgekit.games.turns import (
    discriminator_turns,
    elbo_terms,
    generator_turn,
    ml_turn,
)
from bridgekit.play.game import Game, Phase, Turn, recorded
from bridgekit.theory import adversarial, likelihood
from bridgekit.theory import alpha as twins


def bridge_turn(setup: Setup, sigma: float, clip: float) -> Turn:
    """A.15: for G, and the plain ELBO for E; alpha and gamma come from the
    schedule."""

    def losses(G, E, D, x, eps, z, alpha, gamma):
        nll, kl = elbo_terms(setup, sigma, G, E, x, eps)
        with torch.no_grad():
            f_real = D(x)
        forward = twins.forward_twin(-nll, f_real, alpha, clip)
        reverse = twins.reverse_twin(D(G(z)), alpha, clip)
        return {
            "G": twins.twin_combination(forward, reverse, gamma).mean(-1),
            "E": likelihood.negative_elbo(nll, kl).mean(-1),
        }

    return Turn(
        losses, ("G", "E"), {"x": setup.x, "eps": setup.z, "z": setup.z}
    )


def combination_turn(setup: Setup, sigma: float, weight: float) -> Turn:
    """``(1 - weight)`` times eq 14's loss plus ``weight`` times eq 7's for
    G, and the plain ELBO for E."""

    def losses(G, E, D, x, eps, z):
        nll, kl = elbo_terms(setup, sigma, G, E, x, eps)
        adverse = adversarial.reverse_kl(D(G(z)))
        return {
            "G": ((1 - weight) * nll + weight * adverse).mean(-1),
            "E": likelihood.negative_elbo(nll, kl).mean(-1),
        }

    return Turn(
        losses, ("G", "E"), {"x": setup.x, "eps": setup.z, "z": setup.z}
    )


def rising_alpha(
    gamma: Callable[[Tensor], Tensor],
) -> Callable[[int], Mapping[str, Tensor]]:
    """Step II's schedule: alpha linear from just above 0 to just below 1,
    gamma_alpha beside it."""

    def schedule(rounds: int) -> dict[str, Tensor]:
        alpha = torch.arange(1, rounds + 1, dtype=torch.float64) / (
            rounds + 1
        )
        return {"alpha": alpha.float(), "gamma": gamma(alpha).float()}

    return schedule


@recorded
def alpha_bridge(
    setup: Setup,
    *,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    gamma: Callable[[Tensor], Tensor] = twins.sigmoid_gamma,
    clip: float = 5.0,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """A Algorithm 1: phases ``I`` (ML, D pre-trained), ``II`` (alpha
    0+ to 1-), ``III`` (reverse KL).

    ``sigma`` is the surrogate's observation noise, ``clip`` bounds ``|f|``
    in the weights only; ``gamma`` is ``twins.linear_gamma``, say, or
    ``functools.partial(twins.sigmoid_gamma, c=10.0, d=-5.0)``. ``d_steps``
    and ``penalty`` are D's, as in :func:`bridgekit.games.baselines.gan`. E
    learns the ELBO throughout. Raises BridgekitError for other than three
    numbers of rounds.
    """
    if len(rounds) != 3:
        raise BridgekitError(
            "the bridge has three steps, I, II and III; "
            f"{list(rounds)} are {len(rounds)}"
        )
    d = discriminator_turns(setup, steps=d_steps, penalty=penalty)
    adverse = generator_turn(setup, adversarial.reverse_kl)
    phases = (
        Phase("I", rounds[0], (*d, ml_turn(setup, sigma))),
        Phase(
            "II",
            rounds[1],
            (*d, bridge_turn(setup, sigma, clip)),
            rising_alpha(gamma),
        ),
        Phase(
            "III", rounds[2], (*d, adverse, ml_turn(setup, sigma, ("E",)))
        ),
    )
    return setup.game(phases)


def noised(turn: Turn, setup: Setup, seen: float) -> Turn:
    """The turn with normal noise of standard deviation ``seen`` on all that
    D is shown, new in each."""

    def losses(D, noise, **others):
        return turn(D=lambda x: D(x + seen * noise), **others)

    draws = {**turn.draws, "noise": setup.noise}
    return Turn(losses, turn.moves, draws, turn.before)


@recorded
def noisy_bridge(
    setup: Setup,
    *,
    seen: float = 0.5,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    clip: float = 5.0,
) -> Game:
    """The bridge, with its phases and arguments, whose D sees all images
    through noise (instance noise, Arjovsky and Bottou 2017), so that it is
    less sure."""
    plain = alpha_bridge(setup, sigma=sigma, rounds=rounds, clip=clip)
    phases = [
        replace(
            phase,
            turns=tuple(
                noised(turn, setup, seen) if "D" in turn.takes else turn
                for turn in phase.turns
            ),
        )
        for phase in plain.phases
    ]
    return setup.game(phases, networks=plain.networks)


@recorded
def fine_tuning(
    setup: Setup,
    *,
    sigma: float = 0.3,
    ml_rounds: int = 2000,
    rounds: int = 20,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """A Figure 1: adversarial fine-tuning, ML as in step I, then eqs 4
    and 7 from its weights, with G's Adam fresh.

    Phase ``warm`` goes on with the pre-trained D, phase ``cold`` with a D
    that has never seen a sample: play either from a branch of the state
    after ``I``. E rests in both. The default is paper A's Figure 1; with
    ``rounds=8000``, ``I`` and ``warm`` together are as long as the bridge.
    """
    d = discriminator_turns(setup, steps=d_steps, penalty=penalty)
    adversarial_turns = (*d, generator_turn(setup, adversarial.reverse_kl))
    phases = (
        Phase("I", ml_rounds, (*d, ml_turn(setup, sigma))),
        Phase("warm", rounds, adversarial_turns, fresh=("G",)),
        Phase(
            "cold", rounds, adversarial_turns, fresh=("G", "D"), cold=("D",)
        ),
    )
    return setup.game(phases)


@recorded
def fixed_combination(
    setup: Setup,
    *,
    weight: float = 0.5,
    sigma: float = 0.3,
    rounds: int = 10_000,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """``(1 - weight)`` forward plus ``weight`` reverse KL from scratch:
    what paper A says does not work well.

    A convex combination of the two *different* gradients, eqs 14 and 7,
    with one weight for all rounds; eq 12 combines two forms of the *same*
    gradient. The one phase is ``train``.
    """
    d = discriminator_turns(setup, steps=d_steps, penalty=penalty)
    return setup.train(rounds, (*d, combination_turn(setup, sigma, weight)))
