r"""Oracles of the twins: exact moments between Gaussians (paper A, Figure 2), which weights win, eq 15.

In the Gaussian case the model is :math:`p = N(\mu, \sigma^2)`, the data :math:`q = N(0, 1)`, the parameters
:math:`\theta = (\mu, \sigma)` and :math:`L = \log p - \log q`. The one-sample estimators are what autograd
makes of the surrogates in :mod:`bridgekit.theory.alpha`; nothing is derived a second time. Their results
stack the two parameters on a leading axis of size 2: row 0 is d/dmu, row 1 is d/dsigma. Use float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bridgekit.measure import finite, worst_case
from bridgekit.theory.alpha import forward_twin, reverse_twin
from bridgekit.theory.densities import normal_log_prob
from bridgekit.theory.divergences import integrate, log_ratio

# A quadrature grid's half width in standard deviations of its integrand's Gaussian factor, and its points: at
# a quarter of a standard deviation the trapezoid rule is exact to float64 for the polynomials here.
HALF_WIDTH, POINTS = 12.0, 97


def _leaves(*tensors: Tensor) -> list[Tensor]:
    """Copies that are leaves: the gradient of a sum then holds each element's own derivative."""
    return [t.detach().clone().requires_grad_() for t in tensors]


# This and the next are 76 columns wide: a chapter shows them.
def forward_estimate(
    x: Tensor,
    mu: Tensor,
    sigma: Tensor,
    alpha: Tensor,
) -> Tensor:
    r"""A Figure 2: eq 10 from one sample ``x ~ q``, autograd of :func:`forward_twin`.

    .. math:: -\tfrac{1}{1-\alpha}\, e^{\alpha L(x)}\,\nabla_\theta\log p_\theta(x)

    The arguments broadcast to a common shape; the result is ``(2, *shape)`` and detached. ``alpha < 1``.
    """
    x, mu, sigma, alpha = torch.broadcast_tensors(x, mu, sigma, alpha)
    mu, sigma = _leaves(mu, sigma)
    log_p = normal_log_prob(x, mu, sigma.log())
    f = log_ratio(normal_log_prob(x, 0.0, 0.0), log_p)
    surrogate = forward_twin(log_p, f, alpha).sum()
    return torch.stack(torch.autograd.grad(surrogate, (mu, sigma)))


def reverse_estimate(
    eps: Tensor,
    mu: Tensor,
    sigma: Tensor,
    alpha: Tensor,
) -> Tensor:
    r"""A Figure 2: eq 11 from one ``eps ~ N(0, 1)``, ``x = mu + sigma * eps``, autograd of ``reverse_twin``.

    .. math:: \nabla_\theta(\mu+\sigma\epsilon)\; e^{-(1-\alpha)L(x)}\;\partial_x L(x)

    The log-ratio is a frozen function of ``x``, as a discriminator would be: its own dependence on the
    parameters is detached. Shapes as in :func:`forward_estimate`; ``alpha`` may be 1.
    """
    eps, mu, sigma, alpha = torch.broadcast_tensors(eps, mu, sigma, alpha)
    frozen_mu, frozen_log_sigma = mu.detach(), sigma.detach().log()
    mu, sigma = _leaves(mu, sigma)
    x = mu + sigma * eps
    log_p = normal_log_prob(x, frozen_mu, frozen_log_sigma)
    f = log_ratio(normal_log_prob(x, 0.0, 0.0), log_p)
    surrogate = reverse_twin(f, alpha).sum()
    return torch.stack(torch.autograd.grad(surrogate, (mu, sigma)))


def overlap_precision(sigma: Tensor, power: Tensor) -> Tensor:
    r"""The precision of the Gaussian :math:`p^k q^{1-k}`, ``k = power``: :math:`k/\sigma^2 + 1 - k`.

    Where it is not positive, :math:`\int p^k q^{1-k}` and every second moment under it is infinite.
    """
    return power / sigma**2 + 1 - power


def forward_border(sigma: Tensor) -> Tensor:
    r"""From this ``alpha`` on the forward twin's variance is infinite.

    .. math:: \frac{\sigma^2}{2(\sigma^2-1)} \quad\text{for}\quad \sigma^2 > 2

    That is where :func:`overlap_precision` at ``2 alpha`` is zero. For narrower models the variance is finite
    for every ``alpha < 1``: the border is 1.
    """
    return torch.where(sigma**2 > 2, sigma**2 / (2 * (sigma**2 - 1)), torch.ones_like(sigma))


def reverse_border(sigma: Tensor) -> Tensor:
    r"""Up to this ``alpha`` the reverse twin's variance is infinite.

    .. math:: \frac{1-2\sigma^2}{2(1-\sigma^2)} \quad\text{for}\quad \sigma^2 < \tfrac12

    That is where :func:`overlap_precision` at ``2 alpha - 1`` is zero. For wider models the variance is
    finite for every ``alpha > 0``: the border is 0.
    """
    return torch.where(sigma**2 < 0.5, (1 - 2 * sigma**2) / (2 * (1 - sigma**2)), torch.zeros_like(sigma))


def overlap_grid(mu: Tensor, sigma: Tensor, power: Tensor) -> Tensor:
    """Quadrature points ``(..., POINTS)``, centred and scaled on ``p^k q^(1-k)``, so that no tail is cut off.

    Where that is no Gaussian (its precision is not positive) the points are those of unit precision.
    """
    precision = overlap_precision(sigma, power)
    precision = torch.where(precision > 0, precision, torch.ones_like(precision))
    t = torch.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS, dtype=precision.dtype, device=precision.device)
    return (power * mu / sigma**2 / precision).unsqueeze(-1) + precision.rsqrt().unsqueeze(-1) * t


def _second_moment(score: Callable[[Tensor], Tensor], mu: Tensor, sigma: Tensor, power: Tensor) -> Tensor:
    """The integral of ``p^k q^(1-k) score(x)^2``, in log space; infinite where it diverges."""
    x = overlap_grid(mu, sigma, power)
    k, m, s = (t.unsqueeze(-1) for t in (power, mu, sigma))
    log_weight = k * normal_log_prob(x, m, s.log()) + (1 - k) * normal_log_prob(x, 0.0, 0.0)
    total = integrate(log_weight.exp() * score(x).square(), x)
    return torch.where(overlap_precision(sigma, power) > 0, total, torch.full_like(total, torch.inf))


def forward_moments(mu: Tensor, sigma: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean and variance of :func:`forward_estimate` for ``x ~ q`` by quadrature, each ``(2, *shape)``.

    The mean integrates the estimator itself. The second moment is that of the bare score (the estimator at
    ``alpha = 0``) under :math:`p^{2\alpha}q^{1-2\alpha}/(1-\alpha)^2`, since squared weights overflow in the
    tails; the variance is infinite where that integral is, or beyond float64's range. A variance far below
    the squared mean loses digits: its relative error is about ``1e-15 * mean**2 / variance``. ``alpha`` is in
    [0, 1).
    """
    mu, sigma, alpha = torch.broadcast_tensors(mu, sigma, alpha)
    m, s, a = (t.unsqueeze(-1) for t in (mu, sigma, alpha))
    x = overlap_grid(mu, sigma, alpha)
    mean = integrate(normal_log_prob(x, 0.0, 0.0).exp() * forward_estimate(x, m, s, a), x)
    second = _second_moment(lambda x: forward_estimate(x, m, s, torch.zeros_like(a)), mu, sigma, 2 * alpha)
    return mean, second / (1 - alpha) ** 2 - mean.square()


def reverse_moments(mu: Tensor, sigma: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean and variance of :func:`reverse_estimate` for ``x ~ p`` by quadrature, each ``(2, *shape)``.

    As :func:`forward_moments`, with the bare path derivative (the estimator at ``alpha = 1``) under
    :math:`p^{2\alpha-1}q^{2-2\alpha}` for the second moment. ``alpha`` is in [0, 1].
    """
    mu, sigma, alpha = torch.broadcast_tensors(mu, sigma, alpha)
    m, s, a = (t.unsqueeze(-1) for t in (mu, sigma, alpha))
    x = overlap_grid(mu, sigma, alpha)
    density = normal_log_prob(x, m, s.log()).exp()
    mean = integrate(density * reverse_estimate((x - m) / s, m, s, a), x)
    ones = torch.ones_like(a)
    second = _second_moment(lambda x: reverse_estimate((x - m) / s, m, s, ones), mu, sigma, 2 * alpha - 1)
    return mean, second - mean.square()


def combination_variance(forward: Tensor, reverse: Tensor, gamma: Tensor | float) -> Tensor:
    r"""A Figure 2: variance of eq 12 of independent estimates, :math:`(1-\gamma)^2 V_F + \gamma^2 V_R`."""
    return (1 - gamma) ** 2 * forward + gamma**2 * reverse


def best_gamma(forward: Tensor, reverse: Tensor) -> Tensor:
    r"""The :math:`\gamma` of least :func:`combination_variance`: :math:`V_F/(V_F+V_R)`.

    It is 1 where only ``forward`` is infinite and 0 where only ``reverse`` is; NaN where both are.
    """
    return 1 / (1 + reverse / forward)


def winning_band(forward: Tensor, reverse: Tensor) -> tuple[Tensor, Tensor]:
    r"""The log odds ``(low, high)`` between which :func:`combination_variance` is below both twins.

    .. math:: \log\frac{V_F-V_R}{2V_R} < \log\frac{\gamma}{1-\gamma} < \log\frac{2V_F}{V_R-V_F}

    It is lower than :math:`V_F` up to :math:`\gamma = 2\gamma^*` and lower than :math:`V_R` from
    :math:`2\gamma^*-1` on (:func:`best_gamma`). ``-inf`` and ``inf`` where that side has no limit in
    (0, 1). The band is empty (``low >= high``, or NaN) where a variance is 0 or infinite.
    """
    ratio = forward / reverse
    return ((ratio - 1) / 2).clamp(min=0).log(), (2 * ratio / (1 - ratio).clamp(min=0)).log()


def log_variance_ratio(forward: Tensor, reverse: Tensor) -> Tensor:
    """The log of ``forward`` over ``reverse``: negative where the forward twin is the quieter one."""
    return torch.log(forward / reverse)


def log_excess(log_variance: Tensor, over: Tensor) -> Tensor:
    """How far a log variance lies above another one, the mean over everything: (), in nats."""
    return (log_variance - over).mean()


def lowest(combination: Tensor, forward: Tensor, reverse: Tensor) -> Tensor:
    """1.0 where the combination's variance is below those of both twins, 0.0 where not, NaN where unknown."""
    return finite.below(combination, torch.minimum(forward, reverse))


def combination_gain(forward: Tensor, reverse: Tensor, combination: Tensor) -> Tensor:
    """Log variance of the better twin minus that of the combination, each the mean over alpha.

    (..., alpha) -> (...). The better twin is the same for all alpha. Positive: the combination is quieter.
    """
    means = [v.log().mean(-1) for v in (forward, reverse, combination)]
    return torch.minimum(means[0], means[1]) - means[2]


def in_winning_band(log_odds: Tensor, forward: Tensor, reverse: Tensor) -> Tensor:
    """Where a weight with these log odds makes a combination below both twins: bool, ends excluded."""
    low, high = winning_band(forward, reverse)
    return (low < log_odds) & (log_odds < high)


def lowest_member(wins: Tensor, levels: Tensor) -> int:
    """Which member wins at the most alpha and, among those, has the lowest level: its place in flat order.

    ``wins`` (..., alpha) is bool, ``levels`` (...).
    """
    count = wins.sum(-1)
    return int(levels.where(count == count.max(), torch.inf).argmin())


def mixture_distances(target: Tensor, one: Tensor, other: Tensor, weights: Tensor) -> Tensor:
    """How far ``(1 - w) one + w other`` is from ``target``, in units of its length, for each weight w.

    The three are gradients, (parameters, ...), whose lengths are along the first axis; (n,) -> (n, ...).
    """
    w = weights.reshape(-1, *[1] * target.ndim)
    return worst_case.relative((1 - w) * one + w * other - target, target[None], dim=1)


def root_mean_square(values: Tensor) -> Tensor:
    """Over all axes but the first: (n, ...) -> (n,)."""
    return values.square().flatten(1).mean(1).sqrt()


def sigmoid_log_odds(alpha: Tensor, c: Tensor, d: Tensor) -> Tensor:
    r"""The log odds of footnote 1's weight, :func:`bridgekit.theory.alpha.sigmoid_gamma`, for ``c > 0``.

    .. math:: \log\frac{\gamma_\alpha}{1-\gamma_\alpha} = \log\frac{\sinh(c\alpha/2)}{\sinh(c(1-\alpha)/2)}
       + \log\frac{\cosh((c+d)/2)}{\cosh(d/2)}

    Only the second term has :math:`d` in it: members with the same :math:`c` are one curve, moved up or down.
    Nothing cancels here, so that it is right also where the weight is 1 in floating point. The arguments
    broadcast; ``(-c, -d)`` is the same weight as ``(c, d)``.
    """

    def log_sinh(x: Tensor) -> Tensor:  # this and the next up to log 2, which drops out
        return x + (-torch.expm1(-2 * x)).log()

    def log_cosh(x: Tensor) -> Tensor:
        return torch.logaddexp(x, -x)

    shift = log_cosh((c + d) / 2) - log_cosh(d / 2)
    return log_sinh(c * alpha / 2) - log_sinh(c * (1 - alpha) / 2) + shift


def parameter_jacobian(net: nn.Module, z: Tensor) -> Tensor:
    """The Jacobian of every output by all P parameters: ``(..., B, d)`` outputs give ``(..., B, d, P)``."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    jacobian = torch.func.jacrev(lambda p: torch.func.functional_call(net, p, (z,)))(parameters)
    return torch.cat([jacobian[name].flatten(-parameters[name].dim()) for name in parameters], -1)


def printed_gradient(
    generator: nn.Module,
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    codes: Tensor,
    z: Tensor,
    alpha: Tensor | float,
    gamma: Tensor | float,
    sigma: float,
) -> Tensor:
    r"""A.15: as printed, term by term from per-sample Jacobians, with no surrogate loss: ``(P,)``.

    .. math:: \frac{1-\gamma}{1-\alpha}\,
       \mathbb E\Bigl[-e^{-\alpha f(x)}\,J(z')^\top\frac{x-G(z')}{\sigma^2}\Bigr]
       + \gamma\,\mathbb E\Bigl[-J(z)^\top e^{(1-\alpha)f(G(z))}\,\nabla f(G(z))\Bigr]

    ``x`` are data ``(..., B, d)``, ``codes`` their posterior draws :math:`z'`, ``z`` prior draws; ``f`` gives
    one logit a sample; :math:`J = \partial G/\partial\theta`, and :math:`J^\top(x-G)/\sigma^2` is
    :math:`\nabla_\theta\log\tilde p_\theta(x, z')`, in which the prior has no part. Parameters are ordered as
    in ``generator.parameters()``. The result is detached.
    """
    residual = (x - generator(codes)).detach() / sigma**2
    fake = generator(z).detach().requires_grad_()
    logits = f(fake)
    (slope,) = torch.autograd.grad(logits.sum(), fake)
    data_side = torch.einsum("...dp,...d->...p", parameter_jacobian(generator, codes), residual)
    model_side = torch.einsum("...dp,...d->...p", parameter_jacobian(generator, z), slope)
    first = -torch.exp(-alpha * f(x)).unsqueeze(-1) * data_side
    second = -torch.exp((1 - alpha) * logits).unsqueeze(-1) * model_side
    mean = [term.flatten(0, -2).mean(0).detach() for term in (first, second)]
    return (1 - gamma) / (1 - alpha) * mean[0] + gamma * mean[1]
