r"""The f-GAN: variational bounds on f-divergences of data q and model p
(Nowozin et al. 2016, section 2).

.. math:: D_f = \int p\, f(q/p)\,dx
   \;\ge\; \mathbb E_q[T(x)] - \mathbb E_p[f^*(T(x))], \qquad T = g_f(v)

The critic's output v passes through an output activation :math:`g_f` (their
Table 2) into the domain of the convex conjugate :math:`f^*`. The bound is
tight at :math:`T^* = f'(q/p)`; there the generator's term, with the critic
frozen, has the gradient of :math:`D_f`, since the derivative through
:math:`T^*` is zero.

=============  ==========================  ================  ============
divergence     f(u)                        activation        v at optimum
=============  ==========================  ================  ============
KL[q || p]     u log u                     v                 1 + log q/p
KL[p || q]     -log u                      -exp(-v)          log q/p
chi^2[q || p]  (u - 1)^2                   v                 2 (q/p - 1)
Hellinger^2    (sqrt u - 1)^2              1 - exp(-v)       log(q/p) / 2
JSD            [u log u - (u + 1)          [log 2            log q/p
               log((u + 1)/2)] / 2         - softplus(-v)]/2
=============  ==========================  ================  ============

Activation and conjugate are composed in closed form, so that no logarithm
meets a rounded 0. Every term takes critic outputs ``(..., B)`` and returns
losses to *minimise*, same shape; nothing is detached. The critic's mean
loss is minus the bound, and at the optimum minus the divergence of the same
name in :mod:`bridgekit.theory.divergences`. Exponentials are finite in
float32 for ``|v| < 88``: where a critic goes beyond, the trial fails and is
counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def forward_kl_critic(v_real: Tensor, v_fake: Tensor) -> Tensor:
    r"""KL[q || p]: :math:`-v + e^{v' - 1}`, from :math:`T = v` and
    :math:`f^*(T) = e^{T - 1}`."""
    return -v_real - forward_kl_generator(v_fake)


def forward_kl_generator(v_fake: Tensor) -> Tensor:
    r"""KL[q || p]: :math:`-f^*(T) = -e^{v - 1}`, at the optimum minus the
    ratio :math:`q/p`."""
    return -(v_fake - 1).exp()


def reverse_kl_critic(v_real: Tensor, v_fake: Tensor) -> Tensor:
    r"""KL[p || q]: :math:`e^{-v} + v' - 1`, from :math:`T = -e^{-v}`,
    :math:`f^*(T) = -1 - \log(-T)`."""
    return (-v_real).exp() - reverse_kl_generator(v_fake)


def reverse_kl_generator(v_fake: Tensor) -> Tensor:
    r"""KL[p || q]: :math:`-f^*(T) = 1 - v`. Paper A's eq 7 but for the
    constant; only the critic differs."""
    return 1 - v_fake


def pearson_chi2_critic(v_real: Tensor, v_fake: Tensor) -> Tensor:
    r"""chi^2[q || p]: :math:`-v + v'^2/4 + v'`, from :math:`T = v` and
    :math:`f^*(T) = T^2/4 + T`."""
    return -v_real - pearson_chi2_generator(v_fake)


def pearson_chi2_generator(v_fake: Tensor) -> Tensor:
    r"""chi^2[q || p]: :math:`-f^*(T) = -(v^2/4 + v)`, at the optimum
    :math:`1 - (q/p)^2`."""
    return -(v_fake.square() / 4 + v_fake)


def squared_hellinger_critic(v_real: Tensor, v_fake: Tensor) -> Tensor:
    r"""Squared Hellinger: :math:`e^{-v} + e^{v'} - 2`; :math:`T = 1 -
    e^{-v}`, :math:`f^*(T) = T/(1 - T)`."""
    return torch.expm1(-v_real) - squared_hellinger_generator(v_fake)


def squared_hellinger_generator(v_fake: Tensor) -> Tensor:
    r"""Squared Hellinger: :math:`-f^*(T) = 1 - e^v`, at the optimum
    :math:`1 - \sqrt{q/p}`."""
    return -torch.expm1(v_fake)


def jensen_shannon_critic(v_real: Tensor, v_fake: Tensor) -> Tensor:
    r"""JSD: :math:`\tfrac12[\mathrm{softplus}(-v) + \mathrm{softplus}(v')]
    - \log 2`.

    From :math:`T = \tfrac12\log 2\sigma(v)` and :math:`f^*(T) =
    -\tfrac12\log(2 - e^{2T})`. The f of their Table 2 is twice ours and
    bounds 2 JSD; paper A's eq 4 is the same game but for scale and
    constant.
    """
    return (
        F.softplus(-v_real) - math.log(2)
    ) / 2 - jensen_shannon_generator(v_fake)


def jensen_shannon_generator(v_fake: Tensor) -> Tensor:
    r"""JSD: :math:`-f^*(T) = \tfrac12[\log 2 - \mathrm{softplus}(v)]`, the
    saturating loss."""
    return (math.log(2) - F.softplus(v_fake)) / 2


class FDivergence(NamedTuple):
    """The two sides of one f-divergence's game."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


FORWARD_KL = FDivergence(forward_kl_critic, forward_kl_generator)
REVERSE_KL = FDivergence(reverse_kl_critic, reverse_kl_generator)
PEARSON_CHI2 = FDivergence(pearson_chi2_critic, pearson_chi2_generator)
SQUARED_HELLINGER = FDivergence(
    squared_hellinger_critic, squared_hellinger_generator
)
JENSEN_SHANNON = FDivergence(
    jensen_shannon_critic, jensen_shannon_generator
)
