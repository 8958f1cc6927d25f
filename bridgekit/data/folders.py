"""The folders of images that ``folder:PATH`` names: where they are, and what pages have to know of them.

No torch here: pages' keys are computed each time that the Snakefile is parsed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from bridgekit import closure, files
from bridgekit.data import layouts
from bridgekit.errors import BridgekitError

DEFAULT_ROOT = "~/.cache/bridgekit"
PREFIX = "folder:"


def data_root(root: str | Path | None = None) -> Path:
    """Where real data lies: ``root`` if given, else ``$BRIDGEKIT_DATA``, else ``~/.cache/bridgekit``."""
    return files.expanded(root or os.environ.get("BRIDGEKIT_DATA") or DEFAULT_ROOT)


def places(name: str, root: Path, here: Path = Path()) -> list[Path]:
    """Where ``folder:PATH`` may be: as it stands (from ``here``), then under ``root``."""
    given = name.removeprefix(PREFIX)
    if not layouts.printable(given) or "\0" in given:
        raise BridgekitError(f"{ascii(name)} is no UTF-8 text: rename the folder, or name a link to it.")
    path = files.expanded(given)
    return [here / path, root / path] if given else []


def find(name: str, root: Path) -> Path:
    """The folder that ``folder:PATH`` names; BridgekitError where there is none."""
    tried = list(dict.fromkeys(places(name, root)))
    for place in tried:
        if os.path.isdir(place):  # unlike Path.is_dir, never an error: of a name too long, of a closed folder
            return place
    absolute = " or ".join(str(place.absolute()) for place in tried)
    raise BridgekitError(f"No such folder: {absolute or name}. PATH in folder:PATH holds class sub-folders.")


def look(name: str, root: Path | None = None) -> layouts.Found:
    """What lies in the folder that ``folder:PATH`` names; BridgekitError for an unfit one."""
    return layouts.look(find(name, root or data_root()))


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
        tell(f"{name}: {look(name)}\n")


def contents(values: Iterable[object]) -> list:
    """The content of every folder that parameters' values name, both its splits, for a page's key.

    A folder that is missing, or unfit, stands there with its error: running the page says it better.
    """

    def content(name: str) -> object:
        try:
            return look(name).content(digest)
        except BridgekitError as error:
            return str(error)

    return [content(name) for name in named(values)]


def digest(file: Path) -> str:
    """SHA-256 of a file; BridgekitError where it cannot be read. One that stays as it is is read once."""
    try:
        return _digest(file, closure.stamp(file))
    except OSError as error:
        raise layouts.unreadable(file, error) from error


@cache
def _digest(file: Path, _: tuple[int, ...]) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
