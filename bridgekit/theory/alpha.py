r"""The alpha-Bridge's twin gradients and their combination (paper A, eqs
8-16).

The forward twin (eq 10) is a score-function estimator: a weight times the
gradient of log p, at data. The reverse twin (eq 11) is a pathwise
estimator: its gradient flows through the model's own samples.

These are *surrogate losses*: their gradient is the paper's; their value is
not the divergence. The weights :math:`e^{-\alpha f}` and
:math:`e^{(1-\alpha)f}` are always detached: differentiating them gives
another, wrong gradient. All terms are ``(..., B)``; ``alpha`` and ``gamma``
are numbers or 0-dim tensors (a schedule's device scalars) or broadcast
against the terms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sigmoid_gamma(
    alpha: Tensor, c: float = 20.0, d: float = -10.0
) -> Tensor:
    r"""A footnote 1: from 0 at ``alpha = 0`` to 1 at ``alpha = 1``.

    .. math:: \gamma_\alpha
       = \frac{\sigma(c\alpha+d)-\sigma(d)}{\sigma(c+d)-\sigma(d)}

    (c, d) are not printed in the paper; (20, -10) is ours. Raises
    ``ValueError`` where the formula is 0/0: c = 0, or both ends on the same
    flat side of the sigmoid.
    """
    low, high = (
        alpha.new_tensor(d).sigmoid(),
        alpha.new_tensor(c + d).sigmoid(),
    )
    if low == high:
        raise ValueError(
            f"gamma is flat for (c, d) = ({c}, {d}); "
            "linear_gamma gives a straight line"
        )
    return (torch.sigmoid(c * alpha + d) - low) / (high - low)


def linear_gamma(alpha: Tensor) -> Tensor:
    r""":math:`\gamma_\alpha = \alpha`, the simplest choice that meets eq
    12's two conditions."""
    return alpha


def cosine_gamma(alpha: Tensor) -> Tensor:
    r""":math:`\gamma_\alpha = \tfrac12(1 - \cos\pi\alpha)`: smooth, flat at
    both ends, without parameters."""
    return (1 - torch.cos(math.pi * alpha)) / 2


def forward_log_weight(
    f: Tensor, alpha: Tensor | float, clip: float = float("inf")
) -> Tensor:
    r"""Logarithm of eq 10's weight :math:`e^{-\alpha f(x)}` for ``x ~ q``,
    without :math:`1/(1-\alpha)`.

    ``clip`` bounds ``|f|``, hence the weight by ``e^{alpha clip}``; without
    it the weight is unbounded where D is sure. How few samples carry it,
    :func:`bridgekit.measure.evidence.effective_sample_size` says.
    """
    return -alpha * f.clamp(-clip, clip)


def reverse_log_weight(
    f: Tensor, alpha: Tensor | float, clip: float = float("inf")
) -> Tensor:
    r"""Logarithm of eq 11's weight :math:`e^{(1-\alpha) f(x)}` for ``x ~
    p``; ``clip`` as above."""
    return (1 - alpha) * f.clamp(-clip, clip)


def forward_twin(
    log_p: Tensor,
    f: Tensor,
    alpha: Tensor | float,
    clip: float = float("inf"),
) -> Tensor:
    r"""A.10: for ``x ~ q``, the surrogate whose gradient is
    :math:`\nabla D^F_\alpha`.

    .. math:: -\frac{1}{1-\alpha}\,
       \bigl[e^{-\alpha f(x)}\bigr]_{\text{detached}}\,\log p_\theta(x)

    ``log_p`` carries the gradient; ``f`` is the log-ratio at the same
    points (eq 6, true or estimated), and is only a weight; ``clip`` bounds
    ``|f|`` in it, as in :func:`forward_log_weight`. ``alpha < 1``: at 1
    step III drops this term by definition.
    """
    weight = forward_log_weight(f, alpha, clip).exp().detach() / (1 - alpha)
    return -weight * log_p


def reverse_twin(
    f: Tensor, alpha: Tensor | float, clip: float = float("inf")
) -> Tensor:
    r"""A.11: for ``x = G(z)``, the surrogate whose gradient is
    :math:`\nabla D^R_\alpha`.

    .. math:: -\bigl[e^{(1-\alpha) f(x)}\bigr]_{\text{detached}}\,f(x)

    The gradient flows through ``x`` alone: ``f`` is a frozen
    discriminator's logit at an undetached sample (or an exact log-ratio
    whose own dependence on the parameters is detached). ``clip`` bounds
    ``|f|`` in the weight only, as in :func:`reverse_log_weight`. ``alpha =
    1`` is :func:`bridgekit.theory.adversarial.reverse_kl`.
    """
    weight = reverse_log_weight(f, alpha, clip).exp().detach()
    return -weight * f


def twin_combination(
    forward: Tensor, reverse: Tensor, gamma: Tensor | float
) -> Tensor:
    r"""A.12, A.15, A.16: :math:`(1-\gamma_\alpha)\nabla D^F_\alpha +
    \gamma_\alpha\nabla D^R_\alpha`.

    Unbiased for every ``gamma`` when both twins are. With
    ``forward_twin(log p~(x, z), f(x))`` and ``reverse_twin(f(G(z)))`` this
    is eq 15, and its autograd form with stop-gradients is eq 16: one
    function.
    """
    return (1 - gamma) * forward + gamma * reverse


def semi_implicit_sample(mean: Tensor, sigma: float, eps: Tensor) -> Tensor:
    r"""A.13: a draw of :math:`\tilde p_\theta`, ``x = G(z) + sigma *
    eps``, shaped as ``mean``."""
    return mean + sigma * eps
