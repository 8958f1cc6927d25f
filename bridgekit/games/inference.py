r"""Paper B's VAEs: with a perfect discriminator, joined with a GAN, and with an implicit posterior.

Sections 3.3 and 3.4 and appendix D. Players: G (theta, the generative model), E (eta, the inference model), D
(phi, the discriminator).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.distributions import kl_to_standard_normal, reparametrise
from bridgekit.game import FromMixture, FromTensor, Game, Normal, Phase, Player, Turn
from bridgekit.games.arenas import Arena, Builder
from bridgekit.games.turns import discriminator_turns, ml_turn, posterior_terms
from bridgekit.networks import MLP, Critic, GaussianEncoder
from bridgekit.objectives import adversarial, likelihood, unified, weighted
from bridgekit.objectives.bridge import semi_implicit_sample

Losses = dict[str, Tensor]
SURE = 1000.0  # the perfect discriminator's logit: its probabilities are 0 and 1 in floating point


def _event(arena: Arena) -> tuple[int, ...]:
    """The shape of one sample of the arena's data."""
    whole = arena.x.mixture.means if isinstance(arena.x, FromMixture) else arena.x.x
    return tuple(whole.shape[1:])


def perfect_turn(arena: Arena, sigma: float) -> Turn:
    """Eqs 18 and 19: real and generated samples, labelled by the perfect discriminator q_*, reversed.

    The loss is twice the mean over both halves, since eq 19 leaves a factor of 2 out. What stands for y = 1
    in :func:`~bridgekit.objectives.weighted.activated_vae` is a constant, taken as zero.
    """

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        with torch.no_grad():
            made = semi_implicit_sample(nets.G(batch.z), batch.noise, sigma)
        bounds = []
        for x, eps in ((batch.x, batch.eps), (made, batch.eps_made)):
            terms = posterior_terms(arena, sigma, nets, SimpleNamespace(x=x, eps=eps))
            bounds.append(likelihood.negative_elbo(*terms))
        real, fake = (torch.full_like(bound, SURE) for bound in bounds)
        f, loss = torch.cat([real, unified.reverse(fake)], -1), torch.cat(bounds, -1)
        activated = weighted.activated_vae(f, loss, torch.zeros_like(loss))
        return dict.fromkeys(("G", "E"), 2 * activated.mean(-1))

    noise = Normal((arena.z.shape[0], *_event(arena)))
    draws = {"x": arena.x, "eps": arena.z, "z": arena.z, "noise": noise, "eps_made": arena.z}
    return Turn(("G", "E"), draws, losses)


def _arena_game(name: str, arena: Arena, networks: str, turns: tuple[Turn, ...], **settings) -> Game:
    builders = {n: arena.networks[n] for n in networks}
    players = {n: arena.player(n) for n in networks}
    phase = Phase("train", settings["rounds"], turns)
    return Game(name, builders, players, (phase,), settings | {"arena": arena.settings}, arena.stacked)


def vae(arena: Arena, *, sigma: float = 0.3, rounds: int = 2000) -> Game:
    """Paper B, eq 17: the VAE as it is usually written, on real samples alone.

    It draws what :func:`perfect_vae` draws and leaves the rest unused, so that both see the same samples.
    """
    turn = replace(ml_turn(arena, sigma), draws=perfect_turn(arena, sigma).draws)
    return _arena_game("vae", arena, "GE", (turn,), sigma=sigma, rounds=rounds)


def perfect_vae(arena: Arena, *, sigma: float = 0.3, rounds: int = 2000) -> Game:
    """Paper B, eqs 18 and 19 (Lemma 2): the VAE with generated samples and a perfect discriminator."""
    turn = perfect_turn(arena, sigma)
    return _arena_game("perfect-vae", arena, "GE", (turn,), sigma=sigma, rounds=rounds)


def joint_turn(arena: Arena, sigma: float) -> Turn:
    """Section 3.4.1: G takes eqs 17 and 7 together, E eq 17 alone."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        bound = likelihood.negative_elbo(*posterior_terms(arena, sigma, nets, batch))
        f = nets.D(nets.G(batch.z))
        adverse = unified.label_nll(unified.reverse(f), torch.zeros_like(f))
        return {"G": (bound + adverse).mean(-1), "E": bound.mean(-1)}

    return Turn(("G", "E"), {"x": arena.x, "eps": arena.z, "z": arena.z}, losses)


def vae_gan(arena: Arena, *, sigma: float = 0.3, rounds: int = 2000) -> Game:
    """Paper B, section 3.4.1: a VAE and a GAN that share their generator, both objectives with weight 1."""
    turns = (*discriminator_turns(arena), joint_turn(arena, sigma))
    return _arena_game("vae-gan", arena, "GED", turns, sigma=sigma, rounds=rounds)


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

    def judging(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        with torch.no_grad():
            z = posterior(nets, batch)
        f_prior, f_made = (nets.D(torch.cat([batch.x, sample], -1)) for sample in (batch.z, z))
        return {"D": adversarial.discriminator(f_prior, f_made).mean(-1)}

    def inferring(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
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

    def inferring(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        mu, log_sigma = nets.E(batch.x)
        z = reparametrise(mu, log_sigma, batch.eps)
        nll = likelihood.negative_log_likelihood(log_likelihood(batch.x, z))
        return {"E": likelihood.negative_elbo(nll, kl_to_standard_normal(mu, log_sigma)).mean(-1)}

    draws = {"x": FromTensor(observed, batch), "eps": Normal((batch, 1))}
    players = {"E": Player(("E",), lr, (0.5, 0.999))}
    phase = Phase("train", rounds, (Turn(("E",), draws, inferring),))
    return Game("gaussian-posterior", networks, players, (phase,), settings)
