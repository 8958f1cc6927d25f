"""Changed games must be refused by the checks of ``tests/games``: those with a name, others by rule.

``GAME_MUTANTS=all`` in the environment tries every mutant of every function that a game is made of; otherwise
some are drawn, always the same.
"""

from __future__ import annotations

import os
import random

import pytest
from games import CASES
from games.changed import Target, changed, edited, in_place, reached, survives, targets
from games.harness import check, killed_and_taken_up, same_end
from games.same_a import SAME as SAME_A
from games.same_b import SAME as SAME_B

from bridgekit.play import checkpoints, loop

# What: (function, its text, what stands there instead, the case and its change whose check must refuse it).
NAMED = {
    "the bridge ignores gamma": (
        "bridge.alpha_bridge",
        "rising_alpha(gamma)",
        "rising_alpha(twins.sigmoid_gamma)",
        "alpha_bridge",
        "gamma 0",
    ),
    "the bridge ignores clip": (
        "bridge.alpha_bridge",
        "bridge_turn(setup, sigma, clip)",
        "bridge_turn(setup, sigma, 5.0)",
        "alpha_bridge",
        "clip",
    ),
    "the bridge ignores d_steps": (
        "bridge.alpha_bridge",
        "steps=d_steps",
        "steps=1",
        "alpha_bridge",
        "d_steps",
    ),
    "the bridge ignores penalty": (
        "bridge.alpha_bridge",
        ", penalty=penalty)",
        ")",
        "alpha_bridge",
        "penalty",
    ),
    "another sigma in step I": (
        "bridge.alpha_bridge",
        "ml_turn(setup, sigma))",
        "ml_turn(setup, 0.5))",
        "alpha_bridge",
        "",
    ),
    "another sigma in step II": (
        "bridge.alpha_bridge",
        "bridge_turn(setup, sigma, clip)",
        "bridge_turn(setup, 0.5, clip)",
        "alpha_bridge",
        "",
    ),
    "another sigma in step III": ("bridge.alpha_bridge", 'sigma, ("E",)', '0.5, ("E",)', "alpha_bridge", ""),
    "E learns the weighted loss in step II": (
        "bridge.bridge_turn",
        "likelihood.negative_elbo(nll, kl)",
        "likelihood.negative_elbo(forward, kl)",
        "alpha_bridge",
        "",
    ),
    "fine-tuning with another generator loss": (
        "bridge.fine_tuning",
        "adversarial.reverse_kl",
        "adversarial.non_saturating",
        "fine_tuning",
        "",
    ),
    "the fixed sum with its weights exchanged": (
        "bridge.combination_turn",
        "(1 - weight) * nll + weight * adverse",
        "weight * nll + (1 - weight) * adverse",
        "fixed_combination",
        "",
    ),
    "no KL in the plane's ELBO": (
        "turns.ml_turn",
        "likelihood.negative_elbo(*elbo_terms(setup, sigma, G, E, x, eps))",
        "elbo_terms(setup, sigma, G, E, x, eps)[0]",
        "alpha_bridge",
        "",
    ),
    "no KL for E in step II": (
        "bridge.bridge_turn",
        "likelihood.negative_elbo(nll, kl)",
        "nll",
        "alpha_bridge",
        "",
    ),
    "the plane ignores beta1": (
        "setups.plane",
        "lr, beta1, batch",
        "lr, 0.5, batch",
        "alpha_bridge",
        "setup.beta1",
    ),
    "the plane ignores lr": (
        "setups.plane",
        "lr, beta1, batch",
        "1e-3, beta1, batch",
        "alpha_bridge",
        "setup.lr",
    ),
    "images ignore beta1": ("setups.images", "x, lr, beta1", "x, lr, 0.5", "gan, images", "setup.*"),
    "images ignore lr": ("setups.images", "x, lr, beta1", "x, 2e-4, beta1", "cgan", "setup.lr"),
    "flat setups ignore beta1": ("setups.flat", "lr, beta1, batch", "lr, 0.5, batch", "infogan", "setup.*"),
    "a setup's players ignore lr": ("setups.Setup.player", "self.lr", "1e-3", "gan", "setup.*"),
    "a setup's players ignore beta1": ("setups.Setup.player", "self.beta1", "0.5", "gan", "setup.*"),
    "the GAN ignores penalty": ("baselines.gan", ", penalty=penalty)", ")", "gan", "penalty"),
    "the GAN ignores d_steps": ("baselines.gan", "steps=d_steps", "steps=1", "gan", "d_steps"),
    "the GAN ignores its critic": (
        "baselines.gan",
        "discriminator_turns(setup, critic, ",
        "discriminator_turns(setup, ",
        "gan",
        "critic",
    ),
    "WGAN-GP ignores penalty": ("baselines.wgan_gp", "penalty=penalty", "penalty=10.0", "wgan_gp", "penalty"),
    "the f-GAN with the GAN's critic": (
        "baselines.f_gan",
        "divergence.critic",
        "adversarial.discriminator",
        "f_gan",
        "",
    ),
    "VAE-GAN's D with its labels exchanged": (
        "vae.vae_gan",
        "discriminator_turns(setup)",
        "discriminator_turns(setup, labelling.domain_confusion)",
        "vae_gan",
        "",
    ),
    "the power iteration of the first critic only": (
        "processes.processes_game",
        "for name in of_phi:",
        "for name in of_phi[:1]:",
        "cycle_gan",
        "",
    ),
}


@pytest.mark.parametrize("what", NAMED)
def test_a_mistake_with_a_name_is_refused(what):
    name, old, new, case, label = NAMED[what]
    target, case = targets()[name], CASES[case]
    with in_place(target, edited(target, old, new)), pytest.raises(AssertionError):
        check(case.changed(dict(case.to_play())[label]) if label else case)


def test_losses_logged_as_their_mean_over_trials_are_refused():
    target = Target(loop, loop._settle)
    wrong = edited(target, ".mean((0, 1))", ".mean((0, 1)).mean().expand(log.shape[-1])")
    with in_place(target, wrong), pytest.raises(AssertionError, match="as it is kept"):
        check(CASES["gan"])


def test_start_generators_that_a_checkpoint_does_not_give_back_are_refused(tmp_path):
    target = Target(checkpoints, checkpoints._fill)
    with in_place(target, edited(target, '("init", "generators")', '("generators",)')):
        assert not same_end(*killed_and_taken_up(CASES["fine_tuning"], "cold", tmp_path / "state.pt"))


def test_start_generators_missing_from_a_checkpoint_are_refused(tmp_path):
    target = Target(checkpoints, checkpoints._content)
    wrong = edited(target, '"init": [g.get_state() for g in state.init],', "")
    with in_place(target, wrong), pytest.warns(UserWarning, match="starting anew"):
        killed_and_taken_up(CASES["fine_tuning"], "cold", tmp_path / "state.pt")


# The mutants that no check can refuse, by function: what stands there, and why it is the same game.
EQUIVALENT: dict[str, dict[str, str]] = {**SAME_A, **SAME_B}


@pytest.mark.parametrize("name", sorted(reached()))
def test_mutants_of_what_games_are_made_of_are_refused(name):
    target, cases = targets()[name], [CASES[case] for case in reached()[name]]
    same = EQUIVALENT.get(name, {}).keys()
    every = os.environ.get("GAME_MUTANTS") == "all"
    alive = set()
    for line, function in changed(target, None if every else random.Random(name)):
        if (every or line not in same) and survives(target, function, cases):
            alive.add(line)
    assert alive == (same if every else set())
