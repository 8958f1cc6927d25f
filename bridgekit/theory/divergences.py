r"""Divergences between densities, from log densities alone.

Notation (paper A): ``p`` is the model, ``q`` the data, and ``f = log q -
log p`` the log-ratio that an optimal discriminator gives (eq 6). Every
*integrand* below takes ``log_p`` and ``log_q`` at the same points and
returns the pointwise contribution to the divergence in its non-negative
form: the terms that integrate to zero for normalised densities, such as ``p
- q``, are kept, so that nothing cancels in the tails and no point counts
negative beyond rounding (1e-16 of the densities there). Log densities are
finite tensors that broadcast; the result is in nats per unit of ``x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def log_ratio(log_q: Tensor, log_p: Tensor) -> Tensor:
    """A.6, B.13, C.2: what the optimal discriminator's logit is, ``f*(x) =
    log q(x) - log p(x)``."""
    return log_q - log_p


def forward_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """A.1: integrand of ``KL[q || p] = E_q[log q - log p]``: maximum
    likelihood."""
    p, q = log_p.exp(), log_q.exp()
    return q * (log_q - log_p) - q + p


def reverse_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """A.7, B.14: integrand of ``KL[p || q] = E_p[log p - log q]``:
    adversarial learning."""
    return forward_kl(log_q, log_p)


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """B.14, B.27, B.30, B.32, C.4: integrand of ``JSD = KL[p || m]/2 +
    KL[q || m]/2`` with ``m = (p + q)/2``; at most log 2 nats."""
    f = log_q - log_p
    p, q = log_p.exp(), log_q.exp()
    # log p/m = log 2 - softplus(f) and log q/m = log 2 - softplus(-f): no
    # ratio is ever exponentiated.
    return 0.5 * (
        p * (math.log(2) - F.softplus(f))
        + q * (math.log(2) - F.softplus(-f))
    )


def squared_hellinger(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Integrand of ``H^2 = int (sqrt p - sqrt q)^2``; at most 2, and
    ``D_{1/2} = 2 H^2``."""
    return ((log_p / 2).exp() - (log_q / 2).exp()) ** 2


def pearson_chi2(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Integrand of ``chi^2[q || p] = int (q - p)^2 / p``; infinite where q
    has the heavier tail."""
    return ((log_q - log_p / 2).exp() - (log_p / 2).exp()) ** 2


def _near_zero(log_p: Tensor, log_q: Tensor, alpha: Tensor) -> Tensor:
    """Eq 8's integrand for ``alpha <= 1/2``, exact at ``alpha = 0``.

    With ``u = log p - log q`` it is ``[p - q - q (e^{alpha u} - 1)/alpha] /
    (1 - alpha)``; the quotient goes through expm1 where ``alpha u`` is
    small and is ``u`` itself at 0.
    """
    u = log_p - log_q
    q = log_q.exp()
    a = torch.where(alpha == 0, torch.ones_like(alpha), alpha)
    au = alpha * u
    quotient = (
        torch.where(
            au.abs() < 1,
            q * torch.expm1(au.clamp(-1, 1)),
            (log_q + au).exp() - q,
        )
        / a
    )
    quotient = torch.where(alpha == 0, q * u, quotient)
    return (log_p.exp() - q - quotient) / (1 - alpha)


def alpha(log_p: Tensor, log_q: Tensor, alpha: Tensor | float) -> Tensor:
    r"""A.8: integrand of the alpha-divergence, continuous on the whole of
    [0, 1].

    .. math:: D_\alpha[p\|q] = \frac{1}{\alpha(1-\alpha)}
       \Bigl[1 - \int p^\alpha q^{1-\alpha}\,dx\Bigr]

    ``alpha = 0`` gives forward KL and ``alpha = 1`` reverse KL, exactly and
    with their gradients. ``alpha`` broadcasts against the log densities.
    Uses ``D_alpha[p||q] = D_{1-alpha}[q||p]`` so that neither end loses
    digits.
    """
    a = torch.as_tensor(alpha, dtype=log_p.dtype, device=log_p.device)
    a, log_p, log_q = torch.broadcast_tensors(a, log_p, log_q)
    low = a <= 0.5
    return _near_zero(
        torch.where(low, log_p, log_q),
        torch.where(low, log_q, log_p),
        torch.where(low, a, 1 - a),
    )


def integrate(values: Tensor, x: Tensor) -> Tensor:
    """Quadrature over the last axis on the grid ``x`` (trapezoid rule).

    For smooth integrands that vanish at both ends of an even grid the rule
    converges faster than any power of the spacing, so 2,000 points give
    machine precision for Gaussians.
    """
    return torch.trapezoid(values, x, dim=-1)


def divergence(
    integrand: Callable[[Tensor, Tensor], Tensor],
    log_p: Tensor,
    log_q: Tensor,
    x: Tensor,
) -> Tensor:
    """``D[p || q]`` in nats by quadrature, differentiable in the log
    densities: ``(..., n) -> (...)``."""
    return integrate(integrand(log_p, log_q), x)


def kl_normal(
    mu: Tensor,
    sigma: Tensor,
    m: Tensor | float = 0.0,
    s: Tensor | float = 1.0,
) -> Tensor:
    """``KL[N(mu, sigma^2) || N(m, s^2)]`` in nats, closed form."""
    ratio = sigma / s
    return -torch.log(ratio) + 0.5 * (ratio**2 + ((mu - m) / s) ** 2 - 1)


def alpha_normal(
    mu: Tensor,
    sigma: Tensor,
    alpha: Tensor | float,
    m: Tensor | float = 0.0,
    s: Tensor | float = 1.0,
) -> Tensor:
    r"""A.8: ``D_alpha[N(mu, sigma^2) || N(m, s^2)]`` in nats, closed form
    on [0, 1].

    With :math:`v = \alpha s^2 + (1-\alpha)\sigma^2`,

    .. math:: \log\int p^\alpha q^{1-\alpha} =
       \alpha\log\frac s\sigma - \tfrac12\log\frac v{\sigma^2}
       - \frac{\alpha(1-\alpha)(\mu-m)^2}{2v}

    Every term is of order alpha, so no digits are lost near 0; above 1/2, p
    and q change places as in :func:`alpha`.
    """
    mu, sigma, m, s, a = torch.broadcast_tensors(
        *(
            torch.as_tensor(t, dtype=mu.dtype, device=mu.device)
            for t in (mu, sigma, m, s, alpha)
        )
    )
    low = a <= 0.5
    mu, m = torch.where(low, mu, m), torch.where(low, m, mu)
    sigma, s = torch.where(low, sigma, s), torch.where(low, s, sigma)
    a = torch.where(low, a, 1 - a)
    safe = torch.where(a == 0, torch.full_like(a, 0.5), a)
    excess = safe * ((s / sigma) ** 2 - 1)  # v / sigma^2 - 1
    shift = safe * (1 - safe) * ((mu - m) / sigma) ** 2 / (2 * (1 + excess))
    log_overlap = (
        safe * (s / sigma).log() - 0.5 * torch.log1p(excess) - shift
    )
    value = -torch.expm1(log_overlap) / (safe * (1 - safe))
    return torch.where(a == 0, kl_normal(m, s, mu, sigma), value)
