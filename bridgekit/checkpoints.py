"""Saving and resuming a state: atomic files that know which game they belong to."""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bridgekit.errors import BridgekitError
from bridgekit.files import write_atomically
from bridgekit.game import Game

if TYPE_CHECKING:
    from bridgekit.state import State


# Besides objectives and games.
CODE = (
    "classifiers",
    "distributions",
    "divergences",
    "game",
    "metrics",
    "networks",
    "residual",
    "state",
    "streams",
    "training",
)


@functools.cache
def _code() -> str:
    """A hash of the code that trains and measures: what other code has made is not resumed."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    modules = [here / f"{name}.py" for name in CODE]
    for path in [*modules, *sorted(here.glob("objectives/*.py")), *sorted(here.glob("games/*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def identity(game: Game, state: State) -> str:
    """What must agree before a checkpoint is picked up: game, seeds, kind of device, torch and code."""
    parts = [game.fingerprint(), str(state.seeds), state.device.type, torch.__version__, _code()]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def save(path: Path, state: State, identity: str) -> None:
    """Write the whole state to ``path``; a kill at any moment leaves the old file or the new one.

    Raises BridgekitError where it cannot be written, a full disk for instance; the old file stays.
    """
    content = {
        "identity": identity,
        "nets": {name: net.state_dict() for name, net in state.nets.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "init": [g.get_state() for g in state.init],
        "generators": [g.get_state() for g in state.generators],
        "plain": {name: getattr(state, name) for name in _PLAIN},
    }
    body = io.BytesIO()
    torch.save(content, body)
    try:
        write_atomically(path, body.getvalue())
    except OSError as error:
        raise BridgekitError(
            f"cannot write {path}: {error.strerror}. Free some space, or make the folder writable, and start "
            "again: what was saved before is taken up."
        ) from error


_PLAIN = ("chunk_of", "chunk_start", "played", "seen", "history", "losses", "failed")


def load(path: Path, state: State, identity: str) -> bool:
    """Fill ``state`` from ``path`` if it holds this very game; say so and start anew if it does not."""
    if not path.exists():
        return False
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything; none of it must stop a run
        warnings.warn(
            f"{path.name} is damaged ({type(error).__name__}); starting from the beginning", stacklevel=2
        )
        return False
    if content.get("identity") != identity:
        warnings.warn(f"{path.name} belongs to another game, seed or version; starting anew", stacklevel=2)
        return False
    for name, net in state.nets.items():
        net.load_state_dict(content["nets"][name])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(content["optimisers"][name])
    for kind in ("init", "generators"):
        for generator, saved in zip(getattr(state, kind), content[kind], strict=True):
            generator.set_state(saved)
    for name in _PLAIN:
        setattr(state, name, content["plain"][name])
    return True
