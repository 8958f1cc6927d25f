"""What makes of a body's outputs a critic, a posterior, or a network that is told a class."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.models.mlp import MLP


def input_gradient(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    r"""The slope :math:`\nabla_x f(x)` of a critic ``f`` at each sample, shaped as ``x``, to be learned from.

    ``x`` ``(..., B, event)`` is taken as a constant; ``f(x)`` is ``(..., B)``. The result keeps its graph
    (``create_graph``), so that a loss of it can be differentiated by the critic's weights. Sample and trial
    have slopes of their own as long as ``f`` treats them apart: a batch-normalised critic does not.
    """
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return slope


class Critic(nn.Module):
    """A network with one output per sample, as a logit (or critic value) of shape ``(..., B)``."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def features(self, x: Tensor) -> Tensor:
        """What a model's observation noise is added to: here the sample itself."""
        return x

    def logit(self, features: Tensor) -> Tensor:
        """The answer to features, with noise or without."""
        return self.body(features).squeeze(-1)

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(self.features(x))

    def slope(self, x: Tensor) -> Tensor:
        """The gradient of each sample's number by the sample, to be learned from: shaped as ``x``."""
        return self.body.slope(x) if isinstance(self.body, MLP) else input_gradient(self, x)


class Alone(nn.Module):
    """A perceptron of one trial, for tensors without a trials axis: ``(B, n) -> (B, out)``."""

    def __init__(self, body: MLP):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[None])[0]


class PairCritic(nn.Module):
    """A critic of pairs (x, z), a logit ``(..., B)``: ``body`` sees z ``(..., B, z)`` behind x.

    Where x is no row, ``reader`` makes one of it (Dumoulin et al. 2017, ALI).
    """

    def __init__(self, body: nn.Module, reader: nn.Module | None = None):
        super().__init__()
        self.body, self.reader = body, reader or nn.Identity()

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.body(torch.cat([self.reader(x), z], -1)).squeeze(-1)


class GaussianEncoder(nn.Module):
    """An encoder ``q(z|x) = N(mu, diag sigma^2)``: ``body``'s 2z outputs as ``(mu, log_sigma)``.

    Raises ``RuntimeError`` where they cannot be halved.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = self.body(x).unflatten(-1, (2, -1)).unbind(-2)
        return mu, log_sigma


class Conditional(nn.Module):
    """A network that is told a class: ``body`` of x with the label's one-hot code appended.

    ``y`` is (B,) int64 below ``classes``. To a code x ``(B, z)`` the one-hot code is appended, to an image
    ``(B, C, H, W)`` one plane per class, all ones for the label and zeros for the others (Mirza and Osindero
    2014; the planes are the usual form for a DCGAN). ``body`` takes ``classes`` features or channels more
    than x has. Raises ``RuntimeError`` for a label out of range.
    """

    def __init__(self, body: nn.Module, classes: int):
        super().__init__()
        self.body, self.classes = body, classes

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        code = F.one_hot(y, self.classes).to(x)
        planes = code.view(*code.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
        return self.body(torch.cat([x, planes], 1))
