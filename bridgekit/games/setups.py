"""Where a game is played: networks, data and noise, shared by every algorithm that is compared there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.heads import Critic, GaussianEncoder
from bridgekit.models.mlp import MLP, SpectralMLP
from bridgekit.play.draws import Draw, FromMixture, FromTensor, Normal
from bridgekit.play.game import Player
from bridgekit.theory.densities import Mixture

Builder = Callable[[list[torch.Generator]], nn.Module]


@dataclass(frozen=True)
class Arena:
    """Networks G (generator), E (inference arm), D (discriminator, a logit), with data and prior noise.

    ``event_dims`` is the number of axes of one sample, ``stacked`` says whether tensors carry a trials axis,
    ``spectral`` whether D is spectrally normalised, which asks for power iterations before its turns.
    """

    networks: Mapping[str, Builder]
    x: Draw
    z: Normal
    event_dims: int
    stacked: bool
    lr: float
    betas: tuple[float, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    spectral: bool = False

    def player(self, network: str) -> Player:
        """A player that moves one network with the arena's Adam."""
        return Player((network,), self.lr, self.betas)


def plane(
    mixture: Mixture,
    *,
    batch: int = 256,
    hidden: int = 128,
    depth: int = 3,
    z: int = 2,
    lr: float = 1e-3,
    beta1: float = 0.5,
    spectral: bool = False,
) -> Arena:
    """Two-dimensional data, fresh samples in every round; MLPs with ``depth`` hidden ReLU layers.

    ``spectral`` normalises every layer of D by its largest singular value; G and E start the same either way.
    """
    settings = dict(locals())
    d, middle = mixture.means.shape[1], [hidden] * depth
    networks: dict[str, Builder] = {
        "G": lambda g: MLP([z, *middle, d], g),
        "E": lambda g: GaussianEncoder(MLP([d, *middle, 2 * z], g)),
        "D": lambda g: Critic((SpectralMLP if spectral else MLP)([d, *middle, 1], g)),
    }
    x, prior, betas = FromMixture(mixture, batch), Normal((batch, z)), (beta1, 0.999)
    return Arena(networks, x, prior, 1, True, lr, betas, settings, spectral)


def square(dataset: Images) -> tuple[int, int]:
    """Channels and side of square images; BridgekitError where they are not square."""
    _, channels, height, size = dataset.x.shape
    if height != size:
        raise BridgekitError(f"a DCGAN wants square images, not {size} x {height} pixels: pass size=32, say")
    return channels, size


def images(
    dataset: Images, *, batch: int = 128, width: int = 64, z: int = 100, lr: float = 2e-4, beta1: float = 0.5
) -> Arena:
    """Images in [-1, 1]; DCGAN networks, E and D mirror G (Radford et al. 2016); one trial at a time.

    Raises BridgekitError where the images are not square.
    """
    settings = dict(locals())
    channels, size = square(dataset)
    networks: dict[str, Builder] = {
        "G": lambda g: DCGANGenerator(g, z, width, channels, size),
        "E": lambda g: GaussianEncoder(DCGANBody(g, 2 * z, width, channels, size)),
        "D": lambda g: Critic(DCGANBody(g, 1, width, channels, size)),
    }
    x = FromTensor(dataset.x, batch)
    return Arena(networks, x, Normal((batch, z)), 3, False, lr, (beta1, 0.999), settings)
