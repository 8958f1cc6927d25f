"""Predictability minimisation, paper B, appendix C (Schmidhuber 1992).

Players: E, the encoder, and P, the code's predictors, which its adversary is.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.data.images import Images
from bridgekit.games.setups import Builder
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import FromTensor
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import likelihood


def masked(code: Tensor, blind: bool = False) -> Tensor:
    """What each unit's predictor sees: which unit it is about and, unless ``blind``, the other units.

    ``code`` (T, B, k) -> (T, B k, 2 k): one row a unit, its own place empty.
    """
    k = code.shape[-1]
    which = torch.eye(k, dtype=code.dtype, device=code.device).expand(*code.shape, k)
    seen = 0 * which if blind else code.unsqueeze(-2) * (1 - which)
    return torch.cat([seen, which], -1).flatten(-3, -2)


def predictability_minimisation(
    images: Images,
    *,
    units: int = 4,
    blind: bool = False,
    hidden: int = 64,
    batch: int = 64,
    rounds: int = 2000,
    p_steps: int = 2,
    lr: float = 5e-4,
) -> Game:
    """Schmidhuber 1992 (paper B, appendix C): a code in (0, 1)^units whose units do not tell of each other.

    P predicts each unit from the others and minimises the squared error, that is
    :func:`~bridgekit.theory.likelihood.gaussian_nll` with sigma 1; E maximises the same. The most that it
    can reach is a variance of 1/4 a unit, with independent fair bits. P moves faster, ``p_steps`` times a
    round at ten times ``lr``: against guesses that lag behind, E gains by not depending on x at all. With
    ``blind`` predictors E maximises each unit's variance alone.
    """
    d = images.x[0].numel()
    settings = {"images": images, "units": units, "blind": blind}
    settings |= {"hidden": hidden, "batch": batch, "rounds": rounds, "p_steps": p_steps, "lr": lr}
    networks: dict[str, Builder] = {
        "E": lambda g: MLP([d, hidden, units], g),
        "P": lambda g: MLP([2 * units, hidden, 1], g),
    }

    def unpredicted(nets: SimpleNamespace, code: Tensor) -> Tensor:
        guess = nets.P(masked(code, blind)).unflatten(-2, code.shape[-2:]).squeeze(-1)
        return likelihood.gaussian_nll(code, guess, 1.0).mean(-1)

    def predicting(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        with torch.no_grad():
            code = nets.E(batch.x).sigmoid()
        return {"P": unpredicted(nets, code)}

    def coding(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {"E": -unpredicted(nets, nets.E(batch.x).sigmoid())}

    draws = {"x": FromTensor(images.x.flatten(1), batch)}
    turns = (*(Turn(("P",), draws, predicting),) * p_steps, Turn(("E",), draws, coding))
    players = {"E": Player(("E",), lr, (0.5, 0.999)), "P": Player(("P",), 10 * lr, (0.5, 0.999))}
    return Game("predictability-minimisation", networks, players, (Phase("train", rounds, turns),), settings)
