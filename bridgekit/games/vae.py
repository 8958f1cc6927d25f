r"""Paper B's VAEs: as it is written, with a perfect discriminator, and
joined with a GAN.

Sections 3.3 and 3.4.1 and appendix D. Players: G (theta, the generative
model), E (eta, the inference model), D (phi, the discriminator).
"""

from __future__ import annotations

import torch

from bridgekit.games.setups import Setup
from bridgekit.games.turns import discriminator_turns, elbo_terms
from bridgekit.play.draws import Draw
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.alpha import semi_implicit_sample

# The perfect discriminator's logit: its probabilities are 0 and 1 in
# floating point.
SURE = 1000.0


def _draws(setup: Setup) -> dict[str, Draw]:
    """What eqs 18 and 19 draw: data, codes, and observation noise for
    generated samples."""
    return {
        "x": setup.x,
        "eps": setup.z,
        "z": setup.z,
        "noise": setup.noise,
        "eps_made": setup.z,
    }


def perfect_turn(setup: Setup, sigma: float) -> Turn:
    """Eqs 18 and 19: real and generated samples, labelled by the perfect
    discriminator q_*, reversed.

    The loss is twice the mean over both halves, since eq 19 leaves a factor
    of 2 out. What stands for y = 1 in
    :func:`~bridgekit.theory.weighted.activated_vae` is a constant, taken as
    zero.
    """

    def losses(G, E, x, eps, z, noise, eps_made):
        with torch.no_grad():
            made = semi_implicit_sample(G(z), noise, sigma)
        pairs = ((x, eps), (made, eps_made))
        bounds = [
            likelihood.negative_elbo(*elbo_terms(setup, sigma, G, E, *pair))
            for pair in pairs
        ]
        real, fake = (torch.full_like(bound, SURE) for bound in bounds)
        f, loss = (
            torch.cat([real, labelling.reverse(fake)], -1),
            torch.cat(bounds, -1),
        )
        activated = weighted.activated_vae(f, loss, torch.zeros_like(loss))
        return dict.fromkeys(("G", "E"), 2 * activated.mean(-1))

    return Turn(losses, ("G", "E"), _draws(setup))


@recorded
def vae(setup: Setup, *, sigma: float = 0.3, rounds: int = 2000) -> Game:
    """B.17: the VAE as it is usually written, on real samples
    alone.

    It draws what :func:`perfect_vae` draws and leaves the rest unused, so
    that both see the same samples.
    """

    def losses(G, E, x, eps, z, noise, eps_made):
        loss = likelihood.negative_elbo(
            *elbo_terms(setup, sigma, G, E, x, eps)
        ).mean(-1)
        return dict.fromkeys(("G", "E"), loss)

    return setup.train(rounds, [Turn(losses, ("G", "E"), _draws(setup))])


@recorded
def perfect_vae(
    setup: Setup, *, sigma: float = 0.3, rounds: int = 2000
) -> Game:
    """B.18, B.19, B Lemma 2: the VAE with generated samples and
    a perfect discriminator."""
    return setup.train(rounds, [perfect_turn(setup, sigma)])


def joint_turn(setup: Setup, sigma: float) -> Turn:
    """Section 3.4.1: G takes eqs 17 and 7 together, E eq 17 alone."""

    def losses(G, E, D, x, eps, z):
        bound = likelihood.negative_elbo(
            *elbo_terms(setup, sigma, G, E, x, eps)
        )
        f = D(G(z))
        adverse = labelling.label_nll(
            labelling.reverse(f), torch.zeros_like(f)
        )
        return {"G": (bound + adverse).mean(-1), "E": bound.mean(-1)}

    return Turn(
        losses, ("G", "E"), {"x": setup.x, "eps": setup.z, "z": setup.z}
    )


@recorded
def vae_gan(
    setup: Setup, *, sigma: float = 0.3, rounds: int = 2000
) -> Game:
    """Paper B, section 3.4.1: a VAE and a GAN that share their generator,
    both objectives with weight 1."""
    return setup.train(
        rounds, (*discriminator_turns(setup), joint_turn(setup, sigma))
    )
