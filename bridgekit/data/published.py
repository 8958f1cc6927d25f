"""MNIST, SVHN and CIFAR-10 as published: fetched where torchvision does, checked by its sums, and decoded.

torchvision's own readers are not used: they look at no content (MNIST), want the files of both splits
(CIFAR-10), read nothing packed, and name no damaged file. It is imported late, since that takes seconds.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import socket
import tempfile
import zlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bridgekit import files
from bridgekit.data.digits import CLASSES
from bridgekit.data.layouts import SPLITS
from bridgekit.data.store import Pixels, cache_path
from bridgekit.errors import BridgekitError

TIMEOUT = 30.0  # seconds without a byte before a mirror is given up
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# MD5 of what torchvision knows packed only.
MNIST_SUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class Archive(NamedTuple):
    """One download: its mirrors, name and MD5, and (path below the data root, MD5) of each file in it."""

    mirrors: Sequence[str]
    name: str
    md5: str
    files: list[tuple[str, str]]


def _mnist() -> list[Archive]:
    from torchvision.datasets import MNIST

    packed = [(name, md5, name.removesuffix(".gz")) for name, md5 in MNIST.resources]
    return [Archive(MNIST.mirrors, n, md5, [(f"MNIST/raw/{f}", MNIST_SUMS[f])]) for n, md5, f in packed]


def _svhn() -> list[Archive]:
    from torchvision.datasets import SVHN

    known = [SVHN.split_list[split] for split in SPLITS]
    return [Archive([url.removesuffix(file)], file, md5, [(file, md5)]) for url, file, md5 in known]


def _cifar10() -> list[Archive]:
    from torchvision.datasets import CIFAR10 as C

    batches = [(f"{C.base_folder}/{file}", md5) for file, md5 in C.train_list + C.test_list]
    return [Archive([C.url.removesuffix(C.filename)], C.filename, C.tgz_md5, batches)]


def _idx(images: bytes, labels: bytes) -> Pixels:
    """Images of 28 x 28 bytes after 16 others, and labels of a byte each after 8."""
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return Pixels(x, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64), CLASSES)


def _mat(body: bytes) -> Pixels:
    """MATLAB's order of axes; a 0 has label 10."""
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(body))
    x = np.ascontiguousarray(found["X"].transpose(3, 2, 0, 1))
    return Pixels(x, found["y"].reshape(-1).astype(np.int64) % 10, CLASSES)


def _batches(*bodies: bytes) -> Pixels:
    """One plane of 32 x 32 bytes after the other. Only what has been checked is unpickled."""
    batches = [pickle.loads(body, encoding="latin1") for body in bodies]
    x = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return Pixels(x, np.concatenate([batch["labels"] for batch in batches]).astype(np.int64), OBJECTS)


class Published(NamedTuple):
    """A data set: its downloads, how a split's files are decoded, and what an error says of the ways out."""

    archives: Callable[[], list[Archive]]
    decode: Callable[..., Pixels]
    size: str
    stand_in: str


SETS = {
    "mnist": Published(_mnist, _idx, "11 MB", "digits"),
    "svhn": Published(_svhn, _mat, "250 MB", "street"),
    "cifar10": Published(_cifar10, _batches, "170 MB", "street"),
}


def pixels(name: str, split: str, root: Path, download: bool) -> Pixels:
    """A split, decoded from the files under ``root``, which ``download`` fetches first where it must."""
    if download:
        fetch(name, root)
    listed = [file for archive in SETS[name].archives() for file in archive.files]
    mine = [each for each in listed if Path(each[0]).name.startswith(("test", "t10k")) == (split == "test")]
    return SETS[name].decode(*(_read(name, root / file, md5) for file, md5 in mine))


def present(name: str, root: Path) -> bool:
    """Whether the published files, or the caches made of them, are there."""
    if all(cache_path(root, f"{name}-{split}").is_file() for split in SPLITS):
        return True
    listed = [root / file for archive in SETS[name].archives() for file, _ in archive.files]
    return all(_place(path).is_file() for path in listed)


def fetch(name: str, root: Path, mirror: str | None = None) -> None:
    """Download what is missing or damaged; raises BridgekitError with every mirror's reason."""
    for archive in SETS[name].archives():
        wanted = [root / file for file, md5 in archive.files if not _whole(name, root / file, md5)]
        if wanted:
            mirrors = [mirror.rstrip("/") + "/"] if mirror else archive.mirrors
            with files.workshop(Path(tempfile.gettempdir()), "bridgekit-") as part:
                _download(name, archive, mirrors, part)
                for path in wanted:
                    with files.writing(path, "Point BRIDGEKIT_DATA to a folder that can be written."):
                        files.write_atomically(path, next(part.rglob(path.name)).read_bytes())


def _download(name: str, archive: Archive, mirrors: Sequence[str], part: Path) -> None:
    """Put the archive into the folder ``part``, unpacked, from the first mirror where it is whole."""
    from torchvision.datasets.utils import download_url, extract_archive

    reasons, before = [], socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # urllib would otherwise wait for a silent mirror for ever
    try:
        for mirror in mirrors:
            try:
                download_url(mirror + archive.name, str(part), archive.name, archive.md5)
                if archive.name.endswith(".gz"):
                    extract_archive(str(part / archive.name), str(part))
                return
            except (OSError, RuntimeError, ValueError, HTTPException) as error:
                reasons.append(f"{mirror}{archive.name}: {error}")
    finally:
        socket.setdefaulttimeout(before)
    raise BridgekitError(f"{name!r} could not be downloaded ({'; '.join(reasons)}). {_ways_out(name)}")


def _whole(name: str, path: Path, md5: str) -> bool:
    try:
        return bool(_read(name, path, md5))
    except BridgekitError:
        return False


def _read(name: str, path: Path, md5: str) -> bytes:
    """The content of a published file, unpacked; BridgekitError where it is not what was published."""
    path = _place(path)
    if not path.is_file():
        raise BridgekitError(f"{name!r} is not there: {path} is missing. {_ways_out(name)}")
    try:
        body = path.read_bytes()
        body = gzip.decompress(body) if path.suffix == ".gz" else body
    except (OSError, EOFError, zlib.error) as error:
        raise BridgekitError(f"{path} cannot be read ({error}). {_ways_out(name)}") from error
    if hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
        wrong = "its checksum is not the published one. Delete it and get it again."
        raise BridgekitError(f"{path} is damaged: {wrong} {_ways_out(name)}")
    return body


def _place(path: Path) -> Path:
    """Where a published file lies: packed, where it is not there unpacked."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def _ways_out(name: str) -> str:
    """The end of every message about a data set that is missing or damaged."""
    size, stand_in = SETS[name][2:]
    return (
        f"Three ways out: download it (about {size}) with `python -m bridgekit download {name}`; point "
        f"BRIDGEKIT_DATA to a folder with it in torchvision's layout; or use the stand-in, `{stand_in}`."
    )
