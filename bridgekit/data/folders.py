"""Directories of images that ``folder:PATH`` names: where they are, what lies in them, and their content.

Images go to ``<class>/<image>``, or to ``train/<class>/<image>`` and ``test/<class>/<image>``, and no deeper.
What could be read in two ways raises BridgekitError and names the folder; what is passed over is said. No
torch here: pages' keys are computed each time that the Snakefile is parsed.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bridgekit import closure, files
from bridgekit.errors import BridgekitError, nearest

DEFAULT_ROOT = "~/.cache/bridgekit"
PREFIX = "folder:"
SPLITS = ("train", "test")
TEST_EVERY = 5
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MEANINGS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
MEANINGS |= dict.fromkeys(("val", "valid", "validation"), "val")
# What other programs leave in folders, beside everything whose name begins with a dot.
JUNK = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found")
JUNK += ("__pycache__", "thumbs.db", "desktop.ini")


def data_root(root: str | Path | None = None) -> Path:
    """Where real data lies: ``root`` if given, else ``$BRIDGEKIT_DATA``, else ``~/.cache/bridgekit``."""
    return files.expanded(root or os.environ.get("BRIDGEKIT_DATA") or DEFAULT_ROOT)


def places(name: str, root: Path, here: Path = Path()) -> list[Path]:
    """Where ``folder:PATH`` may be: as it stands (from ``here``), then under ``root``."""
    given = name.removeprefix(PREFIX)
    if not printable(given) or "\0" in given:
        raise BridgekitError(f"{ascii(name)} is no UTF-8 text: rename the folder, or name a link to it.")
    path = files.expanded(given)
    return [here / path, root / path] if given else []


def scan(name: str, root: Path | None = None) -> "Found":
    """What lies in the folder that ``folder:PATH`` names; BridgekitError for none, and for an unfit one."""
    tried = list(dict.fromkeys(places(name, root or data_root())))
    for place in tried:
        if os.path.isdir(place):  # unlike Path.is_dir, never an error: of a name too long, of a closed folder
            return _found(place)
    absolute = " or ".join(str(place.absolute()) for place in tried)
    raise BridgekitError(f"No such folder: {absolute or name}. PATH in folder:PATH holds class sub-folders.")


def anchored(values: Mapping[str, object], here: Path) -> dict[str, object]:
    """Parameters with each ``folder:PATH`` made absolute: where the folder is, else as from ``here``."""

    def whole(value: object) -> object:
        if isinstance(value, list):
            return [whole(each) for each in value]
        if not (isinstance(value, str) and value.startswith(PREFIX)):
            return value
        tried = [os.path.abspath(place) for place in places(value, data_root(), here)]
        return PREFIX + next(filter(os.path.isdir, tried), tried[0] if tried else "")

    return {name: whole(value) for name, value in values.items()}


def named(values: Iterable[object]) -> list[str]:
    """Every ``folder:PATH`` among parameters' values, those in lists too."""
    flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(each for each in flat if isinstance(each, str) and each.startswith(PREFIX)))


def announce(values: Iterable[object], tell: Callable[[str], object]) -> None:
    """Say what lies in the folders that parameters' values name; BridgekitError for an unfit one."""
    for name in named(values):
        tell(f"{name}: {scan(name)}\n")


def contents(values: Iterable[object]) -> list:
    """The content of every folder that parameters' values name, both its splits, for a page's key.

    A folder that is missing, or unfit, stands there with its error: running the page says it better.
    """

    def content(name: str) -> object:
        try:
            return scan(name).content(digest)
        except BridgekitError as error:
            return str(error)

    return [content(name) for name in named(values)]


def digest(file: Path) -> str:
    """SHA-256 of a file; BridgekitError where it cannot be read. One that stays as it is is read once."""
    try:
        return _digest(file, closure.stamp(file))
    except OSError as error:
        raise unreadable(file, error) from error


@cache
def _digest(file: Path, _: tuple[int, ...]) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def held_out(rank):
    """Where no split is given, every fifth image of a class (counted by ``rank`` from 0) is a test image."""
    return rank % TEST_EVERY == TEST_EVERY - 1


@dataclass(frozen=True)
class Found:
    """What a folder holds: for each split its images, (path below ``base``, class's index), class by class.

    ``origins`` has each split's own folder, nothing where the folder has none; ``note`` says what was passed
    over.
    """

    base: Path
    classes: tuple[str, ...]
    splits: dict[str, list[tuple[str, int]]]
    origins: dict[str, str]
    note: str

    def files(self, split: str) -> list[tuple[str, int]]:
        """The split's images; BridgekitError where it has none."""
        if self.splits.get(split):
            return self.splits[split]
        wrong = f"has no {split} image, since no class has five: add some, or make train/ and test/ of them."
        if self.origins:
            wrong = f"has {_folders(self.origins.values())} but no {split}/ with class sub-folders."
        raise unfit(self.base, wrong)

    def content(self, digest: Callable[[Path], str], splits: Iterable[str] = SPLITS) -> list:
        """Class names, and [path below ``base``, class's index, digest] of each image of ``splits``."""
        files = [file for split in splits for file in self.splits.get(split, [])]
        return [list(self.classes), [[where, k, digest(self.base / where)] for where, k in files]]

    def __str__(self) -> str:
        counts = [
            f"{len(files):,} {split}" + (f" ({self.origins[split]}/)" if self.origins else "")
            for split, files in self.splits.items()
        ]
        rule = "" if self.origins else " (every fifth of a class is a test image)"
        names = self.classes if len(self.classes) <= 10 else (*self.classes[:3], "...", self.classes[-1])
        what = f"{len(self.classes)} class{'es' * (len(self.classes) != 1)} ({', '.join(names)})"
        return "; ".join(filter(None, [f"{' and '.join(counts)} images{rule} of {what}", self.note]))


def _found(base: Path) -> Found:
    """What lies in ``base``. Raises BridgekitError for a layout that could be read in two ways."""
    folders, files = _inside(base)
    origins, passed, listed = _origins(base, folders), Counter(), {}
    loose = len(_images(files))
    for split, half in origins.items():
        classes, files = _inside(base / half)
        loose += len(_images(files))
        listed[split] = {name: _class(base, f"{half}/{name}", passed) for name in classes}
    if not origins:  # class folders alone
        pool = {name: list(enumerate(_class(base, name, passed))) for name in folders}
        for split in SPLITS:
            mine = {k: [file for i, file in v if held_out(i) == (split == "test")] for k, v in pool.items()}
            listed[split] = mine
    names = _common_classes(base, listed)
    splits = {
        split: [(file, names.index(name)) for name, files in given.items() for file in files]
        for split, given in listed.items()
    }
    passed |= Counter({f"{name}/": 1 for name in folders if origins and name not in origins.values()})
    passed |= Counter({"in no class folder": loose} if loose else {})
    return Found(base, tuple(names), splits, origins, f"passed over: {_kinds(passed)}" if passed else "")


def _origins(base: Path, folders: list[str]) -> dict[str, str]:
    """Which folder each split is, if any is one; a validation set is the test set where there is no other."""
    meant = {name: MEANINGS[name.casefold()] for name in folders if name.casefold() in MEANINGS}
    halves = [name for name in meant if _inside(base / name)[0]]
    if not halves:
        if len(set(meant.values())) > 1 or len(meant) == len(folders):
            what = f"{_folders(meant)} without class sub-folders" if meant else "no class sub-folders"
            raise unfit(base, f"has {what}: images go to <class>/<image>.png or train/<class>/<image>.png.")
        return {}
    classes = [name for name in folders if name not in meant and _images(_inside(base / name)[1])]
    if classes:
        both = f"{_folders(halves)} with class sub-folders and beside it {_folders(classes)} with images"
        raise unfit(base, f"has {both}: a folder holds splits or classes, not both. Move one away.")
    mine = {split: [name for name in halves if meant[name] == split] for split in (*SPLITS, "val")}
    mine["test"] = mine["test"] or mine["val"]
    for split in SPLITS:
        if len(mine[split]) > 1:
            raise unfit(base, f"has {_folders(mine[split])}, which mean one split: keep one of them.")
    return {split: mine[split][0] for split in SPLITS if mine[split]}


def _class(base: Path, name: str, passed: Counter) -> list[str]:
    """The images of a class folder, as paths below ``base``; ``passed`` counts the suffixes of the rest."""
    deeper, files = _inside(base / name)
    images = _images(files)
    rest = Counter(os.path.splitext(file)[1].lower() or "without a suffix" for file in {*files} - {*images})
    if deeper:
        wrong = f"holds {_folders(deeper)}: images go to <class>/<image>.png, and no deeper. Folders above"
        raise unfit(base / name, f"{wrong} classes are called train/ and test/, as in folder:{base / name}.")
    if not images:
        only = f"no image that is read ({', '.join(SUFFIXES)}), only {_kinds(rest)}: convert them"
        wrong = only if rest else "no image: add some"
        raise unfit(base / name, f"holds {wrong}, or remove this class folder.")
    passed.update(rest)
    return [f"{name}/{file}" for file in images]


def _common_classes(base: Path, listed: dict[str, dict]) -> list[str]:
    """The class names of both splits, sorted; BridgekitError for a test class that no training image has."""
    train, test = (listed.get(split, {}) for split in SPLITS)
    for name in test:
        if train and name not in train:
            alike = f"give both splits one name for it: {nearest(name, train)}"
            raise unfit(
                base, f"has the class {name} in its test set alone, and trains on no image of it: {alike}"
            )
    return list(train or test)


def _inside(folder: Path) -> tuple[list[str], list[str]]:
    """The names of a folder's sub-folders and of its files, sorted, without other programs' notes."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable(folder, error) from error
    names = [name for name in names if not name.startswith(".") and name.casefold() not in JUNK]
    if odd := [name for name in names if not printable(name)]:
        raise unfit(folder, f"holds {ascii(odd[0])}, a name that is no UTF-8 text: rename it.")
    folders = [name for name in names if os.path.isdir(folder / name)]
    return folders, [name for name in names if name not in set(folders)]


def _images(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.lower().endswith(SUFFIXES)]


def _kinds(kinds: Counter) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))


def _folders(names: Iterable[str]) -> str:
    return " and ".join(f"{name}/" for name in names)


def unfit(path: object, wrong: str) -> BridgekitError:
    """The error about a file or a folder."""
    return BridgekitError(f"{path} {wrong}")


def unreadable(path: object, error: OSError) -> BridgekitError:
    """The error about a file or a folder that the system does not give."""
    return unfit(path, f"cannot be read ({error.strerror}): make it readable, or move it away.")


def printable(text: str) -> bool:
    """Whether a path's text is Unicode: a name that is no UTF-8 has half a character for each odd byte."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
