"""Log-probabilities, KL terms and reparametrised sampling. Everything is in
nats and in log space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_2PI = math.log(2 * math.pi)


def normal_log_prob(
    x: Tensor, mu: Tensor | float, log_sigma: Tensor | float
) -> Tensor:
    """Elementwise ``log N(x; mu, sigma^2)``; sum over the event's axes for
    a factorised Gaussian."""
    log_sigma = torch.as_tensor(log_sigma, dtype=x.dtype, device=x.device)
    return (
        -0.5 * ((x - mu) * (-log_sigma).exp()) ** 2
        - log_sigma
        - 0.5 * LOG_2PI
    )


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """Elementwise ``x log p + (1 - x) log(1 - p)`` with ``p =
    sigmoid(logits)``, for ``x`` in [0, 1]."""
    return -F.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    )


def kl_to_standard_normal(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """``KL[N(mu, diag sigma^2) || N(0, I)]``, summed over the last axis:
    ``(..., d) -> (...)``."""
    return 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)


def reparametrise(mu: Tensor, log_sigma: Tensor, eps: Tensor) -> Tensor:
    """A sample ``mu + sigma * eps`` of ``N(mu, sigma^2)`` whose gradient
    reaches mu and sigma."""
    return mu + log_sigma.exp() * eps


@dataclass(frozen=True)
class Mixture:
    """An even mixture of K isotropic Gaussians in d dimensions: the plane's
    data, with its exact density.

    ``means`` is ``(K, d)``, ``sigma`` the common standard deviation.
    """

    means: Tensor
    sigma: float

    def to(self, device: torch.device | str) -> Mixture:
        """The same mixture with its means on ``device``."""
        return Mixture(self.means.to(device), self.sigma)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` independent draws, ``(n, d)``, on the generator's
        device."""
        means = self.means.to(generator.device)
        which = torch.randint(
            len(means), (n,), generator=generator, device=generator.device
        )
        eps = torch.randn(
            n,
            means.shape[1],
            generator=generator,
            device=generator.device,
            dtype=means.dtype,
        )
        return means[which] + self.sigma * eps

    def _log_joint(self, x: Tensor) -> Tensor:
        """``log p(x, k)``: ``(..., d) -> (..., K)``."""
        k, d = self.means.shape
        squared = ((x.unsqueeze(-2) - self.means.to(x)) ** 2).sum(-1)
        return (
            -0.5 * squared / self.sigma**2
            - d * (math.log(self.sigma) + 0.5 * LOG_2PI)
            - math.log(k)
        )

    def log_prob(self, x: Tensor) -> Tensor:
        """``log p(x)``: ``(..., d) -> (...)``."""
        return self._log_joint(x).logsumexp(-1)

    def log_posterior(self, x: Tensor) -> Tensor:
        """``log p(k | x)``: ``(..., d) -> (..., K)``."""
        return self._log_joint(x).log_softmax(-1)
