"""A small residual network (He et al. 2016): what images are classified and scored by."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.models.batch_norm import BatchNorm
from bridgekit.models.mlp import Generators


def _convolution(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)


class ResidualBlock(nn.Module):
    """``x -> relu(s(x) + F(x))``, ``(B, n_in, H, W)`` to ``(B, n_out, H / stride, W / stride)``.

    ``F`` is two 3x3 convolutions, ``s`` the identity, or a 1x1 convolution where the shape changes.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            _convolution(n_in, n_out, stride=stride),
            BatchNorm(n_out),
            nn.ReLU(),
            _convolution(n_out, n_out),
            BatchNorm(n_out),
        )
        same = n_in == n_out and stride == 1
        short = nn.Sequential(_convolution(n_in, n_out, 1, stride), BatchNorm(n_out))
        self.shortcut = nn.Identity() if same else short

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.body(x))


class ResidualNet(nn.Module):
    """``(B, channels, H, W)`` in [-1, 1] to logits ``(B, classes)``; ``features`` are ``(B, 4 width)``.

    A strided convolution, three residual blocks with ``width``, ``2 width`` and ``4 width`` channels, the
    last two strided, the mean over positions, and one linear layer. Images of any size from 8 x 8 up.
    """

    def __init__(self, generators: Generators, classes: int = 10, channels: int = 1, width: int = 24):
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, width, stride=2),
            BatchNorm(width),
            nn.ReLU(),
            ResidualBlock(width, width),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
        )
        self.last = nn.Linear(4 * width, classes)
        (generator,) = generators  # one trial
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                # He et al. 2015: variance 2 / fan in before a ReLU, 1 / fan in before the logits.
                gain = 1.0 if module is self.last else 2.0
                deviation = math.sqrt(gain / module.weight[0].numel())
                module.weight.data.normal_(0, deviation, generator=generator)
        self.last.bias.data.zero_()

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads: ``(B, 4 width)``, not negative."""
        return self.body(x).mean((-2, -1))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))
