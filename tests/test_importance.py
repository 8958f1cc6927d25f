"""Importance-weighted GANs: who moves, what G's loss is, what one sample and equal weights do, resuming."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mutants import survivors
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from bridgekit import data
from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.games import baselines, importance, setups
from bridgekit.models.mlp import MLP
from bridgekit.play.game import Phase
from bridgekit.play.loop import fit, play
from bridgekit.play.state import start
from bridgekit.theory import adversarial
from bridgekit.theory.densities import Mixture


def pictures(n: int = 40) -> Images:
    """Images whose every pixel is the class, scaled: an image that has lost its label is seen at once."""
    y = torch.arange(n) % 4
    x = (y / 2 - 0.75)[:, None, None, None].expand(-1, 1, 16, 16).contiguous()
    return Images(x, y, tuple("abcd"), "pictures", "train", "of-this-test")


def plane(**settings):
    return setups.plane(data.mixture("gaussians25"), **({"batch": 16, "hidden": 8, "depth": 2} | settings))


def images(**settings):
    return setups.images(pictures(), **({"batch": 8, "width": 4, "z": 5} | settings))


def labelled(**settings):
    return setups.images(pictures(), labelled=True, **({"batch": 8, "width": 4, "z": 5} | settings))


def plain(setup):
    return baselines.gan(setup, adversarial.non_saturating)


GAMES = {
    "IWGAN, plane": lambda: importance.iwgan(plane()),
    "IWGAN, plane, affine": lambda: importance.iwgan(importance.affine(plane()), d_steps=2),
    "IWGAN, images": lambda: importance.iwgan(images()),
    "CGAN": lambda: importance.cgan(labelled()),
    "IWCGAN": lambda: importance.iwcgan(labelled()),
}
every = pytest.mark.parametrize("name", GAMES)


def weights(state):
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def batch_of(game, turn, trials=1, seed=0):
    """One round's draws of a turn."""
    found = {}
    for name, draw in turn.draws.items():
        generators = [torch.Generator().manual_seed(100 * seed + i) for i in range(trials)]
        drawn = [draw.take(draw.chunk(1, g)[0]) for g in generators]
        found[name] = torch.stack(drawn) if game.stacked else drawn[0]
    return SimpleNamespace(**found)


def g_loss(game, state, seed=0):
    """G's turn of the game on one batch: its loss, its gradient, the batch and the networks."""
    turn, nets = game.phases[0].turns[-1], SimpleNamespace(**state.nets)
    assert turn.moves == ("G",)
    batch = batch_of(game, turn, len(state.seeds), seed)
    loss = turn(**vars(nets), **vars(batch))["G"]
    slope = torch.autograd.grad(loss.sum(), list(nets.G.parameters()))
    return loss, torch.cat([g.flatten() for g in slope]), batch, nets


@every
def test_every_game_plays_and_each_turn_moves_only_what_is_its_own(name):
    game = GAMES[name]()
    phase = game.phases[0]
    for turn in {turn.moves: turn for turn in phase.turns}.values():
        only = replace(game, phases=(Phase("train", 3, (turn,)),))
        state = start(only, [0])
        before = weights(state)
        play(only, state, "train")
        assert state.failed == [None]
        after = weights(state)
        assert {k[0] for k in after if not torch.equal(after[k], before[k])} == set(turn.moves)


def test_games_are_told_apart():
    games = [build() for build in GAMES.values()] + [plain(plane()), plain(images())]
    games += [importance.iwcgan(labelled(width=5)), importance.iwgan(plane(), d_steps=2)]
    games += [importance.iwgan(plane(), rounds=7)]
    assert len({game.fingerprint() for game in games}) == len(games)


@every
def test_a_run_taken_up_again_ends_with_the_same_weights(name, tmp_path):
    game, path = GAMES[name](), tmp_path / "state.pt"
    straight = weights(play(game, start(game, [3]), "train", 6))
    play(game, start(game, [3]), "train", 4, checkpoint=path)
    resumed = start(game, [3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(fit(game, resumed, "train", 6, checkpoint=path))
    assert same(weights(resumed), straight)
    assert not same(weights(play(game, start(game, [3]), "train", 4)), straight)


def test_batched_trials_are_the_trials_alone():
    game, seeds = importance.iwgan(plane()), [3, 1, 4]
    together = weights(play(game, start(game, seeds), "train", 12))
    for i, seed in enumerate(seeds):
        for key, value in weights(play(game, start(game, [seed]), "train", 12)).items():
            torch.testing.assert_close(together[key][i], value[0], rtol=1e-3, atol=1e-4)


def by_hand(f):
    """Eq 22 with a loop over the minibatch, the weights as numbers: (k,) -> a number."""
    w = [float(v) for v in f.detach().double().exp()]
    return sum(w[i] / sum(w) * -F.logsigmoid(f[i]) for i in range(len(f)))


@pytest.mark.parametrize("build", [plane, images])
def test_g_minimises_the_weighted_sum_and_the_weights_are_constants(build):
    game = importance.iwgan(build())
    trials = [0, 1] if game.stacked else [0]
    state = play(game, start(game, trials), "train", 20)
    loss, slope, batch, nets = g_loss(game, state)
    f = nets.D(nets.G(batch.z))
    want = torch.stack([by_hand(one) for one in f.view(len(trials), -1)])
    torch.testing.assert_close(loss.view(-1), want)
    exact = torch.autograd.grad(want.sum(), list(nets.G.parameters()))
    exact = torch.cat([g.flatten() for g in exact])
    torch.testing.assert_close(slope, exact, rtol=1e-4, atol=1e-6 * exact.abs().max().item())
    _, unweighted, *_ = g_loss(plain(build()), state)
    assert (slope - unweighted).norm() > 1e-4 * unweighted.norm()


def test_the_weights_turn_the_slope_of_each_sample_around():
    """1 - D over k without weights, D over the sum of the odds with them."""
    seen = {}
    for name, make in (("plain", plain), ("weighted", importance.iwgan)):
        turn = make(plane()).phases[0].turns[-1]
        f = torch.linspace(-3, 3, 16).requires_grad_()
        nets = SimpleNamespace(G=lambda z: z, D=lambda x, f=f: f[None])
        loss = turn(**vars(nets), z=None)["G"]
        (seen[name],) = torch.autograd.grad(loss.sum(), f)
    torch.testing.assert_close(seen["plain"], -(1 - f.sigmoid()) / 16)
    torch.testing.assert_close(seen["weighted"], -f.sigmoid() / f.exp().sum())


@pytest.mark.parametrize("build", [plane, images])
def test_one_sample_gives_the_plain_gans_gradient(build):
    setup = build(batch=1)
    trained = build()
    state = play(plain(trained), start(plain(trained), [0]), "train", 20)
    for seed in range(3):
        _, weighted, *_ = g_loss(importance.iwgan(setup), state, seed)
        _, unweighted, *_ = g_loss(plain(setup), state, seed)
        assert unweighted.norm() > 0
        torch.testing.assert_close(weighted, unweighted, rtol=1e-6, atol=0)


def test_a_discriminator_that_guesses_weights_all_samples_alike():
    state = start(plain(plane()), [0, 1])
    with torch.no_grad():  # f is 0.3 everywhere, but its slope is not zero
        state.nets["D"].body.weights[-1].zero_()
        state.nets["D"].body.biases[-1].fill_(0.3)
    weighted_loss, *_ = g_loss(importance.iwgan(plane()), state)
    plain_loss, *_ = g_loss(plain(plane()), state)
    torch.testing.assert_close(weighted_loss, plain_loss)


@pytest.mark.parametrize("build", [plane, images])
def test_the_two_games_of_a_seed_begin_alike_and_draw_alike(build):
    games = plain(build()), importance.iwgan(build())
    states = [start(game, [5]) for game in games]
    assert same(*(weights(state) for state in states))
    turns = [game.phases[0].turns for game in games]
    for a, b in zip(*turns, strict=True):
        drawn = [vars(batch_of(g, turn)) for g, turn in zip(games, (a, b), strict=True)]
        assert a.moves == b.moves and same(*drawn)
    d_losses = [
        t[0](**s.nets, **vars(batch_of(g, t[0])))["D"] for t, s, g in zip(turns, states, games, strict=True)
    ]
    assert torch.equal(*d_losses)


def test_conditional_games_of_a_seed_begin_alike_and_draw_alike():
    games = importance.cgan(labelled()), importance.iwcgan(labelled())
    assert same(*(weights(start(game, [5])) for game in games))
    draws = [[batch_of(g, t) for t in g.phases[0].turns] for g in games]
    for a, b in zip(*draws, strict=True):
        assert torch.equal(a.index, b.index) and torch.equal(a.z, b.z)


def test_d_sees_real_and_fake_images_with_the_same_right_labels():
    setup, seen = labelled(), []
    (turn, _) = importance.cgan(setup).phases[0].turns
    batch = batch_of(importance.cgan(setup), turn)

    def discriminator(x, y):
        seen.append((x, y))
        return x.mean((1, 2, 3))

    fake = torch.full((8, 1, 16, 16), 0.25)
    nets = SimpleNamespace(G=lambda z, y: fake, D=discriminator)
    loss = turn(**vars(nets), **vars(batch))["D"]
    (real, y_real), (shown, y_fake) = seen
    assert torch.equal(y_real, y_fake) and len(y_real.unique()) > 1
    assert torch.equal(real[:, 0, 0, 0], y_real / 2 - 0.75) and shown is fake
    want = (F.softplus(-real.mean((1, 2, 3))) + F.softplus(fake.mean((1, 2, 3)))).mean()
    torch.testing.assert_close(loss, want)


@pytest.mark.parametrize("game", [importance.cgan, importance.iwcgan])
def test_g_and_d_get_one_label_each_drawn_from_the_datas(game):
    setup = setups.images(pictures(800), labelled=True, batch=400, width=4, z=5)
    game, labels = game(setup), []
    turn = game.phases[0].turns[-1]
    nets = SimpleNamespace(
        G=lambda z, y: labels.append(y) or z.sum(1)[:, None], D=lambda x, y: labels.append(y) or x[:, 0]
    )
    turn(**vars(nets), **vars(batch_of(game, turn)))
    assert torch.equal(*labels)
    assert (torch.bincount(labels[0], minlength=4) > 60).all()  # 100 of each of four even classes


def test_iwcgan_weights_each_class_apart():
    setup = labelled(batch=16)
    game = importance.iwcgan(setup)
    state = play(game, start(game, [0]), "train", 20)
    loss, slope, batch, nets = g_loss(game, state)
    y = setup.data.y[batch.index]
    f = nets.D(nets.G(batch.z, y), y)
    want = sum((y == c).sum() / 16 * by_hand(f[y == c]) for c in y.unique())
    torch.testing.assert_close(loss, want)
    exact = torch.autograd.grad(want, list(nets.G.parameters()))
    exact = torch.cat([g.flatten() for g in exact])
    torch.testing.assert_close(slope, exact, rtol=1e-4, atol=1e-6 * exact.abs().max().item())


def test_cgan_averages_the_non_saturating_loss():
    game = importance.cgan(labelled())
    state = play(game, start(game, [0]), "train", 5)
    loss, _, batch, nets = g_loss(game, state)
    y = labelled().data.y[batch.index]
    torch.testing.assert_close(loss, -F.logsigmoid(nets.D(nets.G(batch.z, y), y)).mean())


def test_a_conditional_game_learns_what_a_class_looks_like():
    game = importance.cgan(labelled(batch=32, width=8, lr=1e-3), rounds=150)
    state = play(game, start(game, [0]), "train")
    y = torch.arange(40) % 4
    with torch.no_grad():
        found = state.nets["G"](torch.randn(40, 5, generator=torch.Generator().manual_seed(0)), y)
    means = torch.stack([found[y == c].mean() for c in range(4)])
    assert (means.diff() > 0.1).all()  # -0.75, -0.25, 0.25, 0.75 in the data


def oracle(log_density):
    """Against torch's multivariate normal with the covariance of z W + b, trial by trial."""
    g = MLP([2, 2], [torch.Generator().manual_seed(i) for i in range(3)]).double()
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    got = log_density(g, x)
    for w, b, points, one in zip(g.weights[0], g.biases[0], x, got, strict=True):
        exact = MultivariateNormal(b[0], w.T @ w).log_prob(points)
        torch.testing.assert_close(one, exact)


def test_the_affine_generators_density():
    oracle(importance.affine_log_density)
    assert survivors(oracle, importance.affine_log_density) == set()
    with pytest.raises(ValueError):
        importance.affine_log_density(
            MLP([2, 4, 2], [torch.Generator().manual_seed(0)]), torch.zeros(1, 3, 2)
        )


def test_labelled_images_are_square():
    oblong = replace(pictures(), x=torch.zeros(40, 1, 16, 20))
    with pytest.raises(BridgekitError, match="wants square images, not 20 x 16 pixels"):
        setups.images(oblong, labelled=True)


def test_labelled_images_are_for_class_conditional_games_and_for_no_others():
    with pytest.raises(BridgekitError, match="wants labels: setups.images"):
        importance.cgan(images())
    with pytest.raises(BridgekitError, match="only class-conditional games"):
        importance.iwgan(labelled())


def test_an_affine_generator_wants_codes_as_wide_as_the_data():
    with pytest.raises(BridgekitError, match="2 numbers wants codes of as many, not 3: z=2"):
        importance.affine(plane(z=3))


def test_an_affine_generator_finds_a_gaussian():
    target = Mixture(torch.tensor([[1.0, -0.5]]), 0.7)
    setup = importance.affine(setups.plane(target, batch=128, hidden=32, depth=2))
    game = importance.iwgan(setup)
    state = play(game, start(game, [0]), "train", 1500)
    x = target.sample(4000, torch.Generator().manual_seed(1))
    with torch.no_grad():
        gap = (target.log_prob(x) - importance.affine_log_density(state.nets["G"], x[None])[0]).mean()
    assert abs(gap) < 0.5  # KL[data || model]; 5 and more at the start
