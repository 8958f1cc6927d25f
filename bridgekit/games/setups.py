"""Where a game is played: networks, data, noise and optimisers, shared by
all that are compared there.

Four makers: :func:`plane`, :func:`images`, labelled or not,
:func:`perceptual`, whose observation noise lies in D's features, and
:func:`flat`, on which a game builds perceptrons of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.models import convolutional
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.heads import Conditional, Critic, GaussianEncoder
from bridgekit.models.mlp import MLP, SpectralMLP
from bridgekit.play.draws import (
    Draw,
    FromMixture,
    FromTensor,
    Normal,
    NormalByRound,
)
from bridgekit.play.game import (
    Builder,
    Game,
    Phase,
    Player,
    Turn,
    adam,
    recorded,
)
from bridgekit.theory.densities import Mixture


@dataclass(frozen=True)
class Setup:
    """Networks G (generator), E (encoder), D (discriminator, a logit), with
    data, prior noise and Adam.

    ``x`` draws data, or, where the setup is labelled, row numbers of
    ``data``, so that an image comes with its own label. ``event_dims`` is
    the number of axes of one sample, ``stacked`` says whether tensors carry
    a trials axis, ``spectral`` whether D is spectrally normalised, which
    asks for power iterations before its turns, and ``orthogonal`` weighs
    the orthogonal regularisation of D. ``observed`` is the shape of D's
    features, where they and not the data have the observation noise. A flat
    setup has no networks; ``hidden`` is the width of those that a game
    builds. ``rates`` are the learning rates of networks that have their
    own.
    """

    networks: Mapping[str, Builder]
    data: Mixture | Images | Tensor
    x: Draw
    lr: float
    beta1: float
    batch: int
    z: Normal | None = None
    event_dims: int = 1
    stacked: bool = True
    spectral: bool = False
    labelled: bool = False
    hidden: int = 0
    beta2: float = 0.999
    rates: Mapping[str, float] = field(default_factory=dict)
    orthogonal: float = 0.0
    observed: tuple[int, ...] = ()
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def noise(self) -> Draw:
        """Standard normal noise for a batch of what is observed: data, or
        D's features of them."""
        known = (
            self.x.mixture.means
            if isinstance(self.x, FromMixture)
            else self.x.x
        )
        shape = (self.batch, *(self.observed or known.shape[1:]))
        if self.event_dims > 1:
            return NormalByRound(shape, known.device)
        return Normal(shape)

    def player(self, *networks: str, faster: float = 1.0) -> Player:
        """A player that moves these networks together, with the setup's
        Adam or a ``faster`` one."""
        lr = faster * self.rates.get(networks[0], self.lr)
        return Player(networks, adam(lr, self.beta1, self.beta2))

    def perceptron(self, n_in: int, n_out: int, depth: int = 2) -> Builder:
        """An MLP with ``depth`` hidden ReLU layers of the setup's width."""
        return lambda g: MLP([n_in, *[self.hidden] * depth, n_out], g)

    def critic(
        self, n_in: int, depth: int = 2, spectral: bool = False
    ) -> Builder:
        """The same with one output, a logit; ``spectral``: every layer by
        its largest singular value."""
        sizes = [n_in, *[self.hidden] * depth, 1]
        return lambda g: Critic(
            (SpectralMLP if spectral else MLP)(sizes, g)
        )

    def game(
        self,
        phases: Sequence[Phase],
        networks: Mapping[str, Builder] | None = None,
        players: Mapping[str, Player] | None = None,
    ) -> Game:
        """A game of these phases; by default of the setup's networks that
        turns name, each its own player."""
        named = {
            name
            for phase in phases
            for turn in phase.turns
            for name in turn.takes or ()
        }
        networks = networks or {
            name: build
            for name, build in self.networks.items()
            if name in named
        }
        players = players or {name: self.player(name) for name in networks}
        return Game(networks, players, tuple(phases), self.stacked)

    def train(
        self, rounds: int, turns: Sequence[Turn], **options: Any
    ) -> Game:
        """A game of one phase, ``train``."""
        return self.game([Phase("train", rounds, tuple(turns))], **options)


@recorded
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
) -> Setup:
    """Two-dimensional data, fresh samples in every round; MLPs with
    ``depth`` hidden ReLU layers.

    ``spectral`` normalises every layer of D by its largest singular value;
    G and E start the same either way.
    """
    d, middle = mixture.means.shape[1], [hidden] * depth
    networks: dict[str, Builder] = {
        "G": lambda g: MLP([z, *middle, d], g),
        "E": lambda g: GaussianEncoder(MLP([d, *middle, 2 * z], g)),
        "D": lambda g: Critic(
            (SpectralMLP if spectral else MLP)([d, *middle, 1], g)
        ),
    }
    x, prior = FromMixture(mixture, batch), Normal((batch, z))
    return Setup(
        networks, mixture, x, lr, beta1, batch, prior, spectral=spectral
    )


def square(shape: Sequence[int]) -> tuple[int, int]:
    """Channels and side of images (C, H, W); BridgekitError where they are
    not square."""
    channels, height, size = shape
    if height != size:
        raise BridgekitError(
            f"this network wants square images, not {size} x {height} "
            "pixels: pass size=32, say"
        )
    return channels, size


@recorded
def images(
    dataset: Images,
    *,
    labelled: bool = False,
    batch: int = 128,
    width: int = 64,
    z: int = 100,
    lr: float = 2e-4,
    beta1: float = 0.5,
    d_slower: float = 1.0,
) -> Setup:
    """Images in [-1, 1]; DCGAN networks, E and D mirror G (Radford et al.
    2016); one trial at a time. D's rate, or that of H, a critic of pairs in
    its place, is ``lr / d_slower``.

    ``labelled``: the first layers of G and D see the class too, G takes (z,
    y) and D (x, y), and there is no E. Raises BridgekitError where the
    images are not square.
    """
    k = len(dataset.classes) if labelled else 0
    channels, size = square(dataset.x.shape[1:])
    networks: dict[str, Builder] = {
        "G": lambda g: DCGANGenerator(g, z + k, width, channels, size),
        "E": lambda g: GaussianEncoder(
            DCGANBody(g, 2 * z, width, channels, size)
        ),
        "D": lambda g: Critic(DCGANBody(g, 1, width, channels + k, size)),
    }
    x = FromTensor(dataset.x, batch)
    if labelled:
        plain = networks
        networks = {
            name: lambda g, name=name: Conditional(plain[name](g), k)
            for name in ("G", "D")
        }
        x = FromTensor(
            torch.arange(len(dataset), device=dataset.y.device), batch
        )
    alone = {"event_dims": 3, "stacked": False, "labelled": labelled}
    alone["rates"] = dict.fromkeys("DH", lr / d_slower)
    return Setup(
        networks, dataset, x, lr, beta1, batch, Normal((batch, z)), **alone
    )


@recorded
def perceptual(
    dataset: Images,
    *,
    shrink: int = 4,
    z: int = 512,
    batch: int = 64,
    lr: float = 1e-4,
    d_lr: float = 2e-4,
    beta1: float = 0.5,
    beta2: float = 0.9,
    orthogonal: float = 1e-4,
) -> Setup:
    """C Table 1: images of 64 or 32 pixels in [-1, 1]; the networks of
    Appendix B with all widths over ``shrink``; one trial at a time.

    Section 4.2 has shrink = 1, 64 pixels, Adam's rates 1e-5 and, for D,
    2e-5. Smaller images and networks learn ten times as fast here. The
    paper gives no batch and no weight of the orthogonal regularisation:
    both are ours. From shrink = 5 on, D's first layer has fewer channels
    than the 2 x 2 pixels in colour that it stands for, and the likelihood
    is blind to some of the image. Raises BridgekitError for images of
    another size and where a layer is left without a channel.
    """
    channels, size = square(dataset.x.shape[1:])
    observed = convolutional.feature_shape(size, shrink)
    same = {"channels": channels, "size": size, "shrink": shrink}
    networks: dict[str, Builder] = {
        "G": lambda g: convolutional.ConvolutionalGenerator(g, z, **same),
        # before E, so that a game without E starts from the same D
        "D": lambda g: convolutional.PerceptualCritic(g, **same),
        "E": lambda g: GaussianEncoder(
            convolutional.ConvolutionalEncoder(g, 2 * z, **same)
        ),
    }
    return Setup(
        networks,
        dataset,
        FromTensor(dataset.x, batch),
        lr,
        beta1,
        batch,
        Normal((batch, z)),
        event_dims=3,
        stacked=False,
        beta2=beta2,
        rates={"D": d_lr},
        orthogonal=orthogonal,
        observed=observed,
    )


@recorded
def flat(
    data: Images | Tensor,
    *,
    hidden: int = 128,
    batch: int = 64,
    lr: float = 1e-3,
    beta1: float = 0.5,
) -> Setup:
    """Images as rows, or rows (N, d) themselves; a game builds perceptrons
    of ``hidden`` units on them."""
    rows = data if isinstance(data, Tensor) else data.x.flatten(1)
    return Setup(
        {}, data, FromTensor(rows, batch), lr, beta1, batch, hidden=hidden
    )
