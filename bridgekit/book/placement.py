"""How results take their place, and how what a kill interrupted is put right.

A run works in a folder of its own (`workshop`) and hands its files to `Place.put`. They are written whole
into `<folder>/.placing/writing`, which is then renamed to `ready`: from that moment they are the result. Then
they are moved into place one by one, the record after the figures, the notebook last. Whatever was killed
before the renaming is dropped, and whatever was killed after it is completed, by the next run and by
`recover`, which the command line, the Snakefile and the ledger call. Only what the page's own earlier run has
left is replaced or removed.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridgekit import files, spec
from bridgekit.book import sums
from bridgekit.book.records import read_record
from bridgekit.errors import BridgekitError

PLACING, WRITING, READY, GONE = ".placing", "writing", "ready", ".gone"
MINUTE = 60.0  # far more than placing takes
ANOTHER = (
    f"Choose another folder with --out (where plain papermill runs the page: name in {spec.NAME} a file that "
    'holds {"out": "FOLDER"})'
)


@contextmanager
def workshop(home: Path) -> Iterator[Path]:
    """A folder for this process alone under _build/work, gone afterwards; those of killed ones go first."""
    with contextlib.ExitStack() as stack:
        with files.writing(home / "_build"):
            work = stack.enter_context(files.workshop(home / "_build" / "work"))
        yield work


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

    def check(self, also: tuple[str, ...] = ()) -> None:
        """Raise BridgekitError, before anything runs, where `put` could not put results here.

        `also` names files that will be among them beside the record.
        """
        place = next(each for each in (self.folder, *self.folder.parents) if os.path.exists(each))
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            why = "read-only" if place.is_dir() else "a file"
            raise BridgekitError(f"cannot write results to {self.folder} ({place} is {why}). {ANOTHER}")
        if (self.folder / PLACING).exists():
            with self._alone():
                pass
        if not self.own and self.folder.is_dir():
            self._check_foreign(also)

    def _check_foreign(self, also: tuple[str, ...]) -> None:
        """Raise BridgekitError where a folder that a person named holds what is not the page's."""
        folder, listed = self.folder, self._listed()
        if not listed and any(not path.name.startswith(".") for path in folder.iterdir()):
            what = f"other things than results of page '{self.page}'"
            with contextlib.suppress(BridgekitError):
                what = f"the results of page '{read_record(folder / 'record.json')['page']}'"
            raise BridgekitError(f"{folder} holds {what}: each page wants a folder of its own. {ANOTHER}")
        for name in also:
            if os.path.lexists(folder / name) and name not in listed:
                raise BridgekitError(
                    f"{folder / name} is not of a run of page '{self.page}', and stays. {ANOTHER}"
                )

    def _listed(self) -> set[str]:
        """The files of the page's own earlier run: what its sums list, and its notebook."""
        with contextlib.suppress(BridgekitError):
            if self.own or read_record(self.folder / "record.json")["page"] == self.page:
                notebook = {f"{self.page}.ipynb"} if self._made() else set()
                return {*sums.listed(self.folder), sums.NAME} | notebook
        return set()

    def _made(self) -> bool:
        """Whether `make.run` made the notebook that lies here, from this page."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads((self.folder / f"{self.page}.ipynb").read_text(encoding="utf-8"))
            return content["metadata"]["bridgekit"]["page"] == self.page
        return False

    def put(self, new: Mapping[str, bytes]) -> None:
        """Put a run's files, {name: content} with a record among them, here: all of them, or none.

        Raises BridgekitError where they cannot be written, and where a foreign file has the name of a new
        one: it stays, and the results lie in a new folder beside it, which the message names.
        """
        with self._alone() as stage:
            listed = self._listed()
            foreign = [self.folder / name for name in new if self._in_the_way(name, listed)]
            if not foreign:
                self._commit(stage, new, listed - set(new))
        if foreign:
            beside = (self.folder / f"{self.page}-results-{n}" for n in range(1, 1000))
            aside = next(folder for folder in beside if not os.path.lexists(folder))
            Place(aside, self.page, self.home).put(new)
            raise BridgekitError(f"{foreign[0]} is foreign, and stays: the results are in {aside}")

    def _in_the_way(self, name: str, listed: set[str]) -> bool:
        """Whether a new file may not take this name."""
        there = self.folder / name
        return there.is_dir() or (not self.own and name not in listed and os.path.lexists(there))

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

    def _commit(self, stage: Path, new: Mapping[str, bytes], gone: set[str]) -> None:
        """Write the new files to the stage, and what is to go; then let it be the result."""
        shutil.rmtree(stage / WRITING, ignore_errors=True)  # of a killed process
        for name, body in {**new, GONE: "\n".join(sorted(gone)).encode()}.items():
            files.write_atomically(stage / WRITING / name, body)
        (stage / WRITING).rename(stage / READY)
        _complete(stage, self.home)


def _complete(stage: Path, home: Path) -> None:
    """Move what is ready from the stage into place; does nothing where nothing is."""
    folder, ready, gone = stage.parent, stage / READY, stage / READY / GONE
    if not ready.is_dir():
        return
    new = {path.name for path in ready.iterdir()} - {GONE}
    for name in sorted(new, key=lambda name: (name.endswith(".ipynb"), name == "record.json", name)):
        beside = Place(folder, name.removesuffix(".ipynb"), home).notebooks
        _move(ready / name, (beside if name.endswith(".ipynb") else folder) / name)
    for name in gone.read_text(encoding="utf-8").splitlines() if gone.exists() else ():
        (folder / Path(name).name).unlink(missing_ok=True)
    shutil.rmtree(ready)


def _move(source: Path, target: Path) -> None:
    """Rename; between file systems, write the whole file there first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        files.write_atomically(target, source.read_bytes())
        source.unlink()


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
        _restore(folder)
        try:
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
    for stage in home.glob(f"figures/*/*/{PLACING}"):
        _if_dead(stage, lambda stage=stage: (_complete(stage, home), _clear(stage)))
    html = home / "_build" / "html"
    _if_dead(_beside(html), lambda: (_restore(html), shutil.rmtree(_beside(html))))
    files.sweep(home / "_build" / "work")
    for states in home.glob(f"_build/checkpoints/*/*/*/{files.LOCK}"):
        # Killed before there was anything to go on from: nothing but locks.
        if all(each.name.endswith(files.LOCK) for each in states.parent.iterdir()):
            files.discard(states.parent)


def _if_dead(stage: Path, act: Callable[[], object]) -> None:
    """Act on a stage that is there, if no living process is at work in it."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        if stage.exists():
            alone = stack.enter_context(files.locked(stage / files.LOCK, wait=False))
            if alone or (alone is None and files.untouched(stage, MINUTE)):
                act()
