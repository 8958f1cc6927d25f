"""Any directory of class sub-folders as a data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bridgekit.data.store import SPLITS, Pixels, cached, held_out
from bridgekit.errors import BridgekitError
from bridgekit.machine import expanded

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_GREY = ("1", "L", "La", "LA")


def places(name: str, root: Path) -> list[Path]:
    """Where ``folder:PATH`` may be: as it stands (from the working directory), then under the data root."""
    given = name.removeprefix("folder:")
    path = expanded(given)
    return [path, root / path] if given else []


def pixels(name: str, split: str, size: int | None, channels: int | None, root: Path) -> Pixels:
    """The split's images, mixed as published data sets are: the first n of many are of all classes.

    The order is that of a hash of each path. Decoded once per content of the folder.
    """
    base = next((place for place in places(name, root) if place.is_dir()), None)
    if base is None:
        tried = " or ".join(str(place.absolute()) for place in dict.fromkeys(places(name, root)))
        raise BridgekitError(f"No such folder: {tried or name}. PATH in folder:PATH holds class sub-folders.")
    files, classes = _listing(base, split)
    # Editing a file changes its size or time; a renamed one its path: each has a cache of its own.
    stats = [(path.relative_to(base).as_posix(), k, *_stamp(path)) for path, k in files]
    key = hashlib.sha256(repr(("mixed", stats, classes, size, channels)).encode()).hexdigest()[:16]
    order = np.argsort([hashlib.sha256(path.encode()).hexdigest() for path, *_ in stats])
    return cached(root, f"folder-{key}-{split}", lambda: _decode(files, classes, size, channels).at(order))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _listing(base: Path, split: str) -> tuple[list[tuple[Path, int]], tuple[str, ...]]:
    """The split's files with their labels, and all class names."""
    # A folder train/ that holds only images is a class called train, not a split.
    halves = {half: _folders(base / half) for half in SPLITS if _folders(base / half)}
    if halves and split not in halves:
        raise BridgekitError(f"{base} has {next(iter(halves))}/ but no {split}/ with class sub-folders.")
    given = halves[split] if halves else _folders(base)
    classes = sorted({folder.name for folder in sum(halves.values(), given)})
    if not classes:
        raise BridgekitError(f"{base} has no class sub-folders: images go to {base}/<class>/<image>.png.")
    listed = [(path, folder.name, rank) for folder in given for rank, path in enumerate(_images(folder))]
    if not listed:
        raise BridgekitError(f"No images under {base}: no class folder holds {', '.join(SUFFIXES)}.")
    files = [
        (path, classes.index(label))
        for path, label, rank in listed
        if halves or held_out(rank) == (split == "test")
    ]
    if not files:
        raise BridgekitError(
            f"{base} has no test image: every fifth of a class is one, and no class has five. "
            "Add images, or put them into train/ and test/."
        )
    return files, tuple(classes)


def _folders(path: Path) -> list[Path]:
    inside = sorted(path.iterdir(), key=lambda p: p.name) if path.is_dir() else []
    return [p for p in inside if p.is_dir() and not p.name.startswith(".")]


def _images(folder: Path) -> list[Path]:
    # Sorted by the path's text: the same order on every machine. Hidden files are other programs' notes.
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    shown = (path for where, path in sorted(inside.items()) if not f"/{where}".count("/."))
    return [path for path in shown if path.suffix.lower() in SUFFIXES and path.is_file()]


def _decode(files: list, classes: tuple[str, ...], size: int | None, channels: int | None) -> Pixels:
    first = _image(files[0][0], size, channels)
    x = np.empty((len(files), *first.shape), np.uint8)
    for i, (path, _) in enumerate(files):
        image = _image(path, size, channels)
        if image.shape[0] != first.shape[0]:
            grey, colour = (path, files[0][0]) if image.shape[0] == 1 else (files[0][0], path)
            raise BridgekitError(
                f"{grey} is grey but {colour} is in colour: pass channels=1 or channels=3 to make all alike."
            )
        if image.shape != first.shape:
            raise BridgekitError(
                f"{path} is {image.shape[2]} x {image.shape[1]} pixels but {files[0][0]} is "
                f"{first.shape[2]} x {first.shape[1]}: pass size= to bring all to one square size."
            )
        x[i] = image
    return Pixels(x, np.array([k for _, k in files], np.int64), classes)


def _image(path: Path, size: int | None, channels: int | None) -> np.ndarray:
    """One image as (C, H, W) uint8: upright, grey or RGB, fitted to ``size`` if given."""
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(("I", "F")):
                raise BridgekitError(f"{path} has more than 8 bits a channel: convert it to 8 bits first.")
            grey = channels == 1 or (channels is None and image.mode in _GREY)
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BridgekitError(f"{path} cannot be read as an image ({error}): repair or remove it.") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
