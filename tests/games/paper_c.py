"""Paper C's games, from Algorithm 1, eqs 1 and 13 and section 4.2, with the networks of its Table 1."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridgekit.games import baselines, discriminators, perceptual, setups
from bridgekit.games import method as games
from bridgekit.theory import adversarial, method
from bridgekit.theory.densities import Mixture
from games import paper_a, tools
from games.harness import Case, Move, Owner, Paper, Part
from games.paper_a import drawn, image_case, noise_images, on_plane, plane_case, within
from games.paper_b import train

# What D's probability is turned into: eqs 20, 22 and 18, by the names of the functions that a builder takes.
OF_MODEL = {
    "jensen_shannon_f": lambda d: d + torch.log(1 - d),
    "identity": lambda d: torch.log((1 - d) / d),
    "zeros_like": lambda d: 0 * d,
}
OF_DATA = {
    "jensen_shannon_g": lambda d: 1 - d,
    "ones_like": lambda d: 1 + 0 * d,
    "zeros_like": lambda d: 0 * d,
}


# --- Table 1 --------------------------------------------------------------------------------------------


def lends(a: SimpleNamespace) -> bool:
    """Whether the setup's D lends its features."""
    return hasattr(a.setup, "shrink")


def table(z: int, channels: int, size: int, shrink: int) -> dict[str, list[tuple[int, ...]]]:
    """Kernels (out, in, k, k), of deconvolutions (in, out, k, k), and matrices (out, in), with biases."""

    def n(full: int) -> int:
        return full // shrink

    deep = size == 64
    e = [(n(32), channels, 3), (n(64), n(32), 4), (n(128), n(64), 4), (n(128), n(128), 5)]
    e += [(n(256), n(128), 4)] * deep
    d = [(n(48), channels, 4), (n(96), n(48), 5), (n(192), n(96), 4), (n(192), n(192), 5)]
    d += [(n(384), n(192), 4)] * deep
    up = [(n(256), n(128), 4)] * deep + [(n(128), n(64), 4), (n(64), n(32), 4)]
    same, last = (n(128), n(128), 3), (channels, n(32), 3)
    e_row, d_row = 64 * e[-1][0], 64 * d[-1][0]
    lines = {
        "E": [(n(1024), e_row), (2 * z, n(1024))],
        "G": [(n(1024), z), (64 * (n(256) if deep else n(128)), n(1024))],
        "D": [(n(1536), d_row), (n(192), n(1536)), (1, n(192))],
    }
    kernels = {"E": e, "G": [same, last], "D": d}
    found = {}
    for name, matrices in lines.items():
        weights = [(o, i, k, k) for o, i, k in kernels[name]] + matrices
        biases = [(w[0],) for w in weights]
        if name == "G":
            weights += [(i, o, k, k) for i, o, k in up]
            biases += [(o,) for _, o, _ in up]
        found[name] = weights + biases
    return found


def owners(a: SimpleNamespace, names: str) -> dict[str, Owner]:
    if not lends(a):
        return paper_a.owners(a, names)
    rates = {"G": a.setup.lr, "E": a.setup.lr, "D": a.setup.d_lr}
    return {n: Owner((n,), rates[n], (a.setup.beta1, a.setup.beta2)) for n in names}


def shapes(a: SimpleNamespace, names: str) -> dict[str, list]:
    if not lends(a):
        return paper_a.shapes(a, names)
    _, channels, _, size = a.setup.dataset.x.shape
    found = table(a.setup.z, channels, size, a.setup.shrink)
    return {n: found[n] for n in names}


def phi(a: SimpleNamespace, D: nn.Module, x: Tensor) -> Tensor:
    """What has the observation noise: x itself, or D's second convolution."""
    if not lends(a):
        return x
    w = dict(D.first.named_parameters())
    first = F.elu(F.conv2d(x, w["0.weight"], w["0.bias"], stride=2, padding=1))
    return F.conv2d(first, w["2.weight"], w["2.bias"], stride=1, padding=2)


def answer(a: SimpleNamespace, D: nn.Module, h: Tensor) -> Tensor:
    """D's logit, from there on."""
    if not lends(a):
        return D(h)
    w = list(D.body.parameters())
    pairs = list(zip(w[::2], w[1::2], strict=True))
    h = F.elu(h)
    for (kernel, bias), (stride, padding) in zip(pairs[:-3], ((2, 1), (1, 2), (2, 1)), strict=False):
        h = F.elu(F.conv2d(h, kernel, bias, stride=stride, padding=padding))
    h = h.flatten(1)
    for matrix, bias in pairs[-3:-1]:
        h = F.elu(h @ matrix.T + bias)
    return (h @ pairs[-1][0].T + pairs[-1][1])[:, 0]


def orthogonal(a: SimpleNamespace, D: nn.Module) -> Tensor | float:
    """Brock et al. 2016: the sum of |W W^T - I| over the layers of D."""
    if not lends(a):
        return 0.0
    rows = [p.reshape(len(p), -1) for n, p in D.named_parameters() if n.endswith("weight")]
    apart = (
        torch.einsum("if,jf->ij", w, w) - torch.eye(len(w), dtype=w.dtype, device=w.device) for w in rows
    )
    return a.setup.orthogonal * sum(torch.abs(each).sum() for each in apart)


def before(a: SimpleNamespace) -> Callable | None:
    """What stands before D's turn."""
    return tools.power_iterations("D") if getattr(a.setup, "spectral", False) else None


def event(a: SimpleNamespace) -> tuple[int, ...]:
    """The shape of what has the observation noise."""
    if lends(a):
        size = a.setup.dataset.x.shape[-1]
        return 96 // a.setup.shrink, size // 2, size // 2
    return tuple(a.setup.mixture.means.shape[1:] if on_plane(a) else a.setup.dataset.x.shape[1:])


# --- the games ------------------------------------------------------------------------------------------


def elbo(a: SimpleNamespace, nets: SimpleNamespace, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_rec and L_prior of Algorithm 1, and the reconstructions."""
    mu, log_sigma = nets.E(x)
    prior = tools.kl_normal(mu, log_sigma)
    remade = nets.G(mu + torch.exp(log_sigma) * eps)
    log_p = tools.log_normal(phi(a, nets.D, x), phi(a, nets.D, remade), a.sigma)
    return -tools.flat(log_p, prior).sum(-1), prior, remade


def sample(a: SimpleNamespace, nets: SimpleNamespace, batch: SimpleNamespace) -> Tensor:
    """X_GEN of Algorithm 1."""
    return phi(a, nets.D, nets.G(batch.z)) + (a.sigma * batch.noise if a.sampled else 0)


def minimise(a: SimpleNamespace) -> Paper:
    def telling(nets, batch, now):
        with torch.no_grad():
            made = nets.G(batch.z)
        still = SimpleNamespace(D=nets.D, G=lambda z: made)
        fake = answer(a, nets.D, sample(a, still, batch))
        return {"D": tools.tell(nets.D(batch.x), fake).mean(-1) + orthogonal(a, nets.D)}

    def learning(nets, batch, now):
        rec, prior, _ = elbo(a, nets, batch.x, batch.eps)
        fake = torch.sigmoid(answer(a, nets.D, sample(a, nets, batch)))
        real = torch.sigmoid(nets.D(batch.x)).detach()
        of_model, of_data = OF_MODEL[a.f.__name__](fake), OF_DATA[a.g.__name__](real)
        return {"G": (of_model + of_data * (rec + prior)).mean(-1), "E": (rec + prior).mean(-1)}

    noise = {"noise": tools.normal(a.setup.batch, *event(a))}
    d = Move(telling, drawn(a, "x", "z") | noise, before(a))
    both = Move(learning, drawn(a, "x", "eps", "z") | noise)
    return Paper(owners(a, "GED"), shapes(a, "GED"), train(a, [*[d] * a.d_steps, both]))


def gan(a: SimpleNamespace) -> Paper:
    """(i): eqs 1 and 16."""

    def telling(nets, batch, now):
        loss = tools.tell(nets.D(batch.x), nets.D(nets.G(batch.z).detach())).mean(-1)
        return {"D": loss + orthogonal(a, nets.D)}

    def learning(nets, batch, now):
        return {"G": OF_MODEL["identity"](torch.sigmoid(nets.D(nets.G(batch.z)))).mean(-1)}

    turns = [*[Move(telling, drawn(a, "x", "z"), before(a))] * a.d_steps, Move(learning, drawn(a, "z"))]
    return Paper(owners(a, "GD"), shapes(a, "GD"), train(a, turns))


def perceptual_vae(a: SimpleNamespace) -> Paper:
    """(ii): D as in the GAN; E and G see its features alone."""
    telling = gan(a).phases["train"].turns[0]

    def learning(nets, batch, now):
        rec, prior, _ = elbo(a, nets, batch.x, batch.eps)
        return dict.fromkeys("GE", (rec + prior).mean(-1))

    turns = [*[telling] * a.d_steps, Move(learning, drawn(a, "x", "eps"))]
    return Paper(owners(a, "GED"), shapes(a, "GED"), train(a, turns))


def perceptual_vae_gan(a: SimpleNamespace) -> Paper:
    """(iii): D tells images from their reconstructions, G takes -log D of these."""

    def telling(nets, batch, now):
        remade = elbo(a, nets, batch.x, batch.eps)[-1].detach()
        return {"D": tools.tell(nets.D(batch.x), nets.D(remade)).mean(-1) + orthogonal(a, nets.D)}

    def learning(nets, batch, now):
        rec, prior, remade = elbo(a, nets, batch.x, batch.eps)
        fooled = -torch.log(torch.sigmoid(nets.D(remade)))
        return {"G": (rec + prior + fooled).mean(-1), "E": (rec + prior).mean(-1)}

    draws = drawn(a, "x", "eps")
    turns = [*[Move(telling, draws, before(a))] * a.d_steps, Move(learning, draws)]
    return Paper(owners(a, "GED"), shapes(a, "GED"), train(a, turns))


def alone(a: SimpleNamespace, d: int, depth: int, told_apart: Callable, draws: dict) -> Paper:
    """Eq 1 for a perceptron D alone; ``told_apart(batch)`` gives the real samples and the others."""

    def telling(nets, batch, now):
        real, made = told_apart(batch)
        return {"D": tools.tell(nets.D(real), nets.D(made)).mean(-1)}

    owned, networks = Owner("D", a.lr, (0.5, 0.999)), {"D": tools.mlp(d, *[a.hidden] * depth, 1)}
    return Paper({"D": owned}, networks, train(a, [Move(telling, draws)]))


def against_normal(a: SimpleNamespace) -> Paper:
    n, d = a.batch, a.data.means.shape[1]
    draws = {"x": tools.mixture(a.data.means, a.data.sigma, n), "z": tools.normal(n, d)}
    return alone(a, d, 2, lambda batch: (batch.x, a.mean + batch.z), draws)


def against_smaller_circle(a: SimpleNamespace) -> Paper:
    """Data at radius 1, reconstructions at 1 - distance, each at any angle."""

    def told_apart(batch):
        turns = [2 * torch.pi * share for share in (batch.u, batch.v)]
        real, made = (torch.stack([torch.cos(turn), torch.sin(turn)], -1) for turn in turns)
        return real, made - a.distance * made

    return alone(a, 2, 3, told_apart, dict.fromkeys("uv", tools.uniform(a.batch)))


# --- cases ----------------------------------------------------------------------------------------------

PERCEPTUAL = {
    "dataset": noise_images(12, 32),
    "shrink": 32,
    "z": 3,
    "batch": 4,
    "lr": 1e-2,
    "d_lr": 2e-2,
    "orthogonal": 0.1,
}
PERCEPTUAL_CHANGES = {
    "dataset": noise_images(13, 64, seed=1),
    "shrink": 27,
    "z": 2,
    "batch": 5,
    "lr": 3e-2,
    "d_lr": 5e-3,
    "beta1": 0.8,
    "beta2": 0.99,
    "orthogonal": [0.3, 0.0],
}


def perceptual_case(builder: Callable, arguments: dict, paper: Callable) -> Case:
    call = Part(builder, {"setup": Part(setups.perceptual, PERCEPTUAL), "rounds": 2} | arguments)
    return Case(call, paper, within("setup", PERCEPTUAL_CHANGES), seeds=(3,))


JSD = method.JENSEN_SHANNON._asdict() | {"rounds": 2, "d_steps": 2}
SDKL = method.SYMMETRISED_KL._asdict() | {"rounds": 2, "d_steps": 1}
CHANGES = SDKL | {"sigma": 0.6, "rounds": 3, "sampled": False}
REVERSE_KL = {"objective": adversarial.reverse_kl, "d_steps": 2}
VAE_CHANGES = {"sigma": 0.6, "rounds": 3, "d_steps": 1}
TWO = {"rounds": 2, "d_steps": 2}
ALONE = {"hidden": 5, "batch": 4, "lr": 1e-2, "rounds": 2}
ALONE_CHANGES = {"hidden": 6, "batch": 5, "lr": 2e-2, "rounds": 3}
NORMAL = {"data": paper_a.RING, "mean": 0.7} | ALONE
NORMAL_CHANGES = {"data": Mixture(torch.tensor([[-2.0], [2.0]]), 0.3), "mean": [-0.4, 0.0]} | ALONE_CHANGES
CIRCLE_CHANGES = {"distance": [0.1, 0.9]} | ALONE_CHANGES
CASES = {
    "against_normal": Case(Part(discriminators.against_normal, NORMAL), against_normal, NORMAL_CHANGES),
    "against_smaller_circle": Case(
        Part(discriminators.against_smaller_circle, {"distance": 0.4} | ALONE),
        against_smaller_circle,
        CIRCLE_CHANGES,
    ),
    "minimise": plane_case(games.minimise, JSD, minimise, CHANGES),
    "minimise, SDKL": plane_case(games.minimise, SDKL, minimise, {"d_steps": 3}),
    "minimise, images": image_case(games.minimise, SDKL | {"sampled": False}, minimise),
    "minimise, perceptual": perceptual_case(games.minimise, SDKL, minimise),
    "minimise, perceptual, JSD": perceptual_case(games.minimise, JSD | {"sampled": False}, minimise),
    "gan, perceptual": perceptual_case(baselines.gan, REVERSE_KL, gan),
    "perceptual_vae": plane_case(perceptual.perceptual_vae, TWO, perceptual_vae, VAE_CHANGES),
    "perceptual_vae, perceptual": perceptual_case(perceptual.perceptual_vae, {"d_steps": 2}, perceptual_vae),
    "perceptual_vae_gan": plane_case(perceptual.perceptual_vae_gan, TWO, perceptual_vae_gan, VAE_CHANGES),
    "perceptual_vae_gan, perceptual": perceptual_case(
        perceptual.perceptual_vae_gan, {"d_steps": 1}, perceptual_vae_gan
    ),
}
