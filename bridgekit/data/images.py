"""Every set of images as one device-resident tensor: ``load`` gives :class:`Images`.

Real data lies under the data root, ``$BRIDGEKIT_DATA`` or ``~/.cache/bridgekit``, in torchvision's layout,
and is decoded once: the decoded pixels are kept as one checksummed file each under ``<root>/cache``. A cache
file that is damaged is built again, and a root that cannot be written simply has no cache.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data import digits, faces, folder, published
from bridgekit.data.folders import PREFIX, SPLITS, data_root
from bridgekit.data.plane import mixture as mixture
from bridgekit.data.published import download as download
from bridgekit.data.store import Pixels, cached
from bridgekit.errors import BridgekitError, nearest

BUILT_IN = {"digits": digits.pixels, "street": digits.street, "faces": faces.pixels}
NAMES = (*BUILT_IN, *published.SETS, f"{PREFIX}PATH")
Root = str | Path | None


@dataclass(frozen=True, eq=False)
class Images:
    """Images on one device: ``x`` (N, C, H, W) float32 in [-1, 1], and what they show, ``y`` int64.

    ``y`` is (N,), the number of each image's class among ``labels``, or, of a set with attributes, (N, A) of
    zeros and ones, a column for each of ``labels``. ``fingerprint`` is 16 hex digits of the SHA-256 of the
    decoded 8-bit pixels, labels and their names. It is taken before images are resized (floats may differ in
    the last bit between machines), but after a folder's are (Pillow resizes in integers).
    """

    x: Tensor
    y: Tensor
    labels: tuple[str, ...]
    name: str
    split: str
    fingerprint: str

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes' names; none of a set with classes."""
        return self.labels if self.y.dim() == 2 else ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; BridgekitError for a set with attributes, of which an image has several."""
        if self.attributes:
            way_out = "take a set with classes, such as digits or street, or a method without labels"
            raise BridgekitError(f"{self.name!r} has {len(self.labels)} attributes and no classes: {way_out}")
        return self.labels

    def __len__(self) -> int:
        return len(self.y)

    def canonical(self) -> list:
        """What tells these tensors from others, as JSON: a fingerprint knows of no size, part or style."""
        return [self.fingerprint, list(self.x.shape), *self._moments]

    @cached_property
    def _moments(self) -> tuple[float, float]:
        """Taken once, since all images are read for it and every cell asks: nobody changes them in place."""
        return self.x.sum(dtype=torch.float64).item(), self.x.square().sum(dtype=torch.float64).item()


def load(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
    root: Root = None,
) -> Images:
    """The images called ``name``, all of them on ``device``.

    ``digits``       scikit-learn's 1,797 real 8x8 handwritten digits, enlarged to ``size`` (28) by bicubic
                     interpolation; every fifth of a class is a test image. Nothing is downloaded.
    ``street``       the same digits on crops of photographs, 32x32 in colour (:func:`digits.street` says
                     how): the stand-in for SVHN and CIFAR-10. Nothing is downloaded.
    ``faces``        12,000 portraits, drawn from a seed, 64x64 in colour, with 18 attributes in place of
                     classes (``faces.ATTRIBUTES``): the stand-in for CelebA. Nothing is downloaded.
    ``mnist``        MNIST, 60,000 and 10,000; a ``size`` above 28 pads the black border evenly (32 adds two
                     pixels a side).
    ``svhn``         SVHN's cropped digits, 73,257 and 26,032 in colour; the ``extra`` images are not used.
    ``cifar10``      CIFAR-10, 50,000 and 10,000 in colour.
    ``celeba``       CelebA's aligned portraits, 162,770 and 19,962 (the validation images are not used), with
                     40 attributes: the middle 148 x 148 pixels at 64x64 (as float32 in 8 GB).
    ``folder:PATH``  a directory of class sub-folders (every fifth image of a class is a test image), or of
                     ``train/`` and ``test/`` that hold them; PATH is looked for from the working directory,
                     then from the data root. ``training`` and ``testing`` are understood, in any case, and
                     ``val`` or ``validation`` where there is no test. ``size`` fits each image to a square by
                     bicubic resizing and a centre crop. Transparent pixels are laid on white; of an animated
                     file, the first frame is taken. What was found is said once, in a line on standard error.

    Another ``size`` is reached by bicubic interpolation, antialiased where it shrinks. ``channels`` = 1 or 3
    makes the images grey (ITU-R 601 luma) or RGB; by default they stay what they are. Whatever is missing,
    damaged or mixed raises :class:`BridgekitError`, which names it and the ways out.
    """
    pixels = _pixels(name, split, size, channels, data_root(root))
    x = torch.tensor(pixels.x, dtype=torch.float32).div_(pixels.top).mul_(2).sub_(1)
    if not name.startswith(PREFIX):
        # On the CPU, whatever the device: the same numbers everywhere.
        x = _coloured(_resized(x, _size(name, size, pixels), pad=name == "mnist"), channels)
    y = torch.from_numpy(pixels.y).to(device)
    return Images(x.contiguous().to(device), y, pixels.classes, name, split, pixels.fingerprint())


def present(name: str, root: Root = None) -> bool:
    """Whether this data set is built in, or its published files, or the caches made of them, are there."""
    return name in BUILT_IN or published.present(name, root)


def one_shape(*sets: Images) -> int:
    """How many numbers one image has, in sets that belong together; BridgekitError where shapes differ."""
    if len({images.x.shape[1:] for images in sets}) > 1:
        named = " and ".join(f"{tuple(images.x.shape[1:])} ({images.name})" for images in sets)
        raise BridgekitError(
            f"images of one shape are wanted, not {named}: size= and channels= make them alike"
        )
    return sets[0].x[0].numel()


def identity(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    channels: int | None = None,
    root: Root = None,
) -> tuple[tuple[int, ...], str]:
    """Shape (C, H, W) and fingerprint of what ``load`` gives, without its tensor; raises as ``load``."""
    pixels = _pixels(name, split, size, channels, data_root(root))
    c, h, w = pixels.x.shape[1:]
    shape = (c, h, w) if name.startswith(PREFIX) else (channels or c, *[_size(name, size, pixels)] * 2)
    return shape, pixels.fingerprint()


def _pixels(name: str, split: str, size: int | None, channels: int | None, root: Path) -> Pixels:
    """The decoded images as they were published; a folder's have ``size`` and ``channels`` already."""
    if split not in SPLITS:
        raise BridgekitError(f"there is no split {split!r}: {nearest(split, SPLITS)}")
    if (size is not None and size < 1) or channels not in (None, 1, 3):
        raise BridgekitError(f"size={size}, channels={channels}: size is at least 1 and channels is 1 or 3.")
    if name.startswith(PREFIX):
        return folder.pixels(name, split, size, channels, root)
    if name in BUILT_IN:
        return cached(root, f"{name}-1-{split}", lambda: BUILT_IN[name](split))  # 1: the recipes' version
    if name not in published.SETS:
        raise BridgekitError(f"there is no data set {name!r}: {nearest(name, NAMES)}")
    return cached(root, f"{name}-{split}", lambda: published.pixels(name, split, root))


def _size(name: str, size: int | None, pixels: Pixels) -> int:
    """The side of the images that ``load`` gives: scikit-learn's digits are shown larger than they are."""
    return size or (28 if name == "digits" else pixels.x.shape[-1])


def _coloured(x: Tensor, channels: int | None) -> Tensor:
    """Images (N, C, H, W) with ``channels``: grey is ITU-R 601 luma, as Pillow's; RGB repeats grey."""
    if channels == 1 and x.shape[1] == 3:
        return torch.einsum("nchw,c->nhw", x, torch.tensor([0.299, 0.587, 0.114]))[:, None].clamp(-1, 1)
    return x.expand(-1, channels or -1, -1, -1)


def _resized(x: Tensor, size: int, pad: bool) -> Tensor:
    """Square images (N, C, H, H) in [-1, 1] to ``size``; ``pad`` grows by a border of -1."""
    rest = size - x.shape[-1]
    if rest == 0:
        return x
    if pad and rest > 0:
        return F.pad(x, (rest // 2, rest - rest // 2) * 2, value=-1.0)
    # Bicubic interpolation overshoots at edges: clamp to the pixels' range.
    return F.interpolate(x, (size, size), mode="bicubic", antialias=rest < 0).clamp(-1, 1)
