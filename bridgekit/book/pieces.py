"""Pieces: the finished cells of a long run, small files to be committed and taken up on another machine.

A checkpoint saves minutes, and only the machine that wrote it goes on from it. A piece is finished: whatever
machine, instruction set or number of workers made it, it counts, and its provenance says what that was.
Where pieces lie, and that they go once the run's record is in place, is for `results.Run` and `pages.run`.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bridgekit import closure, files
from bridgekit.book import records
from bridgekit.errors import BridgekitError
from bridgekit.play import progress

SUFFIX = ".piece"
_ABOUT = "about"  # the entry beside the arrays that holds identity and provenance, as JSON
Arrays = dict[str, np.ndarray]
Make = Callable[[], Mapping]


class Pieces:
    """The pieces of one run in ``folder``; ``made`` has the provenance of each that the run has used so far.

    Several threads may take different pieces at the same time.
    """

    def __init__(self, folder: Path, root: Path, criteria: Mapping[str, str] | None = None):
        self.folder, self.root = Path(folder), Path(root)
        self.criteria = dict(criteria or {})  # {claim: hash}, as they stand while pieces are made
        self.made: dict[str, dict] = {}
        self._seconds: list[float] = []  # of the pieces made here, for the estimate
        self._began = time.monotonic()

    def take(self, name: str, identity: Sequence, make: Make, of: int | None = None) -> Arrays:
        """The piece ``name`` if it is there, whole and of this identity; else what ``make()`` returns, kept.

        ``identity`` is whatever must agree, as JSON; ``of`` how many pieces the run will take, for the
        estimate. Raises BridgekitError where the file cannot be written.
        """
        mark, path = closure.digest(*map(json.dumps, identity)), self.folder / f"{name}{SUFFIX}"
        found = self._found(path, mark)
        if found is None:
            found = self._make(make)
            self._write(path, found[0], {"identity": mark, **found[1]})
            self._seconds.append(found[1]["seconds"])
        arrays, self.made[name] = found
        self._tell(name, of)
        return arrays

    def _found(self, path: Path, mark: str) -> tuple[Arrays, dict] | None:
        """Arrays and provenance of a file that is whole and has this identity; of another, say what it is."""
        if not path.exists():
            return None
        body = files.read_checked(path)
        if body is None:
            progress.say(f"{path.name} is damaged: it is made again")
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        about = json.loads(arrays.pop(_ABOUT).item())
        if about.pop("identity") != mark:
            progress.say(f"{path.name} is of another game, seed, code or measurement: it is made again")
            return None
        return arrays, about

    def _make(self, make: Make) -> tuple[Arrays, dict]:
        """New arrays and where they are from: of a tree that was changed before or afterwards, dirty."""
        import torch

        commit, before = records.git_state(self.root)
        began = time.monotonic()
        arrays = {key: records.as_array(values) for key, values in make().items()}
        seconds, after = round(time.monotonic() - began, 1), records.git_state(self.root)[1]
        dirty = None if None in (before, after) else before or after
        cpu = torch.backends.cpu.get_cpu_capability()
        made = {"commit": commit, "dirty": dirty, "seconds": seconds, "torch": torch.__version__, "cpu": cpu}
        return arrays, made | {"criteria": self.criteria}

    def _write(self, path: Path, arrays: Arrays, about: dict) -> None:
        content = arrays | {_ABOUT: np.array(json.dumps(about, sort_keys=True))}
        try:
            files.write_checked(path, records.npz_bytes(content))
        except OSError as error:
            raise BridgekitError(
                f"cannot write {path}: {error.strerror}. Free some space, or make the folder writable, and "
                "start again: the pieces that are there are taken up."
            ) from error

    def _tell(self, name: str, of: int | None) -> None:
        """One line: which piece, how long it took, how many are left, and for how long at the pace so far."""
        text = f"{name}: {self.made[name]['seconds']:.0f} s"
        if of is not None:
            left = max(of - len(self.made), 0)
            text += f", {left} of {of} left"
            if left and self._seconds:
                minutes = left * (time.monotonic() - self._began) / len(self._seconds) / 60
                text += f", about {minutes:.0f} min"
        progress.say(text)


def clear(folder: Path) -> None:
    """Remove the pieces in ``folder``, and the folder if nothing else is in it."""
    for path in Path(folder).glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)
    if Path(folder).is_dir() and not any(Path(folder).iterdir()):
        Path(folder).rmdir()
