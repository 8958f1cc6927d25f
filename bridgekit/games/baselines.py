"""Adversarial games without a likelihood: one discriminator step, one generator step a round."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bridgekit.game import Game, Phase
from bridgekit.games.arenas import Arena
from bridgekit.games.bridge import discriminator_turn, generator_turn


def gan(arena: Arena, objective: Callable[[Tensor], Tensor], *, rounds: int = 10_000) -> Game:
    """Eq 4 for D and ``objective`` for G: ``adversarial.saturating`` (the original GAN),
    ``adversarial.non_saturating``, or ``adversarial.reverse_kl`` (paper A, eq 7)."""
    networks = {name: arena.networks[name] for name in ("G", "D")}
    turns = (discriminator_turn(arena), generator_turn(arena, objective))
    settings = {"objective": objective, "rounds": rounds, "arena": arena.settings}
    players = {name: arena.player(name) for name in networks}
    return Game("gan", networks, players, (Phase("train", rounds, turns),), settings, arena.stacked)
