"""Oracles of bridgekit.theory.wasserstein."""

from __future__ import annotations

import torch
from torch import Tensor

from bridgekit.theory import wasserstein
from oracles.gaussians import EPS, M, S, X, log_normal, mean_eps
from oracles.tools import Function, close, gradient, leaves, same_gradient, tensor


def critic(function: Function) -> None:
    """Equal widths: the best critic is a line of slope 1 towards the data; W_1 is the means' distance."""
    x, h = X[::2], 2 * (X[1] - X[0])
    log_q = log_normal(x, M, S)
    for mu in (-1.0, 2.5):
        log_p = log_normal(x, mu, S)
        for slope, bound in ((1.0, M - mu), (-1.0, mu - M), (0.3, 0.3 * (M - mu))):
            f = (slope * x + 0.7).requires_grad_()
            loss = function(f[:, None].expand(len(x), len(x)), f[None].expand(len(x), len(x)))
            got = h**2 * (log_q.exp()[:, None] * log_p.exp() * loss).sum()
            close(got, tensor(-bound))
            close(gradient(got, f)[0], h * (log_p.exp() - log_q.exp()))


def generator(function: Function) -> None:
    """With the best critic frozen, the mean over p moves as W_1 does."""
    for mean, towards in ((-1.0, 1.0), (2.5, -1.0)):
        (mu,) = leaves(mean)
        got = mean_eps(function(towards * (mu + S * EPS - M)))
        close(got, (mu - M).abs())
        same_gradient(got, (mu - M).abs(), mu)


def interpolate(function: Function) -> None:
    """The ends, and halves and quarters between them, whatever the event's axes."""
    real, fake = leaves([[1.0, -2.0], [0.5, 4.0], [3.0, 1.0]], [[5.0, 2.0], [-1.5, 0.0], [1.0, 1.0]])
    u = tensor([0.0, 1.0, 0.25])
    want = torch.stack([fake[0], real[1], fake[2] + 0.25 * (real[2] - fake[2])])
    close(function(real, fake, u), want)
    same_gradient(function(real, fake, u), want, real, fake)
    close(function(real[:, 0], fake[:, 0], u, 0), want[:, 0])
    close(function(real[..., None], fake[..., None], u, 2), want[..., None])


def _slope(f: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(f.sum(), x, create_graph=True)[0]


def one_centred_penalty(function: Function) -> None:
    """Linear critics: exact, and least at slope 1; quadratic ones through the second backward pass."""
    (x,) = leaves([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.1]])
    for weights in ([3.0, 4.0], [0.3, -0.4], [0.6, 0.8]):
        (a,) = leaves(weights)
        got = function(_slope(x @ a + 2.0, x))
        close(got, (a.norm() - 1).square().expand(3))
        close(gradient(got, a)[0], 6 * (a.norm() - 1) * a / a.norm())
    (matrix,) = leaves([[1.5, 0.2], [0.2, -0.8]])
    got = function(_slope((x * (x @ (matrix + matrix.T))).sum(-1) / 4, x))
    length = (x.detach() @ matrix).norm(dim=-1)  # matrix is symmetric here, its gradient need not be
    close(got, (length - 1).square())
    side = 2 * (length - 1) / length
    slope = x.detach() @ matrix
    want = torch.einsum("n,ni,nj->ij", side, x.detach(), slope)
    close(gradient(got, matrix)[0], (want + want.T).detach() / 2)
    wide = tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.6, 0.8]]])
    close(function(wide, 2), tensor([16.0, 0.0]))
    (flat,) = leaves([[0.0, 0.0]])
    close(function(flat), tensor([1.0]))
    close(gradient(function(flat), flat)[0], tensor([[0.0, 0.0]]))


ORACLES = {
    wasserstein.critic: critic,
    wasserstein.generator: generator,
    wasserstein.interpolate: interpolate,
    wasserstein.one_centred_penalty: one_centred_penalty,
}
