"""The worst case of a statement that is made of everything: its errors, and descent to the largest of them.

What is said of an equation is the largest of its errors, over all cases.
A few random draws can break a "for all"; they cannot establish one, since what breaks it may be rare. Descent
looks for it on purpose. What it finds is an upper bound of the minimum: evidence, and still no proof.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError

RATE = 0.05  # of the first step, in units of the box's sides; it falls to nothing along a cosine


def search(
    objective: Callable[[Tensor], Tensor],
    low: Tensor,
    high: Tensor,
    starts: int,
    steps: int,
    generator: torch.Generator,
    given: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The lowest points that descent finds in a box, and their values: ``(n, d)`` and ``(n,)``.

    ``objective``, ``(n, d) -> (n,)``, is differentiable, and each value depends on its own row alone. ``low``
    and ``high``, ``(d,)``, are the box. One row descends from each point ``given``, ``(m, d)``, moved into
    the box where it lies outside, and one from each of ``starts`` points drawn evenly: n = m + starts. A row
    takes ``steps`` steps of Adam, the sides of the box as units; a step that leaves the box ends on its face.
    Each row keeps the lowest point that it has seen, so that none ends above its start.

    Raises ``BridgekitError`` where a value or its gradient is not finite: nothing could be said of that row.
    """
    side = high - low
    drawn = torch.rand(starts, len(low), generator=generator, dtype=low.dtype)
    unit = drawn if given is None else torch.cat([((given - low) / side).clamp(0, 1), drawn])
    unit.requires_grad_()
    optimizer = torch.optim.Adam([unit], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    best, lowest = unit.detach().clone(), torch.full_like(unit[:, 0], torch.inf).detach()
    for step in range(steps + 1):
        values = objective(low + side * unit)
        (unit.grad,) = torch.autograd.grad(values.sum(), unit)
        _check(values, unit.grad, step)
        better = values.detach() < lowest
        best[better], lowest[better] = unit.detach()[better], values.detach()[better]
        if step < steps:
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                unit.clamp_(0, 1)
    return low + side * best, lowest


def _check(values: Tensor, slopes: Tensor, step: int) -> None:
    """Raise ``BridgekitError`` where a row's value or slope is not finite."""
    known = values.isfinite() & slopes.isfinite().all(-1)
    if not known.all():
        row = int((~known).nonzero()[0])
        raise BridgekitError(
            f"worst_case.search: at step {step} the value or the slope of row {row} is not finite; choose a "
            "smaller box, or an objective that is finite everywhere on it"
        )


def relative(error: Tensor, *parts: Tensor, dim: int | None = None) -> Tensor:
    """The Euclidean length of ``error`` in units of those of ``parts``, added up, along ``dim`` or of all."""
    return error.norm(dim=dim) / sum(part.norm(dim=dim) for part in parts)


def relative_errors(
    ours: Tensor, theirs: Tensor, parameters: list[Tensor], constant: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """The errors of ``ours`` (T,) as ``theirs`` (T,) plus ``constant``: of its value, and of its gradient.

    Both (T,), relative to ``theirs``. Value t depends on row t alone of each of the ``parameters`` (T, ...).
    The constant has no gradient: where it has one, that is an error.
    """
    value = ((ours - constant - theirs) / theirs).abs().detach()
    mine, known = (
        torch.cat([g.flatten(1) for g in torch.autograd.grad(side.sum(), parameters, retain_graph=True)], 1)
        for side in (ours, theirs)
    )
    return value, relative(mine - known, known, dim=1)


def largest(*errors: Tensor | float) -> float:
    """The size of the largest of all these errors, of whatever shapes and signs; NaN where one is NaN.

    What is said of everything is as wrong as its worst case. Raises RuntimeError where there is none.
    """
    return _flat(errors).abs().max().item()


def smallest(*values: Tensor | float) -> float:
    """The smallest of all these numbers, their signs kept; NaN where one is NaN.

    Raises RuntimeError where there is none.
    """
    return _flat(values).min().item()


def _flat(parts: tuple[Tensor | float, ...]) -> Tensor:
    """All numbers on one axis, float64."""
    return torch.cat([torch.as_tensor(part, dtype=torch.float64).cpu().flatten() for part in parts])
