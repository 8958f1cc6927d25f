"""Paper A's games, composed from its lines, and what it is compared with."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch.nn import functional as F

from bridgekit import data
from bridgekit.games import baselines, bridge, setups
from bridgekit.theory import adversarial, f_gan, wasserstein
from bridgekit.theory import alpha as twins
from bridgekit.theory.densities import Mixture
from games import tools
from games.harness import Case, Move, Owner, Paper, Part, Steps

# --- setups ---------------------------------------------------------------------------------------------

RING = data.mixture("ring8")
PLANE_CHANGES = {
    "batch": 5,
    "hidden": 7,
    "depth": 1,
    "z": 3,
    "lr": 2e-2,
    "beta1": 0.8,
    "spectral": True,
    "mixture": Mixture(RING.means + 0.5, 0.3),
}


def plane(**arguments) -> Part:
    return Part(setups.plane, {"mixture": RING, "batch": 4, "hidden": 5, "depth": 2, "lr": 1e-2, **arguments})


def noise_images(n: int = 12, size: int = 16, classes: int = 3, seed: int = 0) -> data.Images:
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, size, size, generator=g, dtype=torch.float64) * 2 - 1
    names = tuple("abcdefghij"[:classes])
    return data.Images(x, torch.arange(n) % classes, names, "noise", "train", f"noise {seed}")


IMAGES_CHANGES = {
    "batch": 5,
    "width": 3,
    "z": 4,
    "lr": 2e-2,
    "beta1": 0.8,
    "d_slower": 3.0,
    "dataset": noise_images(13, 16, seed=1),
}


def images(**arguments) -> Part:
    given = {"dataset": noise_images(), "batch": 4, "width": 2, "z": 3, "lr": 1e-2}
    return Part(setups.images, given | arguments)


def within(part: str, changes: dict) -> dict:
    """The changes of a part as those of the call around it."""
    return {f"{part}.{name}": value for name, value in changes.items()}


def on_plane(a: SimpleNamespace) -> bool:
    return hasattr(a.setup, "mixture")


def owners(a: SimpleNamespace, names: str) -> dict[str, Owner]:
    slower = dict.fromkeys("DH", getattr(a.setup, "d_slower", 1.0))
    return {n: Owner((n,), a.setup.lr / slower.get(n, 1.0), (a.setup.beta1, 0.999)) for n in names}


def shapes(a: SimpleNamespace, names: str) -> dict[str, list]:
    setup = a.setup
    if on_plane(a):
        d, middle = setup.mixture.means.shape[1], [setup.hidden] * setup.depth
        found = {
            "G": tools.mlp(setup.z, *middle, d),
            "E": tools.mlp(d, *middle, 2 * setup.z),
            "D": tools.mlp(d, *middle, 1),
        }
    else:
        _, channels, _, size = setup.dataset.x.shape
        found = {
            "G": tools.dcgan_generator(setup.z, setup.width, channels, size),
            "E": tools.dcgan_body(2 * setup.z, setup.width, channels, size),
            "D": tools.dcgan_body(1, setup.width, channels, size),
        }
    return {n: found[n] for n in names}


def drawn(a: SimpleNamespace, *names: str) -> dict[str, tools.Kind]:
    """What the setup's draws are: x data, u uniform, everything else the prior's noise."""
    setup = a.setup
    if on_plane(a):
        x = tools.mixture(setup.mixture.means, setup.mixture.sigma, setup.batch)
    else:
        x = tools.rows(setup.dataset.x, setup.batch)
    kinds = {"x": x, "u": tools.uniform(setup.batch)}
    return {n: kinds.get(n, tools.normal(setup.batch, setup.z)) for n in names}


# --- turns ----------------------------------------------------------------------------------------------

# What a critic and a generator minimise, by the name of the function that the builder is given.
CRITICS = {
    "discriminator": tools.tell,
    "critic": lambda f, g: g - f,
    "forward_kl_critic": lambda v, w: torch.exp(w - 1) - v,
    "reverse_kl_critic": lambda v, w: torch.exp(-v) + w - 1,
    "pearson_chi2_critic": lambda v, w: w**2 / 4 + w - v,
    "squared_hellinger_critic": lambda v, w: torch.exp(-v) - 1 + torch.exp(w) - 1,
    "jensen_shannon_critic": lambda v, w: (F.softplus(-v) + F.softplus(w)) / 2 - math.log(2),
}
GENERATORS = {
    "reverse_kl": lambda f: -f,
    "saturating": lambda f: torch.log(1 - torch.sigmoid(f)),
    "non_saturating": lambda f: -torch.log(torch.sigmoid(f)),
    "generator": lambda f: -f,
    "forward_kl_generator": lambda v: -torch.exp(v - 1),
    "reverse_kl_generator": lambda v: 1 - v,
    "pearson_chi2_generator": lambda v: -(v**2) / 4 - v,
    "squared_hellinger_generator": lambda v: 1 - torch.exp(v),
    "jensen_shannon_generator": lambda v: (math.log(2) - F.softplus(v)) / 2,
}


def d_moves(a: SimpleNamespace, critic: str = "discriminator", steps=None, weight=None) -> tuple[Move, ...]:
    """Eq 4 for D with the one-centred penalty, ``d_steps`` times, each on its own samples."""
    steps, weight = a.d_steps if steps is None else steps, a.penalty if weight is None else weight

    def losses(nets, batch, now):
        fake = nets.G(batch.z).detach()
        loss = CRITICS[critic](nets.D(batch.x), nets.D(fake))
        if weight:
            loss = loss + weight * tools.penalty(nets.D, batch.x, fake, batch.u)
        return {"D": loss.mean(-1)}

    draws = drawn(a, "x", "z", "u") if weight else drawn(a, "x", "z")
    before = tools.power_iterations("D") if getattr(a.setup, "spectral", False) else None
    return (Move(losses, draws, before),) * steps


def g_move(a: SimpleNamespace, objective: str = "reverse_kl") -> Move:
    def losses(nets, batch, now):
        return {"G": GENERATORS[objective](nets.D(nets.G(batch.z))).mean(-1)}

    return Move(losses, drawn(a, "z"))


def ml_move(a: SimpleNamespace, *players: str) -> Move:
    """Eq 3: the ELBO of the semi-implicit surrogate, maximised by ``players``."""

    def losses(nets, batch, now):
        nll, kl = tools.bound(nets, batch.x, batch.eps, a.sigma)
        return {player: (nll + kl).mean(-1) for player in players}

    return Move(losses, drawn(a, "x", "eps"))


def bridge_move(a: SimpleNamespace) -> Move:
    """Eq 15 for theta, the ELBO for phi; |f| is clipped in the weights, which no gradient passes."""

    def losses(nets, batch, now):
        nll, kl = tools.bound(nets, batch.x, batch.eps, a.sigma)
        made = nets.D(nets.G(batch.z))
        weight_f = torch.exp(-now.alpha * nets.D(batch.x).clamp(-a.clip, a.clip)).detach()
        weight_r = torch.exp((1 - now.alpha) * made.clamp(-a.clip, a.clip)).detach()
        forward = (1 - now.gamma) / (1 - now.alpha) * weight_f * nll
        return {"G": (forward - now.gamma * weight_r * made).mean(-1), "E": (nll + kl).mean(-1)}

    return Move(losses, drawn(a, "x", "eps", "z"))


def combination_move(a: SimpleNamespace) -> Move:
    """Eqs 14 and 7 with a fixed weight for theta, the ELBO for phi."""

    def losses(nets, batch, now):
        nll, kl = tools.bound(nets, batch.x, batch.eps, a.sigma)
        adverse = -nets.D(nets.G(batch.z))
        return {"G": (1 - a.weight) * nll.mean(-1) + a.weight * adverse.mean(-1), "E": (nll + kl).mean(-1)}

    return Move(losses, drawn(a, "x", "eps", "z"))


# --- baselines ------------------------------------------------------------------------------------------


def gan_paper(a: SimpleNamespace, critic: str, generator: str, steps=None, weight=None) -> Paper:
    turns = (*d_moves(a, critic, steps, weight), g_move(a, generator))
    return Paper(owners(a, "GD"), shapes(a, "GD"), {"train": Steps(a.rounds, turns)})


def gan(a: SimpleNamespace) -> Paper:
    return gan_paper(a, a.critic.__name__, a.objective.__name__)


def wgan_gp(a: SimpleNamespace) -> Paper:
    return gan_paper(a, "critic", "generator")


def fgan(a: SimpleNamespace) -> Paper:
    return gan_paper(a, a.divergence.critic.__name__, a.divergence.generator.__name__, weight=0.0)


GAN_CHANGES = {
    "objective": [adversarial.saturating, adversarial.non_saturating],
    "critic": wasserstein.critic,
    "rounds": 3,
    "d_steps": 3,
    "penalty": 0.7,
}
WGAN_CHANGES = {"rounds": 3, "d_steps": 1, "penalty": 0.0}
F_CHANGES = {
    "divergence": [f_gan.REVERSE_KL, f_gan.PEARSON_CHI2, f_gan.SQUARED_HELLINGER, f_gan.JENSEN_SHANNON],
    "rounds": 3,
    "d_steps": 2,
}


# --- the bridge -----------------------------------------------------------------------------------------


def gamma_of(gamma, alpha: float) -> float:
    """Footnote 1 and the other choices, by the name of the function that the builder is given."""
    options = {}
    if isinstance(gamma, functools.partial):
        gamma, options = gamma.func, gamma.keywords
    if gamma.__name__ == "linear_gamma":
        return alpha
    if gamma.__name__ == "cosine_gamma":
        return math.sin(math.pi * alpha / 2) ** 2
    c, d = options.get("c", 20.0), options.get("d", -10.0)
    s = [1 / (1 + math.exp(-v)) for v in (c * alpha + d, d, c + d)]
    return (s[0] - s[1]) / (s[2] - s[1])


def rising(gamma) -> Callable[[int, int], dict[str, float]]:
    """Step II's alpha, from just above 0 to just below 1, and gamma_alpha."""

    def schedule(k: int, rounds: int) -> dict[str, float]:
        alpha = (k + 1) / (rounds + 1)
        return {"alpha": alpha, "gamma": gamma_of(gamma, alpha)}

    return schedule


def bridge_paper(a: SimpleNamespace) -> Paper:
    """Algorithm 1: step I is ML with D pre-trained, II is eq 15 with alpha rising, III is eq 7 for theta."""
    one, two, three = a.rounds
    phases = {
        "I": Steps(one, (*d_moves(a), ml_move(a, "G", "E"))),
        "II": Steps(two, (*d_moves(a), bridge_move(a)), rising(a.gamma)),
        "III": Steps(three, (*d_moves(a), g_move(a), ml_move(a, "E"))),
    }
    return Paper(owners(a, "GED"), shapes(a, "GED"), phases)


def through_noise(a: SimpleNamespace, move: Move) -> Move:
    """The same line where D is shown nothing without noise."""

    def losses(nets, batch, now):
        shown = SimpleNamespace(**vars(nets))
        shown.D = lambda x: nets.D(x + a.seen * batch.noise)
        return move.losses(shown, batch, now)

    seen = a.setup.mixture.means if on_plane(a) else a.setup.dataset.x
    noise = tools.normal(a.setup.batch, *seen.shape[1:])
    return Move(losses, {**move.draws, "noise": noise}, move.before)


def noisy_bridge(a: SimpleNamespace) -> Paper:
    plain = bridge_paper(SimpleNamespace(**vars(a), gamma=twins.sigmoid_gamma, d_steps=1, penalty=0.0))
    phases = {}
    for name, steps in plain.phases.items():
        # Where E learns alone, or G by likelihood, nobody asks D.
        asks = [not (name in ("I", "III") and k == len(steps.turns) - 1) for k in range(len(steps.turns))]
        turns = [through_noise(a, m) if ask else m for m, ask in zip(steps.turns, asks, strict=True)]
        phases[name] = replace(steps, turns=tuple(turns))
    return replace(plain, phases=phases)


def fine_tuning(a: SimpleNamespace) -> Paper:
    """Figure 1: eqs 4 and 7 from the weights of maximum likelihood, with D as it is or with a new one."""
    adverse = (*d_moves(a), g_move(a))
    phases = {
        "I": Steps(a.ml_rounds, (*d_moves(a), ml_move(a, "G", "E"))),
        "warm": Steps(a.rounds, adverse, fresh="G"),
        "cold": Steps(a.rounds, adverse, fresh="GD", cold="D"),
    }
    return Paper(owners(a, "GED"), shapes(a, "GED"), phases)


def fixed_combination(a: SimpleNamespace) -> Paper:
    phases = {"train": Steps(a.rounds, (*d_moves(a), combination_move(a)))}
    return Paper(owners(a, "GED"), shapes(a, "GED"), phases)


BRIDGE_CHANGES = {
    "sigma": 0.6,
    "rounds": (2, 3, 2),
    "gamma": [twins.linear_gamma, twins.cosine_gamma, functools.partial(twins.sigmoid_gamma, c=5.0, d=-1.0)],
    "clip": 0.02,
    "d_steps": 2,
    "penalty": 0.7,
}
NOISY_CHANGES = {name: BRIDGE_CHANGES[name] for name in ("sigma", "rounds", "clip")} | {"seen": 0.2}
TUNING_CHANGES = {"sigma": 0.6, "ml_rounds": 2, "rounds": 1, "d_steps": 2, "penalty": 0.7}
FIXED_CHANGES = {"sigma": 0.6, "weight": 0.2, "rounds": 3, "d_steps": 2, "penalty": 0.7}


# --- cases ----------------------------------------------------------------------------------------------


def plane_case(builder, arguments: dict, paper, changes: dict, **options) -> Case:
    call = Part(builder, {"setup": plane()} | arguments)
    return Case(call, paper, changes | within("setup", PLANE_CHANGES), **options)


def image_case(builder, arguments: dict, paper, **options) -> Case:
    call = Part(builder, {"setup": images()} | arguments)
    return Case(call, paper, within("setup", IMAGES_CHANGES), seeds=(3,), **options)


STEPS, ALONE = {"rounds": (1, 2, 1)}, {"apart": True}
REVERSE_KL = {"objective": adversarial.reverse_kl, "rounds": 2, "d_steps": 2}
CASES = {
    "gan": plane_case(baselines.gan, REVERSE_KL, gan, GAN_CHANGES),
    "gan, spectral": Case(Part(baselines.gan, {"setup": plane(spectral=True)} | REVERSE_KL), gan),
    "gan, images": image_case(baselines.gan, REVERSE_KL | {"penalty": 0.7}, gan),
    "wgan_gp": plane_case(baselines.wgan_gp, {"rounds": 2, "d_steps": 2}, wgan_gp, WGAN_CHANGES),
    "f_gan": plane_case(baselines.f_gan, {"divergence": f_gan.FORWARD_KL, "rounds": 2}, fgan, F_CHANGES),
    "alpha_bridge": plane_case(
        bridge.alpha_bridge, {"rounds": (1, 2, 1)}, bridge_paper, BRIDGE_CHANGES, apart=True
    ),
    "alpha_bridge, images": image_case(bridge.alpha_bridge, STEPS, bridge_paper, **ALONE),
    "noisy_bridge": plane_case(
        bridge.noisy_bridge, {"rounds": (1, 2, 1)}, noisy_bridge, NOISY_CHANGES, apart=True
    ),
    "noisy_bridge, images": image_case(bridge.noisy_bridge, STEPS, noisy_bridge, **ALONE),
    "fine_tuning": plane_case(bridge.fine_tuning, {"ml_rounds": 1, "rounds": 2}, fine_tuning, TUNING_CHANGES),
    "fixed_combination, images": image_case(bridge.fixed_combination, {"rounds": 1}, fixed_combination),
    "fixed_combination": plane_case(
        bridge.fixed_combination, {"rounds": 2, "weight": 0.3}, fixed_combination, FIXED_CHANGES
    ),
}
