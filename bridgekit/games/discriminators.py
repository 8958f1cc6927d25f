r"""A discriminator that learns alone, while the model that it tells from
data rests.

No paper trains one so. They are what paper C says of a D that is nearly
the best one (section 2.4) or separates well (Proposition 1), measured.
Player: D, a perceptron. Adam has beta1 = 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bridgekit.models.heads import Critic
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import Draw, FromMixture, Normal, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn, adam, recorded
from bridgekit.theory import adversarial
from bridgekit.theory.densities import Mixture


def _alone(
    losses: Callable[..., Mapping[str, Tensor]],
    draws: Mapping[str, Draw],
    sizes: list[int],
    lr: float,
    rounds: int,
) -> Game:
    networks = {"D": lambda g: Critic(MLP(sizes, g))}
    turn = Turn(losses, ("D",), draws)
    phase = Phase("train", rounds, (turn,))
    return Game(networks, {"D": Player(("D",), adam(lr))}, (phase,))


@recorded
def against_normal(
    data: Mixture,
    mean: float,
    *,
    hidden: int = 64,
    batch: int = 256,
    lr: float = 1e-3,
    rounds: int = 300,
) -> Game:
    r"""C.1: D tells ``data`` (d numbers a sample) from the model
    :math:`N(\mu, 1)`, every coordinate of whose :math:`\mu` is ``mean``.

    ``batch`` fresh samples of each in every round; D has two hidden layers
    of ``hidden`` units.
    """
    d = data.means.shape[1]

    def losses(D, x, z):
        return {"D": adversarial.discriminator(D(x), D(z + mean)).mean(-1)}

    draws = {"x": FromMixture(data, batch), "z": Normal((batch, d))}
    return _alone(losses, draws, [d, hidden, hidden, 1], lr, rounds)


def circle(angles: Tensor, radius: float = 1.0) -> Tensor:
    """The points of a circle around zero, by angle in radians: (...) ->
    (..., 2)."""
    return radius * torch.stack([angles.cos(), angles.sin()], -1)


@recorded
def against_smaller_circle(
    distance: float,
    *,
    hidden: int = 64,
    batch: int = 128,
    lr: float = 2e-3,
    rounds: int = 300,
) -> Game:
    """C.1, C Proposition 1: D tells the unit circle, data without a width,
    from one that is ``distance`` smaller, their reconstructions.

    ``batch`` fresh points of each in every round, evenly spread; D has
    three hidden layers of ``hidden`` units.
    """

    def losses(D, u, v):
        real, fake = 2 * math.pi * u, 2 * math.pi * v
        f_real, f_fake = D(circle(real)), D(circle(fake, 1 - distance))
        return {"D": adversarial.discriminator(f_real, f_fake).mean(-1)}

    draws = {"u": Uniform((batch,)), "v": Uniform((batch,))}
    return _alone(losses, draws, [2, *[hidden] * 3, 1], lr, rounds)
