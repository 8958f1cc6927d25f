"""The worst case of a statement that is made of everything: descent over a box, from many starts at once.

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
