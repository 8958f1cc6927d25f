"""Autoencoders of binary images with the GANs' networks: what is averaged, evaluated and refused; their page.

What the games are, ``tests/test_game_laws.py`` says; what is measured of them, ``tests/test_vae_scores.py``.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from games.harness import same, weights
from torch.nn import functional as F

from bridgekit import data
from bridgekit.data import binary
from bridgekit.errors import BridgekitError
from bridgekit.games import aavae, m2
from bridgekit.measure import evidence
from bridgekit.models import labelled
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.play.evaluation import recalibrated
from bridgekit.play.loop import fit, play
from bridgekit.play.state import start

SEEDS = [0, 1]
DCGAN, SMALL = {"width": 2, "z": 3}, {"hidden": 8, "z": 3}
DIGITS = data.load("digits", size=16)
PAIRS = binary.binarised(DIGITS)
_, OWN, REST = binary.strata(DIGITS.y, [100, 100], SEEDS)


def built(name, temperature=None):
    """A game of DCGANs, with or without adversary."""
    if name == "SVAE":
        return m2.semi_supervised(PAIRS, OWN, REST, batch=6, temperature=temperature, **DCGAN)
    pairs = PAIRS.unlabelled() if name == "VAE" else PAIRS
    return aavae.autoencoder(pairs, OWN, batch=10, temperature=temperature, **DCGAN)


def shapes(net):
    return [
        (type(m).__name__, getattr(m, "kernel_size", None)) for m in net.modules() if not list(m.children())
    ]


def test_the_networks_are_those_of_the_gans():
    """Paper B, appendix G.2: G is the GANs' generator with a sigmoid for the tanh, the others their D."""
    build, generator = labelled.convolutions(784, 10, 794, 5, 4), torch.Generator()
    mine = {name: build[name]([generator]) for name in ("G", "E", "D", "C")}
    assert shapes(mine["G"]) == [*shapes(DCGANGenerator([generator], 15, 4))[:-1], ("Flatten", None)]
    for name, outputs in (("E", 10), ("D", 1), ("C", 10)):
        assert shapes(mine[name])[1:] == shapes(DCGANBody([generator], outputs, 4)), name
    assert [net.outputs for net in mine.values()] == [784, 10, 1, 10]
    assert [net.inputs for net in mine.values()] == [15, 794, 794, 784]


def test_a_body_sees_pixels_from_minus_one_to_one_and_a_plane_for_each_class():
    rows = torch.cat([(torch.rand(5, 256) < 0.5).float(), F.one_hot(torch.arange(5) % 3, 3).float()], 1)
    seen = labelled.Planes(16)(rows)
    assert seen.shape == (5, 4, 16, 16)
    assert torch.equal(seen[:, 0].flatten(1), 2 * rows[:, :256] - 1)
    assert torch.equal(seen[:, 1:].amin((2, 3)), rows[:, 256:])
    assert torch.equal(seen[:, 1:].amax((2, 3)), rows[:, 256:])


def test_evaluating_moves_nothing_and_scores_belong_to_their_images():
    game = built("CVAE", 1.5)
    state = play(game, start(game, SEEDS), "train", 2)
    before, nets = weights(state), recalibrated(game, state, "train", rounds=3)
    rows, eps = PAIRS.rows[:12], torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(0))
    found = evidence.scores(nets, rows, eps)["elbo"]
    apart = evidence.scores(nets, rows[:8], eps[:, :8], chunk=2)["elbo"]
    torch.testing.assert_close(apart, found[:, :8])
    both, z = rows.expand(2, -1, -1), eps.expand(2, -1, -1)
    found = evidence.weights(nets, both, z, torch.full((2, 12, 256), 0.5), 1.5)
    assert [tuple(each.shape) for each in found] == [(2, 12), (2, 12)]
    assert same(weights(state), before) and all(net.training for net in state.nets.values())


@pytest.mark.parametrize("name", ["VAE", "CVAE", "SVAE"])
def test_generating_leaves_no_trace_in_the_averages(name):
    """A round counts as many batches with the adversary as without: those that carry codes of images."""
    counts = []
    for temperature in (None, 1.5):
        game = built(name, temperature)
        state = play(game, start(game, SEEDS), "train", 3)
        counts.append({k: int(v) for k, v in weights(state).items() if k.endswith("batches_tracked")})
    plain, activated = counts
    assert plain and plain == {k: v for k, v in activated.items() if k[0] != "D"}
    assert {v for k, v in plain.items() if k[0] == "G"} == {6 if name == "SVAE" else 3}


def test_recalibrated_averages_are_those_of_the_present_weights():
    """The first normalised layer of E, over all of a trial's images; the state is not touched."""
    game = built("VAE")
    state = play(game, start(game, SEEDS), "train", 5)
    before = weights(state)
    nets = recalibrated(game, state, "train", rounds=60)
    assert same(weights(state), before) and not any(net.training for net in vars(nets).values())
    assert weights(play(game, state, "train", 7)).keys() == before.keys()
    rows = PAIRS.unlabelled().rows[game.settings["parts"]]
    for trial in range(2):
        planes, body = nets.E.body.nets[trial]
        layers = body.convolutions
        with torch.no_grad():
            seen = layers[:3](planes(rows[trial]))
        norm = layers[3]
        assert norm.num_batches_tracked == 60
        spread = seen.std((0, 2, 3))
        assert ((norm.running_mean - seen.mean((0, 2, 3))).abs() < 0.03 * spread).all()
        assert ((norm.running_var / spread**2 - 1).abs() < 0.05).all()


def test_evaluating_recalibrated_networks_changes_nothing_to_come():
    game = built("VAE", 1.5)
    straight = weights(play(game, start(game, SEEDS), "train", 6))
    state = start(game, SEEDS)
    for now in fit(game, state, "train", 6, at=(0, 3)):
        first, second = (recalibrated(game, now, "train") for _ in range(2))
        for name, net in vars(first).items():
            assert same(net.state_dict(), vars(second)[name].state_dict())
    assert same(weights(state), straight)


def test_oblong_images_are_not_taken_for_square_ones_of_as_many_pixels():
    oblong = binary.binarised(replace(DIGITS, x=DIGITS.x.reshape(-1, 1, 8, 32)))
    for rows in (oblong, oblong.unlabelled()):
        with pytest.raises(BridgekitError, match="wants square images, not 32 x 8 pixels"):
            aavae.autoencoder(rows, torch.arange(20)[None], batch=10, **DCGAN)
    aavae.autoencoder(oblong, torch.arange(20)[None], batch=10, **SMALL)


@pytest.mark.pipeline
def test_the_page_with_the_papers_networks(toy_book):
    toy_book.adopt("aavae_gains")
    chosen = {"width": 2, "size": 16, "shares": [0.1, 1.0], "rounds": [2, 3], "search_rounds": [1, 1]}
    chosen |= {"temperatures": [1.0, 3.0], "seeds": 2, "search_seeds": 1, "label_rounds": 1}
    settings = [word for name, value in chosen.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    done = toy_book.run("bridgekit", "run", "aavae_gains", "--profile", "smoke", *settings)
    assert done.returncode == 0, done.stderr
    record = json.loads((toy_book.root / "figures/custom/aavae_gains/record.json").read_text())
    assert record["parameters"]["width"] == 2
    for case in ("vae_10", "vae_100", "cvae_10", "cvae_100", "svae_10"):
        values = record["metrics"][f"gain_{case}"]["values"]
        # Two seeds are two trials: each has a gain, and not the other's.
        assert len(set(values)) == 2 and all(map(math.isfinite, values)) and 0 not in values
