"""What a game costs, so that two of them can be given as much."""

from torch.utils.flop_counter import FlopCounterMode

from bridgekit.play import loop
from bridgekit.play.game import Game


def operations(game: Game, phase: str) -> int:
    """Floating-point operations in one round of a phase, forward and backward.

    PyTorch's count of matrix products and convolutions; all else is left out: it is little in an image
    network. The round is played on a state of its own, on the CPU, where the game's data must lie.
    """
    state = loop.start(game, [0])
    with FlopCounterMode(display=False) as counted:
        loop.play(game, state, phase, 1)
    return counted.get_total_flops()
