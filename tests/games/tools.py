"""What the papers' compositions are made of: formulas in torch's own functions, kinds of draws, shapes.

Nothing here comes from the library: a first mistake there must not be made here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

Kind = Callable[[Tensor], None]


# --- formulas -------------------------------------------------------------------------------------------


def flat(values: Tensor, like: Tensor) -> Tensor:
    """All event axes as one, behind ``like``'s axes (..., B)."""
    return values.reshape(*like.shape, -1)


def kl_normal(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL[N(mu, sigma^2) || N(0, 1)] in closed form, summed over the last axis."""
    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(-1)


def log_normal(x: Tensor, mu: Tensor | float, sigma: Tensor | float) -> Tensor:
    """log N(x; mu, sigma^2), element by element."""
    sigma = torch.as_tensor(sigma, dtype=x.dtype)
    return -0.5 * ((x - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of bits with these logits, summed over the last axis."""
    return (x * logits - F.softplus(logits)).sum(-1)


def fool(f: Tensor) -> Tensor:
    """-log D, D = sigmoid(f)."""
    return F.softplus(-f)


def tell(f_real: Tensor, f_fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(x')): eq 4 of paper A, twice eq 1 of paper B."""
    return F.softplus(-f_real) + F.softplus(f_fake)


def bound(nets: SimpleNamespace, x: Tensor, eps: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """-log N(x; G(z), sigma^2) at one z of q(z|x), and KL[q(z|x) || N(0, 1)]: (..., B) both."""
    mu, log_sigma = nets.E(x)
    made = nets.G(mu + torch.exp(log_sigma) * eps)
    kl = kl_normal(mu, log_sigma)
    return -flat(log_normal(x, made, sigma), kl).sum(-1), kl


def penalty(D: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """Gulrajani et al. 2017, eq 3: (|slope| - 1)^2 at u x + (1 - u) x', slopes by autograd."""
    u = u.reshape(*u.shape, *[1] * (real.dim() - u.dim()))
    points = (u * real + (1 - u) * fake).detach().requires_grad_()
    f = D(points)
    (slope,) = torch.autograd.grad(f.sum(), points, create_graph=True)
    return (torch.linalg.vector_norm(flat(slope, f), dim=-1) - 1) ** 2  # a flat critic's gradient is 0


def power_iterations(*names: str) -> Callable[[SimpleNamespace], None]:
    """Miyato et al. 2018, Algorithm 1: v = W^T u / |.|, u = W v / |.|, in each layer of these networks."""

    def before(nets: SimpleNamespace) -> None:
        for name in names:
            state = dict(getattr(nets, name).named_buffers())
            matrices = [p for n, p in getattr(nets, name).named_parameters() if "weights" in n]
            prefix = next(iter(state)).rpartition("u0")[0]
            for i, w in enumerate(matrices):
                u, v = state[f"{prefix}u{i}"], state[f"{prefix}v{i}"]
                v.copy_(torch.einsum("tij,tik->tjk", w, u))
                v.div_(v.square().sum(1, keepdim=True).sqrt())
                u.copy_(torch.einsum("tij,tjk->tik", w, v))
                u.div_(u.square().sum(1, keepdim=True).sqrt())

    return before


# --- kinds of draws: values are (rounds, T, B, ...) -------------------------------------------------------


def _moments(values: Tensor, wanted: Sequence[float], what: str) -> None:
    """Mean of the powers 1, 2, ... within five standard errors."""
    values = values.double().flatten()
    for power, want in enumerate(wanted, 1):
        raised = values**power
        error = float(raised.std() / math.sqrt(len(raised)))
        assert abs(float(raised.mean()) - want) < 5 * error, f"{what}: moment {power}"


def normal(*shape: int) -> Kind:
    """Standard normals of ``shape``, batch axis first."""

    def kind(values: Tensor) -> None:
        assert values.shape[2:] == shape
        _moments(values, (0.0, 1.0, 0.0, 3.0), "normal")

    return kind


def uniform(*shape: int) -> Kind:
    """Uniform on [0, 1)."""

    def kind(values: Tensor) -> None:
        assert values.shape[2:] == shape and values.min() >= 0 and values.max() < 1
        _moments(values, (1 / 2, 1 / 3, 1 / 4, 1 / 5), "uniform")

    return kind


def rows(x: Tensor, batch: int) -> Kind:
    """Rows of x, each as often as any other."""

    def kind(values: Tensor) -> None:
        assert values.shape[2:] == (batch, *x.shape[1:])
        _even(values.flatten(0, 2).flatten(1), x.flatten(1))

    return kind


def rows_of_parts(x: Tensor, parts: Tensor, batch: int) -> Kind:
    """Rows of x: in trial i those that ``parts[i]`` names."""

    def kind(values: Tensor) -> None:
        assert values.shape[1:] == (len(parts), batch, *x.shape[1:])
        for i, part in enumerate(parts):
            _even(values[:, i].flatten(0, 1), x[part])

    return kind


def indices(n: int, batch: int) -> Kind:
    """Row numbers below n."""

    def kind(values: Tensor) -> None:
        assert values.shape[2:] == (batch,) and not values.is_floating_point()
        _even(values.flatten()[:, None], torch.arange(n)[:, None])

    return kind


def _even(found: Tensor, x: Tensor) -> None:
    """Each of ``found`` is a row of x, and the rows of x come equally often. Rows of x differ."""
    hits = (found[:, None].double() == x[None].double()).all(-1)
    assert hits.any(1).all(), "something that is no row"
    share, counts = hits.double().mean(), hits.sum(0).double()
    deviation = math.sqrt(len(found) * float(share) * (1 - float(share)))
    repeated = (x[:, None] == x[None]).all(-1).sum(1)  # equal rows are counted together
    assert ((counts - len(found) / len(x) * repeated).abs() < 5 * deviation * repeated).all(), "uneven rows"


def mixture(means: Tensor, sigma: float, batch: int) -> Kind:
    """Samples of an even mixture of Gaussians that lie far apart."""

    def kind(values: Tensor) -> None:
        assert values.shape[2:] == (batch, means.shape[1])
        x = values.flatten(0, 2).double()
        which = torch.cdist(x, means.double()).argmin(1)
        _moments((x - means[which]) / sigma, (0.0, 1.0, 0.0, 3.0), "around the means")
        _even(which[:, None], torch.arange(len(means))[:, None])

    return kind


# --- shapes of a trial's parameters -----------------------------------------------------------------------


def mlp(*sizes: int) -> list[tuple[int, ...]]:
    """A matrix and a row of biases for each layer."""
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    return [*pairs, *((1, n) for _, n in pairs)]


def _stages(size: int) -> tuple[int, int]:
    """Stride-2 convolutions between ``size`` and 4 pixels a side, or 7."""
    side, stages = size, 0
    while side > 4 and side % 2 == 0:
        side, stages = side // 2, stages + 1
    return stages, side


def dcgan_generator(z: int, width: int, channels: int, size: int) -> list[tuple[int, ...]]:
    """Radford et al. 2016: widths halve to ``width``, sides double; batch norm behind all but the last."""
    stages, side = _stages(size)
    widths = [width * 2**i for i in reversed(range(stages))]
    found = [(widths[0] * side * side, z), *[(w,) for w in widths for _ in "wb"]]
    found += [(a, b, 4, 4) for a, b in zip(widths, widths[1:], strict=False)]
    return [*found, (widths[-1], channels, 4, 4), (channels,)]


def dcgan_body(outputs: int, width: int, channels: int, size: int) -> list[tuple[int, ...]]:
    """Its mirror: batch norm behind all but the first convolution, which has a bias; one linear layer."""
    stages, side = _stages(size)
    widths = [width * 2**i for i in range(stages)]
    found = [(width, channels, 4, 4), (width,), *[(w,) for w in widths[1:] for _ in "wb"]]
    found += [(b, a, 4, 4) for a, b in zip(widths, widths[1:], strict=False)]
    return [*found, (outputs, widths[-1] * side * side), (outputs,)]
