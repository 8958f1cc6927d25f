"""Predictability minimisation, paper B, appendix C (Schmidhuber 1992).

Players: E, the encoder, and P, the code's predictors, which its adversary
is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bridgekit.games.setups import Setup
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import likelihood


def masked(code: Tensor, blind: bool = False) -> Tensor:
    """What each unit's predictor sees: which unit it is about and, unless
    ``blind``, the other units.

    ``code`` (T, B, k) -> (T, B k, 2 k): one row a unit, its own place
    empty.
    """
    k = code.shape[-1]
    which = torch.eye(k, dtype=code.dtype, device=code.device).expand(
        *code.shape, k
    )
    seen = 0 * which if blind else code.unsqueeze(-2) * (1 - which)
    return torch.cat([seen, which], -1).flatten(-3, -2)


@recorded
def predictability_minimisation(
    setup: Setup,
    *,
    units: int = 4,
    blind: bool = False,
    rounds: int = 2000,
    p_steps: int = 2,
) -> Game:
    """Schmidhuber 1992 (paper B, appendix C): a code in (0, 1)^units whose
    units do not tell of each other.

    P predicts each unit from the others and minimises the squared error,
    that is :func:`~bridgekit.theory.likelihood.gaussian_nll` with sigma 1;
    E maximises the same. The most that it can reach is a variance of 1/4 a
    unit, with independent fair bits. P moves faster, ``p_steps`` times a
    round at ten times the learning rate: against guesses that lag behind, E
    gains by not depending on x at all. With ``blind`` predictors E
    maximises each unit's variance alone. ``setup`` is a flat one.
    """
    d = setup.x.x.shape[1]
    networks = {
        "E": setup.perceptron(d, units, depth=1),
        "P": setup.perceptron(2 * units, 1, depth=1),
    }

    def unpredicted(P, code):
        guess = (
            P(masked(code, blind))
            .unflatten(-2, code.shape[-2:])
            .squeeze(-1)
        )
        return likelihood.gaussian_nll(code, guess, 1.0).mean(-1)

    def predicting(E, P, x):
        with torch.no_grad():
            code = E(x).sigmoid()
        return {"P": unpredicted(P, code)}

    def coding(E, P, x):
        return {"E": -unpredicted(P, E(x).sigmoid())}

    draws = {"x": setup.x}
    turns = (
        *(Turn(predicting, ("P",), draws),) * p_steps,
        Turn(coding, ("E",), draws),
    )
    players = {"E": setup.player("E"), "P": setup.player("P", faster=10)}
    return setup.train(rounds, turns, networks=networks, players=players)
