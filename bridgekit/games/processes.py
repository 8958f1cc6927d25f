r"""Adversarial games of paper B in its own notation: ADA, InfoGAN, the adversarial autoencoder, CycleGAN.

One :class:`Process` maps a source into a space where samples of the target are given; there a discriminator
tells the two apart, and a likelihood reads the source back. Codes mapped to data are InfoGAN (eq 15), data
mapped to codes the adversarial autoencoder (eq 35), and the two at once, between two kinds of images,
CycleGAN: each is the same function with other arguments. Images are flattened and every network is an MLP, so
that all seeds are trained side by side; the discriminators are spectrally normalised, one power iteration
before each of their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data.images import Images, one_shape
from bridgekit.games.setups import Builder
from bridgekit.models.heads import Critic
from bridgekit.models.mlp import MLP, SpectralMLP, power_iteration
from bridgekit.play.draws import Draw, FromTensor, Normal
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import labelling, likelihood
from bridgekit.theory.densities import normal_log_prob


@dataclass(frozen=True)
class Process:
    """One adversarial process: ``forward`` maps the draw ``source`` to where the draw ``target`` lives.

    ``judge`` is the network that tells the mapped (y = 0) from the given (y = 1) there, a logit. ``log_source
    (nets, made, source)`` is the log-likelihood of each source sample given what was made of it, ``(T, B)``.
    """

    source: str
    target: str
    forward: str
    judge: str
    log_source: Callable[[SimpleNamespace, Tensor, Tensor], Tensor]

    def labelled(self, given: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Given and made samples as one batch ``(T, 2B, d)``, and their labels y ``(2B,)``."""
        y = torch.ones(2 * given.shape[-2], dtype=given.dtype, device=given.device)
        y[given.shape[-2] :] = 0
        return torch.cat([given, made], -2), y

    def judged(self, nets: SimpleNamespace, batch: SimpleNamespace) -> Tensor:
        """Eqs 15 and 35 for phi, the judge, ``(T,)``; the likelihood of the source is constant for it."""
        with torch.no_grad():
            made = getattr(nets, self.forward)(getattr(batch, self.source))
        x, y = self.labelled(getattr(batch, self.target), made)
        f = getattr(nets, self.judge)(x)
        return labelling.infogan(f, y, torch.zeros_like(f)).mean(-1)

    def made(self, nets: SimpleNamespace, batch: SimpleNamespace) -> Tensor:
        """Eqs 15 and 35 for theta and eta, ``(T,)``: the discriminator reversed, and the source read back."""
        source, given = getattr(batch, self.source), getattr(batch, self.target)
        made = getattr(nets, self.forward)(source)
        x, y = self.labelled(given, made)
        f, log_source = getattr(nets, self.judge)(x), self.log_source(nets, made, source)
        log_source = torch.cat([torch.zeros_like(log_source), log_source], -1)
        return labelling.infogan(labelling.reverse(f), y, log_source).mean(-1)


def processes_game(
    name: str,
    networks: Mapping[str, Builder],
    processes: tuple[Process, ...],
    draws: Mapping[str, Draw],
    settings: Mapping[str, Any],
) -> Game:
    """The judges learn eq 15 or 35 for phi, then all other networks the sum of the processes' other sides.

    ``settings`` holds ``rounds``, ``lr`` and ``beta1`` beside what identifies the game.
    """
    judges = tuple(process.judge for process in processes)
    makers = tuple(network for network in networks if network not in judges)

    def judging(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {process.judge: process.judged(nets, batch) for process in processes}

    def making(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        loss = torch.stack([process.made(nets, batch) for process in processes]).sum(0)
        return dict.fromkeys(makers, loss)

    def iterate(nets: SimpleNamespace) -> None:
        for judge in judges:
            power_iteration(getattr(nets, judge))

    turns = (Turn(judges, draws, judging, iterate), Turn(makers, draws, making))
    players = {n: Player((n,), settings["lr"], (settings["beta1"], 0.999)) for n in networks}
    return Game(name, networks, players, (Phase("train", settings["rounds"], turns),), settings)


@dataclass(frozen=True)
class Codes:
    """InfoGAN's codes ``(batch, classes + normal)``: a class, one-hot and uniform, then standard normals."""

    batch: int
    classes: int
    normal: int

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        on = generator.device
        labels = torch.randint(self.classes, (rounds, self.batch), generator=generator, device=on)
        rest = torch.randn(rounds, self.batch, self.normal, generator=generator, device=on)
        return torch.cat([F.one_hot(labels, self.classes).to(rest), rest], -1)

    def take(self, drawn: Tensor) -> Tensor:
        return drawn


def code_log_prob(answer: Tensor, codes: Tensor, classes: int, continuous: int) -> Tensor:
    r"""InfoGAN's :math:`\log q_\eta(z|x,y{=}0)` of the class and of the first ``continuous`` normals.

    ``answer`` (T, B, classes + continuous): class logits, then the normals' means, their standard deviation
    fixed at 1 (a free one has a likelihood without bound, and the class is not worth learning beside it).
    ``codes`` (T, B, classes + continuous + the rest, which nobody recovers). Returns (T, B) in nats.
    """
    logits, mean = answer.split([classes, continuous], -1)
    given = codes[..., classes : classes + continuous]
    log_class = (codes[..., :classes] * logits.log_softmax(-1)).sum(-1)
    return log_class + normal_log_prob(given, mean, 0.0).sum(-1)


def infogan(
    images: Images,
    *,
    classes: int = 10,
    continuous: int = 2,
    noise: int = 16,
    hidden: int = 128,
    batch: int = 64,
    rounds: int = 2000,
    lr: float = 1e-3,
    beta1: float = 0.5,
) -> Game:
    """Paper B, eq 15 (Chen et al. 2016): G draws images from codes, Q reads the code back, D judges.

    A code is one of ``classes``, ``continuous`` normals that Q recovers, and ``noise`` that it does not.
    Q is a network of its own here. The log-likelihood has weight 1, as eq 15 has it.
    """
    d, n_code = images.x[0].numel(), classes + continuous + noise
    settings = {k: v for k, v in locals().items() if k not in ("d", "n_code")}
    networks: dict[str, Builder] = {
        "G": lambda g: MLP([n_code, hidden, hidden, d], g),
        "Q": lambda g: MLP([d, hidden, classes + continuous], g),
        "D": lambda g: Critic(SpectralMLP([d, hidden, hidden, 1], g)),
    }

    def log_code(nets: SimpleNamespace, made: Tensor, codes: Tensor) -> Tensor:
        return code_log_prob(nets.Q(made), codes, classes, continuous)

    draws = {"x": FromTensor(images.x.flatten(1), batch), "z": Codes(batch, classes, continuous + noise)}
    process = Process("z", "x", "G", "D", log_code)
    return processes_game("infogan", networks, (process,), draws, settings)


def adversarial_autoencoder(
    images: Images,
    *,
    z: int = 2,
    sigma: float = 1.0,
    hidden: int = 128,
    batch: int = 64,
    rounds: int = 2000,
    lr: float = 1e-3,
    beta1: float = 0.5,
) -> Game:
    """Paper B, eqs 33-36 (Makhzani et al. 2015): InfoGAN with x and z exchanged.

    E encodes images (eq 34, deterministic), G is the decoder N(G(z), sigma^2) that reads the image back, and
    D judges codes against the standard normal prior. ``sigma`` sets the weight of reconstruction.
    """
    d = images.x[0].numel()
    settings = {k: v for k, v in locals().items() if k != "d"}
    networks: dict[str, Builder] = {
        "E": lambda g: MLP([d, hidden, hidden, z], g),
        "G": lambda g: MLP([z, hidden, hidden, d], g),
        "D": lambda g: Critic(SpectralMLP([z, hidden, hidden, 1], g)),
    }

    def log_image(nets: SimpleNamespace, made: Tensor, x: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(x, nets.G(made), sigma)

    draws = {"x": FromTensor(images.x.flatten(1), batch), "z": Normal((batch, z))}
    process = Process("x", "z", "E", "D", log_image)
    return processes_game("adversarial-autoencoder", networks, (process,), draws, settings)


def autoencoder(images: Images, **settings: Any) -> Game:
    """The adversarial autoencoder without its adversary, for comparison: D learns, but E does not hear it."""
    game = adversarial_autoencoder(images, **settings)
    judging, making = game.phases[0].turns
    sigma = game.settings["sigma"]

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        log_image = -likelihood.gaussian_nll(batch.x, nets.G(nets.E(batch.x)), sigma)
        return dict.fromkeys(making.moves, likelihood.negative_log_likelihood(log_image).mean(-1) / 2)

    turns = (judging, Turn(making.moves, making.draws, losses))
    phase = Phase("train", game.phases[0].rounds, turns)
    return Game("autoencoder", game.networks, game.players, (phase,), game.settings)


class Residual(MLP):
    """An MLP of equal ends that adds its output to its input: it starts near the identity map."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)

    def slope(self, x: Tensor) -> Tensor:
        return 1 + super().slope(x)


def cycle_gan(
    first: Images,
    second: Images,
    *,
    sigma: float = 1.0,
    hidden: int = 128,
    batch: int = 64,
    rounds: int = 2000,
    lr: float = 1e-3,
    beta1: float = 0.5,
) -> Game:
    """Paper B, section 3.2.3 (Zhu et al. 2017): eqs 15 and 35 summed, between two kinds of images.

    ``first`` is z and ``second`` is x, unpaired. G draws x from z and E z from x; each is the other's
    likelihood, N(., sigma^2), where Zhu et al. have absolute differences. D judges x, C judges z. Raises
    BridgekitError where the two kinds differ in shape; images are flattened.
    """
    settings = dict(locals())
    d = one_shape(first, second)
    networks: dict[str, Builder] = {
        "G": lambda g: Residual([d, hidden, hidden, d], g),
        "E": lambda g: Residual([d, hidden, hidden, d], g),
        "D": lambda g: Critic(SpectralMLP([d, hidden, hidden, 1], g)),
        "C": lambda g: Critic(SpectralMLP([d, hidden, hidden, 1], g)),
    }

    def log_z(nets: SimpleNamespace, made: Tensor, z: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(z, nets.E(made), sigma)

    def log_x(nets: SimpleNamespace, made: Tensor, x: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(x, nets.G(made), sigma)

    draws = {name: FromTensor(images.x.flatten(1), batch) for name, images in (("z", first), ("x", second))}
    processes = (Process("z", "x", "G", "D", log_z), Process("x", "z", "E", "C", log_x))
    return processes_game("cycle-gan", networks, processes, draws, settings)
