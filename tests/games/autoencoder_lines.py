"""Paper B's autoencoders of binary images, eqs 17, 23, 48-50 and Kingma et al.'s M2, written once more.

As in :mod:`games.paper_b_lines`: networks are only called, nothing of bridgekit is used. ``d`` is the number
of pixels, ``k`` of classes; a row is its pixels, then its label (one-hot, or nothing where k = 0).
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from torch import Tensor

from games.paper_b_lines import Line
from games.tools import kl_normal, log_bernoulli, tell


def bound(nets: SimpleNamespace, rows: Tensor, eps: Tensor, d: int) -> Tensor:
    """Eq 17, negated, for rows (T, B, d + k): (T, B)."""
    mu, log_sigma = nets.E(rows)
    z = mu + torch.exp(log_sigma) * eps
    logits = nets.G(torch.cat([z, rows[..., d:]], -1))
    return kl_normal(mu, log_sigma) - log_bernoulli(rows[..., :d], logits)


def dreamed(nets: SimpleNamespace, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
    """Eq 18 for y = 0: samples of the Bernoulli decoder at theta_0, with their labels."""
    p = torch.sigmoid(nets.G(torch.cat([z, y], -1))).detach()
    return torch.cat([(u < p).to(z.dtype), y], -1)


def weight(f: Tensor, temperature: float) -> Tensor:
    """``q_phi^r(y=0|x) = D_T(x)``, held fixed."""
    return 1 / (1 + torch.exp(-f.detach() / temperature))


def of_both(f_real: Tensor, f_made: Tensor) -> Tensor:
    """Eq 50: half of both kinds."""
    return tell(f_real, f_made).mean(-1) / 2


def handed_on(w: Tensor) -> Tensor:
    """Each image's weight goes to the next one, and the last one's to the first."""
    return torch.cat([w[..., -1:], w[..., :-1]], -1)


def plain(d: int) -> list[Line]:
    """Eq 17."""
    return [lambda nets, batch, now: {"model": bound(nets, batch.pairs, batch.eps, d).mean(-1)}]


def activated(d: int, temperature: float, exchanged: bool = False) -> list[Line]:
    """Eqs 23 and 50: half of the images are real, half are made under the same labels."""

    def both(nets, batch, now):
        made = dreamed(nets, batch.z, batch.pairs[..., d:], batch.u)
        n = made.shape[1]
        rows = torch.cat([batch.pairs, made], 1)
        f, loss = nets.D(rows), bound(nets, rows, batch.eps, d)
        total = 0
        for half in (slice(None, n), slice(n, None)):
            w = weight(f[:, half], temperature)
            total = total + ((handed_on(w) if exchanged else w) * loss[:, half]).mean(-1)
        return {"model": total / 2, "D": of_both(f[:, :n], f[:, n:])}

    return [both]


def m2(nets, known: Tensor, rest: Tensor, eps_known: Tensor, eps_rest: Tensor, d: int, alpha: float):
    """Kingma et al. 2014, eqs 6, 7 and 9: what each labelled row and each unlabelled image contributes.

    ``alpha`` is the classification's weight beside one labelled image. The label's prior is even.
    """
    x, y = known[..., :d], known[..., d:]
    k, (trials, n, _) = y.shape[-1], rest.shape
    log_q = torch.log_softmax(nets.C(torch.cat([x, rest], 1)), -1)
    right = (log_q[:, : x.shape[1]] * y).sum(-1)
    labelled = bound(nets, known, eps_known, d) + math.log(k) - alpha * right
    labels = torch.eye(k, dtype=x.dtype).expand(trials, n, k, k)
    every = torch.cat([rest[:, :, None].expand(-1, -1, k, -1), labels], -1).reshape(trials, n * k, -1)
    noise = eps_rest[:, :, None].expand(-1, -1, k, -1).reshape(trials, n * k, -1)
    bounds = bound(nets, every, noise, d).view(trials, n, k) + math.log(k)
    of_rest = log_q[:, x.shape[1] :]
    return labelled, (of_rest.exp() * (bounds + of_rest)).sum(-1)


def semi_supervised(d: int, alpha: float) -> list[Line]:
    """Eq 9, with means."""

    def model(nets, batch, now):
        eps = batch.eps_known, batch.eps_rest
        labelled, unlabelled = m2(nets, batch.known, batch.rest[..., :d], *eps, d, alpha)
        return {"model": labelled.mean(-1) + unlabelled.mean(-1)}

    return [model]


def activated_semi_supervised(d: int, k: int, alpha: float, temperature: float) -> list[Line]:
    """Eq 9 under eq 23: made images of both kinds, their labels even, and a D that sees no labels."""

    def both(nets, batch, now):
        n = batch.known.shape[1]
        label = torch.floor(batch.c * k)[..., None] == torch.arange(k)
        made = dreamed(nets, batch.z, label.to(batch.z.dtype), batch.u)
        known = torch.cat([batch.known, made[:, :n]], 1)
        rest = torch.cat([batch.rest, made[:, n:]], 1)[..., :d]
        f = nets.D(torch.cat([known[..., :d], rest], 1))
        terms = m2(nets, known, rest, batch.eps_known, batch.eps_rest, d, alpha)
        of_known, of_rest = f[:, : 2 * n], f[:, 2 * n :]
        model = sum(
            (weight(g, temperature) * term).mean(-1)
            for g, term in zip((of_known, of_rest), terms, strict=True)
        )
        real = torch.cat([of_known[:, :n], of_rest[:, :n]], 1)
        fake = torch.cat([of_known[:, n:], of_rest[:, n:]], 1)
        return {"model": model, "D": of_both(real, fake)}

    return [both]
