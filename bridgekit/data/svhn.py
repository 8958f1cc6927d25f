"""SVHN (Netzer et al. 2011), the cropped digits as published: fetched, checked and decoded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from bridgekit.data import fetching
from bridgekit.data.store import SPLITS, Pixels, cache_path
from bridgekit.errors import BridgekitError

# A split's file and the MD5 of it.
FILES = {
    "train": ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
    "test": ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
}
MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)
WAYS_OUT = fetching.ways_out("svhn", "250 MB", "train_32x32.mat and test_32x32.mat", "street")


def pixels(root: Path, split: str) -> Pixels:
    """A split: 73,257 or 26,032 images; in the files, a 0 has label 10. BridgekitError names a bad file."""
    from scipy.io import loadmat

    file, md5 = FILES[split]
    found = loadmat(io.BytesIO(fetching.read(root / file, md5, "SVHN", WAYS_OUT)))
    x, y = found["X"].transpose(3, 2, 0, 1), found["y"].reshape(-1).astype(np.int64) % 10
    return Pixels(np.ascontiguousarray(x), y, tuple("0123456789"))


def present(root: Path) -> bool:
    """Whether both files, or the caches made of them, are there."""
    caches = (cache_path(root, f"svhn-{split}").is_file() for split in SPLITS)
    return all((root / FILES[split][0]).is_file() for split in SPLITS) or all(caches)


def fetch(root: Path, mirror: str | None = None) -> None:
    """Download what is missing or damaged; raises BridgekitError with every mirror's reason."""
    mirrors = [mirror.rstrip("/") + "/"] if mirror else MIRRORS
    for file, md5 in FILES.values():
        try:
            fetching.read(root / file, md5, "SVHN", WAYS_OUT)
        except BridgekitError:  # missing or damaged: this is what fetching is for
            fetching.put(root / file, fetching.download(mirrors, file, md5, "SVHN", WAYS_OUT))
