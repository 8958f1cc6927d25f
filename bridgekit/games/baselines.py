"""What the alpha-Bridge is compared with: adversarial games without a
likelihood.

Paper A's baselines are three settings of one game: ``gan(setup,
adversarial.reverse_kl)`` is the plain reverse-KL GAN (eqs 4 and 7), with
``penalty=1.0`` it is RKL-GP, in a setup with ``spectral=True`` RKL-SN.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bridgekit.games.setups import Setup
from bridgekit.games.turns import discriminator_turns, generator_turn
from bridgekit.play.game import Game, recorded
from bridgekit.theory import adversarial, wasserstein
from bridgekit.theory.f_gan import FDivergence


@recorded
def gan(
    setup: Setup,
    objective: Callable[[Tensor], Tensor],
    critic: Callable[[Tensor, Tensor], Tensor] = adversarial.discriminator,
    *,
    rounds: int = 10_000,
    d_steps: int = 1,
    penalty: float = 0.0,
) -> Game:
    """A.4, A.7: D learns eq 4 or another ``critic``, G ``objective``:
    ``adversarial.saturating`` (the original GAN),
    ``adversarial.non_saturating``, or ``adversarial.reverse_kl`` (eq 7).

    A round is ``d_steps`` steps of D, each with ``penalty`` times the
    one-centred gradient penalty on points between real and fake samples,
    and one step of G.
    """
    d = discriminator_turns(setup, critic, steps=d_steps, penalty=penalty)
    return setup.train(rounds, (*d, generator_turn(setup, objective)))


@recorded
def wgan_gp(
    setup: Setup,
    *,
    rounds: int = 10_000,
    d_steps: int = 5,
    penalty: float = 10.0,
) -> Game:
    """WGAN-GP (Gulrajani et al. 2017, Algorithm 1), five critic steps a
    round as there; our own Adam."""
    sides = (wasserstein.generator, wasserstein.critic)
    return gan(
        setup, *sides, rounds=rounds, d_steps=d_steps, penalty=penalty
    )


@recorded
def f_gan(
    setup: Setup,
    divergence: FDivergence,
    *,
    rounds: int = 10_000,
    d_steps: int = 1,
) -> Game:
    """C.6: the f-GAN (Nowozin et al. 2016) for one of the pairs in
    ``theory.f_gan``, ``PEARSON_CHI2`` say.

    D's output is the v of that module, a log-ratio for ``REVERSE_KL`` and
    ``JENSEN_SHANNON`` only.
    """
    return gan(
        setup,
        divergence.generator,
        divergence.critic,
        rounds=rounds,
        d_steps=d_steps,
    )
