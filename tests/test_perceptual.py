"""Paper C's five models on one setup: the observation model, who learns what, and where they differ.

That each is what the paper's lines say, ``tests/test_game_laws.py`` holds.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from games.harness import same, weights
from games.paper_a import noise_images
from torch.distributions import Independent, Normal

from bridgekit.errors import BridgekitError
from bridgekit.games import baselines, method, perceptual, setups, turns
from bridgekit.play import evaluation
from bridgekit.play.draws import NormalByRound
from bridgekit.play.loop import batch_of, drawn_ahead, play
from bridgekit.play.state import start
from bridgekit.random import stream
from bridgekit.theory import adversarial
from bridgekit.theory.method import SYMMETRISED_KL

NOISE = noise_images(12, 32)
IMAGES = replace(NOISE, x=NOISE.x.float())
MODELS = ["GAN", "VAE", "VAEGAN", "SDKL", "SDKL without sampling"]


def small(**settings) -> setups.Setup:
    return setups.perceptual(IMAGES, **({"shrink": 24, "z": 4, "batch": 6} | settings))


def one_batch(game, turn, state) -> dict[str, torch.Tensor]:
    return batch_of(turn, drawn_ahead(game, turn, 1, state.generators), 0)


def met(name: str, turn: int = -1, setup=None) -> SimpleNamespace:
    """The networks of a game that has begun, the batch of one turn and its losses."""
    setup = setup or small()
    game = perceptual.compared(setup, rounds=2, d_steps=1)[name]
    state = start(game, [0])
    chosen = game.phases[0].turns[turn]
    batch = one_batch(game, chosen, state)
    return SimpleNamespace(nets=state.nets, batch=batch, losses=chosen(**state.nets, **batch), setup=setup)


def slopes(loss: torch.Tensor, net: torch.nn.Module) -> list:
    return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, retain_graph=True)


def nothing(found: list) -> bool:
    return all(slope is None or not slope.any() for slope in found)


@pytest.mark.parametrize("sigma", [1.0, 0.4])
def test_the_likelihood_is_a_gaussian_of_the_second_convolution(sigma):
    there = met("SDKL")
    G, E, D = (there.nets[name] for name in "GED")
    x, eps = there.batch["x"], there.batch["eps"]
    mu, log_sigma = E(x)
    with torch.no_grad():
        nll, _ = turns.elbo_terms(there.setup, sigma, G, E, x, eps, D.features)
        mean = D.features(G(mu + log_sigma.exp() * eps))
        density = Independent(Normal(mean, sigma), 3)
    torch.testing.assert_close(nll, -density.log_prob(D.features(x)))
    assert density.event_shape == there.setup.noise.shape[1:] == (4, 16, 16)


def test_the_likelihood_hangs_on_the_first_two_layers_of_d_and_the_data_are_constants():
    """It would reach them, if anybody took that gradient; nothing above them, and nothing through phi(x)."""
    there = met("VAE")
    loss, D = there.losses["E"], there.nets["D"]
    reached = [n for (n, _), s in zip(D.named_parameters(), slopes(loss, D), strict=True) if s is not None]
    assert {name.partition(".")[0] for name in reached} == {"first"}
    G, E = there.nets["G"], there.nets["E"]
    seen = []
    terms = turns.elbo_terms(
        there.setup, 1.0, G, E, **there.batch, features=lambda x: seen.append(D.features(x)) or seen[-1]
    )
    assert [each.requires_grad for each in seen] == [True, False] and terms[0].requires_grad


@pytest.mark.parametrize("name", MODELS[2:])
def test_the_encoder_learns_nothing_from_the_generators_adversary(name):
    """Claim C11: E's gradient is that of the ELBO. SDKL's L_gen would not even reach it, VAEGAN's would."""
    there = met(name)
    G, E, D = (there.nets[key] for key in "GED")
    bound = sum(turns.elbo_terms(there.setup, 1.0, G, E, there.batch["x"], there.batch["eps"], D.features))
    for got, want in zip(slopes(there.losses["E"], E), slopes(bound.mean(), E), strict=True):
        torch.testing.assert_close(got, want)
        assert want.any()
    gen = there.losses["G"] - there.losses["E"]
    assert nothing(slopes(gen, E)) == (name != "VAEGAN")


@pytest.mark.parametrize("name", MODELS[2:])
def test_the_decoder_learns_from_reconstructions_and_from_the_adversary(name):
    there = met(name)
    rec, gen = there.losses["E"], there.losses["G"] - there.losses["E"]
    for term in (rec, gen):
        assert all(slope.any() for slope in slopes(term, there.nets["G"]))


@pytest.mark.parametrize("name", MODELS)
def test_d_learns_its_own_loss_alone(name):
    """Its step leaves G and E no gradient, and theirs leaves D as it was."""
    ratio = met(name, turn=0)
    assert list(ratio.losses) == ["D"]
    assert all(slope.any() for slope in slopes(ratio.losses["D"], ratio.nets["D"]))
    assert all(nothing(slopes(ratio.losses["D"], net)) for key, net in ratio.nets.items() if key != "D")
    assert "D" not in met(name).losses


def test_five_models_begin_alike_and_are_what_they_are_called():
    setup = small()
    length = {"rounds": 3, "d_steps": 2}
    found = perceptual.compared(setup, sigma=0.5, **length)
    given = {"sigma": 0.5} | length
    wanted = {
        "GAN": baselines.gan(setup, adversarial.reverse_kl, **length),
        "VAE": perceptual.perceptual_vae(setup, **given),
        "VAEGAN": perceptual.perceptual_vae_gan(setup, **given),
        "SDKL": method.minimise(setup, *SYMMETRISED_KL, **given),
        "SDKL without sampling": method.minimise(setup, *SYMMETRISED_KL, sampled=False, **given),
    }
    assert list(found) == MODELS
    assert {n: g.fingerprint() for n, g in found.items()} == {n: g.fingerprint() for n, g in wanted.items()}
    whole = weights(start(found["SDKL"], [3]))
    for game in found.values():
        mine = weights(start(game, [3]))
        assert same(mine, {name: whole[name] for name in mine})
    # With and without sampling see the same images, codes and noise.
    sdkls = [found[name] for name in MODELS[3:]]
    assert same(
        *(one_batch(game, game.phases[0].turns[0], start(game, [3])) for game in sdkls)
    )  # so that with and without sampling see the same images, codes and noise


def test_two_sdkls_differ_in_the_noise_that_d_sees_and_in_nothing_else():
    noisy, bare = met("SDKL", 0), met("SDKL without sampling", 0)
    D, batch = noisy.nets["D"], noisy.batch
    with torch.no_grad():
        features = D.features(noisy.nets["G"](batch["z"]))
        penalty = noisy.setup.orthogonal * turns.orthogonal_penalty(D)
        for there, fake in ((noisy, features + batch["noise"]), (bare, features)):
            want = adversarial.discriminator(D(batch["x"]), D.logit(fake)).mean() + penalty
            torch.testing.assert_close(there.losses["D"].detach(), want)
    assert (noisy.losses["D"] - bare.losses["D"]).abs() > 1e-4


def test_what_a_turn_has_to_lose_now_is_its_loss_on_draws_of_its_own():
    """By another game's turn if need be, of the same networks: D without its penalty."""
    plain = perceptual.compared(small(orthogonal=0.0))["VAEGAN"]
    state = start(perceptual.compared(small())["VAEGAN"], [2])
    turn, before = plain.phases[0].turns[0], weights(state)
    found = evaluation.losses(plain, state, turn, batches=3)
    drawn = drawn_ahead(plain, turn, 3, [stream(2, "losses")])
    with torch.no_grad():
        wanted = [turn(**state.nets, **batch_of(turn, drawn, k))["D"] for k in range(3)]
    assert torch.equal(found, torch.stack(wanted)) and not found.requires_grad
    assert torch.equal(evaluation.losses(plain, state, turn, 3), found)
    assert not torch.equal(evaluation.losses(plain, state, turn, 3, "others"), found)
    assert evaluation.losses(plain, state, turn).shape == (8,) and same(weights(state), before)


@pytest.mark.parametrize("name", MODELS)
def test_a_few_rounds_stay_finite(name):
    game = perceptual.compared(small(), rounds=3)[name]
    state = play(game, start(game, [0]), "train")
    assert state.failed == [None]
    assert all(torch.stack(losses).isfinite().all() for losses in state.losses.values())


def test_noise_of_a_round_comes_from_its_seed():
    draw = NormalByRound((500, 3, 4, 4))
    one, again, other = (draw.chunk(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == (4,) and torch.equal(one, again) and not torch.equal(one, other)
    taken = [draw.take(seed) for seed in one]
    assert all(torch.equal(draw.take(seed), value) for seed, value in zip(one, taken, strict=True))
    values = torch.stack(taken)
    assert len({value.numpy().tobytes() for value in taken}) == 4
    assert abs(float(values.mean())) < 0.02 and abs(float(values.std()) - 1) < 0.02


def test_noise_of_features_takes_no_memory_ahead():
    setup = setups.perceptual(IMAGES, shrink=24, batch=6)
    assert setup.noise == NormalByRound((6, 4, 16, 16), IMAGES.x.device)


BROKEN = {
    "64 or 32 pixels a side, not 16": lambda: setups.perceptual(noise_images(12, 16), batch=6),
    "it is from 1 to 32": lambda: small(shrink=64),
    "wants square images": lambda: setups.perceptual(replace(IMAGES, x=IMAGES.x[..., :16]), batch=6),
    "there are 12": lambda: small(batch=13),
    "D takes 0 steps a round": lambda: perceptual.perceptual_vae_gan(small(), d_steps=0),
    "D takes -1 steps a round": lambda: perceptual.compared(small(), d_steps=-1),
}


@pytest.mark.parametrize("message", BROKEN)
def test_settings_that_make_no_game_are_one_clear_error(message):
    with pytest.raises(BridgekitError, match=message):
        BROKEN[message]()
