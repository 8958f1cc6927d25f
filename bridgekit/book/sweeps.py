"""A page's cells, played or found in the store; a job on a cluster plays its share of them alone."""

import functools
import sys
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bridgekit import closure
from bridgekit.book.cells import Arrays, Store, label
from bridgekit.errors import BridgekitError
from bridgekit.play import identity, sweep
from bridgekit.play.state import State
from bridgekit.play.sweep import Cell, Evaluate, Kept


class Filled(BaseException):
    """The share of the cells that was wanted is there: the rest of the page is not."""


@dataclass
class Share:
    """Of the cells of a page, counted from 0 through its ``sweeps`` sweeps: ``first`` and each ``every``-th.

    With ``every`` 0 it is the first alone; with no ``first``, none: they are only listed.
    """

    first: int | None
    every: int
    sweeps: int
    _seen: int = 0

    def of(self, labels: list[str], store: Store) -> list[str]:
        """Those of the next sweep's cells that are in it."""
        numbered = list(enumerate(labels, self._seen))
        self._seen, self.sweeps = self._seen + len(labels), self.sweeps - 1
        if self.first is None:
            for number, label in numbered:
                print(f"{number:4}  {'there' if store.has(label) else 'missing':8} {label}")
            return []
        wanted = range(self.first, self._seen, self.every or sys.maxsize)
        return [label for number, label in numbered if number in wanted]

    def end(self, labels: list[str], store: Store) -> None:
        """After its part of a sweep: raise Filled where no further one is wanted, or can be known."""
        alone, listing = self.first is not None and not self.every, self.first is None
        if alone and self.sweeps == 0 and self.first >= self._seen:
            raise BridgekitError(f"there is no cell {self.first}: they are {self._seen}, counted from 0")
        reached = self.sweeps == 0 or (alone and self._seen > self.first)
        if reached or (listing and not all(map(store.has, labels))):
            raise Filled


@dataclass
class Sweeper:
    """What :meth:`bridgekit.book.runs.Run.sweep` does."""

    store: Store
    code: object  # of the library, which determines a cell too
    evaluate: Evaluate
    on: torch.device
    checkpoint: Callable[[str], Path]
    share: Share | None = None
    _trunks: dict[str, State] = field(default_factory=dict)
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def sweep(self, cells: list[Cell], workers: int) -> dict[Hashable, Kept]:
        """Every cell's arrays by its name; with a share, that part is played first, and Filled may end it."""
        names = [cell.name for cell in cells]
        if twice := [name for name in names if names.count(name) > 1]:
            raise BridgekitError(f"two cells are called {twice[0]!r}: name each by all that tells it apart")
        keyed = {self._label(cell): cell for cell in cells}
        self.store.left += len(keyed)

        def take(label: str, wait: bool = False) -> Arrays | None:
            return self.store.take(label, lambda: self._play(label, keyed[label]), wait)

        if self.share:
            mine = self.share.of(list(keyed), self.store)
            sweep.in_parallel(functools.partial(take, wait=True), mine, workers)
            self.share.end(list(keyed), self.store)
        found = sweep.in_parallel(take, keyed, workers)  # but for those that another process is at
        late = [label for label, arrays in found.items() if arrays is None]
        found |= sweep.in_parallel(functools.partial(take, wait=True), late, workers)
        return {cell.name: Kept(found[label]) for label, cell in keyed.items()}

    def _label(self, cell: Cell) -> str:
        return label(cell.name, closure.digest(self.code, sweep.key(cell, self.evaluate, self.on)))

    def _play(self, label: str, cell: Cell) -> Arrays:
        begun, kept = self._trunk(cell.trunk) if cell.trunk else None, self.checkpoint(f"{label}.pt")
        found = sweep.played(cell, self.evaluate, begun or sweep.begin(cell, self.on), kept)
        kept.unlink(missing_ok=True)
        return found

    def _trunk(self, trunk: Cell) -> State:
        """A copy of the trunk's end, which is played once."""
        mark = identity.digest(trunk)
        with self._alone:
            if mark not in self._trunks:
                kept = self.checkpoint(f"trunk-{mark[:12]}.pt")
                self._trunks[mark] = sweep.end(trunk, self.on, kept)
            return self._trunks[mark].branch()
