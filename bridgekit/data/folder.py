"""Any directory of class sub-folders as a data set."""

import contextlib
import hashlib
import sys
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bridgekit import closure
from bridgekit.data import folders
from bridgekit.data.folders import unfit
from bridgekit.data.store import Pixels, cached
from bridgekit.spec import told

GREY = ("1", "L", "La", "LA")
ORIENTATION = 0x0112  # in EXIF: from 2 to 8, for which Pillow has
TURNS = dict(enumerate(map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), 2))


def pixels(name: str, split: str, size: int | None, channels: int | None, root: Path) -> Pixels:
    """The split's images, mixed as published data sets are: the first n of many are of all classes.

    The order is that of a hash of each path. Decoded once per content of the folder.
    """
    found = folders.scan(name, root)
    key = closure.digest(found.content(folders.digest, [split]), size, channels)
    if not told("progress"):  # otherwise the command line has said it
        _say(f"{name}: {found}\n")
    return cached(root, f"folder-{key}-{split}", lambda: _decode(found, split, size, channels))


@cache
def _say(line: str) -> None:
    """Once a process."""
    sys.stderr.write(line)


def _decode(found: folders.Found, split: str, size: int | None, channels: int | None) -> Pixels:
    files = found.files(split)
    first, *rest = images = [_image(found.base / where, size, channels) for where, _ in files]
    for (where, _), image in zip(files[1:], rest, strict=True):
        if image.shape != first.shape:
            other = f"{found.base / files[0][0]} is {_kind(first)}"
            wrong = f"is {_kind(image)} but {other}: pass size= and channels= to make all alike."
            raise unfit(found.base / where, wrong)
    mixed = np.argsort([hashlib.sha256(where.encode()).hexdigest() for where, _ in files])
    labels = np.array([k for _, k in files], np.int64)
    return Pixels(np.stack(images)[mixed], labels[mixed], found.classes)


def _kind(image: np.ndarray) -> str:
    channels, height, width = image.shape
    return f"{width} x {height} pixels in {'grey' if channels == 1 else 'colour'}"


def _image(path: Path, size: int | None, channels: int | None) -> np.ndarray:
    """One image as (C, H, W) uint8: upright, on white, grey or RGB, fitted to ``size`` if given."""
    try:
        with Image.open(path) as opened:
            image = opened.copy()  # which also reads it
            if image.mode.startswith(("I", "F")):
                raise ValueError("it has more than 8 bits a channel: convert it to 8 bits first")
            with contextlib.suppress(Exception):  # no orientation, or none that makes sense
                image = image.transpose(TURNS[image.getexif()[ORIENTATION]])
            if image.has_transparency_data:
                layers = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
            grey = channels == 1 or (channels is None and opened.mode in GREY)
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise unfit(path, f"cannot be read as an image ({error}): repair or remove it.") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
