"""CIFAR-10 (Krizhevsky 2009), the Python version as published: fetched, checked and decoded."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from bridgekit.data import fetching
from bridgekit.data.store import SPLITS, Pixels, cache_path
from bridgekit.errors import BridgekitError

FOLDER = "cifar-10-batches-py"
# A split's files and the MD5 of each.
FILES = {
    "train": (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
}
ARCHIVE = ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WAYS_OUT = fetching.ways_out("cifar10", "170 MB", f"{FOLDER}/ with the six published batches", "street")


def pixels(root: Path, split: str) -> Pixels:
    """A split: 50,000 or 10,000 images. Raises BridgekitError naming a bad file."""
    # Checked against the published sums before they are unpickled.
    bodies = [fetching.read(root / FOLDER / file, md5, "CIFAR-10", WAYS_OUT) for file, md5 in FILES[split]]
    batches = [pickle.loads(body, encoding="latin1") for body in bodies]
    x = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return Pixels(x, np.concatenate([batch["labels"] for batch in batches]).astype(np.int64), CLASSES)


def present(root: Path) -> bool:
    """Whether the six batches, or the caches made of them, are there."""
    files = (root / FOLDER / file for split in SPLITS for file, _ in FILES[split])
    caches = (cache_path(root, f"cifar10-{split}").is_file() for split in SPLITS)
    return all(path.is_file() for path in files) or all(caches)


def fetch(root: Path, mirror: str | None = None) -> None:
    """Download the archive where a batch is missing or damaged, and put those in place."""
    wanted = []
    for file, md5 in (each for split in SPLITS for each in FILES[split]):
        try:
            fetching.read(root / FOLDER / file, md5, "CIFAR-10", WAYS_OUT)
        except BridgekitError:  # missing or damaged: this is what fetching is for
            wanted.append(file)
    if not wanted:
        return
    mirrors = [mirror.rstrip("/") + "/"] if mirror else MIRRORS
    body = fetching.download(mirrors, *ARCHIVE, "CIFAR-10", WAYS_OUT)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        for file in wanted:
            fetching.put(root / FOLDER / file, archive.extractfile(f"{FOLDER}/{file}").read())
