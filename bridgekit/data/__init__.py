"""Every data set as one device-resident tensor, and the plane's mixtures.

``load`` gives :class:`Images`; ``mixture`` gives a :class:`~bridgekit.distributions.Mixture` to sample.
Real data lies under the data root, ``$BRIDGEKIT_DATA`` or ``~/.cache/bridgekit``, in torchvision's layout,
and is decoded once: the decoded pixels are kept as one checksummed file each under ``<root>/cache``. A cache
file that is damaged is built again, and a root that cannot be written simply has no cache.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data import folder, mnist
from bridgekit.data.plane import mixture
from bridgekit.data.store import SPLITS, Pixels, cached, data_root, held_out, unknown
from bridgekit.errors import BridgekitError

__all__ = ["NAMES", "Images", "data_root", "download", "load", "mixture", "present"]

NAMES = ("digits", "mnist", "folder:PATH")


@dataclass(frozen=True, eq=False)
class Images:
    """Images on one device: ``x`` (N, C, H, W) float32 in [-1, 1], labels ``y`` (N,) int64 into ``classes``.

    ``fingerprint`` is 16 hex digits of the SHA-256 of the decoded 8-bit pixels, labels and class names. It is
    taken before ``digits`` and ``mnist`` are resized (floats may differ in the last bit between machines) and
    after a folder's images are (Pillow resizes in integers).
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    name: str
    split: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.y)


def load(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
    root: str | Path | None = None,
    download: bool = False,
) -> Images:
    """The images called ``name``, all of them on ``device``.

    ``digits``       scikit-learn's 1,797 real 8x8 handwritten digits, enlarged to ``size`` (28) by bicubic
                     interpolation; every fifth of a class is a test image. Nothing is downloaded.
    ``mnist``        MNIST, 60,000 and 10,000; a ``size`` above 28 pads the black border evenly (32 adds two
                     pixels a side), one below shrinks with antialiased bicubic interpolation. ``download``
                     fetches it first where it is missing.
    ``folder:PATH``  a directory of class sub-folders, or of ``train/`` and ``test/`` that hold them; PATH is
                     looked for from the working directory, then from the data root. ``size`` fits each image
                     to a square by bicubic resizing and a centre crop. Transparency is dropped.

    ``channels`` = 1 or 3 makes the images grey or RGB (by default they stay what they are). Whatever is
    missing, damaged or mixed raises :class:`BridgekitError`, which names the file and the ways out.
    """
    if split not in SPLITS:
        raise BridgekitError(unknown("split", split, SPLITS))
    if (size is not None and size < 1) or channels not in (None, 1, 3):
        raise BridgekitError(f"size={size}, channels={channels}: size is at least 1 and channels is 1 or 3.")
    root = data_root(root)
    if name.startswith("folder:"):
        pixels = folder.pixels(name, split, size, channels, root)
    elif name == "mnist":
        if download and not present(name, root):
            mnist.fetch(root)
        pixels = cached(root, f"mnist-{split}", lambda: mnist.pixels(root, split))
    elif name == "digits":
        pixels, size = _digits(split), size or 28
    else:
        raise BridgekitError(unknown("data set", name, NAMES))
    x = torch.tensor(pixels.x, dtype=torch.float32).div_(pixels.top).mul_(2).sub_(1)
    if not name.startswith("folder:"):
        # On the CPU, whatever the device: the same numbers everywhere.
        x = _resized(x, size or x.shape[-1], pad=name == "mnist").expand(-1, channels or 1, -1, -1)
    y = torch.from_numpy(pixels.y)
    return Images(x.contiguous().to(device), y.to(device), pixels.classes, name, split, pixels.fingerprint())


def present(name: str, root: str | Path | None = None) -> bool:
    """Whether ``load(name)`` finds its files without a download; their content is not looked at."""
    root = data_root(root)
    if name.startswith("folder:"):
        return any(place.is_dir() for place in folder.places(name, root))
    if name == "mnist":
        return mnist.present(root)
    if name == "digits":
        return importlib.util.find_spec("sklearn") is not None
    raise BridgekitError(unknown("data set", name, NAMES))


def download(name: str, root: str | Path | None = None, mirror: str | None = None) -> Path:
    """Fetch what is missing or damaged of ``name`` (only ``mnist`` is fetched); returns the data root.

    Uses torchvision's mirrors, or ``mirror`` (the address of a folder) alone. Every file is checked against
    its published checksum and then renamed into place, so a broken download leaves nothing behind.
    """
    if name != "mnist":
        raise BridgekitError(f"Nothing to download for {name!r}: only mnist is downloaded.")
    root = data_root(root)
    mnist.fetch(root, mirror)
    return root


def _resized(x: Tensor, size: int, pad: bool) -> Tensor:
    """Square images (N, C, H, H) in [-1, 1] to ``size``; ``pad`` grows by a border of -1."""
    rest = size - x.shape[-1]
    if rest == 0:
        return x
    if pad and rest > 0:
        return F.pad(x, (rest // 2, rest - rest // 2) * 2, value=-1.0)
    # Bicubic interpolation overshoots at edges: clamp to the pixels' range.
    return F.interpolate(x, (size, size), mode="bicubic", antialias=rest < 0).clamp(-1, 1)


def _digits(split: str) -> Pixels:
    """Both splits share their writers, unlike MNIST's: accuracy on ``test`` is a little kind."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    y = digits.target.astype(np.int64)
    test = np.zeros(len(y), dtype=bool)
    for k in range(10):
        test[y == k] = [held_out(i) for i in range((y == k).sum())]
    mine = test == (split == "test")
    return Pixels(digits.images[mine, None].astype(np.uint8), y[mine], tuple("0123456789"), top=16)
