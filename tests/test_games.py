"""Regularised discriminators on the plane: trials, resuming, failures, and when their vectors move.

What every game is, ``tests/test_game_laws.py`` says.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

from bridgekit import data
from bridgekit.games import baselines, bridge, setups
from bridgekit.measure import evidence
from bridgekit.play.evaluation import probe
from bridgekit.play.game import Phase
from bridgekit.play.loop import fit, play
from bridgekit.play.state import start
from bridgekit.random import noise
from bridgekit.theory import adversarial
from bridgekit.theory import alpha as twins


def plane(**settings):
    return setups.plane(data.mixture("gaussians25"), **({"batch": 16, "hidden": 8, "depth": 2} | settings))


def reverse_kl_gan(setup=None, **settings):
    return baselines.gan(setup or plane(), adversarial.reverse_kl, **settings)


GAMES = {
    "RKL-GP": lambda: reverse_kl_gan(penalty=1.0),
    "RKL-SN": lambda: reverse_kl_gan(plane(spectral=True)),
    "WGAN-GP": lambda: baselines.wgan_gp(plane()),
    "bridge + GP": lambda: bridge.alpha_bridge(plane(), penalty=1.0, gamma=twins.cosine_gamma),
    "bridge + SN": lambda: bridge.alpha_bridge(plane(spectral=True), gamma=twins.linear_gamma),
}
regularised = pytest.mark.parametrize("name", GAMES)


def weights(state):
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def played(game, seeds, rounds=3, **options):
    state = start(game, seeds)
    for phase in game.phases:
        play(game, state, phase.name, rounds, **options)
    return state


@regularised
def test_batched_trials_are_the_trials_alone_with_a_regularised_d(name):
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


def test_evaluating_and_branching_leave_the_vectors_alone():
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

    def spying(G, D, x, z):
        seen.append((x, z))
        return d.losses(G, D, x, z)

    spied = replace(game, phases=(Phase("train", 1, (replace(d, losses=spying),) * 3),))
    play(spied, start(spied, [0]), "train")
    assert len(seen) == 3
    assert not torch.equal(seen[0][0], seen[1][0]) and not torch.equal(seen[1][1], seen[2][1])


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
        shares.append(torch.stack([evidence.effective_sample_size(w) / 200 for w in (forward, reverse)]))
    shares = torch.stack(shares)
    assert shares.shape == (8, 2, 2) and (shares > 0).all() and (shares <= 1 + 1e-5).all()
    assert (shares[-1, 0] < shares[0, 0]).all()  # e^{-alpha f} grows uneven with alpha
