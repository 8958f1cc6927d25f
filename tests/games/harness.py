"""Plays a game in float64 beside its paper: the one module here that touches the inside of games.

A **case** is a builder with small arguments and its ``paper``: what these arguments ought to give, written
from the paper's lines. :func:`check` starts the game, plays every phase through ``fit``, and does the same by
hand with the paper's losses and an Adam written out; losses, gradients and weights must be equal.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bridgekit.models.batch_norm import BatchNorm
from bridgekit.play.draws import Draw
from bridgekit.play.game import Game, Phase, Turn
from bridgekit.play.loop import fit
from bridgekit.play.state import State, start

Nets = SimpleNamespace
Losses = Mapping[str, Tensor]
Composition = Callable[[SimpleNamespace, SimpleNamespace, SimpleNamespace], Losses]
Kind = Callable[[Tensor], None]
Snapshot = dict[tuple[str, bool], Tensor]


@dataclass(frozen=True)
class Part:
    """A call that waits: a function and keyword arguments, some of which may be parts themselves.

    ``options`` is the function whose keywords a ``**settings`` is passed on to.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    options: Callable[..., Any] | None = None

    def made(self) -> Any:
        given = {k: v.made() if isinstance(v, Part) else v for k, v in self.arguments.items()}
        # By name, so that a test can put another function in its place.
        return getattr(sys.modules[self.function.__module__], self.function.__name__)(**given)

    def signature(self) -> dict[str, Any]:
        """Every argument's name with its default."""
        found = dict(inspect.signature(self.options).parameters) if self.options else {}
        found |= inspect.signature(self.function).parameters
        return {n: p.default for n, p in found.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}

    def parts(self) -> Iterator[Part]:
        """This call and those within it."""
        yield self
        for value in self.arguments.values():
            if isinstance(value, Part):
                yield from value.parts()

    def names(self) -> Iterator[str]:
        """All arguments, a part's own behind a dot."""
        for name in self.signature():
            inner = self.arguments.get(name)
            yield from (f"{name}.{n}" for n in inner.names()) if isinstance(inner, Part) else [name]

    def told(self) -> SimpleNamespace:
        """All arguments by name, defaults included, parts as namespaces: what the paper is told."""
        given = {**self.signature(), **self.arguments}
        return SimpleNamespace(**{k: v.told() if isinstance(v, Part) else v for k, v in given.items()})

    def same(self, other: Part) -> bool:
        """Whether the other is a call of the same function with the same values."""

        def flat(told: SimpleNamespace) -> list[Any]:
            return [
                v for x in vars(told).values() for v in (flat(x) if isinstance(x, SimpleNamespace) else [x])
            ]

        mine, yours = flat(self.told()), flat(other.told())
        plain = (int, float, bool, tuple, type(None))
        pairs = zip(mine, yours, strict=False)
        equal = (a is b or (isinstance(a, plain) and isinstance(b, plain) and a == b) for a, b in pairs)
        return self.function is other.function and len(mine) == len(yours) and all(equal)

    def changed(self, name: str, value: Any) -> Part:
        """The same with another value of one argument."""
        outer, _, inner = name.partition(".")
        value = self.arguments[outer].changed(inner, value) if inner else value
        return replace(self, arguments={**self.arguments, outer: value})


@dataclass(frozen=True)
class Owner:
    """A player as it ought to be: the networks that it alone moves, and its Adam."""

    networks: Sequence[str]
    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Move:
    """A turn as the paper has it.

    ``losses(nets, batch, now)`` gives one loss per player and trial, ``(T,)``, or 0-dim where a game plays
    one trial; ``draws`` says what each draw is; ``before(nets)`` moves buffers.
    """

    losses: Composition
    draws: Mapping[str, Kind]
    before: Callable[[Nets], None] | None = None


@dataclass(frozen=True)
class Steps:
    """A phase as the paper has it; ``schedule(k, rounds)`` gives the scalars of round k, from 0."""

    rounds: int
    turns: tuple[Move, ...]
    schedule: Callable[[int, int], Mapping[str, float]] = lambda k, rounds: {}
    fresh: Sequence[str] = ()
    cold: Sequence[str] = ()


@dataclass(frozen=True)
class Paper:
    """What a builder ought to give: players, each network's parameters' shapes of one trial, phases."""

    players: Mapping[str, Owner]
    networks: Mapping[str, Sequence[tuple[int, ...]]]
    phases: Mapping[str, Steps]


@dataclass(frozen=True)
class Case:
    """A builder's call with small arguments, its paper, and for every argument another value or several.

    Those that are ``tied`` change together, or the builder refuses them.

    ``paper`` is given the arguments by name. ``seeds`` are the trials, one where a game plays one.
    ``alone(i)`` gives the arguments that have a row for each trial, with trial i's row only.
    """

    call: Part
    paper: Callable[[SimpleNamespace], Paper]
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (3, 1)
    alone: Callable[[int], Mapping[str, Any]] = lambda i: {}
    apart: bool = False
    tied: Sequence[str] = ()

    def game(self) -> Game:
        return self.call.made()

    def singly(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each argument with each of its other values, one at a time, under a name."""
        if self.tied:
            yield " and ".join(self.tied), {name: self.changes[name] for name in self.tied}
        for name, change in self.changes.items():
            if name in self.tied:
                continue
            values = change if isinstance(change, list) else [change]
            for i, value in enumerate(values):
                yield (f"{name} {i}" if len(values) > 1 else name), {name: value}

    def to_play(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The same, with all arguments of a part at once, unless the case has them ``apart``."""
        together: dict[str, dict[str, Any]] = {}
        for label, values in self.singly():
            name = next(iter(values))
            if self.apart or "." not in name:
                yield label, values
            else:
                together.setdefault(name.rpartition(".")[0], {}).update(values)
        yield from ((f"{part}.*", values) for part, values in together.items())

    def changed(self, values: Mapping[str, Any]) -> Case:
        call = self.call
        for name, value in values.items():
            call = call.changed(name, value)
        return replace(self, call=call)


@dataclass(frozen=True)
class _Doubled:
    """A draw in float64."""

    draw: Draw

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return self.draw.chunk(rounds, generator)

    def take(self, drawn: Tensor) -> Tensor:
        taken = self.draw.take(drawn)
        return taken.double() if taken.is_floating_point() else taken


@dataclass
class Entry:
    """What one turn met and answered: ``before`` and ``found`` are all weights, before and after its hook."""

    turn: int
    batch: SimpleNamespace
    now: SimpleNamespace
    before: Snapshot
    found: Snapshot
    losses: dict[str, Tensor]
    gradients: dict[str, list[Tensor]]


def numbers(net: nn.Module, averages: bool = False) -> list[Tensor]:
    """A network's parameters and buffers, or only its running averages, which those leave out."""
    running = ("running_mean", "running_var", "num_batches_tracked")
    named = [*net.named_parameters(), *net.named_buffers()]
    return [v.detach() for k, v in named if (k.rpartition(".")[2] in running) == averages]


class Weights:
    """All networks' numbers; ``now()`` copies them as one vector a network, running averages apart."""

    def __init__(self, nets: Mapping[str, nn.Module]):
        self.tensors = {
            (n, a): found for n, net in nets.items() for a in (0, 1) if (found := numbers(net, a))
        }

    def now(self) -> Snapshot:
        return {key: torch.cat([v.flatten() for v in found]) for key, found in self.tensors.items()}


def _parameters(nets: Mapping[str, nn.Module], names: Sequence[str]) -> list[nn.Parameter]:
    return [p for name in names for p in nets[name].parameters()]


def doubled(game: Game) -> Game:
    """The same game in float64."""

    def schedule(phase: Phase, rounds: int) -> dict[str, Tensor]:
        return {name: values.double() for name, values in phase.schedule(rounds).items()}

    def turn(turn: Turn) -> Turn:
        return replace(turn, draws={name: _Doubled(draw) for name, draw in turn.draws.items()})

    def phase(phase: Phase) -> Phase:
        turns = tuple(turn(t) for t in phase.turns)
        return replace(phase, turns=turns, schedule=functools.partial(schedule, phase))

    return replace(game, phases=tuple(phase(p) for p in game.phases))


def watched(game: Game, log: list[Entry]) -> Game:
    """The same game in float64; each turn writes into ``log`` what it met and what it answered."""
    game = doubled(game)

    def watch(index: int, turn: Turn) -> Turn:
        seen: dict[str, Any] = {}

        def before(**nets: nn.Module) -> None:
            seen["weights"] = weights = Weights(nets)
            seen["before"] = weights.now()
            turn.prepare(nets)

        def losses(**there: Any) -> Losses:
            found = seen["weights"].now()
            answer = turn(**there)
            nets = {name: there.pop(name) for name in game.networks}
            batch = SimpleNamespace(**{name: there.pop(name) for name in turn.draws})
            now, gradients = SimpleNamespace(**there), {}
            for name in turn.moves:
                owned = _parameters(nets, game.players[name].networks)
                gradients[name] = list(torch.autograd.grad(answer[name].sum(), owned, retain_graph=True))
            detached = {name: loss.detach().reshape(-1) for name, loss in answer.items()}
            log.append(Entry(index, batch, now, seen["before"], found, detached, gradients))
            return answer

        return replace(turn, losses=losses, before=before)

    watches = ([watch(i, turn) for i, turn in enumerate(phase.turns)] for phase in game.phases)
    phases = (replace(p, turns=tuple(turns)) for p, turns in zip(game.phases, watches, strict=True))
    return replace(game, phases=tuple(phases))


def begun(game: Game, seeds: Sequence[int]) -> State:
    """A state in float64."""
    state = start(game, seeds)
    for net in state.nets.values():
        net.double()
    return state


def played(game: Game, state: State, phase: str, **options: Any) -> State:
    """All rounds of a phase."""
    for _ in fit(game, state, phase, **options):
        pass
    return state


def draws_of(game: Game, phase: str, turn: int, seeds: Sequence[int], rounds: int = 150) -> dict[str, Tensor]:
    """Many rounds of all draws of a turn, ``(rounds, T, B, ...)``."""
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    found = {}
    for name, draw in game.phase(phase).turns[turn].draws.items():
        chunks = [draw.chunk(rounds, g) for g in generators]
        taken = [draw.take(c) for c in (torch.stack(chunks, 1) if game.stacked else chunks[0])]
        found[name] = torch.stack(taken) if game.stacked else torch.stack(taken).unsqueeze(1)
    return found


def close(got: Tensor, want: Tensor, what: str, tolerance: float = 1e-9) -> None:
    """Equal to ``tolerance`` of the largest element."""
    assert got.shape == want.shape, f"{what}: shape {tuple(got.shape)}, not {tuple(want.shape)}"
    if want.numel():
        error = float((got - want).detach().abs().max())
        size = float(want.detach().abs().max())
        assert error <= tolerance * (size + 1e-3), f"{what}: off by {error:.3g} of {size:.3g}"


class Adam:
    """Kingma and Ba 2015, Algorithm 1, over a player's parameters."""

    def __init__(self, owner: Owner, nets: Mapping[str, nn.Module]):
        self.owner, self.parameters = owner, _parameters(nets, owner.networks)
        self.t, self.m, self.v = 0, [0.0] * len(self.parameters), [0.0] * len(self.parameters)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        (b1, b2), self.t = self.owner.betas, self.t + 1
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            self.m[i] = b1 * self.m[i] + (1 - b1) * g
            self.v[i] = b2 * self.v[i] + (1 - b2) * g**2
            m, v = self.m[i] / (1 - b1**self.t), self.v[i] / (1 - b2**self.t)
            p -= self.owner.lr * m / (v.sqrt() + 1e-8)


@contextlib.contextmanager
def unmoved(*nets: nn.Module) -> Iterator[None]:
    """Inside, batch normalisation in ``nets`` keeps its averages: for samples that are looked at only."""
    norms = [m for net in nets for m in net.modules() if isinstance(m, BatchNorm)]
    before = [norm.tracking for norm in norms]
    for norm in norms:
        norm.tracking = False
    yield
    for norm, tracking in zip(norms, before, strict=True):
        norm.tracking = tracking


@dataclass
class Record:
    """All that could be seen of a game: two games that differ differ here."""

    rounds: dict[str, int]
    shapes: dict[str, list[tuple[int, ...]]]
    log: list[Entry]
    end: Snapshot

    def differs(self, other: Record) -> bool:
        if (self.rounds, self.shapes, len(self.log)) != (other.rounds, other.shapes, len(other.log)):
            return True
        return any(not _same(a, b) for a, b in zip(self._seen(), other._seen(), strict=True))

    def _seen(self) -> list[Mapping[Any, Tensor]]:
        each = [d for entry in self.log for d in (vars(entry.batch), vars(entry.now), entry.losses)]
        return [*each, self.end]


def _same(a: Mapping[Any, Tensor], b: Mapping[Any, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class _ByHand:
    """The paper's game, played beside the real one on networks of its own."""

    def __init__(self, paper: Paper, state: State):
        self.paper, self.nets = paper, copy.deepcopy(state.nets)
        self.weights = Weights(self.nets)
        self.adams = {name: Adam(owner, self.nets) for name, owner in paper.players.items()}

    def enter(self, steps: Steps, log: Sequence[Entry]) -> None:
        """Cold networks take the real game's new weights, which must be new."""
        for name in steps.cold:
            new, mine = log[0].before[name, False], self.weights.tensors[name, False]
            old = self.weights.now()[name, False]
            learned = sum(p.numel() for p in self.nets[name].parameters())
            assert not (new == old)[:learned].any(), f"{name} is not cold"
            for tensor, values in zip(mine, new.split([t.numel() for t in mine]), strict=True):
                tensor.copy_(values.view_as(tensor))
        for name in steps.fresh:
            self.adams[name] = Adam(self.paper.players[name], self.nets)

    def turn(self, move: Move, entry: Entry, what: str) -> dict[str, Tensor]:
        """One turn of both: the same losses and gradients, and then a step of these networks."""
        nets = SimpleNamespace(**self.nets)
        self.agree(entry.before, f"{what}, before it")
        if move.before is not None:
            with torch.no_grad():
                move.before(nets)
        self.agree(entry.found, f"{what}, after what stands before it")
        losses = move.losses(nets, entry.batch, entry.now)
        assert losses.keys() == entry.losses.keys(), f"{what} moves {list(entry.losses)}"
        steps = {}
        for name, loss in losses.items():
            close(entry.losses[name], loss.detach().reshape(-1), f"{what}, loss of {name}")
            steps[name] = torch.autograd.grad(loss.sum(), self.adams[name].parameters, retain_graph=True)
            assert len(steps[name]) == len(entry.gradients[name]), f"{what}: what {name} owns"
            for got, want in zip(entry.gradients[name], steps[name], strict=True):
                close(got, want, f"{what}, gradient of {name}")
        for name, gradients in steps.items():
            self.adams[name].step(gradients)
        return {name: loss.detach().reshape(-1) for name, loss in losses.items()}

    def agree(self, theirs: Snapshot, what: str) -> None:
        """Equal weights, running averages apart: which move by whatever passes through."""
        mine = self.weights.now()
        assert mine.keys() == theirs.keys(), what
        for (name, averages), value in mine.items():
            if not averages:
                close(theirs[name, averages], value, f"{what}, {name}")


def check(case: Case, draws: bool = True) -> Record:
    """Play the case from its first round to its last, beside its paper. AssertionError where they part.

    ``draws``: look at what is drawn as well.
    """
    game, log = case.game(), []
    paper, theirs = case.paper(case.call.told()), watched(game, log)
    rounds = {phase.name: phase.rounds for phase in game.phases}
    assert rounds == {name: steps.rounds for name, steps in paper.phases.items()}
    assert list(rounds) == list(paper.phases)
    owned = {name: {*player.networks} for name, player in game.players.items()}
    assert owned == {name: {*owner.networks} for name, owner in paper.players.items()}, "who owns what"
    state = begun(theirs, case.seeds)
    shapes = {name: _shapes(net, game.stacked) for name, net in state.nets.items()}
    assert shapes == {name: sorted(sizes) for name, sizes in paper.networks.items()}
    hand, whole = _ByHand(paper, state), []
    for name, steps in paper.phases.items():
        scalars = game.phase(name).schedule(steps.rounds).values()
        assert all(v.shape == (steps.rounds,) and v.dtype == torch.float32 for v in scalars), (
            f"scalars of {name}"
        )
        if draws:
            _check_draws(game, name, steps, case.seeds)
        log.clear()
        played(theirs, state, name)
        _check_phase(hand, name, steps, log, state)
        whole += log
    return Record(rounds, shapes, whole, Weights(state.nets).now())


def _check_draws(game: Game, name: str, steps: Steps, seeds: Sequence[int]) -> None:
    assert len(game.phase(name).turns) == len(steps.turns), f"turns of {name}"
    for i, move in enumerate(steps.turns):
        if move in steps.turns[:i]:
            continue
        found, again = (draws_of(game, name, i, seeds) for _ in range(2))
        assert found.keys() == move.draws.keys(), f"draws of {name}, turn {i}"
        assert _same(found, again), f"draws of {name}, turn {i}: not from their generators alone"
        for key, kind in move.draws.items():
            kind(found[key])


def _check_phase(hand: _ByHand, name: str, steps: Steps, log: Sequence[Entry], state: State) -> None:
    order = [i for _ in range(steps.rounds) for i in range(len(steps.turns))]
    assert [entry.turn for entry in log] == order, f"turns of {name}"
    if not log:
        return
    hand.enter(steps, log)
    losses: dict[str, list[Tensor]] = {}
    for n, entry in enumerate(log):
        k = n // len(steps.turns)
        wanted = steps.schedule(k, steps.rounds)
        assert vars(entry.now).keys() == wanted.keys(), f"scalars of {name}"
        for key, value in wanted.items():
            given = getattr(entry.now, key)
            assert abs(float(given) - value) <= 2e-7 * abs(value) + 1e-9, f"{key} of {name} in round {k}"
        for player, loss in hand.turn(steps.turns[entry.turn], entry, f"{name}, turn {entry.turn}").items():
            losses.setdefault(f"{name}/{player}", []).append(loss)
    hand.agree(Weights(state.nets).now(), f"after {name}")
    _check_fresh(log, name)
    _check_moved(hand.paper, log, Weights(state.nets).now())
    kept = {key: values for key, values in state.losses.items() if key.startswith(f"{name}/")}
    assert kept.keys() == losses.keys(), f"losses of {name}"
    for key, values in losses.items():
        close(kept[key][-1], torch.stack(values).mean(0), f"{key} as it is kept")


def _check_fresh(log: Sequence[Entry], name: str) -> None:
    """No turn sees what another has seen, and no trial what the next one sees."""
    for key in {key for entry in log for key in vars(entry.batch)}:
        seen = [getattr(entry.batch, key) for entry in log if hasattr(entry.batch, key)]
        if seen[0].is_floating_point() and seen[0].numel() > 3:
            assert len({values.numpy().tobytes() for values in seen}) == len(seen), f"{key} of {name}"


def _check_moved(paper: Paper, log: Sequence[Entry], end: Snapshot) -> None:
    """Each turn moves every network of its players, and nothing else, running averages included."""
    ends = [*(entry.before for entry in log[1:]), end]
    for entry, after in zip(log, ends, strict=True):
        moved = {key for key in after if not torch.equal(after[key], entry.found[key])}
        owned = {n for player in entry.losses for n in paper.players[player].networks}
        assert moved == {key for key in after if key[0] in owned}, moved


def of_trial(net: nn.Module, i: int) -> list[Tensor]:
    """Trial i's parameters: its slice of each, or those of its own network where each trial has one."""
    lists = [module for module in net.modules() if isinstance(module, nn.ModuleList)]
    return list(lists[0][i].parameters()) if lists else [p[i] for p in net.parameters()]


def _shapes(net: nn.Module, stacked: bool) -> list[tuple[int, ...]]:
    return sorted(tuple(p.shape) for p in (of_trial(net, 0) if stacked else net.parameters()))


def weights(state: State) -> dict[str, Tensor]:
    """A copy of all networks' tensors, by network and name."""
    return {f"{n}/{k}": v.clone() for n, net in state.nets.items() for k, v in net.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether both hold the same, bit by bit; NaN where the other has NaN."""
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=0, atol=0, equal_nan=True) for k in a)


# --- laws -------------------------------------------------------------------------------------------------


def trials(case: Case) -> tuple[State, list[State]]:
    """All trials of a case together, and each alone, in float64 and played to the end."""

    def whole(case: Case, seeds: Sequence[int]) -> State:
        game = doubled(case.game())
        state = begun(game, seeds)
        for phase in game.phases:
            played(game, state, phase.name)
        return state

    alone = []
    for i, seed in enumerate(case.seeds):
        alone.append(whole(case.changed(case.alone(i)), [seed]))
    return whole(case, case.seeds), alone


def phases(case: Case) -> list[str]:
    """The names of a case's phases."""
    return [phase.name for phase in case.game().phases]


def twice_cold(game: Game) -> Game:
    """The game with each phase that begins cold played once more at its end, so that what a cold start draws
    from matters after a resumed one."""
    again = tuple(replace(phase, name=f"{phase.name} again") for phase in game.phases if phase.cold)
    return replace(game, phases=(*game.phases, *again))


def killed_and_taken_up(case: Case, phase: str, path: Path) -> tuple[State, State]:
    """The end of a straight run, and of one killed within a phase and taken up from its checkpoint."""
    game = doubled(twice_cold(case.game()))

    def run(state: State, path: Path | None, kill: bool = False) -> State:
        for each in game.phases:
            if kill and each.name == phase:
                for _ in fit(game, state, phase, at=[(each.rounds + 1) // 2], checkpoint=path, save_every=-1):
                    return state
            played(game, state, each.name, checkpoint=path)
        return state

    straight = run(begun(game, case.seeds), None)
    run(begun(game, case.seeds), path, kill=True)
    return straight, run(begun(game, case.seeds), path)


def same_end(one: State, other: State) -> bool:
    """Whether two states hold the same weights, to the bit, after the same rounds."""
    ends = [Weights(state.nets).now() for state in (one, other)]
    return one.played == other.played and all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0] | ends[1])
