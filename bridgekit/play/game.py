"""What a game is: frozen data that says who moves, on what, and by which loss.

A **game** holds networks, players and phases. A **phase** is a tuple of turns played in order each round. A
**turn** makes one shared forward pass and returns one loss per **player**; a player is the networks whose
parameters it alone may move, and its optimiser's settings. ``bridgekit.play.loop.fit`` plays any game.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError
from bridgekit.play.draws import Draw


@dataclass(frozen=True)
class Player:
    """The networks that it alone may move, and its Adam's settings."""

    networks: tuple[str, ...]
    lr: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)


Losses = Callable[[SimpleNamespace, SimpleNamespace, SimpleNamespace], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Turn:
    """``losses(nets, batch, now) -> {player: loss}``, each ``(T,)``, or 0-dim without a trials axis.

    ``batch`` holds this round's draws by name, ``now`` the schedule's device scalars. ``moves`` names the
    players that get a loss; they step together, after all gradients of the turn are known. ``before(nets)``
    runs first, without gradients: what moves a network's buffers by rule (a power iteration) stands there, so
    that a forward pass never does.
    """

    moves: tuple[str, ...]
    draws: Mapping[str, Draw]
    losses: Losses
    before: Callable[[SimpleNamespace], None] | None = None


def constant(rounds: int) -> Mapping[str, Tensor]:
    """The schedule of a phase in which nothing changes."""
    return {}


@dataclass(frozen=True)
class Phase:
    """``rounds`` rounds of ``turns``. ``schedule(rounds)`` gives each scalar per round, ``(rounds,)``.

    On entering, the players in ``fresh`` get a new optimiser, the networks in ``cold`` new weights. Raises
    BridgekitError for fewer than no rounds.
    """

    name: str
    rounds: int
    turns: tuple[Turn, ...]
    schedule: Callable[[int], Mapping[str, Tensor]] = constant
    fresh: tuple[str, ...] = ()
    cold: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise BridgekitError(f"phase {self.name!r} cannot have {self.rounds} rounds: 0 is the least")


@dataclass(frozen=True)
class Game:
    """One algorithm: networks (builders that take per-trial generators), players, phases.

    ``settings`` are the builder's arguments; with the name they identify the game, so that a checkpoint of
    another one is never resumed. ``stacked`` says that tensors carry a leading trials axis.
    """

    name: str
    networks: Mapping[str, Callable[[list[torch.Generator]], nn.Module]]
    players: Mapping[str, Player]
    phases: tuple[Phase, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    stacked: bool = True

    def __post_init__(self) -> None:
        owners = [name for player in self.players.values() for name in player.networks]
        if sorted(owners) != sorted(self.networks):
            raise ValueError(f"{self.name}: every network needs exactly one owner; got {owners}")

    def phase(self, name: str) -> Phase:
        """The phase of that name; an unknown one is an error that lists what there is."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        names = ", ".join(p.name for p in self.phases)
        raise BridgekitError(f"the game {self.name!r} has no phase {name!r}; it has {names}")

    def fingerprint(self) -> str:
        """A hash of the builder's name and arguments, data included; TypeError for one without a name."""
        text = json.dumps([self.name, _canonical(dict(self.settings))], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """``value`` as JSON: data by fingerprint or content, never by address."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if hasattr(value, "canonical"):
        return value.canonical()
    if hasattr(value, "fingerprint"):
        return value.fingerprint
    if isinstance(value, Tensor):
        return value.tolist()
    if dataclasses.is_dataclass(value):
        return {f.name: _canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_canonical(v) for v in value]
    if isinstance(value, functools.partial):
        return [_canonical(part) for part in (value.func, value.args, value.keywords)]
    name = getattr(value, "__qualname__", "<")
    if callable(value) and "<" not in name:  # <lambda> and <locals> do not say which
        return f"{value.__module__}.{name}"
    raise TypeError(f"a game's settings cannot hold {value!r}; a named function can, or functools.partial")
