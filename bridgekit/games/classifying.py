"""A classifier as a game of one player: what judges images is trained by the loop that trains everything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.models.residual import ResidualNet
from bridgekit.play.draws import FromTensor, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn

if TYPE_CHECKING:
    from bridgekit.data.images import Images


def shifted(x: Tensor, draw: Tensor, reach: int) -> Tensor:
    """Each image moved by whole pixels, up to ``reach`` each way, its edge repeated.

    ``x`` (B, C, H, W); ``draw`` (B, 2), uniform on [0, 1), for rows and columns.
    """
    h, w = x.shape[-2:]
    start = (draw * (2 * reach + 1)).long()
    rows = start[:, :1] + torch.arange(h, device=x.device) - reach
    columns = start[:, 1:] + torch.arange(w, device=x.device) - reach
    image = torch.arange(len(x), device=x.device)[:, None, None]
    found = x[image, :, rows.clamp(0, h - 1)[:, :, None], columns.clamp(0, w - 1)[:, None, :]]
    return found.permute(0, 3, 1, 2).contiguous()


def classification(
    dataset: Images,
    *,
    rounds: int,
    batch: int = 64,
    width: int = 24,
    lr: float = 1e-3,
    shift: int = 0,
) -> Game:
    """One player C, a residual network, minimises the mean of ``-log p(y|x)`` in nats over batches.

    Each image is moved anew by up to ``shift`` pixels each way whenever it is drawn. One trial at a time.
    """
    settings = dict(locals())
    draws = {
        "index": FromTensor(torch.arange(len(dataset), device=dataset.x.device), batch),
        "move": Uniform((batch, 2)),
    }

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        x = dataset.x[batch.index]
        x = shifted(x, batch.move, shift) if shift else x
        return {"C": F.cross_entropy(nets.C(x), dataset.y[batch.index])}

    classes, channels = len(dataset.classes), dataset.x.shape[1]
    build = lambda generators: ResidualNet(generators, classes, channels, width)  # noqa: E731
    phase = Phase("learn", rounds, (Turn(("C",), draws, losses),))
    player = Player(("C",), lr, (0.9, 0.999))
    return Game("classification", {"C": build}, {"C": player}, (phase,), settings, stacked=False)
