"""The papers' networks. Plane networks carry a leading trials axis; image networks play one trial each.

Every builder takes explicit ``torch.Generator``s (on the CPU), one per trial, so that trial i starts from the
same weights whether it is trained alone or beside others, on any device.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

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
    """T multi-layer perceptrons side by side: ``(T, B, sizes[0]) -> (T, B, sizes[-1])``, ReLU between.

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
    turn: looking at the network, or training another through it, changes nothing. They start from 15
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

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).squeeze(-1)

    def slope(self, x: Tensor) -> Tensor:
        """The gradient of each sample's number by the sample, to be learned from: shaped as ``x``."""
        return self.body.slope(x) if isinstance(self.body, MLP) else input_gradient(self, x)


class GaussianEncoder(nn.Module):
    """An inference arm ``q(z|x) = N(mu, diag sigma^2)``: ``body``'s 2z outputs as ``(mu, log_sigma)``.

    Raises ``RuntimeError`` where they cannot be halved.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = self.body(x).unflatten(-1, (2, -1)).unbind(-2)
        return mu, log_sigma


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose running averages move only while ``tracking`` is set.

    Training always uses the batch's own statistics; the loop sets ``tracking`` for the owner's turn alone, so
    neither another player's turn nor a probe touches a buffer.
    """

    tracking = True

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.tracking:
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return super().forward(x)


@contextlib.contextmanager
def untracked(*nets: nn.Module) -> Iterator[None]:
    """Inside, batch normalisation in ``nets`` leaves its running averages as they are."""
    norms = [module for net in nets for module in net.modules() if isinstance(module, BatchNorm)]
    before = [norm.tracking for norm in norms]
    for norm in norms:
        norm.tracking = False
    try:
        yield
    finally:
        for norm, tracking in zip(norms, before, strict=True):
            norm.tracking = tracking


def _stages(size: int) -> tuple[int, int]:
    """(stride-2 stages, smallest side) of a DCGAN for ``size`` squared images: 28 -> (2, 7), 32 -> (3, 4)."""
    stages, side = 0, size
    while side % 2 == 0 and side > 4:
        stages, side = stages + 1, side // 2
    if stages < 2 or side > 8:
        raise ValueError(
            f"a DCGAN halves the image at least twice, to 8 pixels or fewer: 28, 32 or 64, but not {size}"
        )
    return stages, side


def _dcgan_init(net: nn.Module, generators: Generators) -> None:
    """Radford et al. 2016: weights N(0, 0.02), batch-norm gains N(1, 0.02), biases 0."""
    (generator,) = generators  # an image network plays one trial
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.weight.data.normal_(0, 0.02, generator=generator)
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, BatchNorm):
            module.weight.data.normal_(1, 0.02, generator=generator)


class DCGANGenerator(nn.Module):
    """``(B, z) -> (B, channels, size, size)`` in [-1, 1] (Radford et al. 2016), for 28x28, 32x32, 64x64.

    With ``logits`` the last layer has no tanh, and a pixel's number is the logit of its being 1.
    """

    def __init__(
        self,
        generators: Generators,
        z: int = 100,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        logits: bool = False,
    ):
        super().__init__()
        stages, self.side = _stages(size)
        widths = [width * 2 ** (stages - 1 - i) for i in range(stages)]
        self.first = nn.Linear(z, widths[0] * self.side**2, bias=False)
        layers: list[nn.Module] = [BatchNorm(widths[0]), nn.ReLU()]
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False), BatchNorm(n_out), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), *([] if logits else [nn.Tanh()])]
        self.rest = nn.Sequential(*layers)
        _dcgan_init(self, generators)

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z)
        return self.rest(x.view(len(x), -1, self.side, self.side))


class DCGANBody(nn.Module):
    """The mirror of :class:`DCGANGenerator`: ``(B, channels, size, size) -> (B, outputs)``.

    With one output it is the discriminator's body, with 2z outputs the inference arm's.
    """

    def __init__(
        self, generators: Generators, outputs: int = 1, width: int = 64, channels: int = 1, size: int = 28
    ):
        super().__init__()
        stages, side = _stages(size)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, stages):
            n_in, n_out = width * 2 ** (i - 1), width * 2**i
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), BatchNorm(n_out), nn.LeakyReLU(0.2)]
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Linear(width * 2 ** (stages - 1) * side**2, outputs)
        _dcgan_init(self, generators)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.convolutions(x).flatten(1))


class Conditional(nn.Module):
    """A network that is told a class: ``body`` of x and the label's one-hot code side by side.

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
