"""Paper B's games, composed from its lines; its autoencoders of binary images stand in their own module."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import torch

from bridgekit.games import avb, importance, predictability, processes, setups, vae, wake_sleep
from bridgekit.theory.densities import Mixture
from games import paper_b_lines as lines
from games import tools
from games.autoencoders import CASES as AUTOENCODERS
from games.harness import Case, Move, Paper, Part, Steps
from games.paper_a import (
    IMAGES_CHANGES,
    PLANE_CHANGES,
    drawn,
    image_case,
    images,
    noise_images,
    on_plane,
    owners,
    plane,
    plane_case,
    shapes,
    within,
)

SMALL, OTHER = noise_images(12, 4), noise_images(13, 4, seed=1)
GREY = replace(SMALL, x=SMALL.x.where(SMALL.x.abs() > 0.2, 0.0))  # some pixels are in the middle
FLAT_CHANGES = within("setup", {"data": OTHER, "hidden": 7, "batch": 5, "lr": 2e-2, "beta1": 0.8}) | {
    "rounds": 3
}


def flat_setup(data: object = SMALL) -> Part:
    return Part(setups.flat, {"data": data, "hidden": 5, "batch": 4, "lr": 1e-2})


def flat(builder: Callable, data: object = SMALL, **arguments) -> Part:
    return Part(builder, {"setup": flat_setup(data), "rounds": 2} | arguments)


def train(a: SimpleNamespace, turns: Sequence[Move]) -> Mapping[str, Steps]:
    return {"train": Steps(a.rounds, tuple(turns))}


def pixels(a: SimpleNamespace) -> tools.Kind:
    return tools.rows(a.setup.data.x.flatten(1), a.setup.batch)


def side(a: SimpleNamespace) -> int:
    """How many numbers one image has."""
    return a.setup.data.x[0].numel()


# --- eqs 15, 33-36, section 3.2.3 -----------------------------------------------------------------------


def processes_paper(a: SimpleNamespace, of_phi: str, networks: dict, written: list, draws: dict) -> Paper:
    """D's turn behind one power iteration of each discriminator, then all others'."""
    phi, theta = written
    turns = Move(phi, draws, tools.power_iterations(*of_phi)), Move(theta, draws)
    return Paper(owners(a, "".join(networks)), networks, train(a, turns))


def code(a: SimpleNamespace) -> tools.Kind:
    """A class, one-hot and even, then standard normals."""

    def kind(values) -> None:
        classes, normals = values[..., : a.classes], values[..., a.classes :]
        tools.rows(torch.eye(a.classes), a.setup.batch)(classes)
        tools.normal(a.setup.batch, a.continuous + a.noise)(normals)

    return kind


def infogan(a: SimpleNamespace) -> Paper:
    d, h = side(a), a.setup.hidden
    networks = {
        "G": tools.mlp(a.classes + a.continuous + a.noise, h, h, d),
        "Q": tools.mlp(d, h, a.classes + a.continuous),
        "D": tools.mlp(d, h, h, 1),
    }
    draws = {"x": pixels(a), "z": code(a)}
    return processes_paper(a, "D", networks, lines.infogan(a.classes, a.continuous), draws)


def adversarial_autoencoder(a: SimpleNamespace, heard: bool = True) -> Paper:
    d, h = side(a), a.setup.hidden
    networks = {"E": tools.mlp(d, h, h, a.z), "G": tools.mlp(a.z, h, h, d), "D": tools.mlp(a.z, h, h, 1)}
    draws = {"x": pixels(a), "z": tools.normal(a.setup.batch, a.z)}
    return processes_paper(a, "D", networks, lines.adversarial_autoencoder(a.sigma, heard), draws)


def autoencoder(a: SimpleNamespace) -> Paper:
    return adversarial_autoencoder(a, heard=False)


def cycle_gan(a: SimpleNamespace) -> Paper:
    d, h = side(a), a.setup.hidden
    networks = {n: tools.mlp(d, h, h, d if n in "GE" else 1) for n in "GEDC"}
    draws = {"z": pixels(a), "x": tools.rows(a.second.x.flatten(1), a.setup.batch)}
    return processes_paper(a, "DC", networks, lines.cycle_gan(a.sigma), draws)


# --- eq 20, appendix C ----------------------------------------------------------------------------------


def wake_sleep_paper(a: SimpleNamespace) -> Paper:
    bits, setup = (a.setup.data.x.flatten(1) > 0).float(), a.setup
    d, u = bits.shape[1], tools.uniform(setup.batch, a.units)
    networks = {"G": tools.mlp(a.units, setup.hidden, d), "E": tools.mlp(d, setup.hidden, a.units)}
    wake, sleep = lines.wake_sleep()
    turns = (
        Move(wake, {"x": tools.rows(bits, setup.batch), "u": u}),
        Move(sleep, {"u": u, "v": tools.uniform(setup.batch, d)}),
    )
    return Paper(owners(a, "GE"), networks, train(a, turns))


def predictability_paper(a: SimpleNamespace) -> Paper:
    """P learns ten times as fast."""
    networks = {
        "E": tools.mlp(side(a), a.setup.hidden, a.units),
        "P": tools.mlp(2 * a.units, a.setup.hidden, 1),
    }
    players = owners(a, "EP")
    players["P"] = replace(players["P"], lr=10 * a.setup.lr)
    draws = {"x": pixels(a)}
    turns = [Move(line, draws) for line in lines.predictability(a.units, a.blind, a.p_steps)]
    return Paper(players, networks, train(a, turns))


# --- eqs 1, 22, 47 --------------------------------------------------------------------------------------


def d_draws(a: SimpleNamespace) -> tuple[dict, Callable | None]:
    spectral = getattr(a.setup, "spectral", False)
    return drawn(a, "x", "z"), tools.power_iterations("D") if spectral else None


def iwgan(a: SimpleNamespace) -> Paper:
    *phi, theta = lines.iwgan(a.d_steps)
    turns = [*(Move(line, *d_draws(a)) for line in phi), Move(theta, drawn(a, "z"))]
    return Paper(owners(a, "GD"), shapes(a, "GD"), train(a, turns))


def iwgan_affine(a: SimpleNamespace) -> Paper:
    """x = zW + b."""
    inner = SimpleNamespace(setup=a.setup.setup, rounds=a.rounds, d_steps=a.d_steps)
    plain = iwgan(inner)
    width = inner.setup.z
    return Paper(plain.players, {**plain.networks, "G": tools.mlp(width, width)}, plain.phases)


def conditional(a: SimpleNamespace, weighted: bool) -> Paper:
    """DCGANs of which each first layer sees the class too."""
    setup = a.setup
    x, y, classes = setup.dataset.x, setup.dataset.y, len(setup.dataset.classes)
    _, channels, _, size = x.shape
    networks = {
        "G": tools.dcgan_generator(setup.z + classes, setup.width, channels, size),
        "D": tools.dcgan_body(1, setup.width, channels + classes, size),
    }
    draws = {"index": tools.indices(len(x), setup.batch), "z": tools.normal(setup.batch, setup.z)}
    turns = [Move(line, draws) for line in lines.class_conditional(x, y, weighted)]
    return Paper(owners(a, "GD"), networks, train(a, turns))


LABELLED_CHANGES = within("setup", IMAGES_CHANGES)


def conditional_case(builder: Callable, weighted: bool) -> Case:
    call = Part(builder, {"setup": images(labelled=True), "rounds": 2})
    paper = functools.partial(conditional, weighted=weighted)
    return Case(call, paper, {"rounds": 3} | LABELLED_CHANGES, seeds=(3,), apart=not weighted)


# --- sections 3.3 and 3.4 -------------------------------------------------------------------------------


def perfect_draws(a: SimpleNamespace) -> dict[str, tools.Kind]:
    setup = a.setup
    event = setup.mixture.means.shape[1:] if on_plane(a) else setup.dataset.x.shape[1:]
    return drawn(a, "x", "eps", "z", "eps_made") | {"noise": tools.normal(setup.batch, *event)}


def vae_paper(a: SimpleNamespace) -> Paper:
    """It draws what the VAE with its discriminator draws, so that both see the same samples."""
    (both,) = lines.vae(a.sigma)
    return Paper(owners(a, "GE"), shapes(a, "GE"), train(a, [Move(both, perfect_draws(a))]))


def perfect_vae(a: SimpleNamespace) -> Paper:
    (both,) = lines.perfect_vae(a.sigma)
    return Paper(owners(a, "GE"), shapes(a, "GE"), train(a, [Move(both, perfect_draws(a))]))


def vae_gan(a: SimpleNamespace) -> Paper:
    phi, joint = lines.vae_gan(a.sigma)
    turns = [Move(phi, *d_draws(a)), Move(joint, drawn(a, "x", "eps", "z"))]
    return Paper(owners(a, "GED"), shapes(a, "GED"), train(a, turns))


def likelihood_of(a: SimpleNamespace) -> Callable:
    """The folded normal, its sigma another one where the builder was given a partial."""
    return functools.partial(lines.folded, **getattr(a.log_likelihood, "keywords", {}))


def implicit_posterior(a: SimpleNamespace) -> Paper:
    h, n = a.setup.hidden, a.setup.batch
    networks = {"E": tools.mlp(1 + a.noise, h, h, 1), "D": tools.mlp(2, h, h, 1)}
    draws = {"x": tools.rows(a.setup.data, n), "eps": tools.normal(n, a.noise)}
    *phi, eta = lines.implicit_posterior(a.d_steps, likelihood_of(a))
    of_d = draws | {"z": tools.normal(n, 1)}
    turns = [*(Move(line, of_d) for line in phi), Move(eta, draws)]
    return Paper(owners(a, "ED"), networks, train(a, turns))


def gaussian_posterior(a: SimpleNamespace) -> Paper:
    h, n = a.setup.hidden, a.setup.batch
    draws = {"x": tools.rows(a.setup.data, n), "eps": tools.normal(n, 1)}
    (eta,) = lines.gaussian_posterior(likelihood_of(a))
    return Paper(owners(a, "E"), {"E": tools.mlp(1, h, h, 2)}, train(a, [Move(eta, draws)]))


# --- cases ----------------------------------------------------------------------------------------------

CODE_CHANGES = {"classes": 4, "continuous": 1, "noise": 3} | FLAT_CHANGES
AAE_CHANGES = {"z": 3, "sigma": 0.6} | FLAT_CHANGES
CYCLE_CHANGES = {"second": SMALL, "sigma": 0.6} | FLAT_CHANGES
BITS_CHANGES = {"units": 2} | FLAT_CHANGES
PM_CHANGES = {"units": 4, "blind": True, "p_steps": 1} | FLAT_CHANGES
OBSERVED = torch.linspace(0, 2, 21, dtype=torch.float64)[:, None]
POSTERIOR_CHANGES = FLAT_CHANGES | {
    "setup.data": OBSERVED[:9] + 0.05,
    "log_likelihood": functools.partial(avb.folded_log_likelihood, sigma=0.8),
}
MODEL_CHANGES = {"sigma": 0.6, "rounds": 3}


def affine_case() -> Case:
    setup = Part(importance.affine, {"setup": plane()})
    call = Part(importance.iwgan, {"setup": setup, "rounds": 2, "d_steps": 2})
    corners = Mixture(2.0 * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3), 0.3)
    changes = PLANE_CHANGES | {"mixture": corners, "z": 3}  # codes must be as wide as data
    changes = {"rounds": 3, "d_steps": 1} | within("setup.setup", changes)
    return Case(call, iwgan_affine, changes, tied=("setup.setup.mixture", "setup.setup.z"))


CASES = {
    "infogan": Case(flat(processes.infogan, classes=3, continuous=2, noise=2), infogan, CODE_CHANGES),
    "adversarial_autoencoder": Case(
        flat(processes.adversarial_autoencoder), adversarial_autoencoder, AAE_CHANGES
    ),
    "autoencoder of pixels": Case(flat(processes.autoencoder), autoencoder, AAE_CHANGES),
    "cycle_gan": Case(
        flat(processes.cycle_gan, second=noise_images(14, 4, seed=2)), cycle_gan, CYCLE_CHANGES
    ),
    "wake_sleep": Case(flat(wake_sleep.wake_sleep, GREY, units=3), wake_sleep_paper, BITS_CHANGES),
    "predictability_minimisation": Case(
        flat(predictability.predictability_minimisation, units=3), predictability_paper, PM_CHANGES
    ),
    "iwgan": plane_case(importance.iwgan, {"rounds": 2, "d_steps": 2}, iwgan, {"rounds": 3, "d_steps": 1}),
    "iwgan, images": image_case(importance.iwgan, {"rounds": 2}, iwgan),
    "iwgan, affine": affine_case(),
    "cgan": conditional_case(importance.cgan, weighted=False),
    "iwcgan": conditional_case(importance.iwcgan, weighted=True),
    "vae": plane_case(vae.vae, {"rounds": 2}, vae_paper, MODEL_CHANGES),
    "vae, images": image_case(vae.vae, {"rounds": 2}, vae_paper),
    "perfect_vae": plane_case(vae.perfect_vae, {"rounds": 2}, perfect_vae, MODEL_CHANGES),
    "perfect_vae, images": image_case(vae.perfect_vae, {"rounds": 2}, perfect_vae),
    "vae_gan": plane_case(vae.vae_gan, {"rounds": 2}, vae_gan, MODEL_CHANGES),
    "vae_gan, images": image_case(vae.vae_gan, {"rounds": 2}, vae_gan),
    "implicit_posterior": Case(
        flat(avb.implicit_posterior, OBSERVED),
        implicit_posterior,
        {"noise": 3, "d_steps": 1} | POSTERIOR_CHANGES,
    ),
    "gaussian_posterior": Case(flat(avb.gaussian_posterior, OBSERVED), gaussian_posterior, POSTERIOR_CHANGES),
} | AUTOENCODERS
