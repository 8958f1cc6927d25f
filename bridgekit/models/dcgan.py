"""DCGANs (Radford et al. 2016): a generator and its mirror, of 28, 32 or 64 pixels a side; one trial each."""

from __future__ import annotations

from torch import Tensor, nn

from bridgekit.models.batch_norm import BatchNorm
from bridgekit.models.mlp import Generators


def _stages(size: int) -> tuple[int, int]:
    """(stride-2 stages, smallest side) of a DCGAN for ``size`` squared images: 28 -> (2, 7), 32 -> (3, 4)."""
    stages, side = 0, size
    while side % 2 == 0 and side > 4:
        stages, side = stages + 1, side // 2
    if stages < 2 or side > 8:
        raise ValueError(
            f"a DCGAN halves the image at least twice, to 8 pixels or fewer: 28, 32 or 64, but not {size}"
        )
    return stages, side


def _dcgan_init(net: nn.Module, generators: Generators) -> None:
    """Radford et al. 2016: weights N(0, 0.02), batch-norm gains N(1, 0.02), biases 0."""
    (generator,) = generators  # an image network plays one trial
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.weight.data.normal_(0, 0.02, generator=generator)
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, BatchNorm):
            module.weight.data.normal_(1, 0.02, generator=generator)


class DCGANGenerator(nn.Module):
    """``(B, z) -> (B, channels, size, size)`` in [-1, 1] (Radford et al. 2016), for 28x28, 32x32, 64x64.

    With ``logits`` the last layer has no tanh, and a pixel's number is the logit of its being 1.
    """

    def __init__(
        self,
        generators: Generators,
        z: int = 100,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        logits: bool = False,
    ):
        super().__init__()
        stages, self.side = _stages(size)
        widths = [width * 2 ** (stages - 1 - i) for i in range(stages)]
        self.first = nn.Linear(z, widths[0] * self.side**2, bias=False)
        layers: list[nn.Module] = [BatchNorm(widths[0]), nn.ReLU()]
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False), BatchNorm(n_out), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), *([] if logits else [nn.Tanh()])]
        self.rest = nn.Sequential(*layers)
        _dcgan_init(self, generators)

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z)
        return self.rest(x.view(len(x), -1, self.side, self.side))


class DCGANBody(nn.Module):
    """The mirror of :class:`DCGANGenerator`: ``(B, channels, size, size) -> (B, outputs)``.

    With one output it is the discriminator's body, with 2z outputs the encoder's.
    """

    def __init__(
        self, generators: Generators, outputs: int = 1, width: int = 64, channels: int = 1, size: int = 28
    ):
        super().__init__()
        stages, side = _stages(size)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, stages):
            n_in, n_out = width * 2 ** (i - 1), width * 2**i
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), BatchNorm(n_out), nn.LeakyReLU(0.2)]
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Linear(width * 2 ** (stages - 1) * side**2, outputs)
        _dcgan_init(self, generators)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.convolutions(x).flatten(1))
