"""Convolutional networks with ELUs and without normalisation, whose discriminator lends its features.

Encoder, generator and discriminator of paper C, Table 1, for images of 64 pixels a side; one trial each.
``shrink`` divides every number of channels and every hidden width, and leaves the code's width as it is. For
32 pixels the deepest of the three stages that halve the image is left out: E and D lose their last
convolution, G its first, and the layers next to the pixels stay what they are. There is no other size.

The paper does not say how weights start. Here every layer starts with weights N(0, 1/fan in) and biases 0:
the rows of a layer's matrix then have length one, which is where orthogonal regularisation wants them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError
from bridgekit.models.heads import Critic
from bridgekit.models.mlp import Generators

# (kernel, channels, stride) of each convolution, from the image inwards; G's from its code outwards.
ENCODER = ((3, 32, 1), (4, 64, 2), (4, 128, 2), (5, 128, 1), (4, 256, 2))
GENERATOR = ((4, 128, 2), (3, 128, 1), (4, 64, 2), (4, 32, 2))
DISCRIMINATOR = ((4, 48, 2), (5, 96, 1), (4, 192, 2), (5, 192, 1), (4, 384, 2))
SIDE = 8  # pixels between convolutions and linear layers


def check(size: int, shrink: int) -> None:
    """Raise BridgekitError for images of another size, or where a layer is left without a channel."""
    if size not in (64, 32):
        raise BridgekitError(f"these networks take images of 64 or 32 pixels a side, not {size}: size=32")
    least = min(c for table in (ENCODER, GENERATOR, DISCRIMINATOR) for _, c, _ in table)
    if not 1 <= shrink <= least:
        raise BridgekitError(f"shrink={shrink} leaves no channel somewhere: it is from 1 to {least}")


def feature_shape(size: int, shrink: int) -> tuple[int, int, int]:
    """(channels, height, width) of what :meth:`PerceptualCritic.features` gives; raises as :func:`check`."""
    check(size, shrink)
    return DISCRIMINATOR[1][1] // shrink, size // 2, size // 2


def _convolutions(table: tuple, channels: int, size: int, shrink: int) -> list[nn.Module]:
    """The convolutions of E or D, each with its ELU, and what makes one row of their channels."""
    check(size, shrink)
    layers: list[nn.Module] = []
    for kernel, width, stride in table[: None if size == 64 else -1]:
        layers += [nn.Conv2d(channels, width // shrink, kernel, stride, (kernel - 1) // 2), nn.ELU()]
        channels = width // shrink
    return [*layers, nn.Flatten()]


def _perceptron(*sizes: int) -> list[nn.Module]:
    """Linear layers with ELUs between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ELU()]
    return layers[:-1]


def _started(layers: list[nn.Module], generators: Generators) -> list[nn.Module]:
    """Weights N(0, 1/fan in), biases 0; the fan in of a strided deconvolution is what one pixel sees."""
    (generator,) = generators  # an image network plays one trial
    for layer in layers:
        if isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.weight[:, 0].numel() / layer.stride[0] ** 2
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan_in = layer.weight[0].numel()
        else:
            continue
        layer.weight.data.normal_(0, fan_in**-0.5, generator=generator)
        layer.bias.data.zero_()
    return layers


class ConvolutionalEncoder(nn.Sequential):
    """``(B, channels, size, size) -> (B, outputs)``: the body of E, with outputs = 2z."""

    def __init__(
        self, generators: Generators, outputs: int = 1024, channels: int = 3, size: int = 64, shrink: int = 1
    ):
        layers = _convolutions(ENCODER, channels, size, shrink)
        last = layers[-3].out_channels * SIDE**2
        super().__init__(*_started([*layers, *_perceptron(last, 1024 // shrink, outputs)], generators))


class ConvolutionalGenerator(nn.Sequential):
    """``(B, z) -> (B, channels, size, size)`` in [-1, 1]."""

    def __init__(
        self, generators: Generators, z: int = 512, channels: int = 3, size: int = 64, shrink: int = 1
    ):
        check(size, shrink)
        n, table = (256 if size == 64 else 128) // shrink, GENERATOR[0 if size == 64 else 1 :]
        layers = [*_perceptron(z, 1024 // shrink, n * SIDE**2), nn.ELU(), nn.Unflatten(1, (n, SIDE, SIDE))]
        for kernel, width, stride in table:
            kind = nn.ConvTranspose2d if stride == 2 else nn.Conv2d
            layers += [kind(n, width // shrink, kernel, stride, 1), nn.ELU()]
            n = width // shrink
        layers += [nn.Conv2d(n, channels, 3, 1, 1), nn.Tanh()]
        super().__init__(*_started(layers, generators))


class PerceptualCritic(Critic):
    r"""D: a logit for each image, ``(B, channels, size, size) -> (B,)``, and what it sees on the way.

    :meth:`features` is :math:`\phi_2(x)`, what the second convolution gives, before its ELU; :meth:`logit`
    goes on from there, from features with noise or without. The noise stands at the second convolution, as
    section 4.2 says; our copy of Table 1 marks the fifth (*ConvN*). It comes before the ELU, as *ConvN + ELU*
    reads: a Gaussian has no edge at -1.
    """

    def __init__(self, generators: Generators, channels: int = 3, size: int = 64, shrink: int = 1):
        layers = _convolutions(DISCRIMINATOR, channels, size, shrink)
        widths = (layers[-3].out_channels * SIDE**2, 1536 // shrink, 192 // shrink, 1)
        layers = _started([*layers, *_perceptron(*widths)], generators)
        super().__init__(nn.Sequential(*layers[3:]))
        self.first = nn.Sequential(*layers[:3])

    def features(self, x: Tensor) -> Tensor:
        return self.first(x)


def _from_orthonormal(weight: Tensor) -> Tensor:
    rows = weight.flatten(1)
    # WW^T is symmetric: the gradient through one W is half of it, for two thirds of the products.
    one_sided = (rows @ rows.detach().T - torch.eye(len(rows)).to(rows)).abs().sum()
    return 2 * one_sided - one_sided.detach()


def orthogonal_penalty(net: nn.Module) -> Tensor:
    r"""Brock et al. 2016: :math:`\sum_W\sum_{ij}|WW^\top-I|_{ij}` over the layers of a network, 0-dim.

    W has a row for each output of a layer; biases are left out. It sums *absolute values*, as that paper and
    its authors' code do; squares under the same name are a later form (Brock et al. 2019).
    """
    return torch.stack([_from_orthonormal(p) for p in net.parameters() if p.dim() > 1]).sum()
