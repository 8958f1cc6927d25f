"""The networks of a state for evaluation, not for learning: no gradient is kept, and no state is touched."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.models.batch_norm import untracked
from bridgekit.play.game import Game, Turn
from bridgekit.play.loop import batch_norms, batch_of, drawn_ahead, owned_by, track
from bridgekit.play.state import State
from bridgekit.random import stream


@contextlib.contextmanager
def probe(state: State) -> Iterator[SimpleNamespace]:
    """The networks for evaluation: no gradients, and no buffer is touched.

    Batch normalisation keeps using the batch's statistics, as in training, so that a measurement taken a few
    rounds after a change does not lag behind running averages.
    """
    with untracked(*state.nets.values()), torch.no_grad():
        yield SimpleNamespace(**state.nets)


def recalibrated(game: Game, state: State, phase: str, rounds: int = 20) -> SimpleNamespace:
    """The networks for evaluating single samples: batch normalisation's averages suit the present weights.

    The running averages of training lag behind weights that move. These are plain means over ``rounds``
    rounds of the phase, drawn from a stream of their own and played without learning, as "precise" statistics
    are (Wu and Johnson 2021). The networks are copies, in evaluation mode; the state is not touched.
    """
    nets = {name: copy.deepcopy(net) for name, net in state.nets.items()}
    norms = batch_norms(nets)
    for norm in (norm for found in norms.values() for norm in found):
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all that is seen
    # The stream keeps the name that this function had: another one would draw other batches.
    play, generators = game.phase(phase), [stream(s, "settled", state.device) for s in state.seeds]
    schedule = play.schedule(max(1, play.rounds))
    last = max(0, min(state.played.get(phase, 0), play.rounds) - 1)
    now = nets | {name: values[last].to(state.device) for name, values in schedule.items()}
    with torch.enable_grad():  # a gradient penalty differentiates inside its loss
        for turn in play.turns if norms else ():
            drawn = drawn_ahead(game, turn, rounds, generators)
            track(norms, owned_by(game, turn))
            for k in range(rounds):
                turn(**now, **batch_of(turn, drawn, k))
    return SimpleNamespace(**{name: net.eval() for name, net in nets.items()})


def samples(state: State, z: Tensor) -> Tensor:
    """``G(z)`` for evaluation, ``(T, ...)``; NaN for a failed trial, even if its G is still finite."""
    with probe(state) as nets:
        x = nets.G(z)
    failed = torch.tensor([failure is not None for failure in state.failed], device=x.device)
    return x.masked_fill(failed.view(-1, *[1] * (x.dim() - 1)), torch.nan)


def losses(game: Game, state: State, turn: Turn, batches: int = 8, purpose: str = "losses") -> Tensor:
    """What a turn's first player has to lose now, batch by batch, on draws of a stream of their own.

    ``(batches, T)``, or ``(batches,)`` of a game that plays one trial; nobody learns. The draws are the same
    whenever the seeds and the ``purpose`` are, so that a curve over the rounds moves with the weights alone.
    """
    drawn = drawn_ahead(game, turn, batches, [stream(s, purpose, state.device) for s in state.seeds])
    with probe(state) as nets:
        return torch.stack(
            [turn(**vars(nets), **batch_of(turn, drawn, k))[turn.moves[0]] for k in range(batches)]
        )
