"""Saving and resuming a state: atomic files that know which game they belong to, and notice damage.

A file is one line with format and SHA-256, then PyTorch's archive, whose own sums PyTorch does not check.
What is damaged, or does not fit the state, is named in one warning, and play starts from the beginning.
"""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bridgekit import closure
from bridgekit.errors import BridgekitError
from bridgekit.files import read_checked, write_checked
from bridgekit.play.game import Game

if TYPE_CHECKING:
    from bridgekit.play.state import State


@functools.cache
def code() -> str:
    """A hash of the code that trains and measures, below the book: what other code made is not resumed."""
    return closure.digest(closure.tree(measuring(), closure.PACKAGE))


def measuring() -> list[Path]:
    """The files of that code."""
    rooms = [file for file in closure.PACKAGE.glob("*/*.py") if file.parent.name != "book"]
    return [*rooms, closure.PACKAGE / "random.py"]


def _arithmetic(device: torch.device) -> list[str]:
    """What decides how torch adds up, and what it rounds to."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    kernels = (torch.backends.cpu.get_cpu_capability(), torch.get_deterministic_debug_mode())
    rounding = (torch.get_default_dtype(), torch.get_float32_matmul_precision())
    return [where, *map(str, (torch.get_num_threads(), *kernels, *rounding))]


def identity(game: Game, state: State) -> str:
    """What must agree before a checkpoint is picked up: game, seeds, torch, code, and how sums are made.

    A sum is split over threads and over the lanes of vector registers, and each kind of GPU has kernels of
    its own: a run that went on with another number of threads, instruction set, GPU, default dtype, precision
    of products or choice of deterministic kernels would end with numbers that no single run gives. The CPU's
    model is left out: the instruction set chooses torch's own kernels, and a job that a cluster moves to
    another node should not lose its hours.
    """
    parts = [game.fingerprint(), str(state.seeds), torch.__version__, code(), *_arithmetic(state.device)]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def save(path: Path, state: State, identity: str) -> None:
    """Write the whole state to ``path``; a kill at any moment leaves the old file or the new one.

    Raises BridgekitError where it cannot be written, a full disk for instance; the old file stays.
    """
    body = io.BytesIO()
    torch.save({"identity": identity} | _content(state), body)
    try:
        write_checked(path, body.getvalue())
    except OSError as error:
        raise BridgekitError(
            f"cannot write {path}: {error.strerror}. Free some space, or make the folder writable, and start "
            "again: what was saved before is taken up."
        ) from error


_PLAIN = ("chunk_of", "chunk_start", "played", "seen", "history", "losses", "failed")


def _content(state: State) -> dict[str, Any]:
    """All that changes while a game is played."""
    return {
        "nets": {name: net.state_dict() for name, net in state.nets.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()},
        "init": [g.get_state() for g in state.init],
        "generators": [g.get_state() for g in state.generators],
        "plain": {name: getattr(state, name) for name in _PLAIN},
    }


def load(path: Path, state: State, identity: str) -> bool:
    """Fill ``state`` from ``path`` if it holds this very game, whole; else say so and leave ``state`` alone.

    Raises BridgekitError where a folder stands in the file's place.
    """
    if path.is_dir():
        raise BridgekitError(f"{path} is a folder, and a checkpoint is to be kept there: move it away")
    if not path.exists():
        return False
    try:
        saved = _read(path, identity)
        _same_form(saved, _form(saved, state) | {"identity": identity})
        _check_generators(saved, state)
    except Exception as error:  # a foreign pickle can raise anything; none of it must stop a run
        what = str(error) if isinstance(error, BridgekitError) else f"is damaged ({error!r})"
        warnings.warn(f"{path.name} {what}; starting anew", stacklevel=2)
        return False
    _fill(state, saved)
    return True


def _read(path: Path, identity: str) -> dict[str, Any]:
    """The content of a file that is whole and of this very game."""
    body = read_checked(path)
    if body is None:
        raise BridgekitError("is damaged, or was written by an earlier version")
    saved = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    if saved["identity"] != identity:
        raise BridgekitError("belongs to another game, seed, version or number of threads")
    return saved


def _fill(state: State, saved: Mapping[str, Any]) -> None:
    for name, net in state.nets.items():
        net.load_state_dict(saved["nets"][name])
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(saved["optimisers"][name])
    for kind in ("init", "generators"):
        for generator, its in zip(getattr(state, kind), saved[kind], strict=True):
            generator.set_state(its)
    for name in _PLAIN:
        setattr(state, name, saved["plain"][name])


def _form(saved: Mapping[str, Any], state: State) -> dict[str, Any]:
    """What ``state`` would save with as many moments, rounds and measurements as there are in ``saved``."""
    own, plain = _content(state), saved["plain"]
    for name, optimiser in own["optimisers"].items():
        weights = [p for group in state.optimisers[name].param_groups for p in group["params"]]
        own["optimisers"][name] = optimiser | {
            "state": {
                i: {"step": torch.zeros(()), "exp_avg": weights[i], "exp_avg_sq": weights[i]}
                for i in saved["optimisers"][name]["state"]
            }
        }
    failure = {"phase": "", "round": 0, "player": ""}
    own["plain"] |= {
        "chunk_start": own["generators"] if plain["chunk_start"] else [],
        "failed": [failure if plain["failed"][i] else None for i in range(len(state.seeds))],
    }
    own["plain"] |= {name: dict.fromkeys(plain[name], 0) for name in ("played", "seen")}
    own["plain"] |= {
        name: {key: [Tensor] * len(values) for key, values in plain[name].items()}
        for name in ("history", "losses")
    }
    return own


def _same_form(saved: Any, own: Any, *where: Any) -> None:
    """Raise BridgekitError unless both have the same keys, lengths and types, and tensors the same shapes.

    Nothing must fail half-way through filling, nor rounds later. The type ``Tensor`` stands for any tensor.
    """
    parts: Iterable[Any] = ()
    if own is Tensor:
        right = isinstance(saved, Tensor)
    elif isinstance(own, Tensor):
        right = isinstance(saved, Tensor) and (saved.shape, saved.dtype) == (own.shape, own.dtype)
    elif isinstance(own, Mapping):
        right, parts = isinstance(saved, Mapping) and saved.keys() == own.keys(), own
    elif isinstance(own, list):
        right, parts = isinstance(saved, list) and len(saved) == len(own), range(len(own))
    else:
        right = type(saved) is type(own)
    if not right:
        raise BridgekitError(f"does not fit this game ({'/'.join(map(str, where))})")
    for part in parts:
        _same_form(saved[part], own[part], *where, part)


def _check_generators(saved: Mapping[str, Any], state: State) -> None:
    """Raise RuntimeError where a generator would not take its state."""
    states = [*saved["init"], *saved["generators"], *saved["plain"]["chunk_start"]]
    for generator, its in zip([*state.init, *state.generators * 2], states, strict=False):
        torch.Generator(generator.device).set_state(its)
