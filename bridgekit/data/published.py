"""MNIST, SVHN, CIFAR-10 and CelebA as published: fetched, checked and read by torchvision.

It is imported late, since that takes seconds. Of MNIST it checks what it downloads, but not what it reads:
there the content itself is compared with what was published. Of CelebA it checks the lists alone, so that
here the images are held against them.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bridgekit import files
from bridgekit.data.digits import CLASSES
from bridgekit.data.folders import SPLITS, data_root
from bridgekit.data.store import Pixels, cache_path
from bridgekit.errors import BridgekitError

TIMEOUT = 30.0  # seconds without a byte before a mirror is given up
MNIST = {"train": "ccabbe5fed0440a8", "test": "2b10d23d4e45a841"}  # fingerprints


class Published(NamedTuple):
    """A data set: torchvision's class, where it lies below the data root, and what errors say of it."""

    reader: str
    place: str
    size: str
    stand_in: str


SETS = {
    "mnist": Published("MNIST", "MNIST/raw", "11 MB", "digits"),
    "svhn": Published("SVHN", "test_32x32.mat", "250 MB", "street"),
    "cifar10": Published("CIFAR10", "cifar-10-batches-py", "170 MB", "street"),
    "celeba": Published("CelebA", "celeba/img_align_celeba", "1.4 GB; it takes the package gdown", "faces"),
}


def pixels(name: str, split: str, root: Path, download: bool = False) -> Pixels:
    """A split from the files under ``root``, fetched there first where ``download``."""
    from torchvision import datasets

    reader = getattr(datasets, SETS[name].reader)
    which = {"split": split} if name in ("svhn", "celeba") else {"train": split == "train"}
    try:
        if name == "celeba" and not download:
            _check_lists(datasets.CelebA, root / "celeba")
        found = _decoded(name, reader(root, download=download, **which))
        if name == "mnist" and found.fingerprint() != MNIST[split]:
            raise ValueError("it is damaged: its content is not what was published")
    except Exception as error:  # a damaged file can raise anything
        what = "could not be downloaded" if download else f"cannot be read in {root}"
        raise BridgekitError(f"{name!r} {what} ({error}). {_ways_out(name)}") from error
    return found


def _decoded(name: str, found) -> Pixels:
    """What a reader of torchvision's holds: grey images without a channel, or colours last or first."""
    if name == "celeba":
        return _portraits(found, Path(found.root, SETS[name].place))
    x, y = np.asarray(found.data), found.labels if name == "svhn" else found.targets
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2) if x.shape[-1] == 3 else x
    classes = tuple(found.classes) if name == "cifar10" else CLASSES
    return Pixels(np.ascontiguousarray(x), np.asarray(y, np.int64), classes)


def _check_lists(reader, folder: Path) -> None:
    """Raise ValueError for a list of CelebA's that is missing or changed; torchvision does not say which."""
    from torchvision.datasets.utils import check_integrity

    for _, md5, file in reader.file_list:
        if file.endswith(".txt") and not check_integrity(folder / file, md5):
            raise ValueError(f"{folder / file} is missing, or not what was published")


def _portraits(found, folder: Path) -> Pixels:
    """CelebA's split: of each image the middle square of 148 pixels, shrunk to 64 x 64, and 40 attributes."""
    missing = sorted({*found.filename} - {*os.listdir(folder)})
    if missing:
        some = f"{len(missing):,} of the {len(found.filename):,} images, {missing[0]} first"
        raise ValueError(f"list_attr_celeba.txt does not match the images: {folder} lacks {some}")
    x = np.empty((len(found.filename), 64, 64, 3), np.uint8)
    for row, file in zip(x, found.filename, strict=True):
        with Image.open(folder / file) as image:
            if image.size != (178, 218):
                raise ValueError(f"{folder / file} has {image.width} x {image.height} pixels, not 178 x 218")
            row[:] = image.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC, (15, 35, 163, 183))
    names = tuple(filter(None, found.attr_names))  # the list's first line ends with a space
    return Pixels(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), found.attr.numpy(), names)


def present(name: str, root: str | Path | None = None) -> bool:
    """Whether the published files, or the caches made of them, are there; no content is looked at."""
    root = data_root(root)
    kept = all(cache_path(root, f"{name}-{split}").is_file() for split in SPLITS)
    return kept or (name in SETS and (root / SETS[name].place).exists())


def download(name: str, root: str | Path | None = None) -> Path:
    """Fetch what is missing or damaged of one of ``SETS``; returns the data root.

    From torchvision's addresses; what is whole takes its place, and a broken download leaves nothing behind.
    """
    if name not in SETS:
        raise BridgekitError(
            f"Nothing to download for {name!r}: what is downloaded is one of {', '.join(SETS)}."
        )
    root = data_root(root)
    with suppress(BridgekitError):
        for split in SPLITS:
            pixels(name, split, root)
        return root
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # urllib would otherwise wait for a silent mirror for ever
    way_out = "Point BRIDGEKIT_DATA to a folder that can be written."
    try:
        with files.writing(root, way_out), files.workshop(root, "download-", way_out) as part:
            for split in SPLITS:
                pixels(name, split, part, download=True)
            for path in part.rglob("*"):
                if path.is_file() and not path.name.endswith((".gz", ".zip", files.LOCK)):
                    place = root / path.relative_to(part)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(path, place)
    finally:
        socket.setdefaulttimeout(before)
    return root


def _ways_out(name: str) -> str:
    """The end of every message about a data set that is missing or damaged."""
    size, stand_in = SETS[name][2:]
    return (
        f"Three ways out: download it (about {size}) with `python -m bridgekit download {name}`; point "
        f"BRIDGEKIT_DATA to a folder with it in torchvision's layout; or use the stand-in, `{stand_in}`."
    )
