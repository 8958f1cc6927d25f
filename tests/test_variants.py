"""Paper B's variants as games: who moves, resuming, each loss against one written by hand, what is exact."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mutants import survivors
from torch.nn import functional as F

from bridgekit import data
from bridgekit.errors import BridgekitError
from bridgekit.games import adaptation, avb, predictability, processes, setups, turns, vae, wake_sleep
from bridgekit.play.game import Phase
from bridgekit.play.loop import fit, play
from bridgekit.play.state import start

SMALL = {"hidden": 8, "batch": 6}


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("BRIDGEKIT_PROGRESS", str(tmp_path / "progress.jsonl"))


DIGITS = data.load("digits", size=8)
FIRST, SECOND = replace(DIGITS, x=DIGITS.x[:700]), replace(DIGITS, x=-DIGITS.x[700:])
OBSERVED = torch.linspace(0, 2, 21)[:, None]


def plane():
    return setups.plane(data.mixture("grid9"), batch=16, hidden=8, depth=2)


def flat(images=DIGITS):
    return setups.flat(images, **SMALL)


def ada(**settings):
    return adaptation.adversarial_domain_adaptation(flat(), SECOND, **settings)


GAMES = {
    "ADA": ada,
    "InfoGAN": lambda: processes.infogan(flat()),
    "AAE": lambda: processes.adversarial_autoencoder(flat()),
    "autoencoder": lambda: processes.autoencoder(flat()),
    "CycleGAN": lambda: processes.cycle_gan(flat(FIRST), SECOND),
    "VAE": lambda: vae.vae(plane()),
    "perfect VAE": lambda: vae.perfect_vae(plane()),
    "VAE + GAN": lambda: vae.vae_gan(plane()),
    "implicit posterior": lambda: avb.implicit_posterior(flat(OBSERVED)),
    "Gaussian posterior": lambda: avb.gaussian_posterior(flat(OBSERVED)),
    "wake-sleep": lambda: wake_sleep.wake_sleep(flat()),
    "PM": lambda: predictability.predictability_minimisation(flat()),
    "blind PM": lambda: predictability.predictability_minimisation(flat(), blind=True),
}
every = pytest.mark.parametrize("name", GAMES)


def weights(state):
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def drawn(turn, trials=2):
    """A draw of everything that a turn needs, for each trial from a generator of its own."""
    found = {}
    for i, (name, draw) in enumerate(turn.draws.items()):
        generators = [torch.Generator().manual_seed(100 * i + t) for t in range(trials)]
        found[name] = torch.stack([draw.take(draw.chunk(1, g)[0]) for g in generators])
    return SimpleNamespace(**found)


def begun(game, seeds=(0, 1)):
    state = start(game, seeds)
    return SimpleNamespace(**state.nets), game.phases[0].turns


@every
def test_each_turn_moves_only_what_is_its_own(name):
    game = GAMES[name]()
    for turn in {turn.moves: turn for turn in game.phases[0].turns}.values():
        only = replace(game, phases=(Phase("train", 3, (turn,)),))
        state = start(only, [0, 1])
        before = weights(state)
        play(only, state, "train")
        moved = {k.split("/")[0] for k, v in weights(state).items() if not torch.equal(v, before[k])}
        assert moved == set(turn.moves) and state.failed == [None, None]


@every
def test_every_player_has_a_turn_and_games_are_told_apart(name):
    game = GAMES[name]()
    assert {n for turn in game.phases[0].turns for n in turn.moves} == set(game.players)
    others = [build().fingerprint() for key, build in GAMES.items() if key != name]
    assert game.fingerprint() == GAMES[name]().fingerprint() not in others


@every
def test_a_run_taken_up_again_ends_with_the_same_weights(name, tmp_path):
    game, path = GAMES[name](), tmp_path / "state.pt"
    straight = weights(play(game, start(game, [0, 1]), "train", 9))
    play(game, start(game, [0, 1]), "train", 5, checkpoint=path)
    resumed = start(game, [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a checkpoint that is not taken up is warned about
        (now,) = (s.played["train"] for s in fit(game, resumed, "train", 9, at=[5], checkpoint=path))
    assert now == 5 and same(weights(resumed), straight)


@every
def test_batched_trials_are_the_trials_alone(name):
    game = GAMES[name]()
    together = weights(play(game, start(game, [3, 1]), "train", 5))
    for i, seed in enumerate((3, 1)):
        alone = weights(play(game, start(game, [seed]), "train", 5))
        for key, value in alone.items():
            torch.testing.assert_close(together[key][i], value[0], rtol=1e-3, atol=1e-4)


def test_ada_is_eqs_1_and_2_halved_beside_the_sources_labels():
    nets, (telling, learn) = begun(game := ada(weight=0.7))
    batch = drawn(learn)
    image, label = batch.source[..., :-1], batch.source[..., -1].long()
    source, target = nets.G(image), nets.G(batch.target)
    f, g = nets.D(source), nets.D(target)
    eq_1 = (F.softplus(-f) + F.softplus(g)).mean(-1) / 2
    torch.testing.assert_close(telling(**vars(nets), **vars(batch))["D"], eq_1)
    classified = F.cross_entropy(nets.C(source).mT, label, reduction="none").mean(-1)
    eq_2 = (F.softplus(f) + F.softplus(-g)).mean(-1) / 2
    got = learn(**vars(nets), **vars(batch))
    torch.testing.assert_close(got["G"], classified + 0.7 * eq_2)
    assert got["G"] is got["C"] and set(game.players) == {"G", "C", "D"}


def test_ada_sees_each_image_with_its_label_and_wants_one_shape():
    batch = drawn(ada().phases[0].turns[1])
    rows = torch.cat([DIGITS.x.flatten(1), DIGITS.y[:, None].float()], 1)
    assert all((rows == row).all(1).any() for row in batch.source.flatten(0, 1))
    with pytest.raises(BridgekitError, match="one shape"):
        adaptation.adversarial_domain_adaptation(flat(), data.load("digits", size=9))


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
        ((0.0, 3.0), 1.0, 0.9, 1.0),  # across the classes: found again
        ((1.5, 3.0), 1.0, 0.9, 1.0),
        ((1.5, 3.0), 0.0, 0.0, 0.75),  # and without the adversary not
        ((1.5, 0.0), 1.0, 0.0, 0.35),  # along them: the nearer class is the wrong one
    ],
)
def test_ada_lays_one_domain_on_the_other(shift, weight, low, high):
    source, target, fresh = clouds((0.0, 0.0), 0), clouds(shift, 1), clouds(shift, 2)
    setup = setups.flat(source, hidden=32)
    game = adaptation.adversarial_domain_adaptation(setup, target, weight=weight, features=8, rounds=400)
    state = play(game, start(game, [0, 1, 2]), "train")
    nets = SimpleNamespace(**state.nets)
    answer = nets.C(nets.G(fresh.x.flatten(1).expand(3, -1, -1))).argmax(-1)
    right = (answer == fresh.y).double().mean(-1)
    assert (right > low).all() and (right < high).all(), right


def test_a_code_is_a_class_and_normals():
    draw = processes.Codes(5, 10, 3)
    z = draw.take(draw.chunk(2000, torch.Generator().manual_seed(0)))
    assert z.shape == (2000, 5, 13)
    assert (z[..., :10].sum(-1) == 1).all() and ((z[..., :10] == 0) | (z[..., :10] == 1)).all()
    torch.testing.assert_close(z[..., :10].mean((0, 1)), torch.full((10,), 0.1), rtol=0, atol=0.015)
    assert z[..., 10:].mean().abs() < 0.02 and (z[..., 10:].std() - 1).abs() < 0.02


def test_infogan_is_a_gan_and_a_reader_of_codes():
    nets, (telling, making) = begun(GAMES["InfoGAN"]())
    batch = drawn(making)
    made = nets.G(batch.z)
    f, g = nets.D(batch.x), nets.D(made)
    gan = (F.softplus(-f) + F.softplus(g)).mean(-1) / 2
    torch.testing.assert_close(telling(**vars(nets), **vars(batch))["D"], gan)
    log_code = processes.code_log_prob(nets.Q(made), batch.z, 10, 2)
    want = (F.softplus(f) + F.softplus(-g) - log_code).mean(-1) / 2
    torch.testing.assert_close(making(**vars(nets), **vars(batch))["G"], want)


def autoencoders_own(nets, batch, sigma=1.0):
    """Makhzani et al.: the discriminator's cross-entropy, the reconstruction, the encoder's against D."""
    code = nets.E(batch.x)
    entropy = F.softplus(-nets.D(batch.z)) + F.softplus(nets.D(code))
    squared = (batch.x - nets.G(code)).square().sum(-1) / (2 * sigma**2)
    reconstruction = squared + batch.x.shape[-1] * math.log(sigma * math.sqrt(2 * math.pi))
    return entropy.mean(-1) / 2, reconstruction.mean(-1) / 2, F.softplus(-nets.D(code)).mean(-1) / 2


def test_the_adversarial_autoencoder_is_its_own_losses():
    game = processes.adversarial_autoencoder(flat(), sigma=0.8)
    nets, (telling, making) = begun(game)
    batch = drawn(making)
    entropy, reconstruction, fooled = autoencoders_own(nets, batch, 0.8)
    torch.testing.assert_close(telling(**vars(nets), **vars(batch))["D"], entropy)
    unmoved = F.softplus(nets.D(batch.z)).mean(-1) / 2
    torch.testing.assert_close(making(**vars(nets), **vars(batch))["E"], reconstruction + fooled + unmoved)
    _, plain = processes.autoencoder(flat(), sigma=0.8).phases[0].turns
    torch.testing.assert_close(plain(**vars(nets), **vars(batch))["E"], reconstruction)


def test_cyclegan_is_infogan_and_the_adversarial_autoencoder_added():
    nets, (telling, making) = begun(processes.cycle_gan(flat(FIRST), SECOND, sigma=0.5))
    batch = drawn(making)
    to_x, to_z = nets.G(batch.z), nets.E(batch.x)
    got = telling(**vars(nets), **vars(batch))
    for name, given, made in (("D", batch.x, to_x), ("C", batch.z, to_z)):
        net = getattr(nets, name)
        want = (F.softplus(-net(given)) + F.softplus(net(made))).mean(-1) / 2
        torch.testing.assert_close(got[name], want)
    adverse = F.softplus(nets.D(batch.x)) + F.softplus(-nets.D(to_x))
    adverse = adverse + F.softplus(nets.C(batch.z)) + F.softplus(-nets.C(to_z))
    cycle = (batch.z - nets.E(to_x)).square() + (batch.x - nets.G(to_z)).square()
    constant = 2 * 64 * math.log(0.5 * math.sqrt(2 * math.pi))
    want = (adverse + cycle.sum(-1) / (2 * 0.25) + constant).mean(-1) / 2
    torch.testing.assert_close(making(**vars(nets), **vars(batch))["G"], want)


def test_a_cycles_maps_start_near_the_identity():
    nets, _ = begun(GAMES["CycleGAN"]())
    x = DIGITS.x[:50].flatten(1).expand(2, -1, -1)
    assert (nets.G(x) - x).square().mean() < 0.2 * x.square().mean()


def test_identity_maps_close_every_cycle():
    """What is left of the makers' loss is the adversaries' part and the density of a perfect return."""
    nets, (_, making) = begun(processes.cycle_gan(flat(FIRST), SECOND, sigma=0.5))
    with torch.no_grad():
        for net in (nets.G, nets.E):
            net.weights[-1].zero_(), net.biases[-1].zero_()
    batch = drawn(making)
    assert torch.equal(nets.G(batch.z), batch.z) and torch.equal(nets.E(batch.x), batch.x)
    entropy = F.softplus(nets.D(batch.x)) + F.softplus(-nets.D(batch.z))
    entropy = entropy + F.softplus(nets.C(batch.z)) + F.softplus(-nets.C(batch.x))
    density = 64 * math.log(0.5 * math.sqrt(2 * math.pi))
    want = entropy.mean(-1) / 2 + density
    torch.testing.assert_close(making(**vars(nets), **vars(batch))["G"], want)


def test_the_vae_with_its_perfect_discriminator_takes_the_plain_vaes_steps():
    plain, perfect = (
        weights(play(game, start(game, [0, 1]), "train", 130))
        for game in (vae.vae(plane()), vae.perfect_vae(plane()))
    )
    for key, value in plain.items():
        torch.testing.assert_close(perfect[key], value, rtol=1e-6, atol=1e-7)


def test_the_generated_half_counts_as_soon_as_the_discriminator_is_not_perfect(monkeypatch):
    straight = weights(play(game := vae.perfect_vae(plane()), start(game, [0]), "train", 5))
    monkeypatch.setattr(vae, "SURE", 1.0)
    unsure = weights(play(game, start(game, [0]), "train", 5))
    assert not torch.allclose(straight["G/weights.0"], unsure["G/weights.0"])


def test_the_perfect_vaes_value_is_the_bound_and_the_labels_constant():
    nets, (turn,) = begun(vae.perfect_vae(plane()))
    batch = drawn(turn)
    real = turns.ml_turn(plane(), 0.3)(**vars(nets), **vars(batch))["G"]
    torch.testing.assert_close(turn(**vars(nets), **vars(batch))["G"], real + 2 * math.log(2))


def test_the_joint_model_adds_the_gans_loss_for_the_generator_alone():
    nets, (_, joint) = begun(vae.vae_gan(plane()))
    batch = drawn(joint)
    bound = turns.ml_turn(plane(), 0.3)(**vars(nets), **vars(batch))["G"]
    got = joint(**vars(nets), **vars(batch))
    torch.testing.assert_close(got["E"], bound)
    torch.testing.assert_close(got["G"], bound + F.softplus(-nets.D(nets.G(batch.z))).mean(-1))


def test_the_implicit_posteriors_losses():
    nets, (telling, again, infer) = begun(GAMES["implicit posterior"]())
    assert telling is again
    batch = drawn(telling)
    z = nets.E(torch.cat([batch.x, batch.eps], -1))
    f_prior, f_made = nets.D(torch.cat([batch.x, batch.z], -1)), nets.D(torch.cat([batch.x, z], -1))
    want = (F.softplus(-f_prior) + F.softplus(f_made)).mean(-1)
    torch.testing.assert_close(telling(**vars(nets), **vars(batch))["D"], want)
    nll = (batch.x - z.abs()).square().squeeze(-1) / (2 * 0.25) + math.log(0.5 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(infer(**vars(nets), **vars(batch))["E"], (nll - f_made).mean(-1))


def test_the_gaussian_posterior_finds_a_known_bound():
    """x = 0: the best Gaussian is close to the posterior N(0, 1/5), which at 0 has one mode."""
    game = avb.gaussian_posterior(setups.flat(torch.zeros(128, 1), hidden=8, batch=128, lr=1e-2))
    state = play(game, start(game, [0]), "train", 300)
    mu, log_sigma = state.nets["E"](torch.zeros(1, 1, 1))
    assert abs(mu.item()) < 0.15 and abs(math.exp(log_sigma.item()) - math.sqrt(0.2)) < 0.1


def test_both_phases_of_wake_sleep():
    nets, (wake, sleep) = begun(GAMES["wake-sleep"]())
    batch = drawn(wake)
    h = (batch.u < nets.E(batch.x).sigmoid()).float()
    p = nets.G(h).sigmoid()
    want = -(batch.x * p.log() + (1 - batch.x) * (1 - p).log()).sum(-1).mean(-1)
    torch.testing.assert_close(wake(**vars(nets), **vars(batch))["G"], want)
    batch = drawn(sleep)
    h = (batch.u < 0.5).float()
    dreamed = (batch.v < nets.G(h).sigmoid()).float()
    q = nets.E(dreamed).sigmoid()
    want = -(h * q.log() + (1 - h) * (1 - q).log()).sum(-1).mean(-1)
    torch.testing.assert_close(sleep(**vars(nets), **vars(batch))["E"], want)


def test_predictors_and_encoder_have_opposite_losses():
    nets, (predict, _, code_turn) = begun(GAMES["PM"]())
    batch = drawn(predict)
    code = nets.E(batch.x).sigmoid()
    guesses = nets.P(predictability.masked(code)).view(2, 6, 4)
    want = ((code - guesses).square() / 2 + math.log(2 * math.pi) / 2).sum(-1).mean(-1)
    torch.testing.assert_close(predict(**vars(nets), **vars(batch))["P"], want)
    torch.testing.assert_close(code_turn(**vars(nets), **vars(batch))["E"], -want)


def code_oracle(code_log_prob):
    """Class times normals of unit variance; what nobody reads back does not count."""
    answer = torch.tensor([[[0.3, -0.2, 1.0, 0.4]]])
    code = torch.tensor([[[0.0, 1.0, 0.7, -0.5, 9.0]]])
    log_class = -0.2 - math.log(math.exp(0.3) + math.exp(-0.2))
    squares = ((0.7 - 1.0) ** 2 + (-0.5 - 0.4) ** 2) / 2
    want = torch.tensor([[log_class - squares - math.log(2 * math.pi)]])
    torch.testing.assert_close(code_log_prob(answer, code, 2, 2), want)


def sleep_oracle(sleep_loss):
    """Of a label it is eq 4, and of several bits the sum."""
    f = torch.tensor([1.2, -0.4, 0.0, -3.0], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    eq_4 = -torch.where(y == 1, f.sigmoid().log(), (1 - f.sigmoid()).log())
    torch.testing.assert_close(sleep_loss(f[:, None], y[:, None]), eq_4)
    torch.testing.assert_close(sleep_loss(f, y), eq_4.sum())


def likelihood_oracle(bernoulli_given):
    sleep_oracle(lambda logits, h: -bernoulli_given(logits, h))


def folded_oracle(folded_log_likelihood):
    x, z = torch.tensor([[1.5], [0.2]]), torch.tensor([[-0.9], [0.3]])
    for settings, sigma in (({}, 0.5), ({"sigma": 0.2}, 0.2)):
        want = torch.distributions.Normal(z.abs(), sigma).log_prob(x).squeeze(-1)
        torch.testing.assert_close(folded_log_likelihood(x, z, **settings), want)


def bound_oracle(exact_bound):
    """Every code, one after the other."""
    nets, _ = begun(wake_sleep.wake_sleep(flat(), units=3))
    x = wake_sleep.binary(DIGITS)[:4].expand(2, -1, -1)
    log_p, bound = exact_bound(nets.G, nets.E, x)
    q = nets.E(x).sigmoid()
    total, average = 0, 0
    for bits in itertools.product((0.0, 1.0), repeat=3):
        h = torch.tensor(bits)
        pixels = nets.G(h.expand(2, 1, 3)).sigmoid()
        joint = (x * pixels + (1 - x) * (1 - pixels)).double().log().sum(-1) - 3 * math.log(2)
        prob = (h * q + (1 - h) * (1 - q)).double().prod(-1)
        total, average = total + joint.exp(), average + prob * (joint - prob.log())
    assert not log_p.requires_grad and log_p.shape == bound.shape == (2, 4)
    torch.testing.assert_close(log_p.double(), total.log().detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bound.double(), average.detach(), rtol=1e-5, atol=1e-5)


def masked_oracle(masked):
    """Row i: the other units, and which one i is."""
    code = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])
    want = [[0, 0.2, 0.3, 1, 0, 0], [0.1, 0, 0.3, 0, 1, 0], [0.1, 0.2, 0, 0, 0, 1]]
    assert masked(code).shape == (1, 6, 6) and masked(code[None]).shape == (1, 1, 6, 6)
    torch.testing.assert_close(masked(code)[0, :3], torch.tensor(want))
    blind = masked(code, blind=True)
    assert blind[..., :3].abs().sum() == 0 and torch.equal(blind[0, :3, 3:], torch.eye(3))


ORACLES = {
    processes.code_log_prob: code_oracle,
    wake_sleep.sleep_loss: sleep_oracle,
    wake_sleep.bernoulli_given: likelihood_oracle,
    avb.folded_log_likelihood: folded_oracle,
    wake_sleep.exact_bound: bound_oracle,
    predictability.masked: masked_oracle,
}


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_pure_functions_are_what_they_say(function):
    ORACLES[function](function)


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_no_mutant_of_a_pure_function_is_what_it_says(function):
    assert survivors(ORACLES[function], function) == set()
