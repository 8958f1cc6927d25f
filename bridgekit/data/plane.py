"""The plane's targets: grids and rings of Gaussians, by name."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError, nearest
from bridgekit.theory.densities import Mixture


def _grid(k: int) -> Tensor:
    axis = 2.0 * (torch.arange(k) - (k - 1) / 2)
    return torch.cartesian_prod(axis, axis)


def _ring(k: int, radius: float) -> Tensor:
    angle = torch.arange(k) * (2 * math.pi / k)
    return radius * torch.stack([angle.cos(), angle.sin()], dim=-1)


_MIXTURES: dict[str, Callable[[], Mixture]] = {
    "gaussians25": lambda: Mixture(_grid(5), 0.05),
    "grid9": lambda: Mixture(_grid(3), 0.05),
    "grid49": lambda: Mixture(_grid(7), 0.05),
    "ring8": lambda: Mixture(_ring(8, 2.0), 0.02),
}


def mixture(name: str) -> Mixture:
    """The target of this name: an even mixture, means (K, 2) float32 on the CPU. An unknown name raises.

    ``gaussians25`` is the grid {-4, -2, 0, 2, 4}^2 with sigma = 0.05 of VEEGAN (Srivastava et al. 2017) and
    PacGAN (Lin et al. 2018); ``grid9`` and ``grid49`` have its spacing and sigma with 3 and 7 centres a side;
    ``ring8`` is the circle of radius 2 with sigma = 0.02 of unrolled GANs (Metz et al. 2017).
    """
    if name not in _MIXTURES:
        raise BridgekitError(f"there is no mixture {name!r}: {nearest(name, _MIXTURES)}")
    return _MIXTURES[name]()
