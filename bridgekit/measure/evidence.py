"""Bounds on log-likelihoods by weighted samples, and how even such weights are. No gradients.

:func:`scores`, :func:`semi_supervised_scores` and :func:`weights` are of the autoencoders of
:mod:`bridgekit.games.aavae`. Give them networks from :func:`bridgekit.play.evaluation.recalibrated`: with
batch normalisation a bound then belongs to its image, and not to those that are evaluated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from bridgekit.games import aavae, m2
from bridgekit.measure import finite
from bridgekit.theory import likelihood, weighted
from bridgekit.theory.densities import kl_to_standard_normal, normal_log_prob, reparametrise


def _log_weight(nll: Tensor, mu: Tensor, log_sigma: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x), paper B's eq 21 with a code for x; in nats."""
    prior, posterior = normal_log_prob(z, 0.0, 0.0).sum(-1), normal_log_prob(z, mu, log_sigma).sum(-1)
    return weighted.log_weight(-nll, prior, posterior)


@torch.no_grad()
def scores(nets: SimpleNamespace, pairs: Tensor, eps: Tensor, chunk: int = 500) -> dict[str, Tensor]:
    """B Table 3: both bounds of every image, each (T, N) in nats.

    ``elbo`` is the mean over S posterior samples, ``iw`` the S-sample importance-weighted bound. ``pairs``
    (N, d + K), or (T, N, d + K) with images of each trial's own; ``eps`` (S, N, z), the same for all trials.
    ``chunk`` images are scored together, which changes memory and speed only.
    """
    found = []
    for rows, noise in _chunks(nets, pairs, eps, chunk):
        codes = [aavae.coded(nets.G, nets.E, rows, e) for e in noise]
        elbo = [-likelihood.negative_elbo(c[0], kl_to_standard_normal(*c[1:3])) for c in codes]
        weights = torch.stack([_log_weight(*c) for c in codes])
        found.append((torch.stack(elbo).mean(0), likelihood.importance_weighted_bound(weights)))
    elbo, iw = (torch.cat(each, 1) for each in zip(*found, strict=True))
    return {"elbo": elbo, "iw": iw}


@torch.no_grad()
def semi_supervised_scores(
    nets: SimpleNamespace, pairs: Tensor, eps: Tensor, chunk: int = 100
) -> dict[str, Tensor]:
    r""":func:`scores` without the labels, :math:`-\mathcal U(x)` and a bound summed over them, each (T, N);
    and ``correct``, 1 where the classifier finds the label, NaN where its answer is.

    In ``iw`` the label is summed out exactly, with the prior for its weight; q(y|x) does not enter.
    """
    found = []
    for rows, noise in _chunks(nets, pairs, eps, chunk):
        x, y = rows.tensor_split([nets.G.outputs], -1)
        log_q = nets.C(x).log_softmax(-1)
        codes = [m2.coded_for_each(nets.G, nets.E, x, e) for e in noise]
        even = math.log(y.shape[-1])
        bounds = [likelihood.negative_elbo(c[0], kl_to_standard_normal(*c[1:3])) + even for c in codes]
        elbo = torch.stack([-m2.unlabelled_bound(log_q, bound) for bound in bounds]).mean(0)
        weights = likelihood.importance_weighted_bound(torch.stack([_log_weight(*c) for c in codes]))
        iw = likelihood.importance_weighted_bound(weights.movedim(-1, 0))
        correct = (log_q.argmax(-1) == y.argmax(-1)).to(elbo)
        found.append((elbo, iw, correct.masked_fill(log_q.isnan().any(-1), math.nan)))
    elbo, iw, correct = (torch.cat(each, 1) for each in zip(*found, strict=True))
    return {"elbo": elbo, "iw": iw, "correct": correct}


def _chunks(nets: SimpleNamespace, pairs: Tensor, eps: Tensor, chunk: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``chunk`` images at a time with their noise, both with a trials axis."""
    trials = nets.G.trials
    pairs = pairs.expand(trials, *pairs.shape[-2:])
    eps = eps[:, None].expand(-1, trials, -1, -1)
    return zip(pairs.split(chunk, 1), eps.split(chunk, 2), strict=True)


@torch.no_grad()
def weights(
    nets: SimpleNamespace, pairs: Tensor, z: Tensor, u: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    r"""D's weights :math:`\sigma(f/T)` on real ``pairs`` (T, N, d + K) and on as many generated ones.

    Each (T, N); ``z`` (T, N, z) and ``u`` (T, N, d) are the noise, the labels the real ones'. Paper B, eq 23.
    """
    seen = nets.D.body.inputs  # with labels or without
    fake = aavae.generated(nets.G, z, pairs[..., u.shape[-1] :], u)
    real, made = ((nets.D(rows[..., :seen]) / temperature).sigmoid() for rows in (pairs, fake))
    return real, made


@torch.no_grad()
def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""``(sum w)^2 / sum w^2``, from 1 (one sample has all the weight) to N (all alike); (..., N) -> (...).

    ``log_weights`` need no normalisation. Source: Kong 1992; for the alpha-Bridge's weights these are
    :func:`bridgekit.theory.alpha.forward_log_weight` and ``reverse_log_weight`` at D's logits.
    """
    weights = (log_weights - log_weights.amax(-1, keepdim=True)).exp()
    return finite.mask(weights.sum(-1).square() / weights.square().sum(-1), log_weights[..., None])


@torch.no_grad()
def surrogate_log_likelihood(
    generator: nn.Module, encoder: nn.Module, x: Tensor, sigma: float, eps: Tensor, event_dims: int
) -> Tensor:
    r"""K-sample lower bound of the semi-implicit surrogate's ``log p~(x)`` (paper A, eqs 3 and 13), in nats.

    ``x`` (..., B, event) and ``eps`` (K, ..., B, z), standard normal; the result is (..., B). The encoder
    ``q(z|x)`` proposes, so the bound also loosens where the generator moves away from its encoder.
    """
    mu, log_sigma = encoder(x)

    def log_weight(noise: Tensor) -> Tensor:
        z = reparametrise(mu, log_sigma, noise)
        log_joint = normal_log_prob(z, 0.0, 0.0).sum(-1) - likelihood.gaussian_nll(
            x, generator(z), sigma, event_dims
        )
        return log_joint - normal_log_prob(z, mu, log_sigma).sum(-1)

    return likelihood.importance_weighted_bound(torch.stack([log_weight(noise) for noise in eps]))
