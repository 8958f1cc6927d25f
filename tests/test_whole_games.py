"""Whole games, and several on parallel workers: evaluations, resuming after a kill, failures."""

import functools
import threading
from dataclasses import replace

import pytest
import torch
from games.harness import same, weights

from bridgekit import data, random
from bridgekit.errors import BridgekitError
from bridgekit.games import baselines, bridge, setups
from bridgekit.measure import on_plane
from bridgekit.play import loop, sweep
from bridgekit.play.evaluation import probe
from bridgekit.play.game import Turn
from bridgekit.play.loop import play
from bridgekit.play.state import start
from bridgekit.theory import adversarial

MIXTURE = data.mixture("gaussians25")
POINTS = MIXTURE.sample(20, torch.Generator().manual_seed(1))
ROUNDS = (7, 8, 5)
EVALUATED = [0, 3, 7, 8, 11, 15, 20]


def small_plane(**settings):
    return setups.plane(MIXTURE, batch=8, hidden=8, depth=1, **settings)


def small_bridge(rounds=ROUNDS, **settings):
    return bridge.alpha_bridge(small_plane(**settings), rounds=rounds)


def evaluate(state, samples=200):
    """Keep what a page would, and the round; returns the round, counted from the first."""
    z = random.noise(state.seeds, (samples, 2), "plane-probe")
    with probe(state) as nets:
        scores = on_plane.plane_scores(nets.G(z), MIXTURE, POINTS)
    state.keep(**scores, round=sum(state.played.values()))
    return sum(state.played.values())


def test_a_cell_that_is_named_twice_is_played_once():
    played = []
    assert sweep.in_parallel(played.append, [1, 2, 1], workers=2) == {1: None, 2: None}
    assert sorted(played) == [1, 2]
    with pytest.raises(BridgekitError, match="workers=0"):
        sweep.in_parallel(played.append, [1], workers=0)


def watch(game, state, at=EVALUATED, **options):
    """Play a whole game and evaluate it; returns the rounds at which it was."""
    return [evaluate(now) for now in loop.whole(game, state, at, **options)]


def history(state):
    return {name: state.kept(name) for name in state.history}


def losses(state):
    return {name: torch.stack(rows) for name, rows in state.losses.items()}


def poisoned(game, phase, fate, moves=("D",)):
    """``game``, in which the losses of ``moves`` are NaN in ``phase`` for trial i from round ``fate[i]``."""
    sick = game.phase(phase)

    def schedule(rounds):
        late = torch.arange(rounds)[:, None] >= torch.tensor(fate)
        return {**sick.schedule(rounds), "fate": torch.where(late, torch.nan, 1.0)}

    def turned(turn: Turn) -> Turn:
        if turn.moves != moves:
            return turn

        def losses(**there):
            return {name: loss * there["fate"] for name, loss in turn(**there).items()}

        return replace(turn, losses=losses)

    new = replace(sick, schedule=schedule, turns=tuple(map(turned, sick.turns)))
    return replace(game, phases=tuple(new if p is sick else p for p in game.phases))


def saving_always(monkeypatch):
    """`whole` saves after every stretch of play, not once a minute."""
    monkeypatch.setattr(loop, "fit", functools.partial(loop.fit, save_every=-1.0))


# ---------------------------------------------------------------------------------------------- evaluations


def test_evaluations_fall_at_the_rounds_counted_from_the_first():
    state = start(small_bridge(), [0])
    now = [(sum(s.played.values()), dict(s.played)) for s in loop.whole(small_bridge(), state, EVALUATED)]
    assert [round_ for round_, _ in now] == EVALUATED
    assert now[2][1] == {"I": 7}  # the round that ends a phase, before the next begins
    assert now[3][1] == {"I": 7, "II": 1} and now[5][1] == {"I": 7, "II": 8}
    assert now[6][1] == {"I": 7, "II": 8, "III": 5}


def test_rounds_to_evaluate_may_come_in_any_order_and_what_does_not_exist_is_left_out():
    assert watch(small_bridge(), start(small_bridge(), [0]), [15, 7, 7, 21, -1, 99, 3]) == [3, 7, 15]
    assert watch(small_bridge(), start(small_bridge(), [0]), []) == []


def test_the_start_is_evaluated_once_even_if_the_first_phase_is_empty():
    game = small_bridge((0, 4, 3))
    assert watch(game, start(game, [0]), [0, 4, 7]) == [0, 4, 7]


def test_a_whole_game_is_its_phases_played_by_hand():
    game, evaluated, by_hand = small_bridge(), start(small_bridge(), [0, 1]), start(small_bridge(), [0, 1])
    watch(game, evaluated)
    for phase in ("I", "II", "III"):
        play(game, by_hand, phase)
    assert evaluated.played == by_hand.played == {"I": 7, "II": 8, "III": 5}
    assert same(weights(evaluated), weights(by_hand))


def test_only_the_phases_named_are_played():
    game = bridge.fine_tuning(small_plane(), ml_rounds=6, rounds=4)
    state, by_hand = start(game, [0]), start(game, [0])
    assert watch(game, state, range(0, 15, 2), phases=["I", "warm"]) == [0, 2, 4, 6, 8, 10]
    for phase in ("I", "warm"):
        play(game, by_hand, phase)
    assert state.played == {"I": 6, "warm": 4} and same(weights(state), weights(by_hand))
    # The rounds are counted from the first of the phases named.
    branch = play(game, start(game, [0]), "I").branch()
    found = [dict(now.played) for now in loop.whole(game, branch, [0, 1, 4], phases=["warm"])]
    assert found == [{"I": 6, "warm": k} for k in (0, 1, 4)]
    assert same(weights(branch), weights(by_hand))


def test_an_unknown_phase_is_an_error():
    with pytest.raises(BridgekitError, match="has no phase 'IV'; it has I, II, III"):
        watch(small_bridge(), start(small_bridge(), [0]), phases=["IV"])


# ------------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("often", [True, False], ids=["saved at every evaluation", "saved when a phase ends"])
def test_a_game_killed_at_any_evaluation_goes_on_and_ends_the_same(tmp_path, monkeypatch, often):
    game, straight = small_bridge(), start(small_bridge(), [0, 1])
    watch(game, straight)
    if often:
        saving_always(monkeypatch)
    for cut, round_ in enumerate(EVALUATED):
        path = tmp_path / f"{round_}.pt"
        killed = loop.whole(game, start(game, [0, 1]), EVALUATED, checkpoint=path)
        for _ in range(cut + 1):
            evaluate(next(killed))
        killed.close()  # what a kill leaves is the file alone
        resumed = start(game, [0, 1])
        again = watch(game, resumed, checkpoint=path)
        ended = max((end for end in (7, 15) if end < round_), default=-1)  # the last phase that was over
        expected = EVALUATED[cut:] if often else [r for r in EVALUATED if r > ended]
        assert again == expected
        assert resumed.played == straight.played and same(weights(resumed), weights(straight))
        assert same(history(resumed), history(straight)), round_
        if often:  # one row for each stretch of play: none is played twice
            assert same(losses(resumed), losses(straight))


def test_a_finished_game_is_neither_played_nor_evaluated_again(tmp_path, monkeypatch):
    game, first = small_bridge(), start(small_bridge(), [0])
    assert watch(game, first, checkpoint=tmp_path / "c.pt") == EVALUATED
    monkeypatch.setattr(loop._Stretch, "_round", lambda self, k: pytest.fail("a round was played again"))
    again = start(game, [0])
    assert watch(game, again, checkpoint=tmp_path / "c.pt") == []
    assert again.kept("round").tolist() == EVALUATED and again.played == first.played
    assert same(weights(again), weights(first)) and same(history(again), history(first))


# ------------------------------------------------------------------------------------------------- failures


def measured(state):
    """What was measured, but for the one number that may be NaN in health (no sample near a mode)."""
    return {name: values for name, values in history(state).items() if name not in ("round", "reverse_kl")}


def nan_at(state, trial=slice(None)):
    """At which evaluations a trial's measurements are NaN: all of them, or none."""
    lost = torch.stack(
        [values[:, trial].isnan().view(len(values), -1) for values in measured(state).values()]
    )
    assert torch.equal(lost.any(2).any(0), lost.all(2).all(0))
    return lost[0, :, 0].tolist()


FATES = [
    ("I", [3, 3], "D", [False, False] + [True] * 5),  # D dies while G learns by likelihood alone
    ("I", [5, 2], "D", [False, False] + [True] * 5),
    ("II", [0, 0], "D", [False] * 3 + [True] * 4),  # right after an evaluation that ends a phase
    ("II", [6, 5], "D", [False] * 5 + [True] * 2),
    ("II", [7, 7], "G", [False] * 5 + [True] * 2),
    ("III", [4, 4], "E", [False] * 6 + [True]),  # G is as healthy as it was
]


@pytest.mark.parametrize(("phase", "fate", "player", "lost"), FATES)
@pytest.mark.parametrize("often", [True, False])
def test_a_game_that_nobody_survives_is_nan_at_every_evaluation_that_is_left(
    tmp_path, monkeypatch, phase, fate, player, lost, often
):
    if often:
        saving_always(monkeypatch)
    moves = {"D": ("D",), "G": ("G", "E"), "E": ("E",)}[player]
    game = poisoned(small_bridge(), phase, fate, moves)
    state = start(game, [0, 1])
    assert watch(game, state, [*EVALUATED, 21], checkpoint=tmp_path / "c.pt") == EVALUATED
    assert [f["phase"] for f in state.failed] == [phase] * 2
    assert [f["round"] for f in state.failed] == fate and {f["player"] for f in state.failed} == {player}
    assert nan_at(state) == lost
    # Until then it is the healthy game, and a resumed run finds the same again.
    healthy = start(game, [0, 1])
    watch(small_bridge(), healthy)
    first = {name: values[: lost.index(True)] for name, values in history(state).items()}
    assert same(first, {name: values[: lost.index(True)] for name, values in history(healthy).items()})
    again = start(game, [0, 1])
    rest = watch(game, again, checkpoint=tmp_path / "c.pt")
    assert rest == EVALUATED[len(EVALUATED) - len(rest) :]
    assert same(history(again), history(state)) and again.failed == state.failed


def test_a_step_far_too_large_loses_every_trial():
    game = baselines.gan(small_plane(lr=1e30), adversarial.reverse_kl, rounds=20)
    state = start(game, [0, 1])
    assert watch(game, state) == EVALUATED and all(state.failed)
    assert nan_at(state) == [False] + [True] * 6


def test_one_of_two_goes_on_when_the_other_fails(tmp_path, monkeypatch):
    saving_always(monkeypatch)
    game, never = poisoned(small_bridge(), "II", [2, 99]), start(small_bridge(), [0, 1])
    watch(small_bridge(), never)
    state = start(game, [0, 1])
    assert watch(game, state, checkpoint=tmp_path / "c.pt") == EVALUATED
    assert state.failed == [{"phase": "II", "round": 2, "player": "D"}, None]
    assert nan_at(state, 0) == [False] * 4 + [True] * 3
    for name, values in measured(never).items():
        torch.testing.assert_close(state.kept(name)[:, 1], values[:, 1], equal_nan=True)
    # Killed after the failure, resumed: the same.
    path = tmp_path / "k.pt"
    killed = loop.whole(game, start(game, [0, 1]), EVALUATED, checkpoint=path)
    while evaluate(next(killed)) < 15:
        pass
    killed.close()
    resumed = start(game, [0, 1])
    assert watch(game, resumed, checkpoint=path) == [15, 20]
    assert resumed.failed == state.failed and same(history(resumed), history(state))


# ----------------------------------------------------------------------------------------- parallel workers

CELLS = [("bridge", 1), ("gan", 0), ("bridge", 0), ("gan", 1)]


def train(cell):
    name, seed = cell
    if name == "bridge":
        game = small_bridge((12, 12, 12))
    else:
        game = baselines.gan(small_plane(), adversarial.reverse_kl, rounds=36, penalty=1.0)
    state = start(game, [seed, seed + 7])
    watch(game, state, [0, 12, 36])
    return weights(state) | history(state)


def test_no_number_depends_on_how_many_work():
    one, two = (sweep.in_parallel(train, CELLS, workers) for workers in (1, 2))
    assert list(one) == list(two) == CELLS
    for cell in CELLS:
        assert same(one[cell], two[cell])
    assert same(one[CELLS[0]], train(CELLS[0]))


def test_they_do_work_at_the_same_time_and_keep_their_order():
    meeting = threading.Barrier(2, timeout=10)  # nobody gets past it alone
    assert sweep.in_parallel(lambda cell: (meeting.wait(), -cell)[1], range(6, 0, -1), 2) == {
        k: -k for k in range(6, 0, -1)
    }
    assert list(sweep.in_parallel(abs, iter([3, -1, 2]), 3).items()) == [(3, 3), (-1, 1), (2, 2)]
    assert sweep.in_parallel(abs, [], 2) == {}


@pytest.mark.parametrize("threads", [1, 2])
def test_each_works_with_the_threads_that_torch_had(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for workers in (1, 2):
            found = sweep.in_parallel(lambda cell: torch.get_num_threads(), range(3), workers)
            assert set(found.values()) == {threads} and torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


class Broken(Exception):
    pass


@pytest.mark.parametrize("workers", [1, 2])
def test_after_the_first_error_nothing_begins_and_it_is_raised(workers):
    begun, failed, done = [], threading.Event(), []

    def work(cell):
        begun.append(cell)
        if cell == workers - 1:  # the last of those that begin together
            failed.set()
            raise Broken(cell)
        assert failed.wait(10)
        threading.Event().wait(0.1)  # the other worker would have begun the next one by now
        done.append(cell)

    with pytest.raises(Broken, match=str(workers - 1)):
        sweep.in_parallel(work, range(8), workers)
    assert sorted(begun) == list(range(workers)) and done == list(range(workers - 1))


def test_an_error_inside_a_game_names_its_own_place():
    def work(cell):
        raise BridgekitError(f"cell {cell} cannot be played")

    with pytest.raises(BridgekitError, match="cell a cannot be played") as error:
        sweep.in_parallel(work, "ab", 1)
    assert error.traceback[-1].name == "work"
