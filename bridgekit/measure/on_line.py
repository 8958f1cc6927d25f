"""Densities and discriminators on a line, where every expectation is an integral.

Paper B's statements are tried on them: on random ones, and on those that a search finds
(:mod:`bridgekit.measure.worst_case`). A discriminator is a function of x, its logit.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bridgekit.theory import densities, divergences
from bridgekit.theory.labelling import label_nll, log_posterior, log_prior, posterior_kl, reverse

# Sides of a box of parameters of `sines` in which a grid with 20 points to the unit is fine enough.
SINES = [(-2, 2)] * 3 + [(-1.5, 1.5)] * 3 + [(-math.pi, math.pi)] * 3 + [(-4, 4)] * 2


def sines(t: Tensor) -> Callable[[Tensor], Tensor]:
    """Logits of parameters ``(..., 11)``, three sines and a line: a function of x, ``(..., n)``.

    Three heights, three halves of a rate in radians per unit, three phases, twice the slope, the level.
    """
    *waves, slope, level = t[..., None].unbind(-2)
    return lambda x: (
        0.5 * slope * x
        + level
        + sum(
            a * torch.sin(2 * w * x + shift)
            for a, w, shift in zip(waves[:3], waves[3:6], waves[6:], strict=True)
        )
    )


def log_mixture(x: Tensor, means, sigmas, shares) -> Tensor:
    """The log density of mixtures of K Gaussians at x ``(n,)``; the rest ``(..., K)``: ``(..., n)``."""
    means, sigmas, shares = (torch.as_tensor(t, dtype=x.dtype) for t in (means, sigmas, shares))
    parts = densities.normal_log_prob(x[:, None], means[..., None, :], sigmas.log()[..., None, :])
    return (parts + shares.log()[..., None, :]).logsumexp(-1)


def posteriors(f, log_fake, log_real, x) -> list[Tensor]:
    """Eq 9's log posteriors on the grid ``x`` for y = 0 and y = 1, ``(..., n)`` each; the prior is eq 8."""
    prior, cell = log_prior(log_fake, log_real), (x[1] - x[0]).log()
    likelihoods = (-label_nll(reverse(f), y) for y in torch.arange(2.0))
    return [log_posterior(each, prior, cell) for each in likelihoods]


def lemma_1_terms(log_p, log_real, pair, x, kl=posterior_kl):
    """The KL term and the JSD term of eq 10's right side, ``(...)`` each, for a pair of posteriors."""
    both = kl(log_p, pair[0]) + kl(log_real, pair[1])
    jsd = divergences.jensen_shannon(log_p, log_real)
    return divergences.integrate(both, x) / 2, divergences.integrate(jsd, x)
