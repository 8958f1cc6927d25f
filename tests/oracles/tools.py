"""Tools of the oracles: values in float64, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Function = Callable[..., Tensor]


def tensor(values: float | Sequence) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def leaves(*values: float | Sequence) -> list[Tensor]:
    return [tensor(v).requires_grad_() for v in values]


def close(got: Tensor, want: Tensor) -> None:
    """Equal to nine digits. (``torch.testing`` takes seconds to import.)"""
    assert isinstance(got, Tensor) and got.shape == want.shape and got.dtype == want.dtype
    error = (got - want).detach().abs()
    assert (error <= 1e-11 + 1e-9 * want.detach().abs()).all(), f"off by up to {error.max():.3g}"


def same_gradient(got: Tensor, want: Tensor, *parameters: Tensor) -> None:
    assert got.requires_grad, "no gradient at all"
    for tried, exact in zip(gradient(got, *parameters), gradient(want, *parameters), strict=True):
        close(tried, exact)


def gradient(value: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    assert value.requires_grad, "no gradient at all"
    return torch.autograd.grad(value.sum(), parameters, retain_graph=True, materialize_grads=True)


def rejects(call: Callable[[], object]) -> bool:
    try:
        call()
    except ValueError:
        return True
    return False
