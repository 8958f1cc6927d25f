"""How results take their place, and how what a kill interrupted is put right.

A run works in a folder of its own (`workshop`) and hands its files to `put`. They are written whole into
`<folder>/.placing`, then a journal that names them: from that moment they are the result. Then they are moved
into place one by one, the record after the figures, the notebook last. Whatever was killed before the journal
is dropped, and whatever was killed after it is completed, by the next run and by `recover`, which the command
line, the Snakefile and the ledger call. Only what the page's own earlier record lists is replaced or removed.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridgekit import files
from bridgekit.book import sums
from bridgekit.book.records import read_record
from bridgekit.errors import BridgekitError

PLACING = ".placing"
JOURNAL = "journal.json"
MINUTE = 60.0  # far more than placing takes
ANOTHER = (
    "choose another folder with --out (where plain papermill runs the page: name a file that holds "
    '{"out": "FOLDER"} in BRIDGEKIT_SPEC)'
)


@contextmanager
def workshop(home: Path) -> Iterator[Path]:
    """A folder for this process alone under _build/work, gone afterwards; those of killed ones go first."""
    with contextlib.ExitStack() as stack:
        try:
            with files.room(home / "_build"):
                work = stack.enter_context(files.workshop(home / "_build" / "work"))
        except OSError as error:
            raise BridgekitError(f"cannot work in {home / '_build'} ({error}): make it writable") from error
        yield work


def check(folder: Path, page: str, home: Path, also: tuple[str, ...] = ()) -> None:
    """Raise BridgekitError, before anything runs, where `put` could not put results of `page` into `folder`.

    `also` names files that will be among them beside the record.
    """
    if folder.exists() and not folder.is_dir():
        raise BridgekitError(f"{folder} is a file: --out names a folder")
    place = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = "read-only" if place.is_dir() else "a file"
        raise BridgekitError(f"cannot write results to {folder} ({place} is {why}): {ANOTHER}")
    if (folder / PLACING).exists():
        with _writing(folder), _alone(folder, home):
            pass
    if not _own(folder, page, home) and folder.is_dir():
        _check_foreign(folder, page, also)


def _check_foreign(folder: Path, page: str, also: tuple[str, ...]) -> None:
    """Raise BridgekitError where a folder that a person named holds what is not the page's."""
    listed = _listed(folder, page)
    if not listed and any(not path.name.startswith(".") for path in folder.iterdir()):
        other = None
        with contextlib.suppress(BridgekitError):
            other = read_record(folder / "record.json")["page"]
        what = f"the results of page '{other}'" if other else f"other things than results of page '{page}'"
        raise BridgekitError(f"{folder} holds {what}: each page wants a folder of its own; {ANOTHER}")
    for name in also:
        if os.path.lexists(folder / name) and name not in listed:
            raise BridgekitError(f"{folder / name} is not of a run of page '{page}', and stays: {ANOTHER}")


def _own(folder: Path, page: str, home: Path) -> bool:
    """Whether this is figures/<profile>/<page>, where same names are the page's whatever the record says."""
    return folder.name == page and folder.parent.parent == (home / "figures").resolve()


def _listed(folder: Path, page: str, own: bool = False) -> set[str]:
    """The files of the page's own earlier run in `folder`: its record, what that lists, its notebook.

    In the page's `own` place, what the sums list where the record is damaged.
    """
    with contextlib.suppress(BridgekitError):
        record = read_record(folder / "record.json")
        if record["page"] == page:
            entries = [entry for entry in record["figures"].values() if isinstance(entry, dict)]
            names = {str(name) for entry in entries for name in entry.get("files", [])}
            notebook = {f"{page}.ipynb"} if _made(folder / f"{page}.ipynb", page) else set()
            return names | {"record.json", sums.NAME} | notebook
    with contextlib.suppress(BridgekitError):
        return {*sums.listed(folder), sums.NAME} if own else set()
    return set()


def _made(notebook: Path, page: str) -> bool:
    """Whether `pages.run` made this notebook, from this page."""
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["bridgekit"]["page"] == page
    except (OSError, ValueError, KeyError, TypeError):
        return False


def put(new: Mapping[str, bytes], folder: Path, page: str, home: Path, notebooks: Path | None = None) -> None:
    """Put a run's files, {name: content} with a record among them, into `folder`: all of them, or none.

    A notebook among them goes to `notebooks` where that is given: home's folder for the same profile. Raises
    BridgekitError where they cannot be written, and where a foreign file has the name of a new one: it stays,
    and the results lie in a new folder beside it, which the message names.
    """
    with _writing(folder), _alone(folder, home) as stage:
        own = _own(folder, page, home)
        listed = _listed(folder, page, own)
        kept = None if own else listed
        foreign = [name for name in new if _in_the_way(folder / name, kept)]
        if not foreign:
            _commit(stage, new, listed - set(new), notebooks is not None, home)
    if foreign:
        aside = next(x for n in range(1, 1000) if not os.path.lexists(x := folder / f"{page}-results-{n}"))
        put(new, aside, page, home)
        raise BridgekitError(f"{folder / foreign[0]} is foreign, and stays: the results are in {aside}")


def _in_the_way(path: Path, kept: set[str] | None) -> bool:
    """Whether a new file may not take this place; `kept`: the only names that it may, if they are taken."""
    return path.is_dir() or (kept is not None and path.name not in kept and os.path.lexists(path))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What the system says about writing to `folder` becomes one sentence."""
    try:
        with files.room(folder):
            yield
    except OSError as error:
        raise BridgekitError(f"cannot write results to {folder} ({error}): {ANOTHER}") from error


@contextmanager
def _alone(folder: Path, home: Path) -> Iterator[Path]:
    """The stage of `folder`, for this process alone; what a killed one left there has been put right."""
    stage = folder / PLACING
    with files.locked(stage / files.LOCK):
        _complete(stage, home)
        try:
            yield stage
        finally:
            _clear(stage)


def _commit(stage: Path, new: Mapping[str, bytes], gone: set[str], apart: bool, home: Path) -> None:
    """Write the new files to the stage, then the journal; then move them."""
    order = sorted(new, key=lambda name: (name.endswith(".ipynb"), name == "record.json", name))
    for name in order:
        files.write_atomically(stage / name, new[name])
    journal = {"new": order, "gone": sorted(gone), "apart": apart}
    files.write_atomically(stage / JOURNAL, json.dumps(journal).encode())
    _complete(stage, home)


def _complete(stage: Path, home: Path) -> None:
    """Move what the journal names from the stage into place; does nothing where there is no journal."""
    journal = _journal(stage)
    if journal is None:
        return
    folder, notebooks = stage.parent, home / "_build" / "notebooks" / stage.parent.parent.name
    for name in filter(_plain, journal["new"]):
        target = notebooks if journal["apart"] and name.endswith(".ipynb") else folder
        if (stage / name).is_file():
            _move(stage / name, target / name)
    for name in filter(_plain, journal["gone"]):
        (folder / name).unlink(missing_ok=True)
    (stage / JOURNAL).unlink()


def _journal(stage: Path) -> dict | None:
    """The journal of a stage, if it is there and whole."""
    try:
        journal = json.loads((stage / JOURNAL).read_bytes())
        return journal if journal.keys() >= {"new", "gone", "apart"} else None
    except (OSError, ValueError, AttributeError):
        return None


def _plain(name: str) -> bool:
    """A name that leads nowhere else."""
    return Path(name).name == name


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
    if _journal(stage) is None:
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
            stage.mkdir(parents=True, exist_ok=True)
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
        if len(list(states.parent.iterdir())) == 1:  # killed before there was anything to go on from
            files.discard(states.parent)


def _if_dead(stage: Path, act: Callable[[], object]) -> None:
    """Act on a stage that is there, if no living process is at work in it."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        if stage.exists():
            alone = stack.enter_context(files.locked(stage / files.LOCK, wait=False))
            if alone or (alone is None and files.untouched(stage, MINUTE)):
                act()
