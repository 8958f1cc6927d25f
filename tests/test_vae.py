"""Autoencoders of binary images: their data, who moves, what the losses are, the adversary, resuming."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mutants import survivors
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from bridgekit import data
from bridgekit.data import binary
from bridgekit.errors import BridgekitError
from bridgekit.games import aavae, m2
from bridgekit.measure import evidence
from bridgekit.models import labelled
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.mlp import MLP
from bridgekit.play import draws
from bridgekit.play.evaluation import probe, recalibrated
from bridgekit.play.game import adam
from bridgekit.play.loop import fit, play
from bridgekit.play.state import start

SEEDS = [0, 1]
SMALL = {"hidden": 8, "z": 3}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", size=4)


@pytest.fixture(scope="module")
def pairs(digits):
    return binary.binarised(digits)


def games(pairs, digits, seeds=SEEDS, temperature=None, networks=SMALL):
    """Every model by name, with or without adversary."""
    _, own, rest = binary.strata(digits.y, [100, 100], seeds)
    options = {"temperature": temperature, **networks}
    return {
        "VAE": aavae.autoencoder(pairs.unlabelled(), own, batch=10, **options),
        "CVAE": aavae.autoencoder(pairs, own, batch=10, **options),
        "SVAE": m2.semi_supervised(pairs, own, rest, batch=6, **options),
    }


NAMES = ("VAE", "CVAE", "SVAE")
every = pytest.mark.parametrize("name", NAMES)
either = pytest.mark.parametrize("temperature", [None, 1.5])


def weights_of(state):
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def drawn(game, seed=0):
    """The first batch of a game's only turn, and the turn."""
    (turn,) = game.phases[0].turns
    found = {}
    for name, draw in turn.draws.items():
        generators = [torch.Generator().manual_seed(10 * seed + i) for i in range(len(SEEDS))]
        found[name] = draw.take(torch.stack([draw.chunk(1, g)[0] for g in generators]))
    return turn, SimpleNamespace(**found)


def linear(net: MLP, trial: int) -> nn.Sequential:
    """One trial of an MLP as torch's own modules."""
    layers = []
    for w, b in zip(net.weights, net.biases, strict=True):
        layer = nn.Linear(*w.shape[1:])
        layer.weight.data, layer.bias.data = w[trial].detach().T.clone(), b[trial, 0].detach().clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def by_hand(nets, trial, x, y, eps):
    """-ELBO of each pair by torch.distributions: (B,)."""
    mu, log_sigma = linear(nets.E.body, trial)(torch.cat([x, y], -1)).chunk(2, -1)
    q = Normal(mu, log_sigma.exp())
    logits = linear(nets.G, trial)(torch.cat([mu + log_sigma.exp() * eps, y], -1))
    nll = -Bernoulli(logits=logits).log_prob(x).sum(-1)
    return nll + kl_divergence(q, Normal(0.0, 1.0)).sum(-1)


# ------------------------------------------------------------------------------------------------- data


def test_pixels_are_drawn_once_with_the_grey_levels_for_probabilities(digits, pairs):
    x, y = pairs.rows.split([16, 10], 1)
    assert pairs.pixels == 16 and pairs.classes == 10 and pairs.unlabelled().classes == 0
    assert set(x.unique().tolist()) == {0.0, 1.0} and torch.equal(y.argmax(1), digits.y)
    assert torch.equal(y.sum(1), torch.ones(len(y)))
    again, other = binary.binarised(digits), binary.binarised(digits, seed=1)
    assert torch.equal(again.rows, pairs.rows) and again.fingerprint == pairs.fingerprint
    assert not torch.equal(other.rows, pairs.rows) and other.fingerprint != pairs.fingerprint
    grey = (digits.x.flatten(1) + 1) / 2
    spread = (grey * (1 - grey)).sum(0).sqrt().clamp(min=1)
    assert (((x - grey).sum(0) / spread).abs() < 4.5).all()
    assert ((x == grey) | ((grey > 0) & (grey < 1))).all()


def test_parts_are_disjoint_even_over_classes_and_nested(digits):
    y, seeds = digits.y, [3, 4, 5]
    held, few, rest = binary.strata(y, [140, 60], seeds)
    assert held.shape == (3, 140) and few.shape == (3, 60) and rest.shape == (3, len(y) - 200)
    for trial in range(3):
        rows = torch.cat([part[trial] for part in (held, few, rest)])
        assert torch.equal(rows.sort().values, torch.arange(len(y)))
        expected = y.bincount() * 60 / len(y)
        assert ((y[few[trial]].bincount() - expected).abs() < 1).all()
    same_held, fewer, _ = binary.strata(y, [140, 20], seeds)
    assert torch.equal(same_held, held)
    assert all(set(a.tolist()) <= set(b.tolist()) for a, b in zip(fewer, few, strict=True))
    assert torch.equal(binary.strata(y, [140], [4])[0][0], held[1])  # by its own seed alone
    assert not torch.equal(held[0].sort().values, held[1].sort().values)
    assert (y[held[0, :40]].bincount(minlength=10) > 0).sum() > 6  # in random order


@pytest.mark.parametrize("sizes", [[5], [1000, 1000], [0]])
def test_parts_that_cannot_be_taken_are_refused(digits, sizes):
    with pytest.raises(BridgekitError, match="cannot be taken from each of 10 classes: change the shares"):
        binary.strata(digits.y, sizes, [0])


def test_a_part_is_no_two_trials(digits):
    with pytest.raises(BridgekitError, match=r"seeds \[0, 0\] repeat"):
        binary.strata(digits.y, [100], [0, 0])


def test_every_trial_draws_from_its_own_part():
    rows, parts = torch.arange(12.0)[:, None], torch.tensor([[0, 1, 2], [7, 8, 9]])
    draw = draws.FromParts(rows, parts, 3)
    generators = [torch.Generator().manual_seed(i) for i in (0, 0)]
    chunk = torch.stack([draw.chunk(20, g) for g in generators], 1)
    taken = torch.stack([draw.take(drawn) for drawn in chunk])
    assert taken.shape == (20, 2, 3, 1) and torch.equal(taken[:, 0] + 7, taken[:, 1])
    assert set(taken[:, 0].flatten().tolist()) == {0.0, 1.0, 2.0}
    assert draw.fingerprint != draws.FromParts(rows, parts.flip(0), 3).fingerprint
    with pytest.raises(BridgekitError, match="a batch of 4 wants at least as many images; there are 3"):
        draws.FromParts(rows, parts, 4)


# ------------------------------------------------------------------------------------------------ losses


def test_all_labels_at_once_are_each_label_in_turn():
    net = labelled.LabelledMLP([5 + 3, 7, 6, 4], [torch.Generator().manual_seed(i) for i in range(2)])
    x = torch.randn(2, 9, 5)
    for inputs in (x[:, :, None], torch.randn(2, 9, 3, 5)):
        got = net.each(inputs)
        assert got.shape == (2, 9, 3, 4)
        for k in range(3):
            y = F.one_hot(torch.tensor(k), 3).float().expand(2, 9, -1)
            torch.testing.assert_close(
                got[:, :, k], net(torch.cat([inputs[:, :, k % inputs.shape[2]], y], -1))
            )


@pytest.mark.parametrize("name", ["VAE", "CVAE"])
def test_the_bound_is_what_torch_distributions_say(pairs, digits, name):
    game = games(pairs, digits)[name]
    nets = SimpleNamespace(**start(game, SEEDS).nets)
    turn, batch = drawn(game)
    got = turn(**vars(nets), **vars(batch))["model"]
    for trial in range(2):
        x, y = batch.pairs[trial].tensor_split([16], -1)
        expected = by_hand(nets, trial, x, y, batch.eps[trial]).mean()
        torch.testing.assert_close(got[trial], expected)


def m2_by_hand(nets, trial, x, y, rest, eps, eps_rest, k=10):
    """Labelled and unlabelled terms of Kingma et al.'s eq 9 for one trial, label by label."""
    classify = linear(nets.C, trial)
    labelled = by_hand(nets, trial, x, y, eps) + math.log(k)
    label = F.cross_entropy(classify(x), y.argmax(-1), reduction="none")
    q = classify(rest).softmax(-1)
    total = -torch.special.entr(q).sum(-1)
    for c in range(k):
        one = F.one_hot(torch.tensor(c), k).float().expand(len(rest), -1)
        total = total + q[:, c] * (by_hand(nets, trial, rest, one, eps_rest) + math.log(k))
    return labelled, label, total


def test_m2_is_its_sum_over_labels(pairs, digits):
    game = games(pairs, digits)["SVAE"]
    nets = SimpleNamespace(**start(game, SEEDS).nets)
    turn, batch = drawn(game)
    got = turn(**vars(nets), **vars(batch))["model"]
    for trial in range(2):
        x, y = batch.known[trial].split([16, 10], -1)
        terms = m2_by_hand(
            nets, trial, x, y, batch.rest[trial, :, :16], batch.eps_known[trial], batch.eps_rest[trial]
        )
        labelled, label, rest = (term.mean() for term in terms)
        n = len(digits.y) - 100  # all that is not held out
        torch.testing.assert_close(got[trial], labelled + 0.1 * n / 100 * label + rest)


def unlabelled_bound(function):
    """Least at the exact posterior, and the bound of the label that the classifier is sure of."""
    noise = torch.Generator().manual_seed(0)
    bounds = 10 * torch.randn(2, 50, 10, dtype=torch.float64, generator=noise)
    best = (-bounds).log_softmax(-1)
    floor = -torch.logsumexp(-bounds, -1)
    torch.testing.assert_close(function(best, bounds), floor)
    other = (best + torch.randn(2, 50, 10, dtype=torch.float64, generator=noise)).log_softmax(-1)
    assert (function(other, bounds) > floor).all()
    sure = torch.full((10,), -1000.0).index_fill(0, torch.tensor(3), 0.0)
    torch.testing.assert_close(function(sure.double(), bounds), bounds[..., 3])


def m2_oracles(pairs, digits):
    """Kingma et al.'s eqs 6, 7 and 9, image by image and label by label: {function: oracle}."""
    game = games(pairs, digits)["SVAE"]
    nets = SimpleNamespace(**start(game, SEEDS).nets)
    _, batch = drawn(game)
    rest = batch.rest[..., :16]

    def labelled_bounds(function):
        got = function(nets.G, nets.E, rest, batch.eps_rest)
        assert isinstance(got, torch.Tensor) and got.shape == (2, 6, 10)
        for trial, k in ((0, 3), (1, 7)):
            one = F.one_hot(torch.tensor(k), 10).float().expand(6, -1)
            want = by_hand(nets, trial, rest[trial], one, batch.eps_rest[trial]) + math.log(10)
            torch.testing.assert_close(got[trial, :, k], want)

    def m2_terms(function):
        got = function(nets.G, nets.E, nets.C, batch.known, rest, batch.eps_known, batch.eps_rest, 0.7)
        assert [tuple(term.shape) for term in got] == [(2, 6), (2, 6)]
        for trial in range(2):
            x, y = batch.known[trial].split([16, 10], -1)
            noise = batch.eps_known[trial], batch.eps_rest[trial]
            labelled, label, unlabelled = m2_by_hand(nets, trial, x, y, rest[trial], *noise)
            torch.testing.assert_close(got[0][trial], labelled + 0.7 * label)
            torch.testing.assert_close(got[1][trial], unlabelled)

    return {"unlabelled_bound": unlabelled_bound, "labelled_bounds": labelled_bounds, "m2_terms": m2_terms}


@pytest.mark.parametrize("name", ["unlabelled_bound", "labelled_bounds", "m2_terms"])
def test_m2s_parts_and_their_mutants(pairs, digits, name):
    oracle, function = m2_oracles(pairs, digits)[name], getattr(m2, name)
    oracle(function)
    assert survivors(oracle, function) == set()


@every
def test_the_activated_loss_weighs_real_and_generated_by_d(pairs, digits, name):
    temperature = 1.5
    game = games(pairs, digits, temperature=temperature)[name]
    nets = SimpleNamespace(**start(game, SEEDS).nets)
    turn, batch = drawn(game)
    got, d = turn(**vars(nets), **vars(batch)), 16
    for trial in range(2):
        critic = linear(nets.D.body, trial)
        if name == "SVAE":
            y_fake = F.one_hot((batch.c[trial] * 10).long(), 10).float()
        else:
            y_fake = batch.pairs[trial, :, d:]
        means = linear(nets.G, trial)(torch.cat([batch.z[trial], y_fake], -1)).sigmoid()
        fake = (batch.u[trial] < means).float()
        if name == "SVAE":
            x = torch.cat([batch.known[trial, :, :d], fake[:6]])
            y = torch.cat([batch.known[trial, :, d:], y_fake[:6]])
            rest = torch.cat([batch.rest[trial, :, :d], fake[6:]])
            eps = batch.eps_known[trial], batch.eps_rest[trial]
            labelled, label, unlabelled = m2_by_hand(nets, trial, x, y, rest, *eps)
            of_label = 0.1 * (len(digits.y) - 100) / 100
            loss = torch.stack([labelled + of_label * label, unlabelled])
            f = torch.stack([critic(x), critic(rest)]).squeeze(-1)
        else:
            real = batch.pairs[trial]
            both = torch.cat([real, torch.cat([fake, y_fake], -1)])
            loss = by_hand(nets, trial, both[:, :d], both[:, d:], batch.eps[trial])[None]
            f = critic(both).squeeze(-1)[None]
        expected = ((f / temperature).sigmoid() * loss).mean(-1).sum()
        torch.testing.assert_close(got["model"][trial], expected)
        n = f.shape[1] // 2
        nll = F.softplus(-f[:, :n]).mean() + F.softplus(f[:, n:]).mean()
        torch.testing.assert_close(got["D"][trial], nll / 2)


@every
def test_no_gradient_passes_between_the_players(pairs, digits, name):
    game = games(pairs, digits, temperature=1.5)[name]
    nets = start(game, SEEDS).nets
    turn, batch = drawn(game)
    losses = turn(**nets, **vars(batch))
    for player, loss in losses.items():
        mine = game.players[player].networks
        for net in nets:
            grads = torch.autograd.grad(
                loss.sum(), list(nets[net].parameters()), retain_graph=True, allow_unused=True
            )
            assert all((g is not None and g.abs().sum() > 0) == (net in mine) for g in grads)


def test_generated_images_are_samples_with_the_decoders_probabilities(pairs, digits):
    nets = SimpleNamespace(**start(games(pairs, digits)["VAE"], SEEDS).nets)
    z = torch.randn(2, 1, 3).expand(-1, 20_000, -1)
    x = aavae.generated(nets.G, z, z[..., :0], torch.rand(2, 20_000, 16))
    assert set(x.unique().tolist()) == {0.0, 1.0} and not x.requires_grad
    torch.testing.assert_close(x.mean(1), nets.G(z)[:, 0].sigmoid(), atol=0.02, rtol=0)


def test_a_perfect_discriminator_gives_half_of_the_vae(pairs, digits):
    plain, active = (games(pairs, digits, temperature=t)["VAE"] for t in (None, 5.0))
    nets = start(active, SEEDS).nets
    turn, batch = drawn(active)
    perfect = torch.cat([torch.full((2, 10), math.inf), torch.full((2, 10), -math.inf)], 1)
    fixed = SimpleNamespace(**{**nets, "D": lambda pairs: perfect})
    half = turn(**vars(fixed), **vars(batch))["model"]
    alone = SimpleNamespace(pairs=batch.pairs, eps=batch.eps[:, :10])
    (ordinary,) = plain.phases[0].turns
    expected = ordinary(**nets, **vars(alone))["model"]
    torch.testing.assert_close(2 * half, expected)


def losses_at(game, f):
    """The losses of a game's first batch where D thinks f."""
    nets = start(game, SEEDS).nets
    turn, batch = drawn(game)
    fixed = SimpleNamespace(**{**nets, "D": lambda pairs: f})
    return turn(**vars(fixed), **vars(batch))


def test_exchanged_weights_stay_in_their_half_and_leave_d_alone(pairs, digits):
    _, own, _ = binary.strata(digits.y, [100, 100], SEEDS)
    kept, exchanged = (
        aavae.autoencoder(pairs.unlabelled(), own, batch=10, temperature=2.0, exchanged=e, **SMALL)
        for e in (False, True)
    )
    f = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    real, fake = f[:, :10], f[:, 10:]
    # Whoever gets it, it is the weight of the image before: D's opinion moved one place gives it back.
    back = torch.cat([real[:, 1:], real[:, :1], fake[:, 1:], fake[:, :1]], 1)
    torch.testing.assert_close(losses_at(exchanged, back)["model"], losses_at(kept, f)["model"])
    assert not torch.allclose(losses_at(exchanged, f)["model"], losses_at(kept, f)["model"])
    torch.testing.assert_close(losses_at(exchanged, f)["D"], losses_at(kept, f)["D"], rtol=0, atol=0)
    even = torch.cat([torch.full((2, 10), 1.0), torch.full((2, 10), -2.0)], 1)
    torch.testing.assert_close(
        losses_at(exchanged, even)["model"], losses_at(kept, even)["model"], rtol=0, atol=0
    )
    assert kept.fingerprint() != exchanged.fingerprint()


def test_an_infinite_temperature_weighs_every_image_one_half(pairs, digits):
    even, ordinary = (games(pairs, digits, temperature=t)["VAE"] for t in (math.inf, 1.0))
    f = 5 * torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    believed = torch.full_like(f, math.inf)  # every image counts in full
    torch.testing.assert_close(2 * losses_at(even, f)["model"], losses_at(ordinary, believed)["model"])


def test_a_plain_game_has_no_weights_to_exchange(pairs, digits):
    _, own, _ = binary.strata(digits.y, [100, 100], SEEDS)
    with pytest.raises(ValueError, match="needs a temperature"):
        aavae.autoencoder(pairs.unlabelled(), own, batch=10, exchanged=True, **SMALL)


# ------------------------------------------------------------------------------------------------- games


@every
@either
def test_each_player_moves_what_is_its_own(pairs, digits, name, temperature):
    game = games(pairs, digits, temperature=temperature)[name]
    expected = {"VAE": "EG", "CVAE": "EG", "SVAE": "CEG"}[name] + ("D" if temperature else "")
    assert set(game.networks) == set(expected)
    state = start(game, SEEDS)
    before = weights_of(state)
    play(game, state, "train", 3)
    after = weights_of(state)
    assert state.failed == [None, None]
    assert all(not torch.equal(before[key], after[key]) for key in before)


@every
def test_both_of_a_pair_start_from_the_same_weights(pairs, digits, name):
    plain, active = (start(games(pairs, digits, temperature=t)[name], SEEDS) for t in (None, 1.0))
    for key, value in weights_of(plain).items():
        assert torch.equal(value, weights_of(active)[key])


@every
def test_batched_trials_are_the_trials_alone(pairs, digits, name):
    together = games(pairs, digits, temperature=1.5)[name]
    state = play(together, start(together, SEEDS), "train", 8)
    for i, seed in enumerate(SEEDS):
        alone = games(pairs, digits, [seed], 1.5)[name]
        for key, value in weights_of(play(alone, start(alone, [seed]), "train", 8)).items():
            torch.testing.assert_close(weights_of(state)[key][i], value[0], rtol=1e-3, atol=1e-4)


@every
@either
def test_a_run_taken_up_again_ends_with_the_same_weights(pairs, digits, name, temperature, tmp_path):
    game, path = games(pairs, digits, temperature=temperature)[name], tmp_path / "state.pt"
    straight = weights_of(play(game, start(game, SEEDS), "train", 12))
    play(game, start(game, SEEDS), "train", 7, checkpoint=path)
    resumed = start(game, SEEDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (now,) = (s.played["train"] for s in fit(game, resumed, "train", 12, at=[7], checkpoint=path))
    assert now == 7 and same(weights_of(resumed), straight)


def test_games_are_told_apart(pairs, digits):
    _, own, rest = binary.strata(digits.y, [100, 100], SEEDS)
    found = [game for t in (None, 1.0, 1.5) for game in games(pairs, digits, temperature=t).values()]
    found += games(pairs, digits, [0, 2]).values()
    found += games(binary.binarised(digits, seed=1), digits).values()
    found.append(aavae.autoencoder(pairs, own, rounds=5, batch=10))
    found += [m2.semi_supervised(pairs, own, rest, alpha=a) for a in (0.1, 0.2)]
    assert len({game.fingerprint() for game in found}) == len(found)


def test_training_raises_the_bound_and_d_learns(pairs, digits):
    for temperature in (None, 1.5):
        for name, game in games(pairs, digits, temperature=temperature).items():
            game = replace(
                game, players={k: replace(p, optimiser=adam(1e-2, 0.9)) for k, p in game.players.items()}
            )
            score = evidence.semi_supervised_scores if name == "SVAE" else evidence.scores
            rows = (pairs.unlabelled() if name == "VAE" else pairs).rows[:200]
            eps = torch.randn(1, 200, 3, generator=torch.Generator().manual_seed(0))
            state, bounds = start(game, SEEDS), []
            for now in fit(game, state, "train", 100, at=(0, 100)):
                with probe(now) as nets:
                    bounds.append(score(nets, rows, eps)["elbo"].mean(1))
            assert (bounds[1] > bounds[0] + 1).all(), (name, temperature)


# ----------------------------------------------------------------------------------------------- evaluating


@pytest.mark.parametrize("name", NAMES)
def test_bounds_agree_with_quadrature_and_tighten(name, digits):
    """A code of one dimension: log p(x) on a grid lies above the tighter bound, and that above the other."""
    x = data.load("digits", size=3)
    small = binary.binarised(x)
    kept = {"hidden": 6, "z": 1, "batch": 8}
    _, own, rest = binary.strata(x.y, [100, 100], SEEDS)
    if name == "SVAE":
        game = m2.semi_supervised(small, own, rest, **kept)
    else:
        game = aavae.autoencoder(small.unlabelled() if name == "VAE" else small, own, **kept)
    rows = (small.unlabelled() if name == "VAE" else small).rows[:5]
    state = play(game, start(game, SEEDS), "train", 60)
    score = evidence.semi_supervised_scores if name == "SVAE" else evidence.scores
    eps = torch.randn(1000, 5, 1, generator=torch.Generator().manual_seed(1))
    grid = torch.linspace(-8, 8, 801)
    with probe(state) as nets:
        nets.E.body.biases[-1].add_(0.5)  # an encoder that is off and too wide: the two bounds lie apart
        found = score(nets, rows, eps)
        exact = torch.stack([_log_p(nets, trial, rows, grid, name) for trial in range(2)])
    torch.testing.assert_close(found["iw"], exact, atol=0.1, rtol=0)
    assert (found["elbo"] < exact - 0.1).all()
    few = score(state_nets(state), rows, eps[:3])
    chunked = score(state_nets(state), rows, eps[:3], chunk=2)
    for key, value in few.items():
        torch.testing.assert_close(chunked[key], value)
    own_rows = rows.expand(2, -1, -1)
    torch.testing.assert_close(score(state_nets(state), own_rows, eps[:3])["elbo"], few["elbo"])
    if name == "SVAE":
        guess = torch.stack([linear(nets.C, t)(rows[:, :9]).argmax(-1) for t in range(2)])
        assert torch.equal(found["correct"], (guess == rows[:, 9:].argmax(-1)).float())


def test_a_classifier_that_was_lost_is_not_right_by_chance():
    """The first class is where argmax finds a NaN: a lost trial had its share for an accuracy."""
    x = data.load("digits", size=3, channels=1)
    small = binary.binarised(x)
    _, own, rest = binary.strata(x.y, [100, 100], SEEDS)
    state = start(m2.semi_supervised(small, own, rest, hidden=6, z=1, batch=8), SEEDS)
    with torch.no_grad():
        state.nets["C"].weights[0][0] = math.nan
    found = evidence.semi_supervised_scores(state_nets(state), small.rows[:50], torch.randn(1, 50, 1))
    assert found["correct"][0].isnan().all() and found["correct"][1].isfinite().all()


def state_nets(state):
    return SimpleNamespace(**state.nets)


def _log_p(nets, trial, rows, grid, name):
    """log p(x), or log p(x|y) for CVAE, by quadrature over the one-dimensional code."""
    decode, x = linear(nets.G, trial), rows[:, :9]
    prior = Normal(0.0, 1.0).log_prob(grid) + math.log(grid[1] - grid[0])
    labels = {"VAE": [rows[:, 9:]], "CVAE": [rows[:, 9:]]}.get(name)
    if labels is None:
        labels = [F.one_hot(torch.tensor(c), 10).float().expand(len(x), -1) for c in range(10)]
    found = []
    for y in labels:
        codes = torch.cat(
            [grid[None, :, None].expand(len(x), -1, 1), y[:, None].expand(-1, len(grid), -1)], -1
        )
        log_p = Bernoulli(logits=decode(codes)).log_prob(x[:, None].expand(-1, len(grid), -1)).sum(-1)
        found.append((log_p + prior).logsumexp(-1))
    return torch.stack(found).logsumexp(0) - math.log(len(found))


def test_weights_are_the_discriminators_on_real_and_generated(pairs, digits):
    for name, game in games(pairs, digits, temperature=2.0).items():
        nets = SimpleNamespace(**start(game, SEEDS).nets)
        rows = (pairs.unlabelled() if name == "VAE" else pairs).rows[:30].expand(2, -1, -1)
        z, u = torch.randn(2, 30, 3), torch.rand(2, 30, 16)
        real, fake = evidence.weights(nets, rows, z, u, 2.0)
        seen = 26 if name == "CVAE" else 16
        made = aavae.generated(nets.G, z, rows[..., 16:], u)
        torch.testing.assert_close(real, (nets.D(rows[..., :seen]) / 2).sigmoid())
        torch.testing.assert_close(fake, (nets.D(made[..., :seen]) / 2).sigmoid())
        assert real.shape == fake.shape == (2, 30)


# ------------------------------------------------------------------------------------------------- DCGANs

DCGAN = {"width": 2, "z": 3}


@pytest.fixture(scope="module")
def larger():
    return data.load("digits", size=16)


@pytest.fixture(scope="module")
def larger_pairs(larger):
    return binary.binarised(larger)


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


@pytest.mark.parametrize("kind", ["G", "E"])
def test_convolutions_take_every_label_and_every_trial_apart(kind):
    build = labelled.convolutions(256, 3, 256, 5, 2)[kind]
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    alone = build([torch.Generator().manual_seed(1)]).eval()
    net = build(generators).eval()
    x = torch.rand(2, 4, net.inputs - 3)
    for inputs in (x[:, :, None], x[:, :, None].expand(-1, -1, 3, -1)):
        got = net.each(inputs)
        assert got.shape == (2, 4, 3, net.outputs)
        for k in range(3):
            rows = torch.cat([x, F.one_hot(torch.tensor(k), 3).float().expand(2, 4, -1)], -1)
            torch.testing.assert_close(got[:, :, k], net(rows))
            torch.testing.assert_close(got[1:, :, k], alone(rows[1:]))
    assert not torch.equal(got[:, :, 0], got[:, :, 1]), "the label is not seen"


def test_a_body_sees_pixels_from_minus_one_to_one_and_a_plane_for_each_class():
    rows = torch.cat([(torch.rand(5, 256) < 0.5).float(), F.one_hot(torch.arange(5) % 3, 3).float()], 1)
    seen = labelled.Planes(16)(rows)
    assert seen.shape == (5, 4, 16, 16)
    assert torch.equal(seen[:, 0].flatten(1), 2 * rows[:, :256] - 1)
    assert torch.equal(seen[:, 1:].amin((2, 3)), rows[:, 256:])
    assert torch.equal(seen[:, 1:].amax((2, 3)), rows[:, 256:])


@either
@every
def test_convolutional_games_move_their_own_and_resume(larger_pairs, larger, name, temperature, tmp_path):
    game = games(larger_pairs, larger, SEEDS, temperature, DCGAN)[name]
    state = start(game, SEEDS)
    before = weights_of(state)
    straight = weights_of(play(game, state, "train", 4))
    assert all(not torch.equal(before[k], v) for k, v in straight.items() if k.endswith("weight"))
    path = tmp_path / "state.pt"
    play(game, start(game, SEEDS), "train", 2, checkpoint=path)
    assert same(weights_of(play(game, start(game, SEEDS), "train", 4, checkpoint=path)), straight)
    one = games(larger_pairs, larger, SEEDS[1:], temperature, DCGAN)[name]
    alone = weights_of(play(one, start(one, SEEDS[1:]), "train", 4))
    for key, value in alone.items():
        torch.testing.assert_close(value, straight[key.replace("nets.0.", "nets.1.")])


@either
@every
def test_convolutional_training_raises_bounds_that_belong_to_their_images(
    larger_pairs, larger, name, temperature
):
    game = games(larger_pairs, larger, SEEDS, temperature, DCGAN)[name]
    game = replace(game, players={k: replace(p, optimiser=adam(3e-3, 0.9)) for k, p in game.players.items()})
    score = evidence.semi_supervised_scores if name == "SVAE" else evidence.scores
    rows = (larger_pairs.unlabelled() if name == "VAE" else larger_pairs).rows[:60]
    eps = torch.randn(1, 60, 3, generator=torch.Generator().manual_seed(0))
    state, bounds = start(game, SEEDS), []
    for now in fit(game, state, "train", 60, at=(15, 60)):
        before, nets = weights_of(now), recalibrated(game, now, "train")
        bounds.append(score(nets, rows, eps)["elbo"])
        apart = score(nets, rows[:8], eps[:, :8], chunk=2)["elbo"]
        if temperature is not None:
            both, z = rows.expand(2, -1, -1), eps.expand(2, -1, -1)
            weights = evidence.weights(nets, both, z, torch.full((2, 60, 256), 0.5), temperature)
            assert [tuple(each.shape) for each in weights] == [(2, 60), (2, 60)]
        torch.testing.assert_close(apart, bounds[-1][:, :8])
        assert same(weights_of(now), before), "evaluating has moved something"
        assert all(net.training for net in now.nets.values())
    assert (bounds[1].mean(1) > bounds[0].mean(1) + 1).all()


@every
def test_generating_leaves_no_trace_in_the_averages(larger_pairs, larger, name):
    """A round counts as many batches with the adversary as without: those that carry codes of images."""
    counts = []
    for temperature in (None, 1.5):
        game = games(larger_pairs, larger, SEEDS, temperature, DCGAN)[name]
        state = play(game, start(game, SEEDS), "train", 3)
        counts.append({k: int(v) for k, v in weights_of(state).items() if k.endswith("batches_tracked")})
    plain, activated = counts
    assert plain and plain == {k: v for k, v in activated.items() if k[0] != "D"}
    assert {v for k, v in plain.items() if k[0] == "G"} == {6 if name == "SVAE" else 3}


def test_recalibrated_averages_are_those_of_the_present_weights(larger_pairs, larger):
    """The first normalised layer of E, over all of a trial's images; the state is not touched."""
    game = games(larger_pairs, larger, SEEDS, None, DCGAN)["VAE"]
    state = play(game, start(game, SEEDS), "train", 5)
    before = weights_of(state)
    nets = recalibrated(game, state, "train", rounds=200)
    assert same(weights_of(state), before) and not any(net.training for net in vars(nets).values())
    assert weights_of(play(game, state, "train", 7)).keys() == before.keys()
    rows = larger_pairs.unlabelled().rows[game.settings["parts"]]
    for trial in range(2):
        planes, body = nets.E.body.nets[trial]
        layers = body.convolutions
        with torch.no_grad():
            seen = layers[:3](planes(rows[trial]))
        norm = layers[3]
        assert norm.num_batches_tracked == 200
        spread = seen.std((0, 2, 3))
        assert ((norm.running_mean - seen.mean((0, 2, 3))).abs() < 0.01 * spread).all()
        assert ((norm.running_var / spread**2 - 1).abs() < 0.02).all()


def test_evaluating_recalibrated_networks_changes_nothing_to_come(larger_pairs, larger):
    game = games(larger_pairs, larger, SEEDS, 1.5, DCGAN)["VAE"]
    straight = weights_of(play(game, start(game, SEEDS), "train", 6))
    state = start(game, SEEDS)
    for now in fit(game, state, "train", 6, at=(0, 3)):
        first, second = (recalibrated(game, now, "train") for _ in range(2))
        for name, net in vars(first).items():
            assert same(net.state_dict(), vars(second)[name].state_dict())
    assert same(weights_of(state), straight)


def test_oblong_images_are_not_taken_for_square_ones_of_as_many_pixels(larger):
    oblong = binary.binarised(replace(larger, x=larger.x.reshape(-1, 1, 8, 32)))
    for rows in (oblong, oblong.unlabelled()):
        with pytest.raises(BridgekitError, match="wants square images, not 32 x 8 pixels"):
            aavae.autoencoder(rows, torch.arange(20)[None], batch=10, **DCGAN)
    aavae.autoencoder(oblong, torch.arange(20)[None], batch=10, **SMALL)


def test_images_that_no_dcgan_draws_are_an_error(pairs, digits):
    with pytest.raises(ValueError, match="halves the image at least twice"):
        start(games(pairs, digits, networks=DCGAN)["VAE"], SEEDS)
    with pytest.raises(ValueError, match="15 pixels are none"):
        labelled.convolutions(15, 0, 15, 3, 2)


@pytest.mark.pipeline
def test_the_page_with_the_papers_networks(toy_book):
    toy_book.adopt("aavae")
    chosen = {"width": 2, "size": 16, "shares": [0.1, 1.0], "rounds": [2, 3], "search_rounds": [1, 1]}
    chosen |= {"temperatures": [1.0, 3.0], "seeds": 2, "search_seeds": 1, "label_rounds": 1}
    settings = [word for name, value in chosen.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    done = toy_book.run("bridgekit", "run", "aavae", "--profile", "smoke", *settings)
    assert done.returncode == 0, done.stderr
    record = json.loads((toy_book.root / "figures/custom/aavae/record.json").read_text())
    assert record["parameters"]["width"] == 2
    for case in ("vae_10", "vae_100", "cvae_10", "cvae_100", "svae_10"):
        values = record["metrics"][f"gain_{case}"]["values"]
        # Two seeds are two trials: each has a gain, and not the other's.
        assert len(set(values)) == 2 and all(map(math.isfinite, values)) and 0 not in values
