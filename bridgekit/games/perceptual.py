r"""Paper C, section 4.2: what SDKL is compared with, on networks whose
discriminator lends its features.

**The model of an image given its code.** With :math:`\phi_2(x)` what D's
second convolution gives,

.. math:: -\log p_\theta(x|z) = \frac{\|\phi_2(x) - \phi_2(G(z))\|^2}
   {2\sigma^2} + \frac n2\log 2\pi\sigma^2,

n channels times pixels there. It is the density of the n features and not
of the image: the features of images fill a thin set among all n numbers,
and a sample, :math:`\phi_2(G(z)) + \sigma\epsilon`, never lies on it. It
depends on D's first two layers and on nothing above them. These weights are
constants for E and G; D moves them by its own loss alone, and so the unit
in which E and G are measured changes while D learns.

**Who learns what.** E: the prior's term and the reconstruction's. G: the
reconstruction's and the adversary's. D: eq 1, with the setup's orthogonal
regularisation. Images are detached from G and E where D learns, and no loss
of G or E reaches D.

**The five models** start from the same weights; the generator's loss and
what D is shown is all that tells them apart. The paper is silent, or our
reading is open, in four places. Noise: section 4.2 has it *also used for
the VAE*; we take this for the likelihood and show the VAE's D the decoder's
bare output, since Figure 1 leaves room for that D's loss and has none for
SDKL's. VAEGAN's fakes are reconstructions alone, as sections 4.1 and 5.1
have them; the model that is cited (Larsen et al. 2016) shows generated
images beside them, and this one does not, neither in D's loss nor in G's.
Its adversarial loss is :math:`-\log D`, as after Proposition 1, and has
weight 1. The GAN has no
encoder and no noise. In SDKL samples have noise and data have none, by
which D tells them apart (section 5.1).
"""

from __future__ import annotations

import torch

from bridgekit.games import baselines, method
from bridgekit.games.setups import Setup
from bridgekit.games.turns import (
    discriminator_turns,
    elbo_terms,
    regularised,
    repeated,
)
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import adversarial, likelihood
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise
from bridgekit.theory.method import SYMMETRISED_KL


@recorded
def perceptual_vae(
    setup: Setup,
    *,
    sigma: float = 1.0,
    rounds: int = 10_000,
    d_steps: int = 5,
) -> Game:
    """C Figure 4: the VAE with an adversarial perceptual loss. D learns to
    tell generated images from real ones, and only its features are used."""

    def losses(G, E, D, x, eps):
        terms = elbo_terms(setup, sigma, G, E, x, eps, D.features)
        loss = likelihood.negative_elbo(*terms).mean(-1)
        return dict.fromkeys(("G", "E"), loss)

    turn = Turn(losses, ("G", "E"), {"x": setup.x, "eps": setup.z})
    d = discriminator_turns(setup, steps=d_steps)
    return setup.train(rounds, (*d, turn))


@recorded
def perceptual_vae_gan(
    setup: Setup,
    *,
    sigma: float = 1.0,
    rounds: int = 10_000,
    d_steps: int = 5,
) -> Game:
    """C Figure 5: VAEGAN. D learns to tell images from their
    reconstructions, and G to fool it with these; D never sees what G
    makes of the prior. E learns the ELBO alone."""

    def ratio(G, E, D, x, eps):
        with torch.no_grad():
            remade = G(reparametrise(*E(x), eps))
        loss = adversarial.discriminator(D(x), D(remade)).mean(-1)
        return {"D": regularised(setup, D, loss)}

    def joint(G, E, D, x, eps):
        mu, log_sigma = E(x)
        remade = D.features(G(reparametrise(mu, log_sigma, eps)))
        with torch.no_grad():
            seen = D.features(x)
        nll = likelihood.gaussian_nll(seen, remade, sigma, setup.event_dims)
        bound = likelihood.negative_elbo(
            nll, kl_to_standard_normal(mu, log_sigma)
        )
        adverse = adversarial.non_saturating(D.logit(remade))
        return {"G": (bound + adverse).mean(-1), "E": bound.mean(-1)}

    draws = {"x": setup.x, "eps": setup.z}
    turns = repeated(setup, ratio, draws, d_steps)
    return setup.train(rounds, (*turns, Turn(joint, ("G", "E"), draws)))


def compared(
    setup: Setup,
    *,
    sigma: float = 1.0,
    rounds: int = 10_000,
    d_steps: int = 5,
) -> dict[str, Game]:
    """C Figure 2: the five models of section 4.2 by name."""
    length = {"rounds": rounds, "d_steps": d_steps}
    given = {"sigma": sigma} | length
    sdkl = (setup, *SYMMETRISED_KL)
    return {
        "GAN": baselines.gan(setup, adversarial.reverse_kl, **length),
        "VAE": perceptual_vae(setup, **given),
        "VAEGAN": perceptual_vae_gan(setup, **given),
        "SDKL": method.minimise(*sdkl, **given),
        "SDKL without sampling": method.minimise(
            *sdkl, sampled=False, **given
        ),
    }
