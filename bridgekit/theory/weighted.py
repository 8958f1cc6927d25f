r"""The two techniques that paper B transfers: importance weights for GANs,
an active adversary for VAEs.

Sections 4.1 and 4.2, eqs 19, 21-23 and 39-50. Both weight samples by the
discriminator's opinion of them, and both weights are detached: they choose
among samples and are not learned through. The k-sample bound of eq 40 is
:func:`bridgekit.theory.likelihood.importance_weighted_bound` of
:func:`log_weight`, the same function that bounds a VAE's likelihood; eq 50
is :func:`bridgekit.theory.labelling.label_nll`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgekit.theory import adversarial, labelling


def log_weight(
    log_likelihood: Tensor, log_prior: Tensor, log_p: Tensor
) -> Tensor:
    r"""B.21, B.39, B.41, B.42: :math:`\log w = \log q^r(y|x) + \log
    p_{\theta_0}(x) - \log p_\theta(x|y)`.

    With ``log p(x|z)``, ``log p(z)`` and ``log q(z|x)`` it is the weight of
    the importance-weighted autoencoder. The mean of ``w`` under p is the
    marginal :math:`q(y)`, whatever p; the mean of ``log w`` is eq 21's
    bound. Nothing is detached: on samples ``x(z, theta)`` the gradient
    flows through x in all three.
    """
    return log_likelihood + log_prior - log_p


def importance_log_weight(f_fake: Tensor) -> Tensor:
    r"""B.22, B.44: :math:`\log\widetilde w_i`, with :math:`w_i =
    q^r(y|x_i)/q(y|x_i) = e^{f(x_i)}`.

    ``f_fake``: ``(..., k)`` logits at generated samples (y = 0, the only
    ones that the generator moves). The weights are their softmax over the
    minibatch, the last axis, and sum to one. At the optimal discriminator
    they are proportional to :math:`p_{data}/p_g`.
    """
    return f_fake.log_softmax(-1)


def class_log_weight(f_fake: Tensor, labels: Tensor) -> Tensor:
    r"""The class-conditional form: :func:`importance_log_weight` within
    each class of the minibatch.

    .. math:: \widetilde w_i = \frac{n_{c_i}}{k}\,
       \frac{e^{f_i}}{\sum_{j:\,c_j=c_i} e^{f_j}}

    A conditional GAN's y stands beside a visible class c, so eq 40 is a
    bound for each class; the classes keep their shares :math:`n_c/k`, and a
    class that fools D more easily gains nothing from it. (The paper does
    not write this form out; the reading is ours.) One class alone gives
    :func:`importance_log_weight`, and k different ones a plain mean.
    ``f_fake``: ``(..., k)``; ``labels`` broadcast against it.
    """
    labels = labels.expand_as(f_fake)
    same = labels.unsqueeze(-1) == labels.unsqueeze(-2)
    within = torch.where(same, f_fake.unsqueeze(-2), -math.inf).logsumexp(
        -1
    )
    return f_fake - within + same.to(f_fake).mean(-1).log()


def importance_weighted(f_fake: Tensor, log_weight: Tensor) -> Tensor:
    r"""B.22, B.47: :math:`-\widetilde w_i\,\log
    q^r_{\phi_0}(y{=}0|x_i)`, to be **summed** over i.

    .. math::
       \nabla_\theta\mathcal L_k
       = \mathbb E\Bigl[\sum_{i=1}^k \widetilde w_i\,
       \nabla_\theta\log q^r_{\phi_0}(y|x(z_i,\theta))\Bigr]

    The weights are detached and sum to one over the minibatch: the game
    takes the sum, not the mean. ``f_fake`` is at undetached samples, as for
    :func:`~bridgekit.theory.adversarial.non_saturating`, which this is for
    k = 1 and for equal weights.
    """
    return log_weight.detach().exp() * adversarial.non_saturating(f_fake)


def adversary_activated(
    f: Tensor, negative_elbo: Tensor, temperature: float = 1.0
) -> Tensor:
    r"""B.23, B.48: :math:`D_T(x)\cdot(-\mathrm{ELBO}(x))`, with
    :math:`D_T = \sigma(f/T)` detached.

    :math:`q^r_\phi(y{=}0|x) = D_\phi(x)` is all of eq 23 that reaches
    :math:`\theta` and :math:`\eta`: what y = 1 contributes is constant. x
    is real or generated, half of each, and the game takes the mean over
    both; generated samples are detached, since x is drawn at
    :math:`\theta_0`. ``f``, ``negative_elbo``: ``(..., B)``. The
    temperature (appendix G.2) softens the weights only, not D's own
    training. With the perfect discriminator, ``f`` infinite at real x and
    minus infinite at generated ones, this is the VAE.

    Raises ``ValueError`` where the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(
            f"the temperature must be positive, not {temperature}"
        )
    return (f / temperature).sigmoid().detach() * negative_elbo


def activated_vae(
    f: Tensor, fake_loss: Tensor, real_loss: Tensor
) -> Tensor:
    r"""B.19, B.23, B.37, B.48: negated, with every term, eq 19's first
    line; ``(..., B)``.

    .. math::
       -\mathbb E_{q_\eta(z|x,y)\,q^r_\phi(y|x)}[\log p_\theta(x|z,y)]
       + \mathrm{KL}\bigl(q_\eta(z|x,y)\,q^r_\phi(y|x)
       \,\|\,p(z|y)\,p(y)\bigr)

    ``fake_loss`` is the negative ELBO of x under y = 0, the model;
    ``real_loss`` that under y = 1, a constant. Both weights and the label's
    own KL are detached. A perfect discriminator's logits must be finite
    here (1,000 will do).
    """
    model = adversary_activated(f, fake_loss)
    constant = adversary_activated(labelling.reverse(f), real_loss)
    return model + constant + labelling.label_divergence(f.detach())
