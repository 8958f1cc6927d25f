"""What the data sets share: decoded pixels, and one checksummed cache file for each."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bridgekit.files import read_checked, write_checked


class Pixels(NamedTuple):
    """Decoded images: ``x`` (N, C, H, W) uint8 from 0 to ``top``, ``y`` (N,) int64 into ``classes``.

    Or ``y`` is (N, A) of zeros and ones, and ``classes`` are the names of A attributes.
    """

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    top: int = 255

    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of everything in here."""
        digest = hashlib.sha256(repr((self.x.shape, self.classes, self.top)).encode())
        digest.update(np.ascontiguousarray(self.x))
        digest.update(self.y.astype("<i8"))
        return digest.hexdigest()[:16]


def cache_path(root: Path, key: str) -> Path:
    """The cache's file for ``key``: a line with format and SHA-256, then a NumPy archive."""
    return root / "cache" / f"{key}.pixels"


def cached(root: Path, key: str, decode: Callable[[], Pixels]) -> Pixels:
    """``decode()``, kept under ``<root>/cache``; a damaged cache file is not trusted but made again."""
    kept = read_checked(cache_path(root, key))
    if kept is not None:
        with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
            return Pixels(arrays["x"], arrays["y"], tuple(arrays["classes"].tolist()), int(arrays["top"]))
    pixels, body = decode(), io.BytesIO()
    np.savez(body, **pixels._replace(classes=np.array(pixels.classes))._asdict())
    # A data root that cannot be written (shared, full) costs time, not the result.
    with contextlib.suppress(OSError):
        write_checked(cache_path(root, key), body.getvalue())
    return pixels
