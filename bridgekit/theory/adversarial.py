r"""Adversarial objectives in the logit ``f`` of the discriminator ``D =
sigmoid(f)`` (paper A, eqs 4-7).

Every term takes logits ``(..., B)`` and returns losses to *minimise*, same
shape, in nats. Where the generator learns, ``f`` must be computed on
undetached samples: freezing D is the game's business (it takes the gradient
for the generator's parameters only); detaching ``f`` would leave no
gradient at all.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def discriminator(f_real: Tensor, f_fake: Tensor) -> Tensor:
    r"""A.4, B.1, C.1: for :math:`\beta`, x real, x' fake,
    :math:`-\log\sigma(f(x)) - \log(1 - \sigma(f(x')))`.

    Equals ``softplus(-f_real) + softplus(f_fake)``; 2 log 2 at ``f = 0``.
    Its minimiser is :math:`f^* = \log q - \log p` (eq 6).
    """
    return F.softplus(-f_real) + F.softplus(f_fake)


def saturating(f_fake: Tensor) -> Tensor:
    r"""A.4, C.3, C.10: for :math:`\theta`, :math:`\log(1 - \sigma(f))`; at
    the optimal D it minimises the JSD.

    Its gradient :math:`-\sigma(f)` vanishes where D is sure of a fake.
    """
    return -F.softplus(f_fake)


def non_saturating(f_fake: Tensor) -> Tensor:
    r"""B.7: the usual replacement :math:`-\log\sigma(f)`: same fixed
    point, gradient :math:`-(1-\sigma(f))`.

    At the optimal D its gradient is that of KL[p||q] - 2 JSD (paper B,
    Lemma 1).
    """
    return F.softplus(-f_fake)


def reverse_kl(f_fake: Tensor) -> Tensor:
    r"""A.7, C.16: :math:`-f(x)` for ``x ~ p``; at the optimal D its mean is
    KL[p||q], gradient included.

    The gradient through D's own dependence on :math:`\theta` has zero mean,
    so holding D fixed is exact.
    """
    return -f_fake
