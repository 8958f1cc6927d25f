"""Progress with an estimate, for a terminal, a notebook, or the parent process that watches a page."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from types import TracebackType

from bridgekit.spec import told

EVERY = 10.0  # seconds


def say(text: str) -> None:
    """One line for whoever watches: to the file that the run's spec names, else printed."""
    if target := told("progress"):
        _write(Path(target), {"said": text})
    else:
        print(text)


def _write(path: Path, note: dict) -> None:
    """Add a note; one that a full disk does not take is no reason to lose the training it is about."""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")


class Progress:
    """Counts rounds of one stretch of play.

    Where the run's spec names a file, one JSON line each ten seconds goes there (the command line shows it,
    and nothing ends up in the notebook); otherwise a tqdm bar.
    """

    def __init__(self, what: str, of: int, done: int = 0):
        self.what, self.of, self.first = what, of, done
        self.began = self.told = time.monotonic()
        target = told("progress")
        self.path = Path(target) if target else None
        self.bar = None
        if self.path is None:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=of, initial=done, desc=what, leave=False, mininterval=0.5)

    def update(self, done: int) -> None:
        """Say that ``done`` rounds have been played; cheap enough for every round."""
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
            return
        now = time.monotonic()
        if now - self.told >= EVERY:
            self.told = now
            pace = (now - self.began) / max(done - self.first, 1)
            _write(
                self.path,
                {"what": self.what, "done": done, "of": self.of, "left": pace * (self.of - done)},
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ):
        if self.bar is not None:
            self.bar.close()
