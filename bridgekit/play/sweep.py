"""Cells: games with their seeds, each played and evaluated for itself, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.play import identity, loop
from bridgekit.play.game import Game
from bridgekit.play.state import State

Item = TypeVar("Item", bound=Hashable)
Found = TypeVar("Found")
Arrays = dict[str, np.ndarray]


class Kept(dict[str, np.ndarray]):
    """What was evaluated in a cell, ``(evaluations, ...)`` by name, from the arrays of :func:`played`.

    Beside these, ``training`` and ``evaluating`` ``(evaluations,)`` are the seconds before and in each
    evaluation, and ``failed`` ``(T,)`` says which trials became non-finite.
    """

    def __init__(self, arrays: Arrays):
        # In one order, whether they were just played or read from a file.
        super().__init__({name: arrays[name] for name in sorted(arrays) if not name.startswith("_")})
        own = (arrays[name] for name in ("_failed", "_training", "_evaluating"))
        self.failed, self.training, self.evaluating = own


@dataclass(frozen=True)
class Cell:
    """One game with its ``seeds``, called ``name``, and the rounds ``at`` which it is evaluated.

    ``phases`` names those that are played, all unless given. ``trunk`` is a cell that is played first, by the
    same seeds and without evaluations; play goes on from a copy of its end, so that cells may share a trunk.
    """

    name: Hashable
    game: Game
    seeds: Iterable[int]
    at: Iterable[int] = ()
    phases: Iterable[str] | None = None
    trunk: Cell | None = None

    def canonical(self) -> list:
        """All that decides what is played."""
        own = [self.name, self.game.fingerprint(), list(self.seeds), [int(r) for r in self.at]]
        return [
            *own,
            None if self.phases is None else list(self.phases),
            self.trunk and self.trunk.canonical(),
        ]


Evaluate = Callable[[Cell, State], Mapping[str, Tensor | float]]


def key(cell: Cell, evaluate: Evaluate, on: torch.device | str = "cpu") -> str:
    """A hash of what determines a cell's numbers on one kind of device, but for the library's own code."""
    return identity.digest(cell.canonical(), evaluate, torch.device(on).type)


def played(cell: Cell, evaluate: Evaluate, begun: State, checkpoint: Path | None = None) -> Arrays:
    """Play the cell from ``begun``: what ``evaluate(cell, state)`` returns at each of its rounds, stacked.

    With it, under names with a leading underscore, what :class:`Kept` says of a cell. A number for each
    trial, ``(T,)``, is NaN from where its trial failed. What ``evaluate`` itself keeps in the state under
    such a name stays there. Raises BridgekitError where it returns one.
    """
    clock = time.monotonic()
    for now in loop.whole(cell.game, begun, cell.at, phases=cell.phases, checkpoint=checkpoint):
        asked, failed = time.monotonic(), [failure is not None for failure in now.failed]
        found = {name: _without(failed, value) for name, value in evaluate(cell, now).items()}
        if hidden := [name for name in found if name.startswith("_")]:
            raise BridgekitError(f"the cell {cell.name!r} returns {hidden[0]!r}: leave the underscore out")
        done = time.monotonic()
        now.keep(**found, _training=asked - clock, _evaluating=done - asked)
        clock = time.monotonic()
    own = ("_training", "_evaluating")
    names = [name for name in begun.history if name in own or not name.startswith("_")]
    arrays = {name: begun.kept(name).numpy() for name in names}
    return arrays | {"_failed": np.array([failure is not None for failure in begun.failed])}


def _without(failed: list[bool], value: Any) -> Tensor:
    """``value``, NaN for the trials that failed if it has one number for each."""
    value = torch.as_tensor(value).detach()
    if tuple(value.shape) != (len(failed),) or not value.is_floating_point() or not any(failed):
        return value
    return value.masked_fill(torch.tensor(failed, device=value.device), torch.nan)


def begin(cell: Cell, on: torch.device | str = "cpu") -> State:
    """Where play begins: the start of the cell's game, or the end of its trunk."""
    return end(cell.trunk, on) if cell.trunk else loop.start(cell.game, list(cell.seeds), on)


def end(cell: Cell, on: torch.device | str = "cpu", checkpoint: Path | None = None) -> State:
    """The state after the cell's last round, played without evaluations."""
    state = begin(cell, on)
    for _ in loop.whole(cell.game, state, phases=cell.phases, checkpoint=checkpoint):
        pass
    return state


def in_parallel(work: Callable[[Item], Found], items: Iterable[Item], workers: int = 1) -> dict[Item, Found]:
    """``{item: work(item)}`` with ``workers`` at a time, each in a thread of its own.

    Worth it where items are independent games and cores are idle: torch's kernels leave the interpreter free.
    Each thread keeps torch's present number of threads, so that no number depends on ``workers``. After the
    first error no item begins, those under way end, and that error is raised. Fewer than one worker is a
    BridgekitError.
    """
    if workers < 1:
        raise BridgekitError(f"workers={workers}: somebody has to work, 1 is the least")
    items, errors = list(dict.fromkeys(items)), []  # one that is named twice is played once
    threads = torch.get_num_threads()

    def attempt(item: Item) -> Found | None:
        try:
            return None if errors else work(item)
        except BaseException as error:
            errors.append(error)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        found = list(pool.map(attempt, items))
    if errors:
        raise errors[0]
    return dict(zip(items, found, strict=True))
