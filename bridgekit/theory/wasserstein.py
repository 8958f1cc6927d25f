r"""The Wasserstein game and its gradient penalty (Arjovsky et al. 2017;
Gulrajani et al. 2017, "WGAN-GP").

.. math::
   W_1[p, q] = \max_{\|f\|_L \le 1}\; \mathbb E_q[f(x)] - \mathbb E_p[f(x)]

``f`` is a critic's output, ``(..., B)``, in the units of ``x``. Losses are
to be *minimised*. The penalty serves any adversarial game: RKL-GP is paper
A's eqs 4 and 7 with it. On which points it is evaluated is the game's
business: :func:`interpolate` gives WGAN-GP's.
"""

from __future__ import annotations

import torch
from torch import Tensor


def critic(f_real: Tensor, f_fake: Tensor) -> Tensor:
    """WGAN, eq 2: ``f(x') - f(x)`` for real x, fake x'; its mean at the
    best 1-Lipschitz f is ``-W_1``."""
    return f_fake - f_real


def generator(f_fake: Tensor) -> Tensor:
    """WGAN, Theorem 3: ``-f(x)`` for ``x = G(z)``; at the best critic,
    frozen, its gradient is ``W_1``'s."""
    return -f_fake


def interpolate(
    real: Tensor, fake: Tensor, u: Tensor, event_dims: int = 1
) -> Tensor:
    r"""WGAN-GP, Algorithm 1: :math:`\hat x = u x + (1 - u) \tilde x`,
    between a real and a fake sample.

    ``real``, ``fake``: ``(..., B, event)`` with ``event_dims`` event axes;
    ``u`` ``(..., B)``, uniform on [0, 1], one a pair. The best critic's
    slope is 1 on the lines that optimal transport couples; these pairs are
    random, so the game penalises on more than those.
    """
    u = u[(...,) + (None,) * event_dims]
    return u * real + (1 - u) * fake


def one_centred_penalty(slope: Tensor, event_dims: int = 1) -> Tensor:
    r"""WGAN-GP, eq 3: :math:`(\|\nabla_{\hat x} f(\hat x)\|_2 - 1)^2`,
    without its weight :math:`\lambda`.

    ``slope`` is the critic's gradient at each point, ``(..., B, event)``,
    from :meth:`bridgekit.models.heads.Critic.slope`; the norm takes the
    last ``event_dims`` axes. Nothing is detached: the penalty's gradient
    reaches the critic's weights through the slope. Where a critic is
    exactly flat the penalty is 1 and its gradient 0.
    """
    return (
        torch.linalg.vector_norm(slope, dim=tuple(range(-event_dims, 0)))
        - 1
    ).square()
