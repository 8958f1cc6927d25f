"""What changes while a game is played, and how it begins."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError, nearest
from bridgekit.play.game import Game
from bridgekit.random import check_seeds, stream


@dataclass
class State:
    """Everything that changes while a game is played; it passes from phase to phase.

    ``played`` and ``seen`` count rounds played and last round yielded, per phase. ``history`` is what the
    page kept; ``losses`` the mean loss per player, one row per stretch of play. ``failed[i]`` says where
    trial i turned non-finite, or is None. ``source`` is the checkpoint this state already follows.
    """

    seeds: tuple[int, ...]
    device: torch.device
    nets: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    init: list[torch.Generator]
    generators: list[torch.Generator]
    chunk_start: list[Tensor]
    chunk_of: str = ""
    played: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    history: dict[str, list[Tensor]] = field(default_factory=dict)
    losses: dict[str, list[Tensor]] = field(default_factory=dict)
    failed: list[dict[str, Any] | None] = field(default_factory=list)
    source: Path | None = None

    def keep(self, **values: Tensor | float) -> None:
        """Append this round's measurements; a resumed run finds them again."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(torch.as_tensor(value).detach().cpu().clone())

    def kept(self, name: str) -> Tensor:
        """All that was kept under ``name``, stacked: ``(times, ...)``; BridgekitError where nothing was."""
        if name not in self.history:
            hint = nearest(name, self.history) if self.history else "was there a round to evaluate at?"
            raise BridgekitError(f"nothing was kept under {name!r}: {hint}")
        return torch.stack(self.history[name])

    def branch(self) -> State:
        """An independent copy from which to play on differently; its history starts empty."""
        twin = copy.copy(self)
        # One deep copy of everything together: the copied optimisers then hold the copied parameters.
        names = ("nets", "optimisers", "played", "seen", "losses", "failed", "chunk_start")
        for name, value in zip(names, copy.deepcopy([getattr(self, n) for n in names]), strict=True):
            setattr(twin, name, value)
        twin.init, twin.generators = _clone(self.init), _clone(self.generators)
        twin.history, twin.source = {}, None
        return twin


def _clone(generators: list[torch.Generator]) -> list[torch.Generator]:
    return [torch.Generator(g.device).set_state(g.get_state()) for g in generators]


def start(game: Game, seeds: Sequence[int], on: torch.device | str = "cpu") -> State:
    """Fresh networks and optimisers for one trial per seed.

    Raises ``BridgekitError`` where there is no seed, or one twice, or more than the game can hold at once.
    """
    check_seeds(seeds)
    if len(seeds) > 1 and not game.stacked:
        raise BridgekitError(f"the game {game.name!r} plays one trial at a time; start one state per seed")
    where = torch.device(on)
    state = State(
        seeds=tuple(seeds),
        device=where,
        nets={},
        optimisers={},
        init=[stream(s, "init") for s in seeds],
        generators=[stream(s, "noise", where) for s in seeds],
        chunk_start=[],
        failed=[None] * len(seeds),
    )
    for name, build in game.networks.items():
        state.nets[name] = build(state.init).to(where)
    for name in game.players:
        fresh_optimiser(game, state, name)
    return state


def fresh_optimiser(game: Game, state: State, name: str) -> None:
    """Give a player a new optimiser over the networks that it owns."""
    player = game.players[name]
    parameters = [p for net in player.networks for p in state.nets[net].parameters()]
    state.optimisers[name] = player.optimiser(parameters)
