"""Networks of pairs, for the autoencoders of :mod:`bridgekit.games.aavae`: an input is a row with its label.

A row is d pixels or a code of z numbers, its label K one-hot columns behind it (K = 0: there is none). Every
network carries a leading trials axis and answers ``(T, B, n + K) -> (T, B, out)``; ``each`` answers under all
K labels, ``(T, B, 1 or K, n) -> (T, B, K, out)``. ``trials`` is T, ``inputs`` n + K, ``outputs`` out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.mlp import MLP, Generators


class LabelledMLP(MLP):
    """T perceptrons of pairs in one batch. Weights are MLP's."""

    @property
    def trials(self) -> int:
        return len(self.weights[0])

    @property
    def inputs(self) -> int:
        return self.weights[0].shape[1]

    @property
    def outputs(self) -> int:
        return self.weights[-1].shape[2]

    def each(self, x: Tensor) -> Tensor:
        """What ``forward`` gives for every label in turn; the first layer's part in x is computed once."""
        first, n = self.weights[0], x.shape[-1]
        h = torch.baddbmm(self.biases[0], x.flatten(1, 2), first[:, :n]).unflatten(1, x.shape[1:3])
        h = h + first[:, None, n:]
        shape = h.shape[1:3]
        h = h.flatten(1, 2)
        for w, b in zip(self.weights[1:], self.biases[1:], strict=True):
            h = torch.baddbmm(b, F.relu(h), w)
        return h.unflatten(1, shape)


class LabelledDCGAN(nn.Module):
    """T convolutional networks of pairs, one after the other; ``build`` makes one trial's, rows to rows.

    Their batch normalisation ties the images of a batch to each other, in ``each`` under all labels at once.
    """

    def __init__(
        self,
        build: Callable[[Generators], nn.Module],
        generators: Generators,
        inputs: int,
        outputs: int,
        classes: int,
    ):
        super().__init__()
        self.nets = nn.ModuleList(build([g]) for g in generators)
        self.trials, self.inputs, self.outputs, self.classes = len(self.nets), inputs, outputs, classes

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([net(rows) for net, rows in zip(self.nets, x, strict=True)])

    def each(self, x: Tensor) -> Tensor:
        """What ``forward`` gives for every label in turn, as one batch of B K."""
        k = self.classes
        labels = torch.eye(k, device=x.device, dtype=x.dtype).expand(*x.shape[:2], k, k)
        pairs = torch.cat([x.expand(-1, -1, k, -1), labels], -1)
        return self(pairs.flatten(1, 2)).unflatten(1, (-1, k))


class Planes(nn.Module):
    """Rows as a DCGAN sees them, ``(B, d + K) -> (B, 1 + K, size, size)``: pixels from [0, 1] to [-1, 1], and
    one plane per class, all ones for the label."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, rows: Tensor) -> Tensor:
        pixels, labels = rows.tensor_split([self.size**2], -1)
        planes = labels[..., None, None].expand(-1, -1, self.size, self.size)
        return torch.cat([2 * pixels.view(-1, 1, self.size, self.size) - 1, planes], 1)


def perceptrons(pixels: int, classes: int, seen: int, z: int, hidden: int) -> dict[str, Callable]:
    """Builders of G, of the bodies of E and D, and of C: two hidden ReLU layers each.

    ``seen`` is how many columns D sees: d, or d + K.
    """
    middle = [hidden, hidden]
    return {
        "G": lambda g: LabelledMLP([z + classes, *middle, pixels], g),
        "E": lambda g: LabelledMLP([pixels + classes, *middle, 2 * z], g),
        "D": lambda g: LabelledMLP([seen, *middle, 1], g),
        "C": lambda g: LabelledMLP([pixels, *middle, classes], g),
    }


def convolutions(pixels: int, classes: int, seen: int, z: int, width: int) -> dict[str, Callable]:
    """The same as DCGANs of this width: paper B, appendix G.2. Raises ValueError where images are not square;
    the networks do, when they are built, for a size that no DCGAN has."""
    size = math.isqrt(pixels)
    if size**2 != pixels:
        raise ValueError(f"a DCGAN draws square images; {pixels} pixels are none (one channel: channels=1)")

    def generator(g: Generators) -> nn.Module:
        return nn.Sequential(DCGANGenerator(g, z + classes, width, size=size, logits=True), nn.Flatten())

    def body(outputs: int, k: int) -> Callable:
        def build(g: Generators) -> nn.Module:
            return nn.Sequential(Planes(size), DCGANBody(g, outputs, width, 1 + k, size))

        return lambda g: LabelledDCGAN(build, g, pixels + k, outputs, k)

    return {
        "G": lambda g: LabelledDCGAN(generator, g, z + classes, pixels, classes),
        "E": body(2 * z, classes),
        "D": body(1, seen - pixels),
        "C": body(classes, 0),
    }
