r"""Adversarial variational Bayes, paper B, section 3.4.2 (Mescheder et al.
2017), and its Gaussian rival.

Players: E (eta, the inference model), D (phi, the discriminator).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bridgekit.games.setups import Setup
from bridgekit.models.heads import GaussianEncoder
from bridgekit.play.draws import Normal
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import adversarial, likelihood
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def folded_log_likelihood(
    x: Tensor, z: Tensor, sigma: float = 0.5
) -> Tensor:
    """``log N(x; |z|, sigma^2)``: a model whose posterior has two modes.
    ``x``, ``z`` (..., 1) -> (...)."""
    return -likelihood.gaussian_nll(x, z.abs(), sigma)


@recorded
def implicit_posterior(
    setup: Setup,
    log_likelihood: Callable[
        [Tensor, Tensor], Tensor
    ] = folded_log_likelihood,
    *,
    noise: int = 2,
    rounds: int = 2000,
    d_steps: int = 2,
) -> Game:
    """Section 3.4.2, adversarial variational Bayes (Mescheder et al. 2017):
    q(z|x) is E(x, eps), z in R.

    D tells posterior samples (y = 0) from the prior's (y = 1) given x;
    ``-f``, eq 7 of paper A, then stands for KL[q(z|x) || p(z)] in the bound
    of eq 17. ``setup`` is a flat one on observations (N, 1).
    """
    networks = {"E": setup.perceptron(1 + noise, 1), "D": setup.critic(2)}

    def telling(E, D, x, eps, z):
        with torch.no_grad():
            made = E(torch.cat([x, eps], -1))
        f_prior, f_made = (
            D(torch.cat([x, sample], -1)) for sample in (z, made)
        )
        return {"D": adversarial.discriminator(f_prior, f_made).mean(-1)}

    def inferring(E, D, x, eps):
        z = E(torch.cat([x, eps], -1))
        kl = adversarial.reverse_kl(D(torch.cat([x, z], -1)))
        nll = likelihood.negative_log_likelihood(log_likelihood(x, z))
        return {"E": likelihood.negative_elbo(nll, kl).mean(-1)}

    draws = {"x": setup.x, "eps": Normal((setup.batch, noise))}
    d = Turn(telling, ("D",), draws | {"z": Normal((setup.batch, 1))})
    return setup.train(
        rounds,
        (*(d,) * d_steps, Turn(inferring, ("E",), draws)),
        networks=networks,
    )


@recorded
def gaussian_posterior(
    setup: Setup,
    log_likelihood: Callable[
        [Tensor, Tensor], Tensor
    ] = folded_log_likelihood,
    *,
    rounds: int = 2000,
) -> Game:
    """The same problem with a Gaussian q(z|x), as a VAE has it: eq 17, its
    KL in closed form."""
    body = setup.perceptron(1, 2)

    def inferring(E, x, eps):
        mu, log_sigma = E(x)
        nll = likelihood.negative_log_likelihood(
            log_likelihood(x, reparametrise(mu, log_sigma, eps))
        )
        return {
            "E": likelihood.negative_elbo(
                nll, kl_to_standard_normal(mu, log_sigma)
            ).mean(-1)
        }

    draws = {"x": setup.x, "eps": Normal((setup.batch, 1))}
    networks = {"E": lambda g: GaussianEncoder(body(g))}
    return setup.train(
        rounds, [Turn(inferring, ("E",), draws)], networks=networks
    )
