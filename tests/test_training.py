"""The one loop: trials, chunks, players, resuming after a kill, failures, progress."""

import functools
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import tell
from games.harness import same, weights
from games.paper_a import noise_images

from bridgekit import closure, data, random
from bridgekit.errors import BridgekitError
from bridgekit.games import baselines, bridge, setups
from bridgekit.models.batch_norm import BatchNorm
from bridgekit.models.mlp import MLP
from bridgekit.play import checkpoints, evaluation, loop, sweep
from bridgekit.play.draws import Normal
from bridgekit.play.evaluation import probe, samples
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.play.loop import CHUNK, fit, play
from bridgekit.play.state import start
from bridgekit.play.sweep import Cell
from bridgekit.theory import adversarial
from bridgekit.theory.alpha import sigmoid_gamma

NOISE = noise_images(40, 16)
NOISE = replace(NOISE, x=NOISE.x.float())


def small_plane(**settings):
    settings = {"batch": 16, "hidden": 8, "depth": 2} | settings
    return setups.plane(data.mixture("gaussians25"), **settings)


def small_bridge(rounds=(7, 8, 5), **settings):
    return bridge.alpha_bridge(small_plane(**settings), rounds=rounds)


def test_evaluating_more_often_changes_no_number():
    game = small_bridge((130, 1, 1), spectral=True)
    rare, often = start(game, [0]), start(game, [0])
    play(game, rare, "I")
    for state in fit(game, often, "I", at=range(0, 131, 7)):
        with probe(state) as nets:
            nets.G(random.noise([0], (50, 2), "probe"))
    assert same(weights(rare), weights(often))


def test_stopping_inside_a_chunk_and_going_on_changes_no_number():
    game = small_bridge((230, 1, 1))
    once, pieces = start(game, [0]), start(game, [0])
    play(game, once, "I")
    for rounds in (13, CHUNK, CHUNK + 1, 230):
        play(game, pieces, "I", rounds)
    assert pieces.played == {"I": 230}
    assert same(weights(once), weights(pieces))


def test_no_chunk_repeats_another_nor_coming_back_to_a_phase_left_inside_one(monkeypatch):
    game, seen = small_bridge((210, 1, 20)), []

    def watched(turn, drawn, k):
        if "z" in drawn:
            seen.append(drawn["z"][k])
        return batch(turn, drawn, k)

    batch = loop.batch_of
    monkeypatch.setattr(loop, "batch_of", watched)
    state = start(game, [0])
    play(game, state, "I", 50)
    play(game, state, "III")
    play(game, state, "I")
    assert state.played == {"I": 210, "III": 20} and len(seen) >= 230
    assert len({z.sum().item() for z in seen}) == len(seen)


def test_fit_yields_at_the_rounds_asked_for_that_are_not_past_and_only_there():
    game = small_bridge((20, 1, 1))
    state, later = start(game, [0]), play(game, start(game, [0]), "I", 10)
    assert [s.played["I"] for s in fit(game, state, "I", at=[20, 0, 5, 5, 99, -1])] == [0, 5, 20]
    assert [s.played["I"] for s in fit(game, later, "I", at=[5, 10, 15])] == [10, 15]


def test_a_branch_plays_on_without_touching_its_trunk():
    game = bridge.fine_tuning(small_plane(spectral=True), ml_rounds=5, rounds=5)
    trunk = play(game, start(game, [0, 1]), "I")
    trunk.keep(x=1.0)
    before, moments = weights(trunk), trunk.optimisers["D"].state_dict()["state"][0]["exp_avg"].clone()
    warm, cold = trunk.branch(), trunk.branch()
    assert warm.history == {}
    play(game, warm, "warm")
    play(game, cold, "cold")
    assert same(weights(trunk), before)
    assert torch.equal(trunk.optimisers["D"].state_dict()["state"][0]["exp_avg"], moments)
    assert trunk.played == {"I": 5} and warm.played == {"I": 5, "warm": 5}
    # The branch goes on exactly as the trunk would have.
    again = play(game, trunk, "warm")
    assert same(weights(again), weights(warm))
    assert not same(weights(cold), weights(warm))


def test_a_checkpoint_of_another_game_or_seed_is_not_resumed(tmp_path):
    path, one, other = tmp_path / "c.pt", small_bridge((9, 1, 1)), small_bridge((9, 1, 1), lr=2e-3)
    play(one, start(one, [0]), "I", checkpoint=path)
    for seed in (0, 1):
        with pytest.warns(UserWarning, match="belongs to another game"):
            play(other, start(other, [seed]), "I", checkpoint=path)


def test_what_the_page_kept_between_two_phases_survives_the_next_fit(tmp_path):
    game = small_bridge((9, 9, 1))
    state = play(game, start(game, [0]), "I", checkpoint=tmp_path / "c.pt")
    state.keep(between=1.0)
    play(game, state, "II", checkpoint=tmp_path / "c.pt")
    assert state.kept("between").tolist() == [1.0]


def test_a_full_disk_is_one_clear_error_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path, game = tmp_path / "c.pt", small_bridge((9, 9, 1))
    state = play(game, start(game, [0]), "I", checkpoint=path)
    saved = path.read_bytes()

    whole = Path.write_bytes

    def full(part, body):
        whole(part, body[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(BridgekitError, match=r"cannot write .*c.pt: No space left on device. Free some"):
            play(game, state, "II", checkpoint=path)
    assert path.read_bytes() == saved and [p.name for p in tmp_path.glob("c.pt*")] == ["c.pt"]
    again = play(game, start(game, [0]), "II", checkpoint=path)
    assert again.played == {"I": 9, "II": 9}


def poisoned(game, state, trial):
    with torch.no_grad():
        state.nets["G"].weights[0][trial] = float("nan")


@pytest.mark.parametrize("spectral", [False, True])
def test_a_trial_that_fails_is_marked_and_leaves_the_others_alone(spectral):
    game = baselines.gan(small_plane(spectral=spectral), adversarial.reverse_kl, rounds=130)
    sound, state = start(game, [0, 1, 2]), start(game, [0, 1, 2])
    play(game, sound, "train")
    play(game, state, "train", 120)
    poisoned(game, state, 1)
    play(game, state, "train", 130)
    assert state.failed[0] is None and state.failed[2] is None
    assert state.failed[1] == {"phase": "train", "round": 120, "player": "D"}
    for name, value in weights(sound).items():
        torch.testing.assert_close(weights(state)[name][[0, 2]], value[[0, 2]])


def test_fit_raises_only_when_no_trial_is_left():
    game = baselines.gan(small_plane(), adversarial.reverse_kl, rounds=50)
    state = start(game, [0, 1])
    poisoned(game, state, slice(None))
    with pytest.raises(BridgekitError, match=r"seed 0: D in round 0 of train.*lower the learning rate"):
        play(game, state, "train")


def test_adam_steps_along_the_gradient_however_it_is_laid_out():
    """Fused Adam on a CPU takes memory in order: from a transposed gradient it would make another one."""
    wanted, start_at = torch.arange(6.0).view(2, 3), torch.zeros(2, 3)

    class Weight(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(start_at.clone())

    def losses(p):
        return {"p": (p.w.T * wanted.T.contiguous()).sum()}  # autograd gives it in w.T's layout

    turn, build = Turn(losses, ("p",)), lambda generators: Weight()
    game = Game({"p": build}, {"p": Player(("p",))}, (Phase("x", 1, (turn,)),), stacked=False)
    state = start(game, [0])
    w = state.nets["p"].w
    loss = turn(**state.nets)["p"]
    assert torch.autograd.grad(loss, w)[0].stride() != w.stride()
    play(game, state, "x")
    assert torch.equal(w.grad, wanted) and w.grad.stride() == w.stride()
    torch.testing.assert_close(state.optimisers["p"].state[w]["exp_avg"], 0.5 * wanted)


def test_what_stands_before_a_turn_runs_first_and_without_gradients():
    game, seen = small_bridge((2, 1, 1)), []

    def before(G):
        seen.append((torch.is_grad_enabled(), G.weights[0].clone()))

    d, ml = game.phases[0].turns
    watched = replace(game, phases=(Phase("I", 2, (d, replace(ml, before=before))),))
    state = start(watched, [0])
    first = state.nets["G"].weights[0].detach().clone()
    play(watched, state, "I")
    assert [grad for grad, _ in seen] == [False, False] and torch.is_grad_enabled()
    assert torch.equal(seen[0][1], first) and not torch.equal(seen[1][1], first)
    assert same(weights(state), weights(play(game, start(game, [0]), "I")))


def test_losses_are_kept_per_stretch_as_means_over_it():
    game = baselines.gan(small_plane(), adversarial.non_saturating, rounds=250)
    state = play(game, start(game, [0, 1]), "train")
    assert [tuple(v.shape) for v in state.losses["train/D"]] == [(2,)] * 3
    # One-round stretches average to the longer one.
    single = start(game, [0, 1])
    for _ in fit(game, single, "train", CHUNK, at=range(CHUNK)):
        pass
    torch.testing.assert_close(torch.stack(single.losses["train/D"]).mean(0), state.losses["train/D"][0])


def test_image_games_play_one_trial_and_probes_touch_no_buffer():
    game = bridge.fine_tuning(setups.images(NOISE, batch=8, width=4, z=5), ml_rounds=3, rounds=2)
    state = play(game, start(game, [0]), "I")
    norms = [m for net in state.nets.values() for m in net.modules() if isinstance(m, BatchNorm)]
    before = weights(state)
    with probe(state) as nets:
        x = nets.G(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
        assert not any(norm.tracking for norm in norms) and not x.requires_grad
    assert x.shape == (6, 1, 16, 16) and same(weights(state), before)
    play(game, state, "warm")
    assert state.failed == [None]
    with pytest.raises(BridgekitError, match="one trial at a time"):
        start(game, [0, 1])


def test_every_network_needs_exactly_one_owner():
    phases = (Phase("x", 1, (Turn(lambda: {}, ("p",)),)),)
    with pytest.raises(ValueError, match="exactly one owner"):
        Game({"a": MLP, "b": MLP}, {"p": Player(("a",))}, phases)
    with pytest.raises(ValueError, match="exactly one owner"):
        Game({"a": MLP}, {"p": Player(("a",)), "q": Player(("a",))}, phases)


def test_a_turns_names_are_networks_draws_and_scalars():
    """An unknown name is an error with the nearest one when the game is built; so is a draw for nobody."""

    def game(losses, *draws):
        turn = Turn(losses, ("a",), dict.fromkeys(draws, Normal((1,))))
        return Game(
            {"a": MLP}, {"a": Player(("a",))}, (Phase("x", 1, (turn,), lambda n: {"alpha": torch.ones(n)}),)
        )

    assert game(lambda a, eps, alpha: {}, "eps").phases[0].turns[0].takes == ("a", "eps", "alpha")
    with pytest.raises(BridgekitError, match="phase 'x' takes 'epz': did you mean 'eps'"):
        game(lambda a, epz: {}, "eps")
    with pytest.raises(BridgekitError, match="draws 'eps' for nobody: did you mean 'ep'"):
        game(lambda a, ep=0: {}, "eps", "ep")
    assert game(lambda **all_there_are: {}, "eps").phases[0].turns[0].takes is None


def test_games_that_differ_in_code_in_an_option_or_in_pixels_are_told_apart():
    gammas = [lambda a: a**2, lambda a: a**3]
    gammas += [functools.partial(sigmoid_gamma, **option) for option in ({"c": 9.0}, {"d": -9.0})]
    found = [bridge.alpha_bridge(small_plane(), gamma=gamma) for gamma in gammas]
    for x in (NOISE.x, -NOISE.x, NOISE.x[:-1]):  # all of one fingerprint
        found.append(baselines.gan(setups.images(replace(NOISE, x=x), batch=8), adversarial.reverse_kl))
    assert len({game.fingerprint() for game in found}) == len(found)
    with pytest.raises(TypeError, match="nobody can tell"):
        replace(small_bridge(), settings={"x": object()}).fingerprint()


def test_a_game_that_no_builder_records_is_not_told_from_another_and_says_what_to_do(tmp_path):
    """Whatever it learns: with a hash of nothing its cells and checkpoints would be any other's."""
    nameless = small_plane().train(1, baselines.gan(small_plane(), adversarial.reverse_kl).phases[0].turns)
    for use in (
        nameless.fingerprint,
        lambda: sweep.key(Cell("x", nameless, [0]), weights),
        lambda: play(nameless, start(nameless, [0]), "train", checkpoint=tmp_path / "state.pt"),
    ):
        with pytest.raises(TypeError, match="function of bridgekit/games that has @recorded on it"):
            use()
    assert play(nameless, start(nameless, [0]), "train").played == {"train": 1}, "without a file it is played"


def test_devices():
    assert random.device("cpu").type == "cpu"
    assert random.device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(BridgekitError, match="bridgekit doctor"):
        random.device("abacus")


def test_probe_noise_depends_on_each_trials_seed_alone():
    many = random.noise([5, 6], (4, 2), "probe")
    assert torch.equal(many[1], random.noise([6], (4, 2), "probe")[0])
    assert not torch.equal(many[1], random.noise([6], (4, 2), "other")[0])


def test_progress_tells_the_watching_process(tmp_path, monkeypatch):
    from bridgekit.play import progress

    tell(monkeypatch, tmp_path / "spec.json", progress=tmp_path / "progress.jsonl")
    clock = iter([0.0, 5.0, 20.0, 25.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.Progress("demo", 40, done=10) as bar:
        for done in (11, 20, 21, 30):
            bar.update(done)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert lines == [
        {"what": "demo", "done": 20, "of": 40, "left": 40.0},
        {"what": "demo", "done": 30, "of": 40, "left": 20.0},
    ]


def test_progress_is_a_bar_where_nobody_watches(monkeypatch, capsys):
    from bridgekit.play.progress import Progress

    monkeypatch.delenv("BRIDGEKIT_SPEC")
    with Progress("demo", 3) as bar:
        for done in (1, 2, 3):
            bar.update(done)
            time.sleep(0)
    assert "demo" in capsys.readouterr().err


def test_samples_of_a_failed_trial_do_not_count():
    state, z = (
        start(small_bridge(), [0, 1, 2]),
        torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0)),
    )
    made = state.nets["G"](z).detach()
    assert torch.equal(samples(state, z), made)
    state.failed[1] = {"phase": "III", "round": 3, "player": "E"}
    found = samples(state, z)
    assert found[1].isnan().all() and torch.equal(found[[0, 2]], made[[0, 2]])
    assert not found.requires_grad


def test_all_code_that_trains_or_measures_is_part_of_a_checkpoint():
    games = "".join(f"import bridgekit.games.{p.stem}\n" for p in closure.PACKAGE.glob("games/*.py"))
    reached = closure.modules(
        games + "import bridgekit.play.loop, bridgekit.measure.on_plane, bridgekit.measure.classifiers"
    )
    assert {file for name, file in reached.items() if name.count(".") > 1} <= set(checkpoints.measuring())


def test_recalibrated_takes_a_gradient_penalty_along():
    setup = setups.images(NOISE, batch=4, width=2, z=3)
    game = baselines.gan(setup, adversarial.reverse_kl, penalty=1.0)
    state = play(game, start(game, [0]), game.phases[0].name, 2)
    nets = evaluation.recalibrated(game, state, game.phases[0].name, rounds=3)
    norms = [m for net in vars(nets).values() for m in net.modules() if isinstance(m, BatchNorm)]
    assert norms and all(norm.running_mean.isfinite().all() for norm in norms)
    assert not any(norm.running_mean.requires_grad for norm in norms)


WRONG = {
    "no seed was given": lambda: start(small_bridge((1, 1, 1)), []),
    "at least one trial": lambda: random.noise([], (2,), "probe"),
    r"seeds \[0, 0, 0\] repeat": lambda: start(small_bridge((1, 1, 1)), [0, 0, 0]),
    r"seeds \[7, 1, 7\] repeat": lambda: random.noise([7, 1, 7], (2,), "probe"),
    "was there a round to evaluate at": lambda: start(small_bridge((1, 1, 1)), [0]).kept("is"),
}


@pytest.mark.parametrize("message", WRONG)
def test_trials_and_measurements_that_are_not_there_are_one_clear_error(message):
    with pytest.raises(BridgekitError, match=message):
        WRONG[message]()
