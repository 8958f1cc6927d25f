"""scikit-learn's handwritten digits, as they are and on photographs: what needs no download."""

import numpy as np
from PIL import Image

from bridgekit.data.folders import held_out
from bridgekit.data.store import Pixels

SIDE = 32
CLASSES = tuple("0123456789")


def pixels(split: str) -> Pixels:
    """``digits``: 8x8 images in grey, from 0 to 16.

    Both splits share their writers, unlike MNIST's: accuracy on ``test`` is a little kind.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    y = digits.target.astype(np.int64)
    mine = _held_out(y) == (split == "test")
    return Pixels(digits.images[mine, None].astype(np.uint8), y[mine], CLASSES, top=16)


def street(split: str) -> Pixels:
    r"""``street``: each digit on a crop of a photograph of its own, 32x32 in colour.

    In 8-bit integers, ``image = crop + m (ink - crop) / 255``, pixel by pixel and channel by channel: ``m``
    is the digit, enlarged to between 26 and 32 pixels a side and laid anywhere within the frame, times an
    opacity between 0.8 and 1; the crop is a square of 60 to 240 pixels of one of scikit-learn's two
    photographs, its contrast multiplied by 0.2 to 0.7 about its mean colour; the ink is one colour, light
    where the crop is dark and dark where it is light. Everything is drawn anew for every digit, in
    scikit-learn's order, from a generator whose stream NumPy has frozen, so that a digit has the same crop
    whichever split is asked for. The photographs are common to both splits, as the writers are.
    """
    from sklearn.datasets import load_digits, load_sample_images

    digits, photographs = load_digits(), [Image.fromarray(image) for image in load_sample_images().images]
    y = digits.target.astype(np.int64)
    random = np.random.RandomState(20180430)
    x = np.stack([_blend(image, photographs, random) for image in digits.images.astype(np.uint8)])
    mine = _held_out(y) == (split == "test")
    return Pixels(x[mine].transpose(0, 3, 1, 2).copy(), y[mine], CLASSES)


def _held_out(y: np.ndarray) -> np.ndarray:
    """Which images are test images: every fifth of each class."""
    return held_out(np.array([(y[:i] == k).sum() for i, k in enumerate(y)]))


def _blend(digit: np.ndarray, photographs: list[Image.Image], random: np.random.RandomState) -> np.ndarray:
    """One digit (8, 8) from 0 to 16 on a crop of its own: (32, 32, 3) uint8. Integers throughout."""
    photograph = photographs[random.randint(len(photographs))]
    side = random.randint(60, 241)
    left, top = (random.randint(length - side + 1) for length in photograph.size)
    box = (left, top, left + side, top + side)
    crop = np.asarray(photograph.resize((SIDE, SIDE), Image.Resampling.BOX, box), np.int64)
    mean = crop.mean((0, 1)).round().astype(np.int64)
    crop = mean + (crop - mean) * random.randint(20, 71) // 100
    low = 0 if mean.mean() > 127 else 170
    ink = random.randint(low, low + 86, 3)
    side = random.randint(26, SIDE + 1)
    grey = Image.fromarray((digit.astype(np.int64) * 255 // 16).astype(np.uint8))
    grown = np.asarray(grey.resize((side, side), Image.Resampling.BICUBIC), np.int64)
    m = np.zeros((SIDE, SIDE, 1), np.int64)
    row, column = random.randint(SIDE - side + 1, size=2)
    m[row : row + side, column : column + side, 0] = grown * random.randint(80, 101) // 100
    return (crop + m * (ink - crop) // 255).astype(np.uint8)
