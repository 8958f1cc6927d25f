r"""Inference arms, encoders for the codes of what a generator makes:
learned beside it by an adversary alone, or afterwards, for a finished one.

Paper A, section 5.3 (Figure 6), has neither: they are what the arm of its
bridge is compared with. Players: G (theta), E (phi, a Gaussian encoder),
D (beta), and H, of pairs.
"""

from __future__ import annotations

import torch

from bridgekit.games.bridge import alpha_bridge
from bridgekit.games.generalised import (
    check,
    pair_critic,
    pair_critic_turns,
    pairs_turn,
)
from bridgekit.games.setups import Setup
from bridgekit.games.turns import ml_turn
from bridgekit.play.game import Game, Phase, Turn, recorded
from bridgekit.theory import likelihood
from bridgekit.theory.densities import normal_log_prob


def dream_turn(setup: Setup) -> Turn:
    r"""E learns the codes of what G makes of them, without noise:
    :math:`-\log q_\phi(z|G(z))`, wake-sleep's sleep (paper B, eq 20)."""

    def losses(G, E, z):
        with torch.no_grad():
            made = G(z)
        log_q = normal_log_prob(z, *E(made)).sum(-1)
        return {"E": likelihood.negative_log_likelihood(log_q).mean(-1)}

    return Turn(losses, ("E",), {"z": setup.z})


@recorded
def encoder_afterwards(
    setup: Setup,
    *,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    clip: float = 5.0,
    afterwards: int = 10_000,
) -> Game:
    """The bridge, with its arguments, and then two new encoders for its
    finished G, which rests.

    Phases ``I``, ``II``, ``III`` are the bridge's. Phase ``dreams``: a new
    E learns :func:`dream_turn` for ``afterwards`` rounds. Phase ``data``:
    another new one learns the ELBO of data as long, as the bridge's does.
    """
    bridge = alpha_bridge(setup, sigma=sigma, rounds=rounds, clip=clip)
    arm = {"fresh": ("E",), "cold": ("E",)}
    on_data = ml_turn(setup, sigma, ("E",))
    phases = (
        *bridge.phases,
        Phase("dreams", afterwards, (dream_turn(setup),), **arm),
        Phase("data", afterwards, (on_data,), **arm),
    )
    return setup.game(phases)


@recorded
def adversarially_learned_inference(
    setup: Setup,
    *,
    rounds: int = 10_000,
    h_steps: int = 1,
    hidden: int = 128,
    depth: int = 3,
) -> Game:
    """ALI (Dumoulin et al. 2017), BiGAN (Donahue et al. 2017): H tells
    pairs (x, E(x)) and (G(z), z) apart, and G and E learn against it.

    Both with paper A's eqs 4 and 7, as everything here, where those papers
    have the non-saturating loss: it is step III of
    :func:`bridgekit.games.generalised.alpha_bridge_joints` from the first
    round on. ``h_steps``, ``hidden`` and ``depth`` are as there. Raises
    BridgekitError off plane and images.
    """
    check(setup)
    networks = {
        "G": setup.networks["G"],
        "E": setup.networks["E"],
        "H": pair_critic(setup, hidden, depth),
    }
    critic = pair_critic_turns(setup, 0.0, h_steps)
    turns = (*critic, pairs_turn(setup, 0.0))
    return setup.train(rounds, turns, networks=networks)
