"""Independent cells of work on parallel workers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from bridgekit.errors import BridgekitError

Cell = TypeVar("Cell", bound=Hashable)
Found = TypeVar("Found")


def in_parallel(work: Callable[[Cell], Found], cells: Iterable[Cell], workers: int = 1) -> dict[Cell, Found]:
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
