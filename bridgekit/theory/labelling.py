r"""GANs, InfoGAN, AAE and VAEs in one notation (paper B, sections 3.1 to
3.5, eqs 1-20 and 24-38).

``y`` is the label: 1 for real (or source), 0 for generated (or target). The
discriminator's logit ``f`` says both conditionals,

.. math:: q_\phi(y=1|x) = \sigma(f(x)), \qquad
   q_\phi^r(y|x) = q_\phi(1-y|x),

so that the reversal :math:`q^r` is a change of ``f``'s sign. Per-sample
terms take ``(..., B)`` and return losses to *minimise* (the paper
maximises), same shape, in nats. Terms in densities take log densities at
the points of a grid and return an integrand there, as
:mod:`bridgekit.theory.divergences` does. The label's prior is uniform.

What is one thing in the paper is one function here. Eq 1 is
:func:`~bridgekit.theory.adversarial.discriminator` on the two domains; eq
7, half of :func:`~bridgekit.theory.adversarial.non_saturating`; eqs 11, 12,
25 and 26 are :func:`posterior_kl`; eq 17 is
:func:`~bridgekit.theory.likelihood.negative_elbo`; both phases of eq 20 are
:func:`~bridgekit.theory.likelihood.negative_log_likelihood`, and the sleep
phase with ``h = y`` is :func:`label_nll`; eq 35 is :func:`infogan` with x
and z exchanged. The first line of eq 19 stands with eq 23 in
:mod:`bridgekit.theory.weighted`: the two differ in the discriminator alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgekit.theory import adversarial, divergences, likelihood


def reverse(f: Tensor) -> Tensor:
    r"""B.5: ``-f``, the logit of :math:`q_\phi^r(y|x) = q_\phi(1-y|x)`
    (below eq 3); any shape."""
    return -f


def label_nll(f: Tensor, y: Tensor) -> Tensor:
    r"""B.4, B.5, B.36, B.50: :math:`-\log q_\phi(y|x)`; eq 5 is this with
    ``reverse(f)`` in place of ``f``, eq 36 with codes for x.

    ``f``, ``y``: ``(..., B)``, y 0 or 1. Nothing is detached: for eq 5 the
    gradient flows through x in ``f``, and D is held fixed by the game. With
    as many real samples as generated ones the mean is eq 4, half of
    :func:`~bridgekit.theory.adversarial.discriminator`.
    """
    return y * adversarial.non_saturating(f) + (
        1 - y
    ) * adversarial.non_saturating(reverse(f))


def domain_confusion(f_source: Tensor, f_target: Tensor) -> Tensor:
    r"""B.2: :math:`-\log(1-D_\phi(x)) - \log D_\phi(x')`, x from the
    source, x' the target.

    It is eq 1 with the reversed discriminator. For a GAN the source is the
    data, on which the generator has no influence, and half of what is left
    is eq 7.
    """
    return adversarial.discriminator(reverse(f_source), reverse(f_target))


def log_prior(log_p_fake: Tensor, log_p_real: Tensor) -> Tensor:
    r"""B.8: the label's two densities mixed.

    .. math:: \log p_{\theta_0}(x)
       = \log\tfrac12\bigl[p_{\theta_0}(x|y{=}0)
       + p_{\theta_0}(x|y{=}1)\bigr]

    It is :math:`p_M` of eqs 26-28 too. Nothing is detached here:
    :func:`posterior_kl` does it.
    """
    return torch.logaddexp(log_p_fake, log_p_real) - math.log(2)


def log_posterior(
    log_likelihood: Tensor,
    log_prior: Tensor,
    log_cell: Tensor | float = 0.0,
) -> Tensor:
    r"""B.9: Bayes' rule on a grid, the logarithm of the normalised
    product, ``(..., n)``.

    .. math:: q^r(x|y) =
       \frac{q^r_{\phi_0}(y|x)\,p_{\theta_0}(x)}
       {\int q^r_{\phi_0}(y|x)\,p_{\theta_0}(x)\,dx}

    ``log_likelihood`` is ``-label_nll(reverse(f), y)``; with ``log
    q_eta(z|x, y)`` added it gives :math:`q^r(x|z,y)` of eq 16. ``log_cell``
    is the logarithm of each point's share of the integral, the grid's step;
    0 for a sum over labels, as in :math:`p_\theta(z,y|x)` of Lemma 2. The
    last axis is normalised.
    """
    joint = log_likelihood + log_prior
    return joint - torch.logsumexp(joint + log_cell, -1, keepdim=True)


def posterior_kl(log_p: Tensor, log_posterior: Tensor) -> Tensor:
    r"""B.11, B.12, B.25, B.26, B.29: integrand of
    :math:`\mathrm{KL}(p_\theta(x|y)\,\|\,q^r(x|y))`.

    The posterior is detached: it belongs to :math:`\Theta_0`, the state
    before the step. With ``log_prior`` in its place this is eqs 25 and 26,
    whose gradient at :math:`\theta_0` is that of the JSD (eq 29). Finite in
    float32 for log densities below 88.
    """
    return divergences.reverse_kl(log_p, log_posterior.detach())


def lemma_1(
    log_p_fake: Tensor,
    log_p_real: Tensor,
    log_posterior_fake: Tensor,
    log_posterior_real: Tensor,
) -> Tensor:
    r"""B.10, B.16, B Lemma 1: integrand of the right side of eq 10, and
    of eq 16 with its posteriors.

    .. math::
       \mathbb E_{p(y)}\bigl[\mathrm{KL}(p_\theta(x|y)\,\|\,q^r(x|y))\bigr]
       - \mathrm{JSD}\bigl(p_\theta(x|y{=}0)\,\|\,p_\theta(x|y{=}1)\bigr)

    At :math:`\theta_0`, where the posteriors were made, its gradient is
    that of eq 5 for any discriminator. Its value is not eq 5's. The
    posteriors are detached; ``log_p_real`` is constant for a GAN and learns
    in ADA.
    """
    fake, real = (
        posterior_kl(log_p_fake, log_posterior_fake),
        posterior_kl(log_p_real, log_posterior_real),
    )
    return 0.5 * (fake + real) - divergences.jensen_shannon(
        log_p_fake, log_p_real
    )


def infogan(f: Tensor, y: Tensor, log_code: Tensor) -> Tensor:
    r"""B.15, B.35: for :math:`\phi`, :math:`-\log
    q_\eta(z|x,y)\,q_\phi(y|x)`.

    For :math:`\theta` and :math:`\eta` it is taken with ``reverse(f)``.
    ``log_code`` is :math:`\log q_\eta(z|x,y{=}0)` of the code that made x.
    Real examples have no code: :math:`q_\eta(z|x,y{=}1)` is a constant,
    left out, so ``log_code`` is not looked at where y = 1. All ``(...,
    B)``; nothing is detached. With x and z exchanged this is the
    adversarial autoencoder (eqs 33-35): y and ``f`` are then of codes, y =
    1 the prior's, and ``log_code`` is the decoder's :math:`\log
    p_\theta(x|z,y{=}0)`.
    """
    return label_nll(f, y) + (1 - y) * likelihood.negative_log_likelihood(
        log_code
    )


def label_divergence(f: Tensor) -> Tensor:
    r"""B.19, B.38: the label's own KL,
    :math:`\mathrm{KL}(q^r_\phi(y|x)\,\|\,p(y))`, the prior uniform, ``(...,
    B)``.

    From 0 where D only guesses to log 2 where it is sure; the same for
    :math:`q_\phi` and its reverse.
    """
    sure, unsure = f.sigmoid(), reverse(f).sigmoid()
    entropy = sure * adversarial.non_saturating(
        f
    ) + unsure * adversarial.non_saturating(reverse(f))
    return math.log(2) - entropy
