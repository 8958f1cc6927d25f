"""The store of finished cells: small files that a later run of the page, or another machine, takes up.

A checkpoint saves minutes, and only the machine that wrote it goes on from it. A cell in the store is
finished: its name holds a hash of all that determines its numbers, so that it counts whatever machine,
instruction set or number of workers made it, and its provenance says what that was. Several processes may
fill one store.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from bridgekit import files
from bridgekit.book import records
from bridgekit.play import progress

SUFFIX = ".cell"
LONG = 10.0  # seconds: who watches is told of a cell that took so long
_ABOUT = "about"  # the entry beside the arrays that holds provenance, as JSON
_WAY_OUT = "Make the folder writable, and start again: the cells that are there are taken up."
Arrays = dict[str, np.ndarray]
Made = tuple[Arrays, dict]


def label(name: object, mark: str) -> str:
    """``('bridge', 0.5)`` as a file's name, with the hash ``mark`` of all that determines the cell."""
    text = "-".join(map(str, name)) if isinstance(name, tuple) else str(name)
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', text).strip('-')[:60]}-{mark[:12]}"


class Store:
    """The cells in ``places``: new ones are written to the first one, to be read from each.

    A ``strict`` store in a clean tree does without what an unclean one has made. ``made`` has the provenance
    of each cell that this run has used so far, and ``left`` is how many it will still take. Several threads
    may take different cells at the same time.
    """

    def __init__(
        self,
        *places: Path | str,
        root: Path,
        criteria: Mapping[str, str] | None = None,
        strict: bool = False,
    ):
        self.places, self.root = [Path(place) for place in places], Path(root)
        self.criteria = dict(criteria or {})  # {claim: hash}, as they stand while cells are made
        self.made: dict[str, dict] = {}
        self._strict = strict and records.git_state(self.root)[1] is False
        self.left, self._here, self._began = 0, 0, time.monotonic()

    def has(self, name: str) -> bool:
        """Whether a finished cell of this name is there."""
        return any(place.exists() for place in self._files(name))

    def take(self, name: str, make: Callable[[], Mapping], wait: bool = True) -> Arrays | None:
        """The arrays of the cell ``name`` if it is there and whole; else what ``make()`` returns, kept.

        While another process makes it: its arrays after waiting, or None without ``wait``. Raises
        BridgekitError where the file cannot be written.
        """
        if (found := self._found(name)) is None:
            with files.locked(self._lock(name), wait=wait) as mine:
                if mine is False:
                    return None
                found = self._found(name) or self._new(name, make)
                self._lock(name).unlink(missing_ok=True)
        arrays, self.made[name] = found
        self.left -= 1
        return arrays

    def _files(self, name: str) -> list[Path]:
        return [place / f"{name}{SUFFIX}" for place in self.places]

    def _lock(self, name: str) -> Path:
        with files.writing(self.places[0], _WAY_OUT):
            self.places[0].mkdir(parents=True, exist_ok=True)
        return self.places[0] / f"{name}{files.LOCK}"

    def _found(self, name: str) -> Made | None:
        return next(filter(None, map(self._read, self._files(name))), None)

    def _read(self, path: Path) -> Made | None:
        """Arrays and provenance of a file that is whole; from a clean tree, if this one is."""
        if not path.exists():
            return None
        body = files.read_checked(path)
        if body is None:
            return self._drop(path, "is damaged")
        arrays = records.arrays(body)
        about = json.loads(arrays.pop(_ABOUT).item())
        if self._strict and about["dirty"] is not False:
            return self._drop(path, "was made with uncommitted changes")
        return arrays, about

    def _drop(self, path: Path, why: str) -> None:
        progress.say(f"{path.name} {why}: it is made again")
        path.unlink(missing_ok=True)

    def _new(self, name: str, make: Callable[[], Mapping]) -> Made:
        """New arrays, kept, and where they are from: of a tree that was changed meanwhile, dirty."""
        import torch

        commit, before = records.git_state(self.root)
        began = time.monotonic()
        arrays = {key: records.as_array(values) for key, values in make().items()}
        seconds, after = round(time.monotonic() - began, 1), records.git_state(self.root)[1]
        about = {
            "commit": commit,
            "dirty": None if None in (before, after) else before or after,
            "seconds": seconds,
            "criteria": self.criteria,
            "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
        }
        content = arrays | {_ABOUT: np.array(json.dumps(about, sort_keys=True))}
        path = self._files(name)[0]
        with files.writing(path, _WAY_OUT):
            files.write_checked(path, records.npz_bytes(content))
        self._here, left = self._here + 1, max(self.left - 1, 0)
        minutes = left * (time.monotonic() - self._began) / self._here / 60
        if seconds >= LONG:
            progress.say(f"{name}: {seconds:.0f} s, {left} left, about {minutes:.0f} min")
        return arrays, about

    def tidy(self, used: Iterable[str]) -> None:
        """Once a record is in place: what it ``used`` stays, or goes to the second place; the rest goes."""
        keep = {f"{name}{SUFFIX}" for name in used}
        for path in [path for place in self.places for path in place.glob(f"*{SUFFIX}")]:
            if path.name not in keep:
                path.unlink(missing_ok=True)
            elif path.parent != self.places[-1]:
                self.places[-1].mkdir(parents=True, exist_ok=True)
                os.replace(path, self.places[-1] / path.name)
        for lock in self.places[0].glob(f"*{files.LOCK}"):  # of processes that were killed
            files.discard(lock)
        with contextlib.suppress(OSError):  # not empty
            self.places[0].rmdir()
