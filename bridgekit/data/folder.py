"""Any directory of class sub-folders as a data set."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bridgekit.data import folders, layouts
from bridgekit.data.layouts import shown, unfit
from bridgekit.data.store import Pixels, cached
from bridgekit.errors import BridgekitError
from bridgekit.spec import told

GREY = ("1", "L", "La", "LA")
# Pillow's names of 16-bit channels: RGB;16B. BGR;16 is 5, 6, 5 bits.
DEEP = re.compile(r";(12|16|32|64)[A-Z]")
ORIENTATION = 0x0112  # in EXIF: from 2 to 8, for which Pillow has
TURNS = dict(enumerate(map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), 2))


def pixels(name: str, split: str, size: int | None, channels: int | None, root: Path) -> Pixels:
    """The split's images, mixed as published data sets are: the first n of many are of all classes.

    The order is that of a hash of each path. Decoded once per content of the folder: every file is read and
    hashed each time, since neither its size nor its time says that it is the same.
    """
    found = layouts.look(folders.find(name, root))
    found.files(split)  # an empty split is an error
    content = found.content(folders.digest, [split])
    if not told("progress"):  # otherwise the command line has said it
        found.say(name)
    key = hashlib.sha256(repr(("content", content, size, channels)).encode()).hexdigest()[:16]
    return cached(root, f"folder-{key}-{split}", lambda: _decode(found, split, content[1], size, channels))


def _decode(found: layouts.Found, split: str, sums: list, size: int | None, channels: int | None) -> Pixels:
    files = found.files(split)
    paths = [found.base / where for where, _ in files]
    first = _image(paths[0], sums[0][-1], size, channels)
    x = np.empty((len(paths), *first.shape), np.uint8)
    for i, path in enumerate(paths):
        image = _image(path, sums[i][-1], size, channels)
        if image.shape != first.shape:
            other = f"{shown(paths[0])} is {_kind(first)}"
            raise unfit(path, f"is {_kind(image)} but {other}: pass size= and channels= to make all alike.")
        x[i] = image
    # A name that is no UTF-8 is its bytes.
    marks = [hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest() for where, _ in files]
    return Pixels(x, np.array([k for _, k in files], np.int64), found.classes).at(np.argsort(marks))


def _kind(image: np.ndarray) -> str:
    channels, height, width = image.shape
    return f"{width} x {height} pixels in {'grey' if channels == 1 else 'colour'}"


def _image(path: Path, sha: str, size: int | None, channels: int | None) -> np.ndarray:
    """One image as (C, H, W) uint8: upright, on white, grey or RGB, fitted to ``size`` if given."""
    try:
        body = path.read_bytes()
        if hashlib.sha256(body).hexdigest() != sha:
            raise unfit(path, "was changed while it was read: load the folder again.")
        with Image.open(io.BytesIO(body)) as opened:
            image = _on_white(_upright(_shallow(opened, path)), path)
            grey = channels == 1 or (channels is None and opened.mode in GREY)
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except BridgekitError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise unfit(path, f"cannot be read as an image ({error}): repair or remove it.") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _shallow(image: Image.Image, path: Path) -> Image.Image:
    """The image, loaded; BridgekitError where Pillow would cut its channels to 8 bits."""
    deep = any(DEEP.search(str(tile[3])) for tile in getattr(image, "tile", []))
    image.load()
    if deep or image.mode.startswith(("I", "F")):
        raise unfit(path, "has more than 8 bits a channel: convert it to 8 bits first.")
    return image


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; where that makes no sense it says nothing."""
    turn = None
    with contextlib.suppress(Exception):  # damaged EXIF makes Pillow raise nearly anything
        turn = TURNS.get(image.getexif().get(ORIENTATION))
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image, path: Path) -> Image.Image:
    """The image laid on white where it is transparent; BridgekitError where one colour would be left."""
    if not image.has_transparency_data:
        return image
    layers = image.convert("RGBA")
    if layers.getextrema()[3][0] == 255:
        return image
    flat = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    if _varied(layers) and not _varied(flat):
        raise unfit(path, "is one colour when it is laid on white: lay it on another.")
    return flat


def _varied(image: Image.Image) -> bool:
    return any(low != high for low, high in image.getextrema())
