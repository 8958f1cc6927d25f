"""Games that belong together begin and draw alike; where they lead; settings that make no game.

What every game is, ``tests/test_game_laws.py`` says.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from games.autoencoders import BARE, BITS, LARGE_BITS, PARTS, REST
from games.harness import draws_of, same, weights
from games.paper_a import noise_images

from bridgekit import data
from bridgekit.errors import BridgekitError
from bridgekit.games import adaptation, avb, baselines, bridge, generalised, importance, m2, setups, vae
from bridgekit.games.aavae import autoencoder
from bridgekit.play.loop import play
from bridgekit.play.state import start
from bridgekit.theory import adversarial

IMAGES = noise_images(40, 16)


def plane(**settings):
    return setups.plane(data.mixture("gaussians25"), **({"batch": 16, "hidden": 8, "depth": 2} | settings))


def images(**settings):
    return setups.images(IMAGES, batch=8, width=2, z=5, **settings)


def gan(setup):
    return baselines.gan(setup, adversarial.non_saturating)


SMALL = {"hidden": 5, "z": 2, "batch": 3}
PAIRS = {
    "GAN and IWGAN": lambda: (gan(plane()), importance.iwgan(plane())),
    "GAN and IWGAN, images": lambda: (gan(images()), importance.iwgan(images())),
    "CGAN and IWCGAN": lambda: [g(images(labelled=True)) for g in (importance.cgan, importance.iwcgan)],
    "the bridge, spectral": lambda: [bridge.alpha_bridge(plane(spectral=s)) for s in (False, True)],
    "the VAE and its perfect D": lambda: (vae.vae(plane()), vae.perfect_vae(plane())),
    "the VAE, activated": lambda: [autoencoder(BARE, PARTS, temperature=t, **SMALL) for t in (None, 1.0)],
    "the CVAE, activated": lambda: [autoencoder(BITS, PARTS, temperature=t, **SMALL) for t in (None, 1.0)],
    "the SVAE, activated": lambda: [
        m2.semi_supervised(BITS, PARTS, REST, temperature=t, **SMALL) for t in (None, 1.0)
    ],
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_games_of_a_seed_begin_alike_and_draw_the_same_data(pair):
    one, other = PAIRS[pair]()
    seeds = [5, 6] if one.stacked else [5]
    mine, theirs = (weights(start(game, seeds)) for game in (one, other))
    assert mine.keys() <= theirs.keys() and same(mine, {name: theirs[name] for name in mine})
    phase = one.phases[0]
    for k, (turn, counterpart) in enumerate(zip(phase.turns, other.phases[0].turns, strict=True)):
        drawn = [draws_of(game, phase.name, k, seeds, rounds=3) for game in (one, other)]
        if turn.draws.keys() == counterpart.draws.keys():
            assert same(*drawn)
        else:  # the adversary's own draws come behind the images
            first = next(iter(turn.draws))
            assert torch.equal(*(found[first] for found in drawn))


def test_the_vae_with_its_perfect_discriminator_takes_the_plain_vaes_steps():
    plain, perfect = (
        weights(play(g, start(g, [0, 1]), "train", 20)) for g in PAIRS["the VAE and its perfect D"]()
    )
    for key, value in plain.items():
        torch.testing.assert_close(perfect[key], value, rtol=1e-6, atol=1e-7)


def clouds(shift, seed):
    """Two classes around (-1, 0) and (1, 0), all moved by ``shift``."""
    draws = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (400,), generator=draws)
    x = 0.4 * torch.randn(400, 2, generator=draws) + torch.tensor(shift)
    x[:, 0] += 2.0 * y - 1
    return data.Images(x.view(-1, 1, 1, 2), y, ("left", "right"), "clouds", "train", f"{shift} {seed}")


@pytest.mark.parametrize(
    ("shift", "weight", "low", "high"),
    [
        ((1.5, 3.0), 1.0, 0.9, 1.0),  # across the classes: found again
        ((1.5, 3.0), 0.0, 0.0, 0.75),  # and without the adversary not
        ((1.5, 0.0), 1.0, 0.0, 0.35),  # along them: the nearer class is the wrong one
    ],
)
def test_ada_lays_one_domain_on_the_other(shift, weight, low, high):
    source, target, fresh = clouds((0.0, 0.0), 0), clouds(shift, 1), clouds(shift, 2)
    setup = setups.flat(source, hidden=32)
    game = adaptation.adversarial_domain_adaptation(setup, target, weight=weight, features=8, rounds=300)
    nets = SimpleNamespace(**play(game, start(game, [0, 1]), "train").nets)
    answer = nets.C(nets.G(fresh.x.flatten(1).expand(2, -1, -1))).argmax(-1)
    right = (answer == fresh.y).double().mean(-1)
    assert (right > low).all() and (right < high).all(), right


def test_the_gaussian_posterior_finds_a_known_bound():
    """x = 0: the best Gaussian is close to the posterior N(0, 1/5), which at 0 has one mode."""
    game = avb.gaussian_posterior(setups.flat(torch.zeros(128, 1), hidden=8, batch=128, lr=1e-2))
    mu, log_sigma = play(game, start(game, [0]), "train", 200).nets["E"](torch.zeros(1, 1, 1))
    assert abs(mu.item()) < 0.15 and abs(math.exp(log_sigma.item()) - math.sqrt(0.2)) < 0.1


def oblong(width):
    return replace(IMAGES, x=torch.zeros(40, 1, 16, width))


BROKEN = {
    "cannot have -1 rounds": lambda: bridge.alpha_bridge(plane(), rounds=(-1, 1, 1)),
    "three steps, I, II and III": lambda: bridge.alpha_bridge(plane(), rounds=(1, 1, 1, 1)),
    "three steps, I, II and III; .* are 2": lambda: generalised.alpha_bridge_joints(plane(), rounds=(1, 1)),
    "played on a plane or on images": lambda: generalised.alpha_bridge_marginals(
        setups.flat(IMAGES, batch=8)
    ),
    "batch is at least 1": lambda: plane(batch=0),
    "D takes 0 steps a round": lambda: baselines.gan(plane(), adversarial.reverse_kl, d_steps=0),
    "takes 0 steps a round: it would": lambda: generalised.alpha_bridge_joints(plane(), h_steps=0),
    "wants square images, not 6 x 16": lambda: setups.images(oblong(6)),
    "wants square images, not 20 x 16 pixels": lambda: setups.images(oblong(20), labelled=True),
    "wants labels: setups.images": lambda: importance.cgan(images()),
    "only class-conditional games": lambda: importance.iwgan(images(labelled=True)),
    "2 numbers wants codes of as many, not 3: z=2": lambda: importance.affine(plane(z=3)),
    "one shape": lambda: adaptation.adversarial_domain_adaptation(setups.flat(IMAGES, batch=8), oblong(9)),
    "a batch of 41 wants at least as many images; there are 40": lambda: setups.images(IMAGES, batch=41),
    "a batch of 8 wants at least as many images; there are 7": lambda: autoencoder(BITS, PARTS, batch=8),
}


@pytest.mark.parametrize("message", BROKEN)
def test_settings_that_make_no_game_are_one_clear_error(message):
    with pytest.raises(BridgekitError, match=message):
        BROKEN[message]()


def test_nothing_to_exchange_and_nothing_to_halve():
    with pytest.raises(ValueError, match="needs a temperature"):
        autoencoder(BARE, PARTS, exchanged=True, **SMALL)
    with pytest.raises(ValueError, match="halves the image at least twice"):
        start(autoencoder(BARE, PARTS, width=2, z=2, batch=3), [0, 1])
    autoencoder(LARGE_BITS, PARTS, width=2, z=2, batch=7)  # a batch may be as large as a part
