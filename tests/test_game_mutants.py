"""Changed games must be refused by the checks of ``tests/games``: those with a name, others by rule.

The names are in ``tests/named_mutants.py``.

``GAME_MUTANTS=all`` in the environment tries every mutant of every function that a game is made of; otherwise
some are drawn, always the same.
"""

from __future__ import annotations

import functools
import importlib
import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from games import CASES, paper_b
from games import paper_b_lines as lines
from games.changed import Target, changed, edited, in_place, reached, survives, targets
from games.harness import Move, Paper, Steps, check, killed_and_taken_up, same_end
from games.same_a import SAME as SAME_A
from games.same_b import SAME as SAME_B
from games.same_c import SAME as SAME_C
from named_mutants import NAMED
from torch import Tensor

from bridgekit.games import vae

OF_GAMES = {mistake.what: mistake for mistake in NAMED if mistake.case}


@pytest.mark.parametrize("what", OF_GAMES)
def test_a_mistake_with_a_name_is_refused(what):
    mistake = OF_GAMES[what]
    case = CASES[mistake.case]
    target = targets()[f"{mistake.module.rpartition('.')[2]}.{mistake.function}"]
    with in_place(target, edited(target, mistake.old, mistake.new)), pytest.raises(AssertionError):
        check(case.changed(dict(case.to_play())[mistake.change]) if mistake.change else case)


def of_the_loop(what: str) -> tuple[Target, Callable]:
    """A named mistake of ``bridgekit.play``, and the function that has it."""
    (mistake,) = (each for each in NAMED if each.what == what)
    module = importlib.import_module(mistake.module)
    target = Target(module, getattr(module, mistake.function))
    return target, edited(target, mistake.old, mistake.new)


def test_losses_logged_as_their_mean_over_trials_are_refused():
    with in_place(*of_the_loop("losses logged as their mean over trials")):
        with pytest.raises(AssertionError, match="as it is kept"):
            check(CASES["gan"])


def test_start_generators_that_a_checkpoint_does_not_give_back_are_refused(tmp_path):
    with in_place(*of_the_loop("start generators not given back")):
        assert not same_end(*killed_and_taken_up(CASES["fine_tuning"], "cold", tmp_path / "state.pt"))


def test_start_generators_missing_from_a_checkpoint_are_refused(tmp_path):
    with in_place(*of_the_loop("start generators missing from a checkpoint")):
        with pytest.warns(UserWarning, match="starting anew"):
            killed_and_taken_up(CASES["fine_tuning"], "cold", tmp_path / "state.pt")


# The mutants that no check can refuse, by function: what stands there, and why it is the same game.
EQUIVALENT: dict[str, dict[str, str]] = {**SAME_A, **SAME_B, **SAME_C}


@pytest.mark.parametrize("name", sorted(reached()))
def test_mutants_of_what_games_are_made_of_are_refused(name):
    target, cases = targets()[name], [CASES[case] for case in reached()[name]]
    same = EQUIVALENT.get(name, {}).keys()
    every = os.environ.get("GAME_MUTANTS") == "all"
    alive = set()
    for line, function in changed(target, None if every else random.Random(name)):
        if (every or line not in same) and survives(target, function, cases):
            alive.add(line)
    assert alive == (same if every else set())


# --- what is held fixed, and what a perfect discriminator hides -------------------------------------------


def learned_through(line: lines.Line) -> lines.Line:
    """The same line with nothing held fixed."""

    @functools.wraps(line)
    def undetached(nets, batch, now):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tensor, "detach", lambda self: self)
            return line(nets, batch, now)

    return undetached


def without_detach(paper: Paper) -> Paper:
    ((name, steps),) = paper.phases.items()
    turns = tuple(Move(learned_through(move.losses), move.draws, move.before) for move in steps.turns)
    return replace(paper, phases={name: Steps(steps.rounds, turns)})


@pytest.mark.parametrize("name", ["iwgan", "iwgan, images", "iwcgan"])
def test_weights_that_are_learned_through_give_another_gradient(name):
    """Elsewhere what is detached belongs to another player, whose gradient the loop does not take."""
    case = CASES[name]
    with pytest.raises(AssertionError, match="gradient of G"):
        check(replace(case, paper=lambda a: without_detach(case.paper(a))), draws=False)


def unsure(a, sure: float, wrap=lambda line: line) -> Paper:
    (both,) = lines.perfect_vae(a.sigma, sure)
    paper = paper_b.perfect_vae(a)
    (move,) = paper.phases["train"].turns
    return replace(paper, phases={"train": Steps(a.rounds, (Move(wrap(both), move.draws),))})


@pytest.mark.parametrize("name", ["perfect_vae", "perfect_vae, images"])
def test_the_generated_half_counts_as_much_as_the_discriminator_lets_it(name, monkeypatch):
    """Eq 19 with a discriminator that is not perfect: what the perfect one hides is right as well."""
    monkeypatch.setattr(vae, "SURE", 1.3)
    case = replace(CASES[name], paper=lambda a: unsure(a, 1.3))
    check(case)
    with pytest.raises(AssertionError, match="gradient of G"):  # x is drawn at theta_0
        check(replace(case, paper=lambda a: unsure(a, 1.3, learned_through)), draws=False)


def test_a_sample_is_one_where_its_number_lies_below_its_probability():
    """Both sides draw the same bits: that a few of them fall otherwise is seen."""
    target = targets()["wake_sleep.wake_sleep"]
    wrong = edited(target, "u < E(x).sigmoid()", "u < E(x).sigmoid() + 0.05")
    with in_place(target, wrong), pytest.raises(AssertionError):
        for seed in range(5):
            check(replace(CASES["wake_sleep"], seeds=(seed, seed + 7)), draws=False)
