"""What lies in a directory of images: its classes, its splits, and its content as digests.

Images go to ``<class>/<image>``, or to ``train/<class>/<image>`` and ``test/<class>/<image>``. What could be
read in two ways raises BridgekitError and names the folder; what is passed over is said.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridgekit.errors import BridgekitError

SPLITS = ("train", "test")
TEST_EVERY = 5
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MEANINGS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation"),
}
# What other programs leave in folders, beside everything whose name begins with a dot.
JUNK = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found")
JUNK += ("__pycache__", "thumbs.db", "desktop.ini")
_said: set[str] = set()


def held_out(rank):
    """Where no split is given, every fifth image of a class (counted by ``rank`` from 0) is a test image."""
    return rank % TEST_EVERY == TEST_EVERY - 1


@dataclass(frozen=True)
class Found:
    """What a folder holds: for each split its images, (path below ``base``, class's index), class by class.

    ``origins`` has each split's own folder, nothing where the folder has none; ``notes`` say what was passed
    over.
    """

    base: Path
    classes: tuple[str, ...]
    splits: dict[str, list[tuple[str, int]]]
    origins: dict[str, str]
    notes: tuple[str, ...]

    def files(self, split: str) -> list[tuple[str, int]]:
        """The split's images; BridgekitError where it has none."""
        if self.splits.get(split):
            return self.splits[split]
        wrong = f"has no {split} image, since no class has five: add some, or make train/ and test/ of them."
        if self.origins:
            wrong = f"has {_folders(self.origins.values())} but no {split}/ with class sub-folders."
        raise unfit(self.base, wrong)

    def content(self, digest: Callable[[str], str], splits: Iterable[str] = SPLITS) -> list:
        """Class names, and [path below ``base``, class's index, digest] of each image of ``splits``."""
        files = [file for split in splits for file in self.splits.get(split, [])]
        return [list(self.classes), [[ascii(where), k, digest(f"{self.base}/{where}")] for where, k in files]]

    def say(self, name: str, tell: Callable[[str], object] | None = None) -> None:
        """Say what was found in one line, once a process: on standard error, or by ``tell``."""
        line = f"{name}: {self}\n"
        if line not in _said:
            _said.add(line)
            (tell or sys.stderr.write)(line)

    def __str__(self) -> str:
        counts = [
            f"{len(files):,} {split}" + (f" ({self.origins[split]}/)" if self.origins else "")
            for split, files in self.splits.items()
        ]
        rule = "" if self.origins else " (every fifth of a class is a test image)"
        what = f"{len(self.classes)} class{'es' * (len(self.classes) != 1)} ({_listed(self.classes)})"
        return "; ".join([f"{' and '.join(counts)} images{rule} of {what}", *self.notes])


def look(base: Path) -> Found:
    """What lies in ``base``. Raises BridgekitError for a layout that could be read in two ways."""
    folders, loose = _inside(base)
    origins, unread, listed = _origins(base, folders), Counter(), {}
    for split, half in origins.items():
        classes, more = _inside(base / half)
        listed[split] = {name: _images(base, half, name, unread) for name in classes}
        loose += more
    if not origins:  # class folders alone
        pool = {name: list(enumerate(_images(base, "", name, unread))) for name in folders}
        for split in SPLITS:
            mine = {k: [file for i, file in v if held_out(i) == (split == "test")] for k, v in pool.items()}
            listed[split] = mine
    names = _common_classes(base, origins, listed)
    label = {name: k for k, name in enumerate(names)}
    splits = {
        split: [(file, label[name]) for name, files in given.items() for file in files]
        for split, given in listed.items()
    }
    untested = [name for name in names if "test" in listed and not listed["test"].get(name)]
    others = [name for name in folders if origins and name not in origins.values()]
    return Found(base, tuple(names), splits, origins, _notes(unread, loose, others, untested))


def _meaning(name: str) -> str | None:
    """Which split a folder of this name is, in any case: train, test or val."""
    return next((split for split, names in MEANINGS.items() if name.casefold() in names), None)


def _origins(base: Path, folders: list[str]) -> dict[str, str]:
    """Which folder each split is, if any is one; a validation set is the test set where there is no other."""
    halves = [name for name in folders if _meaning(name) and _inside(base / name)[0]]
    if not halves:
        _refuse_splits_without_classes(base, folders)
        return {}
    for name in folders:
        if not _meaning(name) and any(map(_is_image, _walk(base / name))):
            both = f"{_folders(halves)} with class sub-folders and beside it {shown(name)}/ with images"
            raise unfit(base, f"has {both}: a folder holds splits or classes, not both. Move one away.")
    mine = {split: [name for name in halves if _meaning(name) == split] for split in MEANINGS}
    mine["test"] = mine["test"] or mine["val"]
    for split in SPLITS:
        if len(mine[split]) > 1:
            raise unfit(base, f"has {_folders(mine[split])}, which mean one split: keep one of them.")
    origins = {split: mine[split][0] for split in SPLITS if mine[split]}
    if len(origins) == 2 and os.path.samefile(*(base / name for name in origins.values())):
        raise unfit(base, f"has {_folders(origins.values())}, which are one folder, by a link: keep one.")
    return origins


def _refuse_splits_without_classes(base: Path, folders: list[str]) -> None:
    if not folders:
        raise unfit(base, f"has no class sub-folders: images go to {shown(base)}/<class>/<image>.png.")
    meant = {name: _meaning(name) for name in folders if _meaning(name)}
    if len(set(meant.values())) > 1 or len(meant) == len(folders):
        place = f"{shown(base)}/train/<class>/<image>.png"
        raise unfit(base, f"has {_folders(meant)} without class sub-folders: images go to {place}.")
    # Such as seg_train/ and seg_test/, or training_set/ and test_set/.
    words = {name: re.split(r"[\W\d_]+", name) for name in folders if _inside(base / name)[0]}
    nearly = {name: set(map(_meaning, parts)) - {None} for name, parts in words.items()}
    if len(set().union(*nearly.values())) > 1:
        named = _folders(name for name, meanings in nearly.items() if meanings)
        raise unfit(base, f"has {named}: call splits train/ and test/.")


def _images(base: Path, half: str, name: str, unread: Counter) -> list[str]:
    """The images of a class folder, as paths below ``base``; ``unread`` counts the suffixes of the rest."""
    folder = base / half / name
    if not printable(name):
        raise unfit(folder, "has a name that is no UTF-8 text: rename this class folder.")
    files = list(_walk(folder, above=(base,)))
    suffixes = [os.path.splitext(file)[1].lower() for file in files if not _is_image(file)]
    rest = Counter(shown(suffix) or "without a suffix" for suffix in suffixes)
    images = sorted(filter(_is_image, files))  # the same order on every machine
    if not images:
        only = f"no image that is read ({', '.join(SUFFIXES)}), only {_counted(rest)}: convert them"
        raise unfit(folder, f"holds {only if rest else 'no image: add some'}, or remove this class folder.")
    unread.update(rest)
    return [f"{half}/{name}/{file}".lstrip("/") for file in images]


def _common_classes(base: Path, origins: dict[str, str], listed: dict[str, dict]) -> list[str]:
    """The class names of both splits, sorted; BridgekitError for a test class that no training image has."""
    train, test = (listed.get(split, {}) for split in SPLITS)
    for name in test:
        if train and name not in train:
            alike = next((other for other in train if _plain(other) == _plain(name)), None)
            rest = f", but {origins['train']}/{alike}: give both one name" if alike else " alone"
            raise unfit(base, f"has the class {origins['test']}/{name}{rest}. Test classes are trained on.")
    return list(train or test)


def _plain(name: str) -> str:
    """A name without what the eye passes over: case, and how accents are put together."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _notes(unread: Counter, loose: int, folders: Sequence[str], untested: Sequence[str]) -> tuple[str, ...]:
    """What a person should know, in words."""
    total = unread.total()
    notes = {
        f"no test image of {_listed(untested)}": untested,
        f"passed over: {total:,} file{'s' * (total != 1)} ({_counted(unread)})": total,
        f"passed over: {loose:,} image{'s' * (loose != 1)} in no class folder": loose,
        f"passed over: {_folders(folders)}": folders,
    }
    return tuple(note for note, there in notes.items() if there)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 10 else (*names[:3], "...", names[-1]))


def _counted(kinds: Counter) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))


def _folders(names: Iterable[str]) -> str:
    return " and ".join(f"{shown(name)}/" for name in names)


def _inside(folder: Path) -> tuple[list[str], int]:
    """The sub-folders' names, sorted, and how many images lie beside them."""
    entries = _entries(folder)
    images = sum(_is_image(name) for name, is_folder in entries if not is_folder)
    return [name for name, is_folder in entries if is_folder], images


def _walk(folder: Path, below: str = "", above: tuple[Path, ...] = ()) -> Iterator[str]:
    """Every file in and below a folder, through links too, as paths below it.

    Raises BridgekitError for a link into a circle and, in a class folder (``above`` is given), for splits.
    """
    here = folder / below
    if any(os.path.samefile(here, other) for other in above):
        raise unfit(here, "is a link to a folder that holds it: remove the link.")
    entries = _entries(here)
    splits = [name for name, is_folder in entries if is_folder and _meaning(name)]
    if above and len(set(map(_meaning, splits))) > 1:
        rest = f"splits stand above classes. If this is the data set itself, name it: folder:{shown(here)}"
        raise unfit(here, f"holds {_folders(splits)}: {rest}")
    for name, is_folder in entries:
        if is_folder:
            yield from _walk(folder, f"{below}{name}/", (*above, here))
        else:
            yield below + name


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of what a folder holds, sorted, without other programs' notes."""
    try:
        with os.scandir(folder) as inside:
            mine = [e for e in inside if not e.name.startswith(".") and e.name.casefold() not in JUNK]
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted((entry.name, _is_folder(entry)) for entry in mine)


def _is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder, or a link to one; BridgekitError for what is neither folder nor file."""
    try:
        if entry.is_symlink():
            entry.stat()
        if entry.is_dir() or entry.is_file():
            return entry.is_dir()
    except OSError as error:
        wrong = f"is a link that leads nowhere ({error.strerror}): mend or remove it."
        raise unfit(entry.path, wrong) from error
    raise unfit(entry.path, "is neither a file nor a folder: remove it.")


def _is_image(file: str) -> bool:
    return file.lower().endswith(SUFFIXES)


def unfit(path: object, wrong: str) -> BridgekitError:
    """The error about a file or a folder."""
    return BridgekitError(f"{shown(path)} {wrong}")


def unreadable(path: object, error: OSError) -> BridgekitError:
    """The error about a file or a folder that the system does not give."""
    return unfit(path, f"cannot be read ({error.strerror}): make it readable, or move it away.")


def printable(text: str) -> bool:
    """Whether a path's text is Unicode: a name that is no UTF-8 has half a character for each odd byte."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def shown(path: object) -> str:
    """A path as a message can hold it, whatever bytes it has."""
    return str(path).encode("utf-8", "backslashreplace").decode()
