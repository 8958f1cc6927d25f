"""MNIST as published: fetched, checked and decoded."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from bridgekit.data import fetching
from bridgekit.data.store import SPLITS, Pixels, cache_path
from bridgekit.errors import BridgekitError

# Images and labels of a split: (file, dimensions, MD5 of the unpacked file).
FILES = {
    "train": (
        ("train-images-idx3-ubyte", (60000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", (60000,), "a25bea736e30d166cdddb491f175f624"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", (10000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", (10000,), "27ae3e4e09519cfbb04c329615203637"),
    ),
}
WAYS_OUT = fetching.ways_out(
    "mnist", "11 MB", "MNIST/raw/ with the four published files, packed or not", "digits"
)


def pixels(root: Path, split: str) -> Pixels:
    """A split, decoded from the published files under ``root``. Raises BridgekitError naming a bad file."""
    images, labels = (_read_idx(_path(root, file), dims, md5) for file, dims, md5 in FILES[split])
    return Pixels(images[:, None], labels.astype(np.int64), tuple("0123456789"))


def present(root: Path) -> bool:
    """Whether the four files, or the caches made of them, are there."""
    raw = all(_path(root, file).is_file() for split in SPLITS for file, _, _ in FILES[split])
    return raw or all(cache_path(root, f"mnist-{split}").is_file() for split in SPLITS)


def fetch(root: Path, mirror: str | None = None) -> None:
    """Download what is missing or damaged; raises BridgekitError with every mirror's reason."""
    from torchvision.datasets import MNIST

    mirrors = [mirror.rstrip("/") + "/"] if mirror else MNIST.mirrors
    for file, dims, md5 in FILES["train"] + FILES["test"]:
        try:
            _read_idx(_path(root, file), dims, md5)
        except BridgekitError:  # missing or damaged: this is what fetching is for
            packed, sum_ = f"{file}.gz", dict(MNIST.resources)[f"{file}.gz"]
            body = fetching.download(mirrors, packed, sum_, "MNIST", WAYS_OUT)
            fetching.put(root / "MNIST" / "raw" / file, gzip.decompress(body))


def _path(root: Path, file: str) -> Path:
    """The published file under ``root``: unpacked where there is one, else packed."""
    path = root / "MNIST" / "raw" / file
    packed = path.with_name(f"{file}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def _read_idx(path: Path, dims: tuple[int, ...], md5: str) -> np.ndarray:
    """The uint8 array of an IDX file (big-endian magic number, dimensions, bytes), each part checked."""
    if not path.is_file():
        raise BridgekitError(f"MNIST is not there: {path} is missing. {WAYS_OUT}")
    try:
        body = path.read_bytes()
        body = gzip.decompress(body) if path.suffix == ".gz" else body
    except (OSError, EOFError, zlib.error) as error:
        raise BridgekitError(f"{path} cannot be read ({error}). {WAYS_OUT}") from error
    start, magic = 4 * (1 + len(dims)), 0x0800 + len(dims)
    found = struct.unpack(f">{1 + len(dims)}I", body[:start].ljust(start, b"\0"))
    wrong = None
    if found[0] != magic:
        wrong = f"its magic number is {found[0]}, not {magic}"
    elif found[1:] != dims:
        wrong = f"it announces {_times(found[1:])} values, not {_times(dims)}"
    elif len(body) != start + math.prod(dims):
        wrong = f"it has {len(body):,} bytes, not {start + math.prod(dims):,}"
    elif hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
        wrong = "its checksum is not the published one"
    if wrong:
        raise BridgekitError(f"{path} is damaged: {wrong}. Delete it and get it again. {WAYS_OUT}")
    return np.frombuffer(body, np.uint8, offset=start).reshape(dims)


def _times(dims: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in dims)
