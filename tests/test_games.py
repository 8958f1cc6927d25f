"""Every game of paper A on the plane: who moves, trials and resuming, and what its losses are."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bridgekit import data, metrics
from bridgekit.game import Phase, Uniform
from bridgekit.games import arenas, baselines, bridge, turns
from bridgekit.objectives import adversarial, f_gan
from bridgekit.objectives import bridge as twins
from bridgekit.training import fit, noise, play, probe, start


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("BRIDGEKIT_PROGRESS", str(tmp_path / "progress.jsonl"))


def plane(**settings):
    return arenas.plane(data.mixture("gaussians25"), **({"batch": 16, "hidden": 8, "depth": 2} | settings))


def reverse_kl_gan(arena=None, **settings):
    return baselines.gan(arena or plane(), adversarial.reverse_kl, **settings)


GAMES = {
    "RKL": reverse_kl_gan,
    "RKL-GP": lambda: reverse_kl_gan(penalty=1.0),
    "RKL-SN": lambda: reverse_kl_gan(plane(spectral=True)),
    "GAN": lambda: baselines.gan(plane(), adversarial.saturating),
    "non-saturating GAN": lambda: baselines.gan(plane(), adversarial.non_saturating, d_steps=2),
    "WGAN-GP": lambda: baselines.wgan_gp(plane()),
    "f-GAN, forward KL": lambda: baselines.f_gan(plane(), f_gan.FORWARD_KL),
    "f-GAN, reverse KL": lambda: baselines.f_gan(plane(), f_gan.REVERSE_KL),
    "f-GAN, chi^2": lambda: baselines.f_gan(plane(), f_gan.PEARSON_CHI2),
    "f-GAN, Hellinger": lambda: baselines.f_gan(plane(), f_gan.SQUARED_HELLINGER),
    "f-GAN, JSD": lambda: baselines.f_gan(plane(), f_gan.JENSEN_SHANNON, d_steps=2),
    "fixed combination": lambda: bridge.fixed_combination(plane(), weight=0.3),
    "fine-tuning": lambda: bridge.fine_tuning(plane(), penalty=1.0),
    "bridge": lambda: bridge.alpha_bridge(plane(), d_steps=2),
    "bridge + GP": lambda: bridge.alpha_bridge(plane(), penalty=1.0, gamma=twins.cosine_gamma),
    "bridge + SN": lambda: bridge.alpha_bridge(plane(spectral=True), gamma=twins.linear_gamma),
}
REGULARISED = ("RKL-GP", "RKL-SN", "WGAN-GP", "bridge + GP", "bridge + SN")
every = pytest.mark.parametrize("name", GAMES)
regularised = pytest.mark.parametrize("name", REGULARISED)


def weights(state):
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def played(game, seeds, rounds=3, **options):
    state = start(game, seeds)
    for phase in game.phases:
        play(game, state, phase.name, rounds, **options)
    return state


@every
def test_every_game_plays_and_each_turn_moves_only_what_is_its_own(name):
    game = GAMES[name]()
    assert played(game, [0, 1]).failed == [None, None]
    for phase in game.phases:
        assert {player for turn in phase.turns for player in turn.moves} <= set(game.players)
        for turn in {turn.moves: turn for turn in phase.turns}.values():
            only = replace(game, phases=(Phase(phase.name, 3, (turn,), phase.schedule),))
            state = start(only, [0])
            before = weights(state)
            play(only, state, phase.name)
            after = weights(state)
            assert {k[0] for k in after if not torch.equal(after[k], before[k])} == set(turn.moves)


def test_games_are_told_apart():
    games = [build() for build in GAMES.values()]
    games += [baselines.wgan_gp(plane(), penalty=1.0), reverse_kl_gan(d_steps=3), reverse_kl_gan(penalty=2.0)]
    games += [bridge.fixed_combination(plane(), weight=w) for w in (0.2, 0.4)]
    for c in (20.0, 10.0):
        games.append(bridge.alpha_bridge(plane(), gamma=functools.partial(twins.sigmoid_gamma, c=c, d=-5.0)))
    assert len({game.fingerprint() for game in games}) == len(games)


@regularised
def test_trials_side_by_side_are_the_trials_alone_with_a_regularised_d(name):
    game, seeds = GAMES[name](), [3, 1, 4]
    together = weights(played(game, seeds, 12))
    for i, seed in enumerate(seeds):
        for key, value in weights(played(game, [seed], 12)).items():
            torch.testing.assert_close(together[key][i], value[0], rtol=1e-3, atol=1e-4)


@regularised
def test_a_run_taken_up_again_ends_with_the_same_weights_and_vectors(name, tmp_path):
    game = GAMES[name]()
    phase, path = game.phases[-1].name, tmp_path / "state.pt"
    straight = weights(play(game, start(game, [0, 1]), phase, 12))
    play(game, start(game, [0, 1]), phase, 7, checkpoint=path)
    resumed = start(game, [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a checkpoint that is not taken up is warned about
        (now,) = (s.played[phase] for s in fit(game, resumed, phase, 12, at=[7], checkpoint=path))
    assert now == 7 and path.exists() and same(weights(resumed), straight)
    assert ("D/body.u0" in straight) == name.endswith("SN")


@regularised
def test_a_trial_that_fails_leaves_the_others_alone(name):
    game = GAMES[name]()
    phase = game.phases[-1].name
    sound, broken = start(game, [0, 1, 2]), start(game, [0, 1, 2])
    with torch.no_grad():
        broken.nets["D"].body.weights[1][1] = float("nan")
    for state in (sound, broken):
        play(game, state, phase, 10)
    assert [failure is None for failure in broken.failed] == [True, False, True]
    for key, value in weights(sound).items():
        torch.testing.assert_close(weights(broken)[key][[0, 2]], value[[0, 2]])


def test_looking_and_branching_leave_the_vectors_alone():
    game = GAMES["RKL-SN"]()
    state = play(game, start(game, [0, 1]), "train", 5)
    before = weights(state)
    with probe(state) as nets:
        nets.D(nets.G(noise(state.seeds, (50, 2), "probe")))
    twin = state.branch()
    play(game, twin, "train", 9)
    assert same(weights(state), before)
    assert not torch.equal(weights(twin)["D/body.u0"], before["D/body.u0"])
    assert same(weights(play(game, state, "train", 9)), weights(twin))


def test_the_vectors_move_once_before_each_step_of_d():
    game = reverse_kl_gan(plane(spectral=True, lr=0.0), d_steps=3)
    state, expected = start(game, [0]), start(game, [0])
    for _ in range(2 * 3):
        expected.nets["D"].body.iterate()
    play(game, state, "train", 2)
    assert same(weights(state), weights(expected))
    assert not same(weights(state), weights(start(game, [0])))


def test_spectral_normalisation_leaves_the_start_of_g_and_e_as_it_is():
    plain, spectral = (start(bridge.alpha_bridge(plane(spectral=s)), [7]) for s in (False, True))
    for name, value in weights(plain).items():
        assert torch.equal(value, weights(spectral)[name])


def test_d_steps_are_steps_on_fresh_samples():
    game = reverse_kl_gan(d_steps=3)
    state = play(game, start(game, [0, 1]), "train", 4)
    steps = {n: o.state[o.param_groups[0]["params"][0]]["step"].item() for n, o in state.optimisers.items()}
    assert steps == {"D": 12, "G": 4}
    assert [tuple(v.shape) for v in state.losses["train/D"]] == [(2,)]
    seen = []
    d, *_ = game.phases[0].turns

    def spying(nets, batch, now):
        seen.append((batch.x, batch.z))
        return d.losses(nets, batch, now)

    spied = replace(game, phases=(Phase("train", 1, (replace(d, losses=spying),) * 3),))
    play(spied, start(spied, [0]), "train")
    assert len(seen) == 3
    assert not torch.equal(seen[0][0], seen[1][0]) and not torch.equal(seen[1][1], seen[2][1])


def batch_of(turn, trials=2, seed=0):
    """A draw of everything that a turn needs, the same for turns with the same names."""
    found = {}
    for name, draw in turn.draws.items():
        generators = [torch.Generator().manual_seed(100 * seed + i) for i in range(trials)]
        found[name] = torch.stack([draw.take(draw.chunk(1, g)[0]) for g in generators])
    return SimpleNamespace(**found)


def test_the_penalty_is_evaluated_between_real_and_fake_samples():
    arena = plane()
    (bare,), (turn,) = turns.discriminator_turns(arena), turns.discriminator_turns(arena, penalty=0.7)
    assert bare.draws.keys() == {"x", "z"} and turn.draws["u"] == Uniform((16,))
    state = start(reverse_kl_gan(arena), [0, 1])
    nets, batch = SimpleNamespace(**state.nets), batch_of(turn)
    x, fake, u = batch.x, nets.G(batch.z).detach(), batch.u[..., None]
    assert u.min() >= 0 and u.max() < 1 and u.std() > 0.2
    points = (u * x + (1 - u) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(nets.D(points).sum(), points, create_graph=True)
    want = 0.7 * (slope.norm(dim=-1) - 1).square().mean(-1)
    got = turn.losses(nets, batch, None)["D"] - bare.losses(nets, batch, None)["D"]
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    for w in nets.D.body.weights:  # a penalty that is only a number would teach D nothing
        (learned,), (exact,) = (torch.autograd.grad(p.sum(), w, retain_graph=True) for p in (got, want))
        torch.testing.assert_close(learned, exact, rtol=1e-4, atol=1e-6)
        assert exact.abs().max() > 1e-3


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_fixed_combination_is_one_of_the_two_gradients(weight):
    arena = plane()
    mixed = bridge.combination_turn(arena, 0.3, weight)
    ml, adverse = turns.ml_turn(arena, 0.3), turns.generator_turn(arena, adversarial.reverse_kl)
    state = start(bridge.fixed_combination(arena), [0, 1])
    nets, batch = SimpleNamespace(**state.nets), batch_of(mixed)

    def gradient(turn, player):
        loss = turn.losses(nets, batch, None)[player].sum()
        return torch.autograd.grad(loss, list(state.nets[player].parameters()))

    for got, a, b in zip(*(gradient(t, "G") for t in (mixed, ml, adverse)), strict=True):
        torch.testing.assert_close(got, (1 - weight) * a + weight * b, rtol=1e-4, atol=1e-5)
    for got, want in zip(gradient(mixed, "E"), gradient(ml, "E"), strict=True):
        torch.testing.assert_close(got, want)


def test_fine_tuning_serves_runs_as_long_as_the_bridge():
    game = bridge.fine_tuning(plane(), ml_rounds=4, rounds=6, d_steps=2, penalty=1.0)
    state = play(game, play(game, start(game, [0]), "I"), "warm")
    assert state.played == {"I": 4, "warm": 6} and set(state.losses) >= {"warm/D", "warm/G"}
    assert "warm/E" not in state.losses


@pytest.mark.parametrize("gamma", [twins.linear_gamma, twins.cosine_gamma, twins.sigmoid_gamma])
def test_step_two_may_be_of_any_length_and_rise_in_any_way(gamma):
    game = bridge.alpha_bridge(plane(), rounds=(1, 7, 1), gamma=gamma)
    now = game.phase("II").schedule(game.phase("II").rounds)
    assert len(now["alpha"]) == 7 and (now["alpha"].diff() > 0).all() and (now["gamma"].diff() > 0).all()
    assert 0 < now["gamma"][0] < now["gamma"][-1] < 1


def test_a_page_can_look_at_the_effective_sample_size_of_the_weights():
    game = bridge.alpha_bridge(plane(), rounds=(2, 8, 1))
    state = play(game, start(game, [0, 1]), "I")
    x, z = (noise([0, 1], (200, 2), purpose) for purpose in ("x", "z"))
    phase = game.phase("II")
    alpha = phase.schedule(phase.rounds)["alpha"]
    shares = []
    for now in fit(game, state, "II", at=range(1, 9)):
        with probe(now) as nets:
            a = alpha[now.played["II"] - 1]
            forward = twins.forward_log_weight(nets.D(x), a, clip=5.0)
            reverse = twins.reverse_log_weight(nets.D(nets.G(z)), a, clip=5.0)
        shares.append(torch.stack([metrics.effective_sample_size(w) / 200 for w in (forward, reverse)]))
    shares = torch.stack(shares)
    assert shares.shape == (8, 2, 2) and (shares > 0).all() and (shares <= 1 + 1e-5).all()
    assert (shares[-1, 0] < shares[0, 0]).all()  # e^{-alpha f} grows uneven with alpha
