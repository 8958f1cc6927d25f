"""How results take their place, and how what a kill interrupted is put right.

A run works in a folder of its own (`workshop`) and hands its files to `Place.put`. They are written whole
into `<folder>/.placing/writing`, which is then renamed to `ready`: from that moment they are the result. Then
they are moved into place one by one, the record after the figures, the notebook last. Whatever was killed
before the renaming is dropped, and whatever was killed after it is completed, by the next run and by
`recover`, which the command line, the Snakefile and the ledger call. Only what the page's own earlier run has
left is replaced or removed: a folder that a person named holds nothing else, or nothing is put there.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridgekit import files, spec
from bridgekit.book import sums
from bridgekit.book.records import read_record
from bridgekit.errors import BridgekitError

PLACING, WRITING, READY, GONE = ".placing", "writing", "ready", ".gone"
ANOTHER = (
    f"Choose another folder with --out (where plain papermill runs the page: name in {spec.NAME} a file that "
    'holds {"out": "FOLDER"})'
)


def workshop(home: Path) -> AbstractContextManager[Path]:
    """A folder for this process alone under _build/work, gone afterwards; those of killed ones go first."""
    return files.workshop(home / "_build" / "work")


@dataclass(frozen=True)
class Place:
    """Where results of a page go: `folder`, in the repository `home` or anywhere else."""

    folder: Path
    page: str
    home: Path

    @property
    def own(self) -> bool:
        """Whether this is figures/<profile>/<page>, where same names are the page's, whatever says so."""
        return self.folder == (self.home / "figures").resolve() / self.folder.parent.name / self.page

    @property
    def notebooks(self) -> Path:
        """The folder for the notebook: beside the results, but for those in the page's own place."""
        kind = self.folder.parent.name
        return self.home / "_build" / "notebooks" / kind if self.own else self.folder

    def check(self) -> None:
        """Raise BridgekitError, before anything runs, where `put` could not put results here."""
        place = next(each for each in (self.folder, *self.folder.parents) if os.path.exists(each))
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            why = "read-only" if place.is_dir() else "a file"
            raise BridgekitError(f"cannot write results to {self.folder} ({place} is {why}). {ANOTHER}")
        if (self.folder / PLACING).exists():
            with self._alone():
                pass
        self._check_foreign()

    def _check_foreign(self) -> None:
        """Raise BridgekitError where a folder that a person named holds what is not the page's."""
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        other = sorted(name for name in there - self._listed() if not name.startswith("."))
        if other and not self.own:
            what = f"{other[0]}, which no run of page '{self.page}' has left"
            raise BridgekitError(
                f"{self.folder} holds {what}: each page wants a folder of its own. {ANOTHER}"
            )

    def _listed(self) -> set[str]:
        """The files of the page's own earlier run: what its sums list, and its notebook."""
        with contextlib.suppress(BridgekitError):
            if self.own or read_record(self.folder / "record.json")["page"] == self.page:
                return {*sums.listed(self.folder), sums.NAME, f"{self.page}.ipynb"}
        return set()

    def put(self, new: Mapping[str, bytes]) -> None:
        """Put a run's files, {name: content} with a record among them, here: all of them, or none.

        Raises BridgekitError where they cannot be written, and where there is anything foreign.
        """
        with self._alone() as stage:
            self._check_foreign()
            shutil.rmtree(stage / WRITING, ignore_errors=True)  # of a killed process
            gone = "\n".join(sorted(self._listed() - {*new, f"{self.page}.ipynb"}))
            for name, body in {**new, GONE: gone.encode()}.items():
                files.write_atomically(stage / WRITING / name, body)
            (stage / WRITING).rename(stage / READY)
            _complete(stage, self.home)

    @contextmanager
    def _alone(self) -> Iterator[Path]:
        """The stage, for this process alone; what a killed one left there has been put right."""
        stage = self.folder / PLACING
        with files.writing(f"results to {self.folder}", ANOTHER), files.locked(stage / files.LOCK):
            _complete(stage, self.home)
            try:
                yield stage
            finally:
                _clear(stage)


def _complete(stage: Path, home: Path) -> None:
    """Move what is ready from the stage into place; does nothing where nothing is."""
    folder, ready, gone = stage.parent, stage / READY, stage / READY / GONE
    if not ready.is_dir():
        return
    new = {path.name for path in ready.iterdir()} - {GONE}
    for name in sorted(new, key=lambda name: (name.endswith(".ipynb"), name == "record.json", name)):
        beside = Place(folder, name.removesuffix(".ipynb"), home).notebooks
        if name.endswith(".ipynb"):  # perhaps in another file system
            files.write_atomically(beside / name, (ready / name).read_bytes())
        else:
            os.replace(ready / name, folder / name)
    for name in gone.read_text(encoding="utf-8").splitlines() if gone.exists() else ():
        (folder / Path(name).name).unlink(missing_ok=True)
    shutil.rmtree(ready)


def _clear(stage: Path) -> None:
    """Remove a stage, unless it still has something to be completed, and a folder that was made for it."""
    if not (stage / READY).is_dir():
        shutil.rmtree(stage, ignore_errors=True)
        with contextlib.suppress(OSError):
            stage.parent.rmdir()


def swap(new: Path, folder: Path) -> None:
    """The folder `new` takes the place of `folder`, which is wholly ours; where that fails the old one stays.

    A kill in between leaves none, until `recover` brings the old one back.
    """
    stage = _beside(folder)
    with files.locked(stage / files.LOCK):
        try:
            _restore(folder)
            if folder.exists():
                folder.rename(stage / "old")
            new.rename(folder)
        finally:
            _restore(folder)
            shutil.rmtree(stage, ignore_errors=True)


def _beside(folder: Path) -> Path:
    """Where the old folder waits while the new one takes its place."""
    return folder.with_name(f".{folder.name}{PLACING}")


def _restore(folder: Path) -> None:
    """The old folder comes back where there is no new one."""
    old = _beside(folder) / "old"
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover(home: Path) -> None:
    """Complete, restore and sweep what killed processes left in the repository, and nothing of living ones.

    Never raises: where the repository cannot be written, things stay as they are.
    """
    html = home / "_build" / "html"
    for stage in (*home.glob(f"figures/*/*/{PLACING}"), _beside(html)):
        with contextlib.suppress(OSError), files.dead(stage) as free:
            if free and stage == _beside(html):
                _restore(html)
                shutil.rmtree(stage)
            elif free:
                _complete(stage, home)
                _clear(stage)
    files.sweep(home / "_build" / "work")
