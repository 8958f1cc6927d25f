r"""Paper C's method as a game: any divergence, by a pair (f, g), with one
model for both of its terms.

Players: G (the decoder), E (the encoder), D. The model is
:math:`p_\theta(x|z) = N(G(z), \sigma^2)`, or, where the setup's D lends its
features, :math:`N(\phi_2(G(z)), \sigma^2)` in these: D sees samples of it,
and not G(z) alone, unless the game says so.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bridgekit.games.setups import Setup
from bridgekit.games.turns import elbo_terms, regularised, repeated
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import adversarial, likelihood, method
from bridgekit.theory.alpha import semi_implicit_sample
from bridgekit.theory.method import Pair


def model_sample(
    mean: Tensor, sigma: float, noise: Tensor, sampled: bool
) -> Tensor:
    """A sample of the model, as D's features; without ``sampled`` its
    mean."""
    return semi_implicit_sample(mean, sigma, noise) if sampled else mean


def ratio_turns(
    setup: Setup, sigma: float, sampled: bool, steps: int
) -> tuple[Turn, ...]:
    """D learns eq 1 on data and on the model's samples, and with it the
    ratio."""

    def losses(G, D, x, z, noise):
        with torch.no_grad():
            made = G(z)
        fake = model_sample(D.features(made), sigma, noise, sampled)
        loss = adversarial.discriminator(D(x), D.logit(fake)).mean(-1)
        return {"D": regularised(setup, D, loss)}

    draws = {"x": setup.x, "z": setup.z, "noise": setup.noise}
    return repeated(setup, losses, draws, steps)


def divergence_turn(
    setup: Setup, pair: Pair, sigma: float, sampled: bool
) -> Turn:
    """C.13: for G, the ELBO in the likelihood's place; E learns the ELBO
    alone."""

    def losses(G, E, D, x, eps, z, noise):
        bound = likelihood.negative_elbo(
            *elbo_terms(setup, sigma, G, E, x, eps, D.features)
        )
        with torch.no_grad():
            f_real = D(x) if pair.weighs else torch.zeros_like(bound)
        made = D.features(G(z))
        f_fake = D.logit(model_sample(made, sigma, noise, sampled))
        return {
            "G": method.loss(f_fake, f_real, bound, *pair).mean(-1),
            "E": bound.mean(-1),
        }

    draws = {"x": setup.x, "eps": setup.z, "z": setup.z}
    return Turn(losses, ("G", "E"), draws | {"noise": setup.noise})


@recorded
def minimise(
    setup: Setup,
    f: method.OfRatio,
    g: method.OfRatio,
    *,
    sigma: float = 0.3,
    rounds: int = 10_000,
    d_steps: int = 5,
    sampled: bool = True,
) -> Game:
    """C Algorithm 1: with ``*method.SYMMETRISED_KL`` it is SDKL; any other
    pair takes its place.

    A round is ``d_steps`` of D, each on fresh samples, and one of E and G
    together. ``sampled=False`` gives D the decoder's mean, G(z). Raises
    BridgekitError for fewer than one step of D.
    """
    ratio = ratio_turns(setup, sigma, sampled, d_steps)
    turn = divergence_turn(setup, Pair(f, g), sigma, sampled)
    return setup.train(rounds, (*ratio, turn))
