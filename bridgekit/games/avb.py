r"""Adversarial variational Bayes, paper B, section 3.4.2 (Mescheder et al. 2017), and its Gaussian rival.

Players: E (eta, the inference model), D (phi, the discriminator).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.games.setups import Builder
from bridgekit.models.heads import Critic, GaussianEncoder
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import FromTensor, Normal
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import adversarial, likelihood
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def folded_log_likelihood(x: Tensor, z: Tensor, sigma: float = 0.5) -> Tensor:
    """``log N(x; |z|, sigma^2)``: a model whose posterior has two modes. ``x``, ``z`` (..., 1) -> (...)."""
    return -likelihood.gaussian_nll(x, z.abs(), sigma)


def implicit_posterior(
    observed: Tensor,
    log_likelihood: Callable[[Tensor, Tensor], Tensor] = folded_log_likelihood,
    *,
    noise: int = 2,
    hidden: int = 64,
    batch: int = 128,
    rounds: int = 2000,
    d_steps: int = 2,
    lr: float = 1e-3,
) -> Game:
    """Section 3.4.2, adversarial variational Bayes (Mescheder et al. 2017): q(z|x) is E(x, eps), z in R.

    D tells posterior samples (y = 0) from the prior's (y = 1) given x; ``-f``, eq 7 of paper A, then stands
    for KL[q(z|x) || p(z)] in the bound of eq 17. ``observed`` (N, 1), N at least ``batch``, are drawn from.
    """
    settings = dict(locals())
    networks: dict[str, Builder] = {
        "E": lambda g: MLP([1 + noise, hidden, hidden, 1], g),
        "D": lambda g: Critic(MLP([2, hidden, hidden, 1], g)),
    }

    def posterior(nets: SimpleNamespace, batch: SimpleNamespace) -> Tensor:
        return nets.E(torch.cat([batch.x, batch.eps], -1))

    def judging(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        with torch.no_grad():
            z = posterior(nets, batch)
        f_prior, f_made = (nets.D(torch.cat([batch.x, sample], -1)) for sample in (batch.z, z))
        return {"D": adversarial.discriminator(f_prior, f_made).mean(-1)}

    def inferring(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        z = posterior(nets, batch)
        kl = adversarial.reverse_kl(nets.D(torch.cat([batch.x, z], -1)))
        nll = likelihood.negative_log_likelihood(log_likelihood(batch.x, z))
        return {"E": likelihood.negative_elbo(nll, kl).mean(-1)}

    draws = {"x": FromTensor(observed, batch), "eps": Normal((batch, noise))}
    judge = Turn(("D",), draws | {"z": Normal((batch, 1))}, judging)
    players = {n: Player((n,), lr, (0.5, 0.999)) for n in networks}
    phase = Phase("train", rounds, (judge,) * d_steps + (Turn(("E",), draws, inferring),))
    return Game("implicit-posterior", networks, players, (phase,), settings)


def gaussian_posterior(
    observed: Tensor,
    log_likelihood: Callable[[Tensor, Tensor], Tensor] = folded_log_likelihood,
    *,
    hidden: int = 64,
    batch: int = 128,
    rounds: int = 2000,
    lr: float = 1e-3,
) -> Game:
    """The same problem with a Gaussian q(z|x), as a VAE has it: eq 17, its KL in closed form."""
    settings = dict(locals())
    networks: dict[str, Builder] = {"E": lambda g: GaussianEncoder(MLP([1, hidden, hidden, 2], g))}

    def inferring(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        mu, log_sigma = nets.E(batch.x)
        z = reparametrise(mu, log_sigma, batch.eps)
        nll = likelihood.negative_log_likelihood(log_likelihood(batch.x, z))
        return {"E": likelihood.negative_elbo(nll, kl_to_standard_normal(mu, log_sigma)).mean(-1)}

    draws = {"x": FromTensor(observed, batch), "eps": Normal((batch, 1))}
    players = {"E": Player(("E",), lr, (0.5, 0.999))}
    phase = Phase("train", rounds, (Turn(("E",), draws, inferring),))
    return Game("gaussian-posterior", networks, players, (phase,), settings)
