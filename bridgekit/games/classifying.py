"""A classifier as a game of one player: what scores images is trained by
the loop that trains everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.models.residual import ResidualNet
from bridgekit.play.draws import FromTensor, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn, adam, recorded

if TYPE_CHECKING:
    from bridgekit.data.images import Images


def shifted(x: Tensor, draw: Tensor, reach: int) -> Tensor:
    """Each image moved by whole pixels, up to ``reach`` each way, its edge
    repeated.

    ``x`` (B, C, H, W); ``draw`` (B, 2), uniform on [0, 1), for rows and
    columns.
    """
    h, w = x.shape[-2:]
    start = (draw * (2 * reach + 1)).long()
    rows = start[:, :1] + torch.arange(h, device=x.device) - reach
    columns = start[:, 1:] + torch.arange(w, device=x.device) - reach
    image = torch.arange(len(x), device=x.device)[:, None, None]
    found = x[
        image,
        :,
        rows.clamp(0, h - 1)[:, :, None],
        columns.clamp(0, w - 1)[:, None, :],
    ]
    return found.permute(0, 3, 1, 2).contiguous()


@recorded
def classification(
    dataset: Images,
    *,
    rounds: int,
    batch: int = 64,
    width: int = 24,
    lr: float = 1e-3,
    shift: int = 0,
) -> Game:
    """One player C, a residual network, minimises the mean of ``-log
    p(y|x)`` in nats over batches; of attributes, the mean over them too.

    Each image is moved anew by up to ``shift`` pixels each way whenever it
    is drawn. One trial at a time.
    """

    def losses(C, index, move):
        x = dataset.x[index]
        x = shifted(x, move, shift) if shift else x
        y = dataset.y[index]
        if dataset.attributes:
            nll = F.binary_cross_entropy_with_logits(C(x), y.to(x))
        else:
            nll = F.cross_entropy(C(x), y)
        return {"C": nll}

    rows = torch.arange(len(dataset), device=dataset.x.device)
    turn = Turn(
        losses,
        ("C",),
        {"index": FromTensor(rows, batch), "move": Uniform((batch, 2))},
    )
    labels, channels = len(dataset.labels), dataset.x.shape[1]
    networks = {
        "C": lambda generators: ResidualNet(
            generators, labels, channels, width
        )
    }
    players = {"C": Player(("C",), adam(lr, 0.9))}
    return Game(
        networks, players, (Phase("learn", rounds, (turn,)),), stacked=False
    )
