"""``faces``: portraits that are drawn from a seed, and what each shows. The stand-in for CelebA.

Shapes are signed distances (negative inside), in units of half a head, on a grid (B, 64, 64); numbers of one
portrait are (B, 1, 1). Sums, products, quotients and roots of single floats: the same on every machine.
"""

import numpy as np
from numpy import ndarray as Array

from bridgekit.data.store import Pixels

SIDE = 64
SPLITS = {"train": (20190101, 10_000), "test": (20190102, 2_000)}  # seed and number of images
CHUNK = 16  # images that are drawn together: they stay in a core's cache
# Rows and columns where the eyes and the mouth are: nothing else is computed for them.
ALL, EYES, MOUTH = np.s_[:, :, :], np.s_[:, 14:50, 8:56], np.s_[:, 32:64, 8:56]
HAIR = {
    "Black": (28, 25, 32),
    "Brown": (88, 54, 30),
    "Blond": (238, 204, 122),
    "Red": (198, 76, 32),
    "Gray": (172, 175, 182),
}
SKIN = {"Pale": (252, 222, 202), "Tan": (214, 160, 114), "Dark": (138, 92, 68)}
GROUND = {"Blue": (92, 146, 222), "Green": (104, 176, 104), "Pink": (234, 142, 174), "White": (236, 236, 232)}
COLOURS = {"Hair": HAIR, "Skin": SKIN, "Background": GROUND}
FLAGS = ("Long_Hair", "Bangs", "Eyeglasses", "Smiling")
ATTRIBUTES = tuple(f"{name}_{of}" for of, table in COLOURS.items() for name in table)
ATTRIBUTES += (*FLAGS, "Facing_Left", "Facing_Right")
KINDS = (*map(len, COLOURS.values()), *(2 for _ in FLAGS), 3)  # how many, of each thing that is drawn
IRIS = {"Brown": (74, 44, 24), "Dark": (62, 38, 26), "Blue": (56, 110, 172), "Green": (72, 128, 78)}
NUMBERS = 81  # that an image is drawn from, its kinds first


def pixels(split: str) -> Pixels:
    """``faces``: 64x64 in colour, with ``ATTRIBUTES``; both splits are drawn alike, from other seeds."""
    seed, n = SPLITS[split]
    return draw(n, seed)


def draw(n: int, seed: int) -> Pixels:
    """``n`` portraits: x (n, 3, 64, 64) and y (n, 18), a column of zeros and ones for each of ``ATTRIBUTES``.

    An image has one colour of hair, of skin and of the background; of the last two columns it has neither
    where the head faces us (left is the viewer's). All this is drawn evenly and independently, and so are
    some seventy numbers without a name, from a generator whose stream NumPy has frozen. The first images of
    many are those of few. Names are CelebA's where it has the attribute.
    """
    u = np.random.RandomState(seed).random_sample((n, NUMBERS)).astype(np.float32)
    kinds = [np.minimum(u[:, i] * k, k - 1).astype(int) for i, k in enumerate(KINDS)]
    # What is neither a colour's name nor a turn to a side is the first of its kinds, and has no column.
    coded = [np.eye(k, dtype=np.int64)[kind] for kind, k in zip(kinds, KINDS, strict=True)]
    y = np.concatenate([code if i < len(COLOURS) else code[:, 1:] for i, code in enumerate(coded)], 1)
    parts = [slice(i, i + CHUNK) for i in range(0, n, CHUNK)]
    x = [_Portraits([kind[part] for kind in kinds], u[part, len(KINDS) :]).finished() for part in parts]
    return Pixels(np.concatenate(x), y, ATTRIBUTES)


def _ellipse(x: Array, y: Array, a: Array | float, b: Array | float) -> Array:
    """Distance, to first order, from the ellipse about the origin with half-axes ``a`` and ``b``."""
    u, v = x / a, y / b
    inside, u, v = u * u + v * v - 1, u / a, v / b
    return inside / (2 * np.sqrt(u * u + v * v) + 1e-3)


def _box(x: Array, y: Array, a: Array, b: Array, r: Array) -> Array:
    """Distance from a rectangle with half-axes ``a`` and ``b``, its corners rounded with radius ``r``."""
    u, v = np.abs(x) - a + r, np.abs(y) - b + r
    beyond = np.square(np.maximum(u, 0)) + np.square(np.maximum(v, 0))
    return np.sqrt(beyond) + np.minimum(np.maximum(u, v), 0) - r


def _wave(t: Array) -> Array:
    """A triangle wave of period 1, from -1 to 1."""
    return 4 * np.abs(t - np.floor(t + np.float32(0.5))) - 1


class _Portraits:
    """A few portraits of these ``kinds``, with numbers ``u`` (B, ...), painted layer by layer.

    Later layers read what earlier ones have left: where the hair may be, the eyes, the face's direction.
    """

    def __init__(self, kinds: list[Array], u: Array):
        self.numbers = iter(u.T[:, :, None, None])
        hair, skin, ground, *flags, pose = kinds
        flags = [flag[:, None, None].astype(np.float32) for flag in flags]
        self.long, self.fringe, self.glasses, self.smile = flags
        self.turn = np.array([0, -1, 1], np.float32)[pose][:, None, None] * self.of(0.8, 1.0)
        self.turn = self.turn + self.of(-0.08, 0.08)
        self.hair, self.skin = self.colour(HAIR, hair, 0.08), self.colour(SKIN, skin, 0.05)
        self.unit = self.of(20, 22.5)  # pixels
        axis = np.arange(SIDE, dtype=np.float32) + 0.5 - SIDE // 2
        x, y = axis[None, None] - self.of(-2, 2), axis[None, :, None] - self.of(-0.5, 2)
        x, y, slant = x / self.unit, y / self.unit, self.of(-0.12, 0.12)
        self.body, self.x, self.y = (x + 0.1 * self.turn, y), x - slant * (y - 0.8), y + slant * x
        self.width, self.light = self.of(0.74, 0.84), self.of(-0.16, 0.16)
        self.image = np.empty((len(u), 3, SIDE, SIDE), np.float32)
        self.background(self.colour(GROUND, ground, 0.06), axis / (SIDE // 2))

    def finished(self) -> Array:
        """(B, 3, 64, 64) uint8, from the back of the head to the glasses."""
        self.back_hair()
        self.shoulders()
        self.head()
        self.eyes()
        self.nose()
        self.mouth()
        self.front_hair()
        self.spectacles()
        return np.clip(self.image + 0.5, 0, 255).astype(np.uint8)

    def of(self, low: float, high: float) -> Array:
        """A number for each portrait, between ``low`` and ``high``."""
        return low + (high - low) * next(self.numbers)

    def any(self, low: float, high: float) -> Array:
        """A colour for each portrait, (B, 3, 1, 1)."""
        return np.stack([self.of(low, high) for _ in range(3)], 1)

    def colour(self, table: dict, kind: Array, spread: float) -> Array:
        """Each portrait's own shade of its kind's colour: (B, 3, 1, 1)."""
        base = np.array([*table.values()], np.float32)[kind][:, :, None, None]
        return base * self.any(1 - spread / 3, 1 + spread / 3) * self.of(1 - spread, 1 + spread)[:, None]

    def paint(self, distance: Array, colour: Array, opacity: Array | float = 1.0, at: tuple = ALL) -> None:
        """A shape with smooth edges, over what is there. ``colour`` (B or 1, 3, 1 or 64, 1 or 64)."""
        cover, image = np.clip(0.5 - distance * self.unit, 0, 1) * opacity, self.image[:, *at]
        image += cover[:, None] * (colour - image)

    def background(self, colour: Array, axis: Array) -> None:
        """One colour, lighter at some place and darker away from it."""
        x, y = axis[None, None] - self.of(-1, 1), axis[None, :, None] - self.of(-1, 1)
        glow = 0.86 + 0.2 / (1 + 1.5 * (x * x + y * y))
        self.image[:] = np.minimum(colour * glow[:, None], 255)

    def back_hair(self) -> None:
        """``outer`` is where hair may be: a cap on the head, and for long hair a curtain to the shoulders."""
        x, y = self.x + 0.1 * self.turn, self.y
        volume = self.of(0.08, 0.2)
        cap = _ellipse(x, y + 0.14, self.width + volume, 0.98 + volume)
        curl, length = self.of(0.0, 0.06) * _wave(y * self.of(0.8, 1.6)), self.of(1.25, 1.8)
        half = self.width + volume + curl + self.of(-0.08, 0.1) * np.maximum(y, 0)
        curtain = np.maximum(np.maximum(np.abs(x) - half, y - length + 0.4 * x * x), -0.2 - y)
        low = y - self.of(-0.05, 0.15)
        self.outer = np.where(self.long > 0, np.minimum(cap, curtain), np.maximum(cap, low))
        strands = _wave(x / (1.25 + np.clip(y, -0.6, 0.4)) * self.of(1.8, 3.2) + self.of(0, 1))
        shine = 0.28 / (1 + 30 * np.square(y + 0.75 + 0.4 * x * x))
        self.locks = self.hair * (0.9 + 0.1 * strands + shine + self.light * x)[:, None]
        self.paint(self.outer, self.locks * 0.72)

    def shoulders(self) -> None:
        """A neck, and a plain shirt in any colour."""
        x, y = self.body
        neck = np.maximum(np.abs(x) - self.of(0.3, 0.38), np.abs(y - 0.9) - 0.7)
        self.paint(neck, self.skin * np.clip(0.55 + 0.25 * y, 0.7, 0.95)[:, None])
        shirt = _ellipse(x, y - 2.35, self.of(1.25, 1.5), self.of(0.95, 1.1))
        self.paint(shirt, self.any(30, 225) * (0.95 + self.light * x)[:, None])
        self.paint(_ellipse(x, y - 1.32, self.of(0.4, 0.5), self.of(0.2, 0.4)), self.skin * 0.92)

    def head(self) -> None:
        """Ears and face: an egg, lit from a side."""
        x, y = self.x, self.y
        self.lit = self.skin * (1.02 + self.light * x - 0.1 * x * x - 0.05 * np.maximum(y, 0))[:, None]
        jaw = 1 - self.of(0.1, 0.26) * np.maximum(y, 0) * y
        ear = _ellipse(np.abs(x + 0.12 * self.turn) - self.width - 0.02, y - 0.08, 0.13, 0.2)
        self.paint(ear, self.lit * 0.9, 1 - self.long)
        self.face = _ellipse(x / jaw, y, self.width, self.of(0.96, 1.04))
        self.paint(self.face, self.lit)
        # Of a head that is turned, the near ear is seen on its side.
        near = _ellipse(x + self.turn * 0.6, y - 0.08, 0.12, 0.2)
        aside = np.abs(self.turn) > 0.5
        self.paint(near, self.lit * 0.88, aside)
        self.paint(near + 0.07, self.lit * 0.7, aside)

    def eyes(self) -> None:
        """Both at once, and the brows. ``seen`` runs along the face, ``front`` is 0 at its middle."""
        self.front = self.x - 0.27 * self.turn
        self.seen = self.front + 0.2 * self.turn * np.abs(self.front)
        seen, y = self.seen[EYES], self.y[EYES] - self.of(-0.06, 0.04)
        side, x = np.sign(seen), np.abs(seen) - self.of(0.33, 0.38)
        self.eye, a, b = (x, y), self.of(0.16, 0.2), self.of(0.09, 0.13) * (1 - 0.15 * self.smile)
        dark = np.minimum(self.hair * 0.55, self.skin * 0.55)
        white = _ellipse(x, y, a, b)
        self.paint(_ellipse(x, y + 0.04, a * 1.15, b * 1.1), self.skin * 0.25, at=EYES)
        self.paint(white, np.float32(246), at=EYES)
        gaze = x - self.of(-0.04, 0.04) * side - 0.04 * self.turn * side
        iris = np.maximum(_ellipse(gaze, y, 0.1, 0.1), white)
        kind = np.minimum(next(self.numbers)[:, 0, 0] * len(IRIS), len(IRIS) - 1).astype(int)
        self.paint(iris, self.colour(IRIS, kind, 0.1), at=EYES)
        self.paint(np.maximum(iris + 0.055, white), np.float32(16), at=EYES)
        brow = y + self.of(0.24, 0.3) - self.of(0.0, 0.5) * x * x + self.of(-0.1, 0.12) * x
        self.paint(_ellipse(x, brow, 0.22, self.of(0.03, 0.055)), dark, at=EYES)

    def nose(self) -> None:
        """A shadow down one side, and the tip."""
        lean = np.where(self.light + 0.3 * self.turn > 0, 1, -1).astype(np.float32)
        y = self.eye[1]
        x, tip = self.front[EYES] - 0.14 * self.turn, self.of(0.28, 0.36)
        down = np.abs(x - lean * (0.03 + 0.12 * np.maximum(y, 0))) - 0.025
        self.paint(np.maximum(down, np.abs(y - tip / 2) - tip / 2), self.skin * 0.78, 0.7, at=EYES)
        self.paint(_ellipse(x, y - tip, self.of(0.1, 0.15), 0.05), self.skin * 0.7, 0.8, at=EYES)
        self.paint(_ellipse(x, y - tip + 0.06, 0.07, 0.06), np.minimum(self.skin * 1.1, 255), at=EYES)

    def mouth(self) -> None:
        """Closed and nearly straight, or a smile that shows teeth."""
        x, y, m = self.seen[MOUTH], self.y[MOUTH] - self.of(0.52, 0.6), self.of(0.22, 0.28) + 0.1 * self.smile
        lips = self.skin * np.array([0.82, 0.42, 0.42], np.float32)[None, :, None, None]
        up, open_ = 0.2 * self.smile - self.of(-0.02, 0.03), self.of(0.1, 0.2) * self.smile
        bend = up * (1 - 2 * np.square(x / m))
        top = y - bend * 0.5
        lower = top - open_ * (1 - np.square(x / m))
        inside = np.maximum(np.abs(x) - m, np.maximum(-top, lower))
        self.paint(inside - 0.06, lips, at=MOUTH)
        self.paint(inside, np.float32(250), self.smile, at=MOUTH)
        line = np.maximum(np.abs(top) - 0.02, np.abs(x) - m)
        self.paint(line, self.skin * 0.35, 1 - 0.5 * self.smile, at=MOUTH)

    def front_hair(self) -> None:
        """All of ``outer`` but for the opening in which the face is seen, above the brows with a fringe."""
        x, y = self.front, self.y
        half, top, parted = self.width * self.of(0.82, 0.92), self.of(0.74, 0.86), self.of(-0.2, 0.2)
        opening = _ellipse(x, np.minimum(y - 0.3 + parted * x, 0), half, 0.3 + top)
        edge = -0.36 + self.of(0.0, 0.06) * _wave(x * self.of(1.5, 3)) + self.of(-0.1, 0.1) * x - y
        fringe = np.where(self.fringe > 0, edge, -9)
        hair = np.maximum(self.outer, -np.maximum(opening, fringe))
        self.paint(np.maximum(hair - 0.06, self.face), self.skin * 0.6, 0.6)
        self.paint(hair, self.locks)

    def spectacles(self) -> None:
        """Two rims, a bridge and temples."""
        x, y = self.eye
        rim = _box(x, y - 0.02, self.of(0.24, 0.28), self.of(0.2, 0.27), self.of(0.08, 0.2))
        thick = self.of(0.03, 0.045)
        frame = np.abs(rim) - thick
        bars = np.maximum(np.abs(y + 0.03) - thick, -rim)
        bars = np.maximum(bars, np.abs(self.x[EYES]) - self.width)
        self.paint(rim, np.float32(255), 0.3 * self.glasses, EYES)
        self.paint(np.minimum(frame, bars), self.any(10, 60), self.glasses, EYES)
