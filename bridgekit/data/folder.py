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
from bridgekit.data.layouts import shown
from bridgekit.data.store import Pixels, cached
from bridgekit.errors import BridgekitError
from bridgekit.spec import told

_GREY = ("1", "L", "La", "LA")
_DEEP = re.compile(
    r";(12|16|32|64)[A-Z]"
)  # Pillow's names of 16-bit channels: RGB;16B. BGR;16 is 5, 6, 5 bits
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    files = [(found.base / where, where, k) for where, k in found.files(split)]
    first = _image(files[0][0], sums[0][-1], size, channels)
    x = np.empty((len(files), *first.shape), np.uint8)
    for i, (path, *_) in enumerate(files):
        x[i] = _alike(_image(path, sums[i][-1], size, channels), path, first, files[0][0])
    pixels = Pixels(x, np.array([k for *_, k in files], np.int64), found.classes)
    return pixels.at(np.argsort([hashlib.sha256(_bytes(where)).hexdigest() for _, where, _ in files]))


def _bytes(where: str) -> bytes:
    return where.encode("utf-8", "surrogateescape")  # a name that is no UTF-8 is its bytes


def _alike(image: np.ndarray, path: Path, first: np.ndarray, other: Path) -> np.ndarray:
    """``image``, where it has the channels and the size of the ``first`` one."""
    path, other = shown(path), shown(other)
    if image.shape[0] != first.shape[0]:
        grey, colour = (path, other) if image.shape[0] == 1 else (other, path)
        raise BridgekitError(
            f"{grey} is grey but {colour} is in colour: pass channels=1 or channels=3 to make all alike."
        )
    if image.shape != first.shape:
        raise BridgekitError(
            f"{path} is {image.shape[2]} x {image.shape[1]} pixels but {other} is "
            f"{first.shape[2]} x {first.shape[1]}: pass size= to bring all to one square size."
        )
    return image


def _image(path: Path, sha: str, size: int | None, channels: int | None) -> np.ndarray:
    """One image as (C, H, W) uint8: upright, on white, grey or RGB, fitted to ``size`` if given."""
    try:
        body = path.read_bytes()
        if hashlib.sha256(body).hexdigest() != sha:
            raise BridgekitError(f"{shown(path)} was changed while it was read: load the folder again.")
        with Image.open(io.BytesIO(body)) as opened:
            image = _on_white(_upright(_shallow(opened, path)), path)
            grey = channels == 1 or (channels is None and opened.mode in _GREY)
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    except BridgekitError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise BridgekitError(
            f"{shown(path)} cannot be read as an image ({error}): repair or remove it."
        ) from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _shallow(image: Image.Image, path: Path) -> Image.Image:
    """The image, loaded; BridgekitError where Pillow would cut its channels to 8 bits."""
    deep = any(_DEEP.search(str(tile[3])) for tile in getattr(image, "tile", []))
    image.load()
    if deep or image.mode.startswith(("I", "F")):
        raise BridgekitError(f"{shown(path)} has more than 8 bits a channel: convert it to 8 bits first.")
    return image


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; where that makes no sense it says nothing."""
    turn = None
    with contextlib.suppress(Exception):  # damaged EXIF makes Pillow raise nearly anything
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
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
        raise BridgekitError(f"{shown(path)} is one colour when it is laid on white: lay it on another.")
    return flat


def _varied(image: Image.Image) -> bool:
    return any(low != high for low, high in image.getextrema())
