"""Where tensors live, and the generators that all randomness comes from."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError


def device(name: str = "auto") -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; any other name must be usable here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BridgekitError(
            f"device {name!r} cannot be used here ({reason}); try device=cpu, or 'bridgekit doctor'"
        ) from error
    return torch.device(name)


def stream(seed: int, purpose: str, on: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each seed and purpose, so that no two uses share random bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(on).manual_seed(int.from_bytes(digest[:7], "big"))


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ``BridgekitError`` where there is no seed, or one twice: one trial, counted twice."""
    if not len(seeds):
        raise BridgekitError("at least one trial is wanted: no seed was given")
    if len({f"{seed}" for seed in seeds}) < len(seeds):
        raise BridgekitError(f"seeds {list(seeds)} repeat: each trial wants a seed of its own")


def noise(
    seeds: Sequence[int], shape: tuple[int, ...], purpose: str, on: torch.device | str = "cpu"
) -> Tensor:
    """Fixed standard normal noise for probes, ``(T, *shape)``: trial i's depends on its own seed alone.

    Raises ``BridgekitError`` where there is no seed, or one twice.
    """
    check_seeds(seeds)
    return torch.stack([torch.randn(shape, generator=stream(s, purpose, on), device=on) for s in seeds])
