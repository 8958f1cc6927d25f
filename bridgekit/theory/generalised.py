r"""The two generalisations of the alpha-Bridge (paper A, section 3.3, the
two displays below eq 16).

Each adds an encoder's divergence to the generator's, and each line is a
twin of :mod:`bridgekit.theory.alpha` with gamma's share: lines 1 and 3 are
the forward and the reverse twin of theta, lines 2 and 4 those of phi. The
first display bridges both marginals, with :math:`f(x) = \log q(x) - \log
p_\theta(x)` and :math:`g(z) = \log p(z) - \log q_\phi(z)`; the second both
joints, with one :math:`h(x, z) = \log q_\phi(x, z) - \log p_\theta(x, z)`.

The second is exact for every theta and phi. In the first, lines 1 and 2
each need the other player's posterior, and no phi is both (see the errata).
What is held fixed: every weight; the other player's network wherever a
sample is drawn with it (the boxes on phi and theta); every discriminator.
"""

from __future__ import annotations

from torch import Tensor

from bridgekit.theory import alpha as twins


def bridge(
    log_p: Tensor,
    f_data: Tensor,
    f_made: Tensor,
    alpha: Tensor | float,
    gamma: Tensor | float,
    clip: float = float("inf"),
) -> Tensor:
    r"""A.16, A.16a, A.16b: one player's two lines, whose gradient is
    that of its :math:`\mathcal D_\alpha`.

    .. math:: \frac{1-\gamma_\alpha}{1-\alpha}
       \bigl[e^{-\alpha f}\bigr]_{\text{detached}}(-\log p)
       - \gamma_\alpha\bigl[e^{(1-\alpha)f'}\bigr]_{\text{detached}}f'

    Of theta: ``log_p`` is :math:`\log p_\theta(x|z)`, at data x with a code
    z that phi drew; ``f_data`` is f(x), in the second display h(x, z), and
    ``f_made`` the same at what theta made. Of phi in the first display:
    ``log_p`` is :math:`\log q_\phi(z|x)`, at a code z of the prior with the
    x that theta made of it; ``f_data`` is g(z), and ``f_made`` is g at a
    code that phi made of data. All are ``(..., B)``; ``clip`` bounds |f|
    in the weights only. ``alpha < 1``, as for the forward twin.
    """
    forward = twins.forward_twin(log_p, f_data, alpha, clip)
    reverse = twins.reverse_twin(f_made, alpha, clip)
    return twins.twin_combination(forward, reverse, gamma)


def joint_encoder(
    log_q: Tensor,
    h_model: Tensor,
    h_data: Tensor,
    alpha: Tensor | float,
    gamma: Tensor | float,
    clip: float = float("inf"),
) -> Tensor:
    r"""A.16b: lines 2 and 4, phi's; its gradient is that of
    :math:`\mathcal D_\alpha[q_\phi(x, z)\|p_\theta(x, z)]`.

    .. math:: \frac{1-\gamma_\alpha}{1-\alpha}
       \bigl[e^{\alpha h}\bigr]_{\text{detached}}(-\log q_\phi(z|x))
       + \gamma_\alpha
       \bigl[e^{-(1-\alpha)h'}\bigr]_{\text{detached}}h'

    For phi the joint of theta is the data, so h changes its sign in
    :func:`bridge`. ``log_q`` and ``h_model`` are at (x, z) that theta made,
    ``h_data`` is h' at data x with a code z that phi made of it.
    """
    return bridge(log_q, -h_model, -h_data, alpha, gamma, clip)
