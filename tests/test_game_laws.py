"""Every game beside its paper, and the laws that hold for all of them.

Builders are found by inspection: a new one fails here until it has a case (``tests/games``).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable

import pytest
import torch
from games import CASES
from games.defaults import DEFAULTS
from games.harness import check, close, killed_and_taken_up, of_trial, phases, same_end, trials

import bridgekit.games

EXEMPT = {"processes_game": "infogan, adversarial_autoencoder and cycle_gan are its cases"}
RETURNED = {"Game", "Arena", "ClassArena"}


def builders() -> set[Callable]:
    """The public functions of bridgekit.games that return a game, or an arena for games."""
    found = set()
    for module in pkgutil.iter_modules(bridgekit.games.__path__):
        module = importlib.import_module(f"bridgekit.games.{module.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            here = function.__module__ == module.__name__ and not name.startswith("_")
            if here and function.__annotations__.get("return") in RETURNED and name not in EXEMPT:
                found.add(function)
    return found


CHANGES = [(name, label) for name, case in CASES.items() for label, _ in case.to_play()]
every = pytest.mark.parametrize("name", CASES)


def test_every_builder_has_a_case():
    assert {part.function for case in CASES.values() for part in case.call.parts()} == builders()


def test_every_argument_of_every_builder_is_changed_by_some_case():
    wanted, found = set(), set()
    for case in CASES.values():
        builder = case.call.function
        wanted |= {(builder, argument) for argument in case.call.names()}
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
