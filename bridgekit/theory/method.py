r"""From a divergence to a loss in which D is held fixed (paper C, sections
2.4 and 3).

The gradient of a divergence Q of the model p from the data q is a *pair*
(f, g) of functions of the ratio :math:`r = p/q` (eq 11),

.. math:: \nabla_\theta Q = \mathbb E_p[f(r)\,\nabla_\theta\log p]
   - \mathbb E_q[g(r)\,\nabla_\theta\log p],

and a pair is a loss (eq 13). One divergence has many pairs: a constant may
be added to f, and by eq 9 any h(r) to f with h(r) r to g. The *exchanged*
pair is the one with g = 0. A divergence that is written as two expectations
has an *honest* pair, which keeps each of them where it stands.

Functions of r take its logarithm, minus the logit of :math:`D^*`, so that
no ratio is formed before it is wanted; what the equations call f and g are
callables here, and logits are ``logit_fake`` and ``logit_real``. All terms
are ``(..., B)``, in nats, to be minimised. Exponentials of ``log r`` are
finite in float32 for ``|log r| < 88``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

OfRatio = Callable[[Tensor], Tensor]  # log r, (...), to the values, (...)


def moving_optimum(logit: Tensor, score: Tensor) -> Tensor:
    r"""C.7: how the optimal discriminator moves with the model's
    parameters, :math:`-D^*(1-D^*)\,\nabla_\theta\log p_\theta(x)`.

    ``logit`` is that of :math:`D^*`, ``score`` one component of
    :math:`\nabla_\theta\log p_\theta(x)` at the same point.
    """
    return -logit.sigmoid() * (-logit).sigmoid() * score


def _slope(function: OfRatio, log_r: Tensor) -> Tensor:
    """Its derivative, element by element."""
    return torch.func.grad(lambda at: function(at).sum())(log_r)


def written_f(log_r: Tensor, integrand: OfRatio) -> Tensor:
    r"""C.14: the pair's f of a part :math:`\mathbb E_p[a(\log r)]` of a
    divergence: :math:`a + a'`.

    The density moves, and so does the ratio in a: both derivatives count.
    """
    return integrand(log_r) + _slope(integrand, log_r)


def written_g(log_r: Tensor, integrand: OfRatio) -> Tensor:
    r"""C.17: the pair's g of a part :math:`\mathbb E_q[b(\log r)]` of a
    divergence: :math:`-b'`. The data do not move."""
    return -_slope(integrand, log_r)


def exchanged(log_r: Tensor, f: OfRatio, g: OfRatio) -> Tensor:
    r"""C.9, C.18, C.19: the f of the pair with g = 0 that has the same
    gradient, :math:`f(r) - g(r)/r`: the mean over q as one over p."""
    return f(log_r) - (-log_r).exp() * g(log_r)


def jensen_shannon_f(log_r: Tensor) -> Tensor:
    r"""C.8, C.20: :math:`D + \log(1 - D)`, of *twice* the JSD (eq 4's
    convention)."""
    return (-log_r).sigmoid() + F.logsigmoid(log_r)


def jensen_shannon_g(log_r: Tensor) -> Tensor:
    r"""C.8, C.20: :math:`1 - D = r/(1+r)`, of twice the JSD."""
    return log_r.sigmoid()


def gradient(
    logit_fake: Tensor,
    logit_real: Tensor,
    score_fake: Tensor,
    score_real: Tensor,
    f: OfRatio,
    g: OfRatio,
) -> Tensor:
    r"""C.11, C.12: one component of the gradient from one sample x of p and
    one x' of q, :math:`f\,\nabla_\theta\log p_\theta(x) -
    g\,\nabla_\theta\log p_\theta(x')`.

    For models whose density is known. The logits are numbers here.
    """
    of_model = f(-logit_fake.detach()) * score_fake
    return of_model - g(-logit_real.detach()) * score_real


def loss(
    logit_fake: Tensor,
    logit_real: Tensor,
    nll: Tensor,
    f: OfRatio,
    g: OfRatio,
) -> Tensor:
    r"""C.13, C.16, C.21, C.22: the loss whose gradient that is,
    :math:`f - g \log p_\theta(x')`.

    ``logit_fake`` must be computed on undetached samples of the model, with
    D's parameters held fixed; ``nll`` is :math:`-\log p_\theta` at data, or
    its bound from above by the ELBO, which takes :math:`g \ge 0`. Nothing
    goes through ``logit_real``.
    """
    return f(-logit_fake) + g(-logit_real).detach() * nll


def _slope_at(log_r: Tensor, phi: OfRatio) -> Tensor:
    return _slope(phi, log_r.exp())


def _conjugate_at(log_r: Tensor, phi: OfRatio) -> Tensor:
    r = log_r.exp()
    return phi(r) - r * _slope(phi, r)


class Pair(NamedTuple):
    """A divergence's gradient: (f, g) of eq 11, as functions of log r."""

    f: OfRatio
    g: OfRatio

    @classmethod
    def written(
        cls,
        on_model: OfRatio = torch.zeros_like,
        on_data: OfRatio = torch.zeros_like,
    ) -> Pair:
        r"""Of :math:`\mathbb E_p[a(\log r)] + \mathbb E_q[b(\log r)]`."""
        return cls(
            partial(written_f, integrand=on_model),
            partial(written_g, integrand=on_data),
        )

    @classmethod
    def of(cls, phi: OfRatio) -> Pair:
        r"""Of the f-divergence :math:`\mathbb E_q[\varphi(r)]`, with
        :math:`\varphi` a function of r itself: the honest pair of its
        variational form :math:`\mathbb E_p[\varphi'] - \mathbb
        E_q[r\varphi' - \varphi]`.

        That is :math:`f = (r\varphi')'` and :math:`g = r^2\varphi'' \ge
        0`, the one pair whose mean does not feel, to first order, that D
        is not the optimal one.
        """
        return cls.written(
            partial(_slope_at, phi=phi), partial(_conjugate_at, phi=phi)
        )

    @property
    def weighs(self) -> bool:
        """Whether g may depend on the ratio: else nobody need know it at
        data."""
        return self.g not in (torch.zeros_like, torch.ones_like)

    def exchanged(self) -> Pair:
        """The pair of the same divergence with g = 0."""
        return Pair(
            partial(exchanged, f=self.f, g=self.g), torch.zeros_like
        )


def identity(log_r: Tensor) -> Tensor:
    r"""C.15: :math:`\log r = \log\frac{1-D}{D}`, the f of the reverse KL;
    eq 14 has 1 more, whose mean is zero."""
    return log_r


REVERSE_KL = Pair(identity, torch.zeros_like)
FORWARD_KL = Pair(torch.zeros_like, torch.ones_like)
JENSEN_SHANNON = Pair(jensen_shannon_f, jensen_shannon_g)
SYMMETRISED_KL = Pair(identity, torch.ones_like)
