"""Whole games from the first round to the last, and several of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from bridgekit.errors import BridgekitError, NoTrialLeft
from bridgekit.game import Game, Phase
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
    the next phase begins. When no trial is left, play stops, and at the remaining rounds the state is yielded
    with NaN for every weight and with ``played`` as if play had gone on: every game of a comparison is looked
    at equally often, and nothing is measured of what had stopped learning. ``state.failed`` says what
    happened. ``checkpoint`` is one file for the whole game, as in :func:`bridgekit.training.fit`.
    """
    played = [game.phase(name) for name in phases] if phases is not None else game.phases
    first, wanted = 0, sorted(set(at))
    for i, phase in enumerate(played):
        last = first + phase.rounds
        here = [r - first for r in wanted if first < r <= last or r == i == 0]
        looked = 0
        try:
            for now in fit(game, state, phase.name, at=here, checkpoint=checkpoint):
                looked = now.played[phase.name]
                yield now
        except NoTrialLeft:
            looked = first + max(looked, state.seen.get(phase.name, 0))
            yield from _lost(state, played, [r for r in wanted if r > looked])
            return
        first = last


def _lost(state: State, phases: Sequence[Phase], rounds: Iterable[int]) -> Iterator[State]:
    """What :func:`whole` yields of a game that no trial has survived, at those of ``rounds`` that it has."""
    with torch.no_grad():
        for parameter in (p for net in state.nets.values() for p in net.parameters()):
            parameter.fill_(torch.nan)
    total = sum(phase.rounds for phase in phases)
    for left in (r for r in rounds if r <= total):
        for phase in phases:
            state.played[phase.name] = min(left, phase.rounds)
            left -= phase.rounds
            if left <= 0:
                break
        yield state


def side_by_side(work: Callable[[Cell], Found], cells: Iterable[Cell], workers: int = 1) -> dict[Cell, Found]:
    """``{cell: work(cell)}`` with ``workers`` at a time, each in a thread of its own.

    Worth it where cells are independent games and cores are idle: torch's kernels leave the interpreter free.
    Each thread keeps torch's present number of threads, so that no number depends on ``workers``. After the
    first error no cell begins, those under way end, and that error is raised. Fewer than one worker is a
    BridgekitError.
    """
    if workers < 1:
        raise BridgekitError(f"workers={workers}: somebody has to work, 1 is the least")
    cells, errors = list(dict.fromkeys(cells)), []  # one that is named twice is played once
    threads = torch.get_num_threads()

    def attempt(cell: Cell) -> Found | None:
        try:
            return None if errors else work(cell)
        except BaseException as error:
            errors.append(error)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        found = list(pool.map(attempt, cells))
    if errors:
        raise errors[0]
    return dict(zip(cells, found, strict=True))
