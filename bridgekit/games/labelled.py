"""Networks of pairs, for the autoencoders of :mod:`bridgekit.games.vae`: an input is a row with its label.

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

from bridgekit.networks import MLP, DCGANBody, DCGANGenerator, Generators


class LabelledMLP(MLP):
    """T perceptrons of pairs, side by side. Weights are MLP's."""

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


class _Convolutional(nn.Module):
    """T convolutional networks of pairs, one after the other: ``build`` makes one trial's.

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

    def one(self, net: nn.Module, rows: Tensor) -> Tensor:
        """One trial's answers: ``(B, inputs) -> (B, outputs)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.one(net, rows) for net, rows in zip(self.nets, x, strict=True)])

    def each(self, x: Tensor) -> Tensor:
        """What ``forward`` gives for every label in turn, as one batch of B K."""
        k = self.classes
        labels = torch.eye(k, device=x.device, dtype=x.dtype).expand(*x.shape[:2], k, k)
        pairs = torch.cat([x.expand(-1, -1, k, -1), labels], -1)
        return self(pairs.flatten(1, 2)).unflatten(1, (-1, k))


class LabelledGenerator(_Convolutional):
    """T DCGAN generators of pairs: a code and its label to the logits of d pixels."""

    def __init__(self, generators: Generators, z: int, width: int, size: int, classes: int):
        def build(g: Generators) -> nn.Module:
            return DCGANGenerator(g, z + classes, width, size=size, logits=True)

        super().__init__(build, generators, z + classes, size**2, classes)

    def one(self, net: nn.Module, rows: Tensor) -> Tensor:
        return net(rows).flatten(1)


class LabelledBody(_Convolutional):
    """T bodies of DCGAN discriminators, of pairs: d pixels in [0, 1] and a label, one plane per class."""

    def __init__(self, generators: Generators, outputs: int, width: int, size: int, classes: int):
        def build(g: Generators) -> nn.Module:
            return DCGANBody(g, outputs, width, 1 + classes, size)

        super().__init__(build, generators, size**2 + classes, outputs, classes)
        self.size = size

    def one(self, net: nn.Module, rows: Tensor) -> Tensor:
        pixels, labels = rows.tensor_split([self.size**2], -1)
        planes = labels[..., None, None].expand(-1, -1, self.size, self.size)
        return net(torch.cat([2 * pixels.view(-1, 1, self.size, self.size) - 1, planes], 1))


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
    """The same as DCGANs of this width: paper B, appendix G.2. Raises ValueError where images are not square,
    or of a size that no DCGAN has."""
    size = math.isqrt(pixels)
    if size**2 != pixels:
        raise ValueError(f"a DCGAN draws square images; {pixels} pixels are none")
    return {
        "G": lambda g: LabelledGenerator(g, z, width, size, classes),
        "E": lambda g: LabelledBody(g, 2 * z, width, size, classes),
        "D": lambda g: LabelledBody(g, 1, width, size, seen - pixels),
        "C": lambda g: LabelledBody(g, classes, width, size, 0),
    }
