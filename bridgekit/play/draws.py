"""What a turn draws: noise, and batches of data that lie on the device."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.theory.densities import Mixture


class Draw(Protocol):
    """Randomness: ``chunk`` draws many rounds at once, ``take`` turns one round's draw into a batch."""

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor: ...

    def take(self, drawn: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Normal:
    """Standard normal noise of ``shape``, batch axis first."""

    shape: tuple[int, ...]

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rounds, *self.shape, generator=generator, device=generator.device)

    def take(self, drawn: Tensor) -> Tensor:
        return drawn


@dataclass(frozen=True)
class NormalByRound:
    """Standard normal noise of ``shape`` on ``device``, made in its round: a hundred rounds of it would not
    fit.

    A chunk is one seed for each round, on the CPU, so that none of them waits for a GPU.
    """

    shape: tuple[int, ...]
    device: torch.device | str = "cpu"

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return torch.randint(2**62, (rounds,), generator=generator, device=generator.device).cpu()

    def take(self, drawn: Tensor) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(int(drawn))
        return torch.randn(self.shape, generator=generator, device=self.device)


@dataclass(frozen=True)
class Uniform:
    """Noise of ``shape``, uniform on [0, 1), batch axis first."""

    shape: tuple[int, ...]

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return torch.rand(rounds, *self.shape, generator=generator, device=generator.device)

    def take(self, drawn: Tensor) -> Tensor:
        return drawn


@dataclass(frozen=True)
class FromMixture:
    """``batch`` fresh samples of a mixture in every round: ``(batch, d)``; BridgekitError for none."""

    mixture: Mixture
    batch: int

    def __post_init__(self) -> None:
        enough(math.inf, self.batch)

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return self.mixture.sample(rounds * self.batch, generator).view(rounds, self.batch, -1)

    def take(self, drawn: Tensor) -> Tensor:
        return drawn


def enough(images: float, batch: int) -> None:
    """Raise BridgekitError where there are fewer images than a batch takes, or where it takes none."""
    if batch < 1:
        raise BridgekitError(f"a batch of {batch} is none: batch is at least 1")
    if images < batch:
        raise BridgekitError(f"a batch of {batch} wants at least as many images; there are {images}")


@dataclass(frozen=True)
class FromTensor:
    """``batch`` rows of a device-resident tensor, drawn with replacement: ``(batch, ...)``.

    Raises BridgekitError where there are fewer rows than that: most of such a batch would be repetitions.
    """

    x: Tensor
    batch: int

    def __post_init__(self) -> None:
        enough(len(self.x), self.batch)

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        return torch.randint(len(self.x), (rounds, self.batch), generator=generator, device=generator.device)

    def take(self, drawn: Tensor) -> Tensor:
        # Only the indices are drawn ahead: a chunk of images would not fit.
        return self.x[drawn]


@dataclass(frozen=True)
class FromParts:
    """``batch`` rows for every trial from its own part of a matrix, with replacement: ``(T, batch, ...)``.

    ``rows`` (N, ...); ``parts`` (T, n) row numbers, one line a trial, in the order of the state's seeds.
    Raises BridgekitError where a part is smaller than a batch, as :class:`FromTensor` does.
    """

    rows: Tensor
    parts: Tensor
    batch: int

    def __post_init__(self) -> None:
        enough(self.parts.shape[1], self.batch)

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        n = self.parts.shape[1]
        return torch.randint(n, (rounds, self.batch), generator=generator, device=generator.device)

    def take(self, drawn: Tensor) -> Tensor:
        return self.rows[self.parts.gather(1, drawn)]

    @property
    def fingerprint(self) -> str:
        """Which rows there are for whom."""
        return hashlib.sha256(self.parts.cpu().numpy().tobytes()).hexdigest()
