r"""Paper B's VAEs: with a perfect discriminator, joined with a GAN, and with an implicit posterior.

Sections 3.3 and 3.4 and appendix D. Players: G (theta, the generative model), E (eta, the inference model), D
(phi, the discriminator).
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.games.setups import Arena
from bridgekit.games.turns import discriminator_turns, ml_turn, posterior_terms
from bridgekit.play.draws import FromMixture, Normal
from bridgekit.play.game import Game, Phase, Turn
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.alpha import semi_implicit_sample

Losses = dict[str, Tensor]
SURE = 1000.0  # the perfect discriminator's logit: its probabilities are 0 and 1 in floating point


def _event(arena: Arena) -> tuple[int, ...]:
    """The shape of one sample of the arena's data."""
    whole = arena.x.mixture.means if isinstance(arena.x, FromMixture) else arena.x.x
    return tuple(whole.shape[1:])


def perfect_turn(arena: Arena, sigma: float) -> Turn:
    """Eqs 18 and 19: real and generated samples, labelled by the perfect discriminator q_*, reversed.

    The loss is twice the mean over both halves, since eq 19 leaves a factor of 2 out. What stands for y = 1
    in :func:`~bridgekit.theory.weighted.activated_vae` is a constant, taken as zero.
    """

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
        with torch.no_grad():
            made = semi_implicit_sample(nets.G(batch.z), batch.noise, sigma)
        bounds = []
        for x, eps in ((batch.x, batch.eps), (made, batch.eps_made)):
            terms = posterior_terms(arena, sigma, nets, SimpleNamespace(x=x, eps=eps))
            bounds.append(likelihood.negative_elbo(*terms))
        real, fake = (torch.full_like(bound, SURE) for bound in bounds)
        f, loss = torch.cat([real, labelling.reverse(fake)], -1), torch.cat(bounds, -1)
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
        adverse = labelling.label_nll(labelling.reverse(f), torch.zeros_like(f))
        return {"G": (bound + adverse).mean(-1), "E": bound.mean(-1)}

    return Turn(("G", "E"), {"x": arena.x, "eps": arena.z, "z": arena.z}, losses)


def vae_gan(arena: Arena, *, sigma: float = 0.3, rounds: int = 2000) -> Game:
    """Paper B, section 3.4.1: a VAE and a GAN that share their generator, both objectives with weight 1."""
    turns = (*discriminator_turns(arena), joint_turn(arena, sigma))
    return _arena_game("vae-gan", arena, "GED", turns, sigma=sigma, rounds=rounds)
