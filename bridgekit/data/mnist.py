"""MNIST as published: fetched, checked and decoded."""

from __future__ import annotations

import gzip
import hashlib
import math
import socket
import struct
import tempfile
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import numpy as np

from bridgekit.data.store import SPLITS, Pixels, cache_path, write_atomically
from bridgekit.errors import BridgekitError

TIMEOUT = 30.0  # seconds without a byte before a mirror is given up

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
WAYS_OUT = (
    "Three ways out: download it (about 11 MB) with "
    "`python -c \"from bridgekit import data; data.download('mnist')\"`; point BRIDGEKIT_DATA to a folder "
    "that holds MNIST/raw/ with the four published files, packed or not; or use the stand-in, `digits`."
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
            body = _download(mirrors, f"{file}.gz", dict(MNIST.resources)[f"{file}.gz"])
            target = root / "MNIST" / "raw" / file
            try:
                write_atomically(target, body)
            except OSError as error:
                message = f"{target} cannot be written ({error}): point BRIDGEKIT_DATA to a folder that can."
                raise BridgekitError(message) from error


def _download(mirrors: Sequence[str], file: str, md5: str) -> bytes:
    """The unpacked content of ``file`` from the first mirror that gives it whole."""
    from torchvision.datasets.utils import download_url

    reasons = []
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # urllib would otherwise wait for a silent mirror for ever
    try:
        for mirror in mirrors:
            with tempfile.TemporaryDirectory(prefix="bridgekit-") as part:
                try:
                    download_url(mirror + file, part, filename=file, md5=md5)
                    return gzip.decompress(Path(part, file).read_bytes())
                except (OSError, RuntimeError, ValueError, HTTPException, EOFError, zlib.error) as error:
                    reasons.append(f"{mirror}{file}: {error}")
    finally:
        socket.setdefaulttimeout(before)
    raise BridgekitError(f"MNIST could not be downloaded ({'; '.join(reasons)}). {WAYS_OUT}")


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
