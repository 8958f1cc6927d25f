"""Every game beside its paper, and the laws that hold for all of them.

Builders are found by inspection: a new one fails here until it has a case (``tests/games``).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import typing
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch
from games import CASES
from games.defaults import DEFAULTS
from games.harness import Part, check, close, killed_and_taken_up, of_trial, phases, same_end, trials

import bridgekit.games
from bridgekit import data
from bridgekit.data.binary import Pairs
from bridgekit.games import setups
from bridgekit.play import loop
from bridgekit.play.draws import NormalByRound
from bridgekit.play.game import Game, Turn
from bridgekit.play.state import State, fresh_optimiser, start
from bridgekit.random import stream

EXEMPT = {
    "processes_game": "infogan, adversarial_autoencoder and cycle_gan are its cases",
    "one_turn": "autoencoder and semi_supervised are its cases",
}
APART = {"setup.labelled"}  # a game is for setups with labels or for those without, and refuses the others


def builds(function: Callable) -> bool:
    """Whether a function says that it returns a game, or a setup for games; KeyError where it says nothing.

    By the class itself, however its module writes its annotations.
    """
    function = inspect.unwrap(function)
    said = SimpleNamespace(__annotations__={"return": function.__annotations__["return"]})
    return typing.get_type_hints(said, function.__globals__)["return"] in (Game, setups.Setup)


def builders() -> set[Callable]:
    """The public functions of bridgekit.games that are builders."""
    found = set()
    for module in pkgutil.iter_modules(bridgekit.games.__path__):
        module = importlib.import_module(f"bridgekit.games.{module.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            here = function.__module__ == module.__name__ and not name.startswith("_")
            if here and builds(function) and name not in EXEMPT:
                found.add(function)
    return found


CHANGES = [(name, label) for name, case in CASES.items() for label, _ in case.to_play()]
every = pytest.mark.parametrize("name", CASES)


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_builder_is_found_however_its_module_writes_annotations(future):
    """Without the import of the future an annotation is a class, with it a string."""
    of, scope = "from bridgekit.play.game import Game, recorded\n", {}
    text = "def one() -> Game: ...\n@recorded\ndef other(x: int) -> 'Game': ...\ndef none(x: int) -> int: ..."
    exec(future + of + text + "\ndef nothing_said(): ...", scope)
    assert [builds(scope[name]) for name in ("one", "other", "none")] == [True, True, False]
    with pytest.raises(KeyError):
        builds(scope["nothing_said"])


def test_every_builder_has_a_case():
    assert {part.function for case in CASES.values() for part in case.call.parts()} == builders()


def test_every_argument_of_every_builder_is_changed_by_some_case():
    wanted, found = set(), set()
    for case in CASES.values():
        builder = case.call.function
        wanted |= {(builder, argument) for argument in case.call.names() if argument not in APART}
        found |= {(builder, argument) for argument in case.changes}
    assert found == wanted


def test_what_a_builder_does_where_nothing_is_said():
    found = {}
    for function in builders():
        given = {n: p.default for n, p in inspect.signature(function).parameters.items()}
        given = {n: v for n, v in given.items() if v is not inspect.Parameter.empty}
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        found[name] = {n: v.__name__ if callable(v) else v for n, v in given.items()}
    assert {name: given for name, given in found.items() if given} == DEFAULTS


@every
def test_a_game_is_its_papers(name):
    check(CASES[name])


@pytest.fixture(scope="module")
def plain() -> Callable[[str], object]:
    """Each case's own record, made once."""
    known = {}

    def record(name: str):
        if name not in known:
            known[name] = check(CASES[name], draws=False)
        return known[name]

    return record


@pytest.mark.parametrize(("name", "label"), CHANGES)
def test_every_argument_matters_and_does_what_the_paper_says(name, label, plain):
    other = CASES[name].changed(dict(CASES[name].to_play())[label])
    assert check(other).differs(plain(name)), f"{label} of {name} changes nothing"


stacked = pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case.seeds) > 1])


@stacked
def test_trials_side_by_side_are_the_trials_alone(name):
    together, alone = trials(CASES[name])
    for i, state in enumerate(alone):
        for network, net in together.nets.items():
            for many, one in zip(of_trial(net, i), of_trial(state.nets[network], 0), strict=True):
                close(many, one, f"{network} of trial {i}")
        assert together.losses.keys() == state.losses.keys()
        for key, losses in together.losses.items():
            close(torch.stack(losses)[:, i], torch.stack(state.losses[key])[:, 0], f"{key} of trial {i}")


@stacked
def test_no_two_trials_begin_with_the_same_weights_or_noise(name):
    state = start(CASES[name].game(), CASES[name].seeds)
    for network, net in state.nets.items():
        assert not all(map(torch.equal, of_trial(net, 0), of_trial(net, 1))), network
    assert not torch.equal(*(generator.get_state() for generator in state.generators))


@every
def test_a_run_killed_in_any_phase_and_taken_up_ends_with_the_same_weights(name, tmp_path):
    case = CASES[name]
    for phase in phases(case):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a checkpoint that is not taken up is warned about
            straight, again = killed_and_taken_up(case, phase, tmp_path / f"{phase}.pt")
        assert same_end(straight, again)


def test_games_are_told_apart():
    """All games and all their changes: each has a fingerprint of its own, and always the same."""
    calls = [case.call for case in CASES.values()]
    for case in CASES.values():
        calls += [case.changed(values).call for _, values in case.singly()]
    known = {}
    for call in calls:
        fingerprint = call.made().fingerprint()
        assert call.made().fingerprint() == fingerprint
        assert known.setdefault(fingerprint, call).same(call), f"{call} is taken for {known[fingerprint]}"


class Elsewhere:
    """A draw whose batches lie on the device called meta, which has shapes and no numbers."""

    def __init__(self, draw):
        self.draw = draw

    def chunk(self, rounds, generator):
        drawn = self.draw.chunk(rounds, generator)
        return drawn if isinstance(self.draw, NormalByRound) else drawn.to("meta")

    def take(self, drawn):
        if isinstance(self.draw, NormalByRound):  # its seeds stay on the CPU; meta has no generators
            return replace(self.draw, device="cpu").take(drawn).double().to("meta")
        taken = self.draw.take(drawn)
        return taken.double() if taken.is_floating_point() else taken


def moved(value, to: str):
    """A builder's argument with all its tensors on a device."""
    if isinstance(value, Part):
        return replace(value, arguments={name: moved(v, to) for name, v in value.arguments.items()})
    if isinstance(value, torch.Tensor):
        return value.to(to)
    if isinstance(value, (data.Images, Pairs)):  # of a mixture only samples are used
        tensors = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(value, **{n: v.to(to) for n, v in tensors.items() if isinstance(v, torch.Tensor)})
    return value


def elsewhere(turn: Turn) -> Turn:
    return replace(turn, draws={name: Elsewhere(draw) for name, draw in turn.draws.items()})


@every
def test_a_game_is_played_on_another_device_without_a_tensor_from_the_cpu(name):
    """On meta an operation of tensors of two devices is an error, and so is reading a number."""
    game = moved(CASES[name].call, "meta").made()
    plain = functools.partial(torch.optim.Adam, lr=0.1, foreach=False)  # no kernel for all at once there
    players = {key: replace(player, optimiser=plain) for key, player in game.players.items()}
    phases = tuple(replace(p, turns=tuple(map(elsewhere, p.turns))) for p in game.phases)
    game = replace(game, players=players, phases=phases)
    seeds = CASES[name].seeds
    state = State(seeds, torch.device("meta"), {}, {}, [stream(s, "init") for s in seeds], [], [])
    state.nets = {key: build(state.init).double().to("meta") for key, build in game.networks.items()}
    state.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for key in players:
        fresh_optimiser(game, state, key)
    for phase in game.phases:
        round_ = loop._Stretch(game, state, phase, 1)
        round_.chunk = [loop.drawn_ahead(game, turn, 1, state.generators) for turn in phase.turns]
        losses = round_._round(0)
        assert losses.device.type == "meta" and losses.shape[1] == len(seeds)
