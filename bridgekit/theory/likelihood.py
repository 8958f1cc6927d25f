r"""Maximum likelihood and its variational bound (paper A, eqs 1-3, 13, 14).

Terms keep the batch axis (and a leading trials axis where there is one);
event axes are summed inside.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgekit.theory.densities import LOG_2PI, bernoulli_log_prob


def negative_log_likelihood(log_p: Tensor) -> Tensor:
    r"""A.1, A.2, C.17: :math:`-\log p_\theta(x)` for ``x ~ q``; its mean
    is KL[q||p] plus a constant.

    ``log_p``: ``(..., B)`` in nats. Nothing is detached.
    """
    return -log_p


def _sum_event(values: Tensor, event_dims: int) -> Tensor:
    """Sums the last ``event_dims`` axes; with 0 nothing is summed
    (``sum(())`` would sum everything)."""
    return (
        values.sum(tuple(range(-event_dims, 0))) if event_dims else values
    )


def gaussian_nll(
    x: Tensor, mean: Tensor, sigma: float, event_dims: int = 1
) -> Tensor:
    r"""A.13, A.14: the semi-implicit surrogate's, given z.

    .. math:: -\log\tilde p_\theta(x|z)
       = \frac{\|x - G_\theta(z)\|^2}{2\sigma^2}
       + \tfrac d2\log 2\pi\sigma^2

    The observation noise ``sigma`` (in the data's units) sets the balance
    between the two twins of eq 15. ``x``, ``mean``: ``(..., B, event)``;
    the last ``event_dims`` axes are summed (0: every element is a sample);
    the constant is kept so that bounds are comparable across sigma.

    Raises ``ValueError`` where sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, not {sigma}")
    constant = math.log(sigma) + 0.5 * LOG_2PI
    return _sum_event(
        (x - mean).square() / (2 * sigma**2) + constant, event_dims
    )


def bernoulli_nll(x: Tensor, logits: Tensor, event_dims: int = 1) -> Tensor:
    r"""Negative Bernoulli log-likelihood, summed over the last
    ``event_dims`` axes; ``x`` in [0, 1]."""
    return _sum_event(-bernoulli_log_prob(x, logits), event_dims)


def negative_elbo(nll: Tensor, kl: Tensor) -> Tensor:
    r"""A.3, A.3a, B.17, C.5: the ELBO with the prior's term in closed form,
    negated so that it is minimised.

    .. math:: -\mathrm{ELBO} = \mathbb E_{q_\phi(z|x)}[-\log p_\theta(x|z)]
       + \mathrm{KL}[q_\phi(z|x)\|p(z)]

    ``nll`` is one reparametrised sample's :math:`-\log p_\theta(x|z)`,
    ``kl`` the exact KL; both are ``(..., B)``. The printed gradient after
    eq 3 has the wrong sign (see the errata): this is the loss, so its
    gradient is :math:`-\nabla\log p_\theta(x, z)`.
    """
    return nll + kl


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    r"""B.40: the K-sample bound :math:`\log\frac1K\sum_k w_k \le \log
    p(x)`, ``(K, ...) -> (...)``, in nats.

    ``log_weights`` are :math:`\log p(x, z_k) - \log q(z_k|x)`. K = 1 is the
    ELBO; the bound tightens with K (Burda et al. 2016).
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
