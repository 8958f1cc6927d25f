"""Whole games from the first round to the last, and several of them side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from bridgekit.errors import NoTrialLeft
from bridgekit.game import Game
from bridgekit.training import State, fit

Cell = TypeVar("Cell", bound=Hashable)
Found = TypeVar("Found")


def whole(
    game: Game,
    state: State,
    at: Iterable[int] = (),
    *,
    phases: Iterable[str] | None = None,
    checkpoint: Path | None = None,
) -> Iterator[State]:
    """Play the phases one after the other; yield the state at the rounds ``at``, counted from the first one.

    ``phases`` names those to be played (all, unless given). The round that ends a phase is looked at before
    the next phase begins. When no trial is left, play stops and the state is yielded as it is at the
    remaining rounds, so that every game of a comparison is looked at equally often: ``state.failed`` says
    what happened. ``checkpoint`` is one file for the whole game, as in :func:`bridgekit.training.fit`.
    """
    played = [game.phase(name) for name in phases] if phases is not None else game.phases
    first, wanted = 0, sorted(set(at))
    for phase in played:
        last = first + phase.rounds
        here = [r - first for r in wanted if first < r <= last or r == first == 0]
        looked = 0
        try:
            for now in fit(game, state, phase.name, at=here, checkpoint=checkpoint):
                looked = first + now.played[phase.name]
                yield now
        except NoTrialLeft:
            seen = first + state.seen.get(phase.name, -1)
            for _ in (r for r in wanted if r > max(looked, seen)):
                yield state
            return
        first = last


def rounds_of(game: Game, phases: Iterable[str] | None = None) -> list[int]:
    """The round at which each phase ends, counted from the first one's start."""
    ends, total = [], 0
    for phase in game.phases if phases is None else map(game.phase, phases):
        total += phase.rounds
        ends.append(total)
    return ends


def side_by_side(work: Callable[[Cell], Found], cells: Iterable[Cell], workers: int = 1) -> dict[Cell, Found]:
    """``{cell: work(cell)}`` with ``workers`` at a time, each in a thread of its own.

    Worth it where cells are independent games and cores are idle: torch's kernels leave the interpreter free.
    Each thread keeps torch's present number of threads, so that no number depends on ``workers``. The first
    error stops what has not begun and is raised.
    """
    cells = list(cells)
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))
    with contextlib.ExitStack() as stack:
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        futures = [pool.submit(work, cell) for cell in cells]
        return {cell: future.result() for cell, future in zip(cells, futures, strict=True)}
