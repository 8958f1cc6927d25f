r"""How steep a discriminator is between a sample and its reconstruction (paper C, Proposition 1).

``logit`` is any differentiable function, ``(..., d) -> (...)``, one number a point.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Logit = Callable[[Tensor], Tensor]


def slope(logit: Logit, x: Tensor) -> Tensor:
    r"""The length of the gradient of :math:`\log\frac{1-D(x)}{D(x)}` in x: (..., d) -> (...)."""
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(logit(x).sum(), x)
    return found.norm(dim=-1)


def promised(f_real: Tensor, f_fake: Tensor, distance: Tensor) -> Tensor:
    r"""C Proposition 1: what the proof promises, from the logits at x and at its reconstruction.

    .. math:: \frac{2\log\frac{1-\epsilon}\epsilon}{\|\hat x-x\|} \quad\text{with}\quad
       2\log\tfrac{1-\epsilon}\epsilon = f(x) - f(\hat x)

    for a discriminator that is as sure of the one as of the other. It is the mean slope between both.
    """
    return (f_real - f_fake) / distance


def steepest(logit: Logit, x: Tensor, other: Tensor, points: int = 65) -> Tensor:
    """The largest slope on the segments from ``x`` to ``other``, both (..., d), at evenly spaced points."""
    shares = torch.linspace(0, 1, points).tolist()
    # One by one: a batch of networks takes no axis more.
    return torch.stack([slope(logit, x + share * (other - x)) for share in shares]).amax(0)
