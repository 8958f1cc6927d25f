"""Paper B's lines, written once more: each turn of each game as ``(nets, batch, now) -> {player: loss}``.

Networks are only called, and nothing of bridgekit is used: what is here is the paper's line, in torch's own
words. Losses keep the trials axis where there is one. What a line holds fixed (theta_0, phi_0) is detached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

from games.tools import bound, fool, kl_normal, log_bernoulli, log_normal, tell

Losses = dict[str, Tensor]
Line = Callable[[SimpleNamespace, SimpleNamespace, SimpleNamespace], Losses]


def confess(f: Tensor) -> Tensor:
    """``-log(1 - D)``: what D loses on a generated sample, and its reversal on a real one."""
    return F.softplus(f)


def gaussian(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """``-log N(x; mean, sigma^2)``, summed over the last axis."""
    return -log_normal(x, mean, sigma).sum(-1)


# ------------------------------------------------------------------------ eqs 15, 33-36, section 3.2.3


def log_code(answer: Tensor, code: Tensor, classes: int, continuous: int) -> Tensor:
    """``log q_eta(z|x, y=0)``: the class, and the first ``continuous`` normals, of variance one."""
    which = code[..., :classes].argmax(-1, keepdim=True)
    of_class = F.log_softmax(answer[..., :classes], -1).gather(-1, which).squeeze(-1)
    read = slice(classes, classes + continuous)
    return of_class - gaussian(code[..., read], answer[..., read], 1.0)


def infogan(classes: int, continuous: int) -> list[Line]:
    """Eq 15: D for phi; G and Q for theta and eta, with D reversed. y is even: half of each."""

    def phi(nets, batch, now):
        f, g = nets.D(batch.x), nets.D(nets.G(batch.z).detach())
        return {"D": 0.5 * tell(f, g).mean(-1)}

    def theta(nets, batch, now):
        made = nets.G(batch.z)
        read = log_code(nets.Q(made), batch.z, classes, continuous)
        loss = 0.5 * confess(nets.D(batch.x)).mean(-1) + 0.5 * (fool(nets.D(made)) - read).mean(-1)
        return {"G": loss, "Q": loss}

    return [phi, theta]


def adversarial_autoencoder(sigma: float, heard: bool = True) -> list[Line]:
    """Eqs 35 and 36: codes E(x) against the prior's; not ``heard``, only the reconstruction is learned."""

    def phi(nets, batch, now):
        f, g = nets.D(batch.z), nets.D(nets.E(batch.x).detach())
        return {"D": 0.5 * tell(f, g).mean(-1)}

    def theta(nets, batch, now):
        code = nets.E(batch.x)
        loss = 0.5 * gaussian(batch.x, nets.G(code), sigma).mean(-1)
        if heard:
            loss = loss + 0.5 * confess(nets.D(batch.z)).mean(-1) + 0.5 * fool(nets.D(code)).mean(-1)
        return {"E": loss, "G": loss}

    return [phi, theta]


def cycle_gan(sigma: float) -> list[Line]:
    """Eq 15 for z -> x (G, told from data by D, read back by E) and eq 35 for x -> z (E, C, G), added."""

    def phi(nets, batch, now):
        x, z = nets.G(batch.z).detach(), nets.E(batch.x).detach()
        return {
            "D": 0.5 * tell(nets.D(batch.x), nets.D(x)).mean(-1),
            "C": 0.5 * tell(nets.C(batch.z), nets.C(z)).mean(-1),
        }

    def theta(nets, batch, now):
        x, z = nets.G(batch.z), nets.E(batch.x)
        to_x = confess(nets.D(batch.x)) + fool(nets.D(x)) + gaussian(batch.z, nets.E(x), sigma)
        to_z = confess(nets.C(batch.z)) + fool(nets.C(z)) + gaussian(batch.x, nets.G(z), sigma)
        loss = 0.5 * (to_x + to_z).mean(-1)
        return {"G": loss, "E": loss}

    return [phi, theta]


# ------------------------------------------------------------------------------- eq 20, appendix C


def wake_sleep() -> list[Line]:
    """Eq 20. A bit is 1 where its uniform number lies below its probability."""

    def wake(nets, batch, now):
        h = (batch.u < torch.sigmoid(nets.E(batch.x))).to(batch.x.dtype)
        return {"G": -log_bernoulli(batch.x, nets.G(h)).mean(-1)}

    def sleep(nets, batch, now):
        h = torch.where(batch.u < 0.5, torch.ones_like(batch.u), torch.zeros_like(batch.u))
        x = (batch.v < torch.sigmoid(nets.G(h))).to(batch.v.dtype)
        return {"E": -log_bernoulli(h, nets.E(x)).mean(-1)}

    return [wake, sleep]


def predictability(units: int, blind: bool, p_steps: int) -> list[Line]:
    """Appendix C: each unit is predicted from the others; P loses the squared error, E gains it."""

    def error(nets, code):
        guesses = []
        for i in range(units):
            others = code.clone() * (0 if blind else 1)
            others[..., i] = 0
            which = torch.zeros_like(code)
            which[..., i] = 1
            guesses.append(nets.P(torch.cat([others, which], -1)).squeeze(-1))
        return gaussian(code, torch.stack(guesses, -1), 1.0).mean(-1)

    def predict(nets, batch, now):
        return {"P": error(nets, torch.sigmoid(nets.E(batch.x)).detach())}

    def encode(nets, batch, now):
        return {"E": -error(nets, torch.sigmoid(nets.E(batch.x)))}

    return [predict] * p_steps + [encode]


# --------------------------------------------------------------------------------------- eqs 1, 22, 47


def gan_discriminator(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> Losses:
    """Eq 1 for D: both expectations, not their mean."""
    f, g = nets.D(batch.x), nets.D(nets.G(batch.z).detach())
    return {"D": tell(f, g).mean(-1)}


def iwgan(d_steps: int) -> list[Line]:
    """Eq 47: each sample's weight is its odds over the sum of the minibatch's, held fixed; summed."""

    def theta(nets, batch, now):
        f = nets.D(nets.G(batch.z))
        odds = (torch.sigmoid(f) / torch.sigmoid(-f)).detach()
        return {"G": (odds / odds.sum(-1, keepdim=True) * fool(f)).sum(-1)}

    return [gan_discriminator] * d_steps + [theta]


def class_conditional(x: Tensor, y: Tensor, weighted: bool) -> list[Line]:
    """Eqs 1 and 7 given a class, or 47 class by class; ``x`` and ``y`` are all the images and labels."""

    def phi(nets, batch, now):
        label = y[batch.index]
        f, g = nets.D(x[batch.index], label), nets.D(nets.G(batch.z, label).detach(), label)
        return {"D": tell(f, g).mean()}

    def theta(nets, batch, now):
        label = y[batch.index]
        f = nets.D(nets.G(batch.z, label), label)
        if not weighted:
            return {"G": fool(f).mean()}
        total, k = torch.zeros_like(f[0]), len(f)
        for c in label.unique():
            mine = f[label == c]
            odds = (torch.sigmoid(mine) / torch.sigmoid(-mine)).detach()
            total = total + len(mine) / k * (odds / odds.sum() * fool(mine)).sum()
        return {"G": total}

    return [phi, theta]


# ------------------------------------------------------------------------------- sections 3.3 and 3.4


def negative_bound(nets: SimpleNamespace, x: Tensor, eps: Tensor, sigma: float) -> Tensor:
    """Eq 17, negated, (..., B)."""
    nll, kl = bound(nets, x, eps, sigma)
    return nll + kl


def vae(sigma: float) -> list[Line]:
    """Eq 17."""

    def both(nets, batch, now):
        loss = negative_bound(nets, batch.x, batch.eps, sigma).mean(-1)
        return {"G": loss, "E": loss}

    return [both]


def perfect_vae(sigma: float, sure: float = math.inf) -> list[Line]:
    """Eq 19 without its factor of a half: q_*^r weighs real samples and generated ones.

    Reversed, a discriminator with logits ``sure`` and -``sure`` gives y = 0 to a real sample with probability
    p = sigmoid(sure) and to a generated one with 1 - p. What y = 1 contributes is constant: zero. The label's
    own KL against an even prior is log 2 less its entropy.
    """

    def both(nets, batch, now):
        made = (nets.G(batch.z) + sigma * batch.noise).detach()
        p = 1 / (1 + math.exp(-sure))
        real = negative_bound(nets, batch.x, batch.eps, sigma).mean(-1)
        fake = negative_bound(nets, made, batch.eps_made, sigma).mean(-1)
        entropy = -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
        loss = p * real + (1 - p) * fake + 2 * (math.log(2) - entropy)
        return {"G": loss, "E": loss}

    return [both]


def vae_gan(sigma: float) -> list[Line]:
    """Section 3.4.1: D as in a GAN; G minimises eqs 17 and 7 (without its half), E eq 17."""

    def joint(nets, batch, now):
        elbo = negative_bound(nets, batch.x, batch.eps, sigma).mean(-1)
        return {"G": elbo + fool(nets.D(nets.G(batch.z))).mean(-1), "E": elbo}

    return [gan_discriminator, joint]


def folded(x: Tensor, z: Tensor, sigma: float = 0.5) -> Tensor:
    """``log N(x; |z|, sigma^2)``."""
    return -gaussian(x, z.abs(), sigma)


def shifted(x: Tensor, z: Tensor) -> Tensor:
    """Another likelihood: ``log N(x; z + 1, 1)``."""
    return -gaussian(x, z + 1, 1.0)


def implicit_posterior(d_steps: int, log_likelihood: Callable = folded) -> list[Line]:
    """Adversarial variational Bayes: given x, D tells the prior's z (y = 1) from the encoder's (y = 0)."""

    def phi(nets, batch, now):
        z = nets.E(torch.cat([batch.x, batch.eps], -1)).detach()
        f, g = (nets.D(torch.cat([batch.x, code], -1)) for code in (batch.z, z))
        return {"D": tell(f, g).mean(-1)}

    def eta(nets, batch, now):
        z = nets.E(torch.cat([batch.x, batch.eps], -1))
        kl = -nets.D(torch.cat([batch.x, z], -1))  # log q - log p where D is the best
        return {"E": (kl - log_likelihood(batch.x, z)).mean(-1)}

    return [phi] * d_steps + [eta]


def gaussian_posterior(log_likelihood: Callable = folded) -> list[Line]:
    """Eq 17 with the likelihood given."""

    def eta(nets, batch, now):
        mu, log_sigma = nets.E(batch.x)
        z = mu + torch.exp(log_sigma) * batch.eps
        return {"E": (kl_normal(mu, log_sigma) - log_likelihood(batch.x, z)).mean(-1)}

    return [eta]
