"""Perceptrons with a leading trials axis, plain and spectrally normalised.

Every builder takes explicit ``torch.Generator``s (on the CPU), one per trial, so that trial i starts from the
same weights whether it is trained alone or beside others, on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Generators = Sequence[torch.Generator]


def _uniform(shape: tuple[int, ...], bound: float, generators: Generators) -> nn.Parameter:
    """``(T, *shape)`` uniform on [-bound, bound], each trial from its own generator."""
    draws = [torch.empty(shape).uniform_(-bound, bound, generator=g) for g in generators]
    return nn.Parameter(torch.stack(draws))


def _affine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """``x w + b`` in every trial: ``(T, B, n_in), (T, n_in, n_out), (T, 1, n_out) -> (T, B, n_out)``."""
    if w.shape[-1] == 1:
        # A CPU's BLAS takes five times as long for products with one column, forward and backward.
        return (x * w.mT).sum(-1, keepdim=True) + b
    return torch.baddbmm(b, x, w)


class MLP(nn.Module):
    """T multi-layer perceptrons in one batch: ``(T, B, sizes[0]) -> (T, B, sizes[-1])``, ReLU between.

    One batched matrix product a layer plays all trials at once. Weights start as ``torch.nn.Linear``'s do:
    uniform on +-1/sqrt(fan in).
    """

    def __init__(self, sizes: Sequence[int], generators: Generators):
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
            bound = 1 / math.sqrt(n_in)
            self.weights.append(_uniform((n_in, n_out), bound, generators))
            self.biases.append(_uniform((1, n_out), bound, generators))

    def matrices(self) -> Sequence[Tensor]:
        """Each layer's matrix as it is applied, ``(T, n_in, n_out)``."""
        return self.weights

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.matrices(), self.biases, strict=True)):
            x = _affine(x, w, b)
            if i < last:
                x = F.relu(x, inplace=True)  # nothing else needs what it was
        return x

    def slope(self, x: Tensor) -> Tensor:
        r"""The gradient by x of the sum of a sample's outputs, to be learned from: shaped as ``x``.

        :func:`input_gradient` written out, :math:`W_1M_1W_2\cdots M_{L-1}W_L\mathbf 1` with the ReLUs' masks
        M. Autograd does not know that a ReLU has no second derivative: it would send zeros back through the
        forward pass as well, a third of the matrix products of a gradient penalty.
        """
        weights, hidden = self.matrices(), []
        with torch.no_grad():
            for w, b in zip(weights[:-1], self.biases, strict=False):
                x = F.relu(_affine(x, w, b), inplace=True)
                hidden.append(x)
        slope = weights[-1].sum(-1)[:, None].expand(-1, x.shape[1], -1)
        for w, h in zip(reversed(weights[:-1]), reversed(hidden), strict=True):
            slope = torch.ops.aten.threshold_backward(slope, h, 0.0) @ w.mT  # a ReLU's own backward pass
        return slope


class SpectralMLP(MLP):
    r"""An MLP whose every layer applies :math:`W/\sigma(W)`: each trial's function is 1-Lipschitz.

    Miyato et al. 2018, eqs 8-12: the largest singular value is estimated as :math:`\sigma = u^\top W v`, with
    the vectors u ``(T, n_in, 1)`` and v ``(T, n_out, 1)`` held constant, so that gradients flow through
    :math:`W/\sigma`. The vectors are buffers that only :meth:`iterate` moves, an explicit step before D's
    turn: evaluating the network, or training another through it, changes nothing. They start from 15
    iterations, as :func:`torch.nn.utils.parametrizations.spectral_norm` does; weights start as MLP's.
    """

    def __init__(self, sizes: Sequence[int], generators: Generators):
        super().__init__(sizes, generators)
        for i, w in enumerate(self.weights):
            draws = [torch.empty(w.shape[1], 1).normal_(generator=g) for g in generators]
            self.register_buffer(f"u{i}", torch.stack(draws))
            self.register_buffer(f"v{i}", torch.empty(len(w), w.shape[2], 1))
        for _ in range(15):
            self.iterate()

    @torch.no_grad()
    def iterate(self) -> None:
        """One power iteration in every layer and trial: ``v = W^T u``, ``u = W v``, each normalised."""
        for i, w in enumerate(self.weights):
            u, v = self.get_buffer(f"u{i}"), self.get_buffer(f"v{i}")
            # As (u^T W)^T: for a single column, a CPU's BLAS takes W^T u five times as long.
            v.copy_(F.normalize((u.mT @ w).mT, dim=1))
            u.copy_(F.normalize((v.mT @ w.mT).mT, dim=1))

    def norms(self) -> list[Tensor]:
        """The present estimate of every layer's largest singular value, ``(T, 1, 1)``."""
        pairs = ((self.get_buffer(f"u{i}"), self.get_buffer(f"v{i}")) for i in range(len(self.weights)))
        return [u.mT @ w @ v for w, (u, v) in zip(self.weights, pairs, strict=True)]

    def matrices(self) -> Sequence[Tensor]:
        """``W / sigma(W)`` for every layer."""
        return [w / norm for w, norm in zip(self.weights, self.norms(), strict=True)]


def power_iteration(net: nn.Module) -> None:
    """One power iteration in every spectrally normalised part of ``net``; what has none stays as it is."""
    for module in net.modules():
        if isinstance(module, SpectralMLP):
            module.iterate()
