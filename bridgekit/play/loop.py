"""``fit``: the one loop that plays every game."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bridgekit.errors import NoTrialLeft
from bridgekit.models.batch_norm import BatchNorm
from bridgekit.play import checkpoints
from bridgekit.play.game import Game, Phase, Turn
from bridgekit.play.progress import Progress
from bridgekit.play.state import State, fresh_optimiser, start

__all__ = ["State", "fit", "play", "start", "whole"]

# Noise is drawn this many rounds at a time, always: randn(1000) is not two randn(500), so a chunk that
# followed the evaluations would make the numbers depend on how often one evaluates.
CHUNK = 100


def _enter(game: Game, state: State, phase: Phase) -> None:
    """What a phase does once, before its first round."""
    for name in phase.cold:
        # Load into the old parameters: the owner's optimiser holds references to them.
        state.nets[name].load_state_dict(game.networks[name](state.init).to(state.device).state_dict())
    for name in phase.fresh:
        fresh_optimiser(game, state, name)
    state.played[phase.name] = 0


def _draw_chunk(game: Game, state: State, phase: Phase) -> list[dict[str, Tensor]]:
    """One chunk of every draw of every turn, ``(CHUNK, T, B, ...)``; mid-chunk, the same one again."""
    if state.played[phase.name] % CHUNK and state.chunk_of == phase.name:
        for generator, start in zip(state.generators, state.chunk_start, strict=True):
            generator.set_state(start)
    state.chunk_of, state.chunk_start = phase.name, [g.get_state() for g in state.generators]
    return [drawn_ahead(game, turn, CHUNK, state.generators) for turn in phase.turns]


def drawn_ahead(game: Game, turn: Turn, rounds: int, generators: list[torch.Generator]) -> dict[str, Tensor]:
    each = {name: [d.chunk(rounds, g) for g in generators] for name, d in turn.draws.items()}
    return {name: torch.stack(c, 1) if game.stacked else c[0] for name, c in each.items()}


def batch_of(turn: Turn, drawn: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    """Round k of what has been drawn ahead."""
    return {name: turn.draws[name].take(values[k]) for name, values in drawn.items()}


def _laid_out_as(parameter: Tensor, grad: Tensor) -> Tensor:
    return torch.empty_like(parameter).copy_(grad)


def _gradients(losses: Mapping[str, Tensor], optimisers: Mapping[str, torch.optim.Optimizer]) -> None:
    """Each player's ``.grad`` from its own loss alone; players that share a loss share its backward pass."""
    shared: dict[int, tuple[Tensor, list[Tensor]]] = {}
    for name, loss in losses.items():
        owned = optimisers[name].param_groups[0]["params"]
        shared.setdefault(id(loss), (loss, []))[1].extend(owned)
    for i, (loss, parameters) in enumerate(shared.values(), 1):
        # The sum over trials: trial i's loss reaches trial i's slice of the weights and no other.
        grads = torch.autograd.grad(loss.sum(), parameters, retain_graph=i < len(shared))
        for parameter, grad in zip(parameters, grads, strict=True):
            # Fused Adam on a CPU reads memory in order, whatever the strides: a gradient laid out otherwise
            # (double backward gives transposed ones) would be scrambled without a word.
            parameter.grad = grad if grad.stride() == parameter.stride() else _laid_out_as(parameter, grad)


def _play_turn(turn: Turn, state: State, given: Mapping[str, Any]) -> list[Tensor]:
    turn.prepare(state.nets)
    losses = turn(**given)
    _gradients(losses, state.optimisers)
    for name in turn.moves:
        state.optimisers[name].step()
    return [losses[name].detach() for name in turn.moves]


def batch_norms(nets: Mapping[str, nn.Module]) -> dict[str, list[BatchNorm]]:
    found = {n: [m for m in net.modules() if isinstance(m, BatchNorm)] for n, net in nets.items()}
    return {name: norms for name, norms in found.items() if norms}


def owned_by(game: Game, turn: Turn) -> set[str]:
    return {name for player in turn.moves for name in game.players[player].networks}


def track(norms: Mapping[str, list[BatchNorm]], owned: set[str]) -> None:
    for name, found in norms.items():
        for norm in found:
            norm.tracking = name in owned


def _settle(state: State, phase: Phase, log: Tensor, first: int) -> None:
    """Read a stretch's losses ``(rounds, players, T)`` once: keep their means, mark trials that failed."""
    log = log.cpu()
    names = [name for turn in phase.turns for name in turn.moves]
    for name in dict.fromkeys(names):  # a player that moves several times a round has several columns
        columns = [column for column, other in enumerate(names) if other == name]
        state.losses.setdefault(f"{phase.name}/{name}", []).append(log[:, columns].mean((0, 1)))
    bad = ~log.isfinite()
    for trial, failure in enumerate(state.failed):
        if failure is None and bad[..., trial].any():
            round_, column = divmod(int(bad[..., trial].flatten().int().argmax()), len(names))
            state.failed[trial] = {"phase": phase.name, "round": first + round_, "player": names[column]}
    if all(state.failed):
        where = "; ".join(
            f"seed {s}: {f['player']} in round {f['round']} of {f['phase']}"
            for s, f in zip(state.seeds, state.failed, strict=True)
        )
        raise NoTrialLeft(f"every trial became non-finite ({where}); lower the learning rate")


class _Stretch:
    """One stretch of play: a phase with its schedule on the device and the current chunk of noise."""

    def __init__(self, game: Game, state: State, phase: Phase, rounds: int):
        self.game, self.state, self.phase = game, state, phase
        self.schedule = {k: v.to(state.device) for k, v in phase.schedule(rounds).items()}
        self.norms = batch_norms(state.nets)
        self.owned = [owned_by(game, turn) for turn in phase.turns]
        self.chunk: list[dict[str, Tensor]] | None = None

    def advance(self, stop: int, progress: Progress) -> None:
        """Play up to round ``stop`` or the end of the chunk, whichever comes first; no host sync between."""
        state, name = self.state, self.phase.name
        done = state.played[name]
        if self.chunk is None or done % CHUNK == 0:
            self.chunk = _draw_chunk(self.game, state, self.phase)
        stop = min(stop, done - done % CHUNK + CHUNK)
        log = []
        for k in range(done, stop):
            log.append(self._round(k))
            progress.update(k + 1)
        state.played[name] = stop
        _settle(state, self.phase, torch.stack(log), done)

    def _round(self, k: int) -> Tensor:
        now = self.state.nets | {name: values[k] for name, values in self.schedule.items()}
        losses: list[Tensor] = []
        for turn, drawn, owned in zip(self.phase.turns, self.chunk, self.owned, strict=True):
            track(self.norms, owned)
            losses += _play_turn(turn, self.state, now | batch_of(turn, drawn, k % CHUNK))
        return torch.stack(losses).view(len(losses), -1)


def fit(
    game: Game,
    state: State,
    phase: str,
    rounds: int | None = None,
    at: Iterable[int] = (),
    checkpoint: Path | None = None,
    save_every: float = 60.0,
) -> Iterator[State]:
    """Play ``rounds`` rounds of a phase and yield the state at the rounds ``at`` (0 is before the first).

    With ``checkpoint`` the state is written there atomically about every ``save_every`` seconds and at the
    end, and picked up again by a later call with the same game, seeds and device; rounds yielded before are
    not yielded twice (what the page kept is in ``state.history``). The numbers do not depend on ``at``, on
    how often one saves, nor on a kill in between.

    Raises ``NoTrialLeft`` when every trial has become non-finite; single ones are marked in
    ``state.failed`` and left behind.
    """
    play = game.phase(phase)
    rounds = play.rounds if rounds is None else rounds
    identity = checkpoints.identity(game, state) if checkpoint is not None else ""
    if checkpoint is not None and checkpoint != state.source:
        checkpoints.load(checkpoint, state, identity)
        state.source = checkpoint
    if phase not in state.played:
        _enter(game, state, play)
    ahead = range(state.played[phase], rounds + 1)  # what has been played cannot be evaluated any more
    wanted = sorted({r for r in at if r in ahead and r > state.seen.get(phase, -1)})
    stretch, saved = _Stretch(game, state, play, rounds), time.monotonic()
    with Progress(f"{game.name} · {phase}", rounds, state.played[phase]) as progress:
        for stop in [*wanted, rounds]:
            while state.played[phase] < stop:
                stretch.advance(stop, progress)
                if checkpoint is not None and time.monotonic() - saved > save_every:
                    checkpoints.save(checkpoint, state, identity)
                    saved = time.monotonic()
            if stop in wanted and stop > state.seen.get(phase, -1):
                yield state
                state.seen[phase] = stop
    if checkpoint is not None:
        checkpoints.save(checkpoint, state, identity)


def play(game: Game, state: State, phase: str, rounds: int | None = None, **options: Any) -> State:
    """:func:`fit` without evaluations in between."""
    for _ in fit(game, state, phase, rounds, **options):
        pass
    return state


def whole(
    game: Game,
    state: State,
    at: Iterable[int] = (),
    *,
    phases: Iterable[str] | None = None,
    checkpoint: Path | None = None,
) -> Iterator[State]:
    """Play the phases one after the other; yield the state at the rounds ``at``, counted from the first one.

    ``phases`` names those to be played (all, unless given). The round that ends a phase is evaluated before
    the next phase begins. When no trial is left, play stops, and at the remaining rounds the state is yielded
    with NaN for every weight and with ``played`` as if play had gone on: every game of a comparison is
    evaluated equally often, and nothing is measured of what had stopped learning. ``state.failed`` says what
    happened. ``checkpoint`` is one file for the whole game, as in :func:`fit`.
    """
    played = [game.phase(name) for name in phases] if phases is not None else game.phases
    first, wanted = 0, sorted(set(at))
    for i, phase in enumerate(played):
        last = first + phase.rounds
        here = [r - first for r in wanted if first < r <= last or r == i == 0]
        evaluated = 0
        try:
            for now in fit(game, state, phase.name, at=here, checkpoint=checkpoint):
                evaluated = now.played[phase.name]
                yield now
        except NoTrialLeft:
            evaluated = first + max(evaluated, state.seen.get(phase.name, 0))
            yield from _lost(state, played, [r for r in wanted if r > evaluated])
            return
        first = last


def _lost(state: State, phases: Sequence[Phase], rounds: Iterable[int]) -> Iterator[State]:
    """What :func:`whole` yields of a game that no trial has survived, at those of ``rounds`` that it has."""
    with torch.no_grad():
        for parameter in (p for net in state.nets.values() for p in net.parameters()):
            parameter.fill_(torch.nan)
    total = sum(phase.rounds for phase in phases)
    for left in (r for r in rounds if r <= total):
        for phase in phases:
            state.played[phase.name] = min(left, phase.rounds)
            left -= phase.rounds
            if left <= 0:
                break
        yield state
