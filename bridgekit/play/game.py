"""What a game is: frozen data that says who moves, on what, and by which loss.

A **game** holds networks, players and phases. A **phase** is a tuple of turns played in order each round. A
**turn** makes one shared forward pass and returns one loss per **player**; a player is the networks whose
parameters it alone may move, and how their optimiser is made. ``bridgekit.play.loop.fit`` plays any game.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError, nearest
from bridgekit.play import identity
from bridgekit.play.draws import Draw

Builder = Callable[[list[torch.Generator]], nn.Module]
Optimiser = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def adam(lr: float = 1e-3, beta1: float = 0.5, beta2: float = 0.999) -> Optimiser:
    """Adam in one kernel."""
    return functools.partial(torch.optim.Adam, lr=lr, betas=(beta1, beta2), fused=True)


@dataclass(frozen=True)
class Player:
    """The networks that it alone may move, and what makes an optimiser of their parameters."""

    networks: tuple[str, ...]
    optimiser: Optimiser = adam()


def _names(function: Callable) -> tuple[str, ...] | None:
    """The arguments that a function names; None where it takes whatever there is."""
    arguments = inspect.signature(function).parameters.values()
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments):
        return None
    return tuple(argument.name for argument in arguments)


@dataclass(frozen=True)
class Turn:
    """``losses(...) -> {player: loss}``, each ``(T,)``, or 0-dim without a trials axis.

    ``losses`` takes what it needs by name: networks of the game, the turn's ``draws`` (this round's batches)
    and the schedule's device scalars; with ``**others``, all there are. ``moves`` names the players that get
    a loss; they step together, after all gradients of the turn are known. ``before`` takes networks by name
    and runs first, without gradients: what moves a network's buffers by rule (a power iteration) stands
    there, so that a forward pass never does.
    """

    losses: Callable[..., Mapping[str, Tensor]]
    moves: tuple[str, ...]
    draws: Mapping[str, Draw] = field(default_factory=dict)
    before: Callable[..., None] | None = None
    takes: tuple[str, ...] | None = field(init=False, repr=False)
    moved: tuple[str, ...] | None = field(init=False, repr=False)  # the networks that ``before`` takes

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes", _names(self.losses))
        object.__setattr__(self, "moved", _names(self.before) if self.before else ())

    def __call__(self, **there: Any) -> Mapping[str, Tensor]:
        """The losses, where ``there`` are networks, batches and scalars by name, more than needed or not."""
        given = there if self.takes is None else {name: there[name] for name in self.takes}
        return self.losses(**given)

    def prepare(self, nets: Mapping[str, nn.Module]) -> None:
        """What stands before the turn."""
        if self.before is not None:
            given = nets if self.moved is None else {name: nets[name] for name in self.moved}
            with torch.no_grad():
                self.before(**given)


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

    ``name`` and ``settings``, the builder's arguments (:func:`recorded`), identify it, so that a checkpoint
    of another one is never resumed. ``stacked`` says that tensors carry a leading trials axis. Raises
    BridgekitError where a turn names what is not there, or draws what it does not name.
    """

    networks: Mapping[str, Builder]
    players: Mapping[str, Player]
    phases: tuple[Phase, ...]
    stacked: bool = True
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owners = [name for player in self.players.values() for name in player.networks]
        if sorted(owners) != sorted(self.networks):
            raise ValueError(f"every network needs exactly one owner; {list(self.networks)} have {owners}")
        for phase, turn in self._turns():
            where = f"a turn of phase {phase.name!r}"
            there = [*self.networks, *turn.draws, *phase.schedule(1)]
            for name in turn.takes or ():
                if name not in there:
                    raise BridgekitError(f"{where} takes {name!r}: {nearest(name, there)}")
            for name in turn.draws if turn.takes is not None else ():
                if name not in turn.takes:
                    raise BridgekitError(f"{where} draws {name!r} for nobody: {nearest(name, turn.takes)}")

    def _turns(self) -> Iterator[tuple[Phase, Turn]]:
        yield from ((phase, turn) for phase in self.phases for turn in phase.turns)

    def phase(self, name: str) -> Phase:
        """The phase of that name; an unknown one is an error that lists what there is."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        names = ", ".join(p.name for p in self.phases)
        raise BridgekitError(f"the game {self.name!r} has no phase {name!r}; it has {names}")

    def fingerprint(self) -> str:
        """A hash of the builder's name and arguments, data included; TypeError for one without a name."""
        if not self.name:
            raise TypeError(
                "a game without a name cannot be told from another: make it in a function of bridgekit/games "
                "that has @recorded on it"
            )
        return identity.digest(self.name, dict(self.settings))


Made = TypeVar("Made")


def recorded(build: Callable[..., Made]) -> Callable[..., Made]:
    """What ``build`` makes, a game or a setup, bears its name and all its arguments: nothing is forgotten."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def builder(*args: Any, **kwargs: Any) -> Made:
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        name = build.__name__.replace("_", "-")
        return replace(build(*args, **kwargs), name=name, settings=dict(call.arguments))

    return builder
