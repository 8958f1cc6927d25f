r"""Adversarial games of paper B in its own notation: ADA, InfoGAN, the
adversarial autoencoder, CycleGAN.

One :class:`Process` maps a source into a space where samples of the target
are given; there a discriminator tells the two apart, and a likelihood reads
the source back. Codes mapped to data are InfoGAN (eq 15), data mapped to
codes the adversarial autoencoder (eq 35), and the two at once, between two
kinds of images, CycleGAN: each is the same function with other arguments.
All are played on a flat setup, so that all seeds are one batch of trials;
the discriminators are spectrally normalised, one power iteration before
each of their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bridgekit.data.images import Images, one_shape
from bridgekit.games.aavae import is_real
from bridgekit.games.setups import Setup
from bridgekit.models.mlp import MLP, power_iteration
from bridgekit.play.draws import Draw, FromTensor, Normal
from bridgekit.play.game import Builder, Game, Turn, recorded
from bridgekit.theory import labelling, likelihood
from bridgekit.theory.densities import normal_log_prob

There = Mapping[str, Any]  # networks and batches by name


@dataclass(frozen=True)
class Process:
    """One adversarial process: ``forward`` maps the draw ``source`` to
    where the draw ``target`` lives.

    ``discriminator`` is the network that tells the mapped (y = 0) from the
    given (y = 1) there, a logit. ``log_source(there, made, source)`` is the
    log-likelihood of each source sample given what was made of it, ``(T,
    B)``.
    """

    source: str
    target: str
    forward: str
    discriminator: str
    log_source: Callable[[There, Tensor, Tensor], Tensor]

    def labelled(
        self, given: Tensor, made: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Given and made samples as one batch ``(T, 2B, d)``, and their
        labels y ``(2B,)``."""
        x = torch.cat([given, made], -2)
        return x, is_real(given.shape[-2], x)

    def told(self, there: There) -> Tensor:
        """Eqs 15 and 35 for phi, the discriminator, ``(T,)``; the source's
        likelihood is constant for it."""
        with torch.no_grad():
            made = there[self.forward](there[self.source])
        x, y = self.labelled(there[self.target], made)
        f = there[self.discriminator](x)
        return labelling.infogan(f, y, torch.zeros_like(f)).mean(-1)

    def made(self, there: There) -> Tensor:
        """Eqs 15 and 35 for theta and eta, ``(T,)``: the discriminator
        reversed, and the source read back."""
        source = there[self.source]
        made = there[self.forward](source)
        x, y = self.labelled(there[self.target], made)
        f = there[self.discriminator](x)
        log_source = self.log_source(there, made, source)
        both = torch.cat([torch.zeros_like(log_source), log_source], -1)
        return labelling.infogan(labelling.reverse(f), y, both).mean(-1)


def processes_game(
    setup: Setup,
    rounds: int,
    networks: Mapping[str, Builder],
    processes: Sequence[Process],
    draws: Mapping[str, Draw],
) -> Game:
    """Discriminators learn eq 15 or 35 for phi, then all others the sum of
    the processes' other sides."""
    of_phi = tuple(process.discriminator for process in processes)
    others = tuple(network for network in networks if network not in of_phi)

    def telling(**there):
        return {
            process.discriminator: process.told(there)
            for process in processes
        }

    def making(**there):
        loss = torch.stack(
            [process.made(there) for process in processes]
        ).sum(0)
        return dict.fromkeys(others, loss)

    def iterate(**nets):
        for name in of_phi:
            power_iteration(nets[name])

    turns = (
        Turn(telling, of_phi, draws, iterate),
        Turn(making, others, draws),
    )
    return setup.train(rounds, turns, networks=networks)


@dataclass(frozen=True)
class Codes:
    """InfoGAN's codes ``(batch, classes + normal)``: a class, one-hot and
    uniform, then standard normals."""

    batch: int
    classes: int
    normal: int

    def chunk(self, rounds: int, generator: torch.Generator) -> Tensor:
        on = generator.device
        labels = torch.randint(
            self.classes,
            (rounds, self.batch),
            generator=generator,
            device=on,
        )
        rest = torch.randn(
            rounds, self.batch, self.normal, generator=generator, device=on
        )
        return torch.cat(
            [F.one_hot(labels, self.classes).to(rest), rest], -1
        )

    def take(self, drawn: Tensor) -> Tensor:
        return drawn


def code_log_prob(
    answer: Tensor, codes: Tensor, classes: int, continuous: int
) -> Tensor:
    r"""InfoGAN's :math:`\log q_\eta(z|x,y{=}0)` of the class and of the
    first ``continuous`` normals.

    ``answer`` (T, B, classes + continuous): class logits, then the normals'
    means, their standard deviation fixed at 1 (a free one has a likelihood
    without bound, and the class is not worth learning beside it). ``codes``
    (T, B, classes + continuous + the rest, which nobody recovers). Returns
    (T, B) in nats.
    """
    logits, mean = answer.split([classes, continuous], -1)
    given = codes[..., classes : classes + continuous]
    log_class = (codes[..., :classes] * logits.log_softmax(-1)).sum(-1)
    return log_class + normal_log_prob(given, mean, 0.0).sum(-1)


@recorded
def infogan(
    setup: Setup,
    *,
    classes: int = 10,
    continuous: int = 2,
    noise: int = 16,
    rounds: int = 2000,
) -> Game:
    """B.15: InfoGAN (Chen et al. 2016). G draws images from codes, and Q
    reads the code back.

    A code is one of ``classes``, ``continuous`` normals that Q recovers,
    and ``noise`` that it does not. Q is a network of its own here. The
    log-likelihood has weight 1, as eq 15 has it.
    """
    d = setup.x.x.shape[1]
    networks = {
        "G": setup.perceptron(classes + continuous + noise, d),
        "Q": setup.perceptron(d, classes + continuous, depth=1),
        "D": setup.critic(d, spectral=True),
    }

    def log_code(there: There, made: Tensor, codes: Tensor) -> Tensor:
        return code_log_prob(there["Q"](made), codes, classes, continuous)

    draws = {
        "x": setup.x,
        "z": Codes(setup.batch, classes, continuous + noise),
    }
    return processes_game(
        setup,
        rounds,
        networks,
        [Process("z", "x", "G", "D", log_code)],
        draws,
    )


@recorded
def adversarial_autoencoder(
    setup: Setup, *, z: int = 2, sigma: float = 1.0, rounds: int = 2000
) -> Game:
    """B.33, B.34, B.35, B.36: AAE (Makhzani et al. 2015), InfoGAN with x
    and z exchanged.

    E encodes images (eq 34, deterministic), G is the decoder N(G(z),
    sigma^2) that reads the image back, and D tells codes from the standard
    normal prior's. ``sigma`` sets the weight of reconstruction.
    """
    d = setup.x.x.shape[1]
    networks = {
        "E": setup.perceptron(d, z),
        "G": setup.perceptron(z, d),
        "D": setup.critic(z, spectral=True),
    }

    def log_image(there: There, made: Tensor, x: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(x, there["G"](made), sigma)

    draws = {"x": setup.x, "z": Normal((setup.batch, z))}
    return processes_game(
        setup,
        rounds,
        networks,
        [Process("x", "z", "E", "D", log_image)],
        draws,
    )


@recorded
def autoencoder(
    setup: Setup, *, z: int = 2, sigma: float = 1.0, rounds: int = 2000
) -> Game:
    """The adversarial autoencoder without its adversary, for comparison: D
    learns, but E does not hear it."""
    game = adversarial_autoencoder(setup, z=z)
    telling, making = game.phases[0].turns

    def losses(E, G, x, z):
        log_image = -likelihood.gaussian_nll(x, G(E(x)), sigma)
        return dict.fromkeys(
            making.moves,
            likelihood.negative_log_likelihood(log_image).mean(-1) / 2,
        )

    turns = telling, Turn(losses, making.moves, making.draws)
    return setup.train(rounds, turns, networks=game.networks)


class Residual(MLP):
    """An MLP of equal ends that adds its output to its input: it starts
    near the identity map."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)

    def slope(self, x: Tensor) -> Tensor:
        return 1 + super().slope(x)


@recorded
def cycle_gan(
    setup: Setup, second: Images, *, sigma: float = 1.0, rounds: int = 2000
) -> Game:
    """Paper B, section 3.2.3 (Zhu et al. 2017): eqs 15 and 35 summed,
    between two kinds of images.

    The setup's images are z and ``second`` is x, unpaired. G draws x from z
    and E z from x; each is the other's likelihood, N(., sigma^2), where Zhu
    et al. have absolute differences. D tells x from G(z), C z from E(x).
    Raises BridgekitError where the two kinds differ in shape.
    """
    d = one_shape(setup.data, second)
    sizes = [d, setup.hidden, setup.hidden, d]
    networks: dict[str, Builder] = {
        "G": lambda g: Residual(sizes, g),
        "E": lambda g: Residual(sizes, g),
        "D": setup.critic(d, spectral=True),
        "C": setup.critic(d, spectral=True),
    }

    def log_z(there: There, made: Tensor, z: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(z, there["E"](made), sigma)

    def log_x(there: There, made: Tensor, x: Tensor) -> Tensor:
        return -likelihood.gaussian_nll(x, there["G"](made), sigma)

    draws = {
        "z": setup.x,
        "x": FromTensor(second.x.flatten(1), setup.batch),
    }
    both = (
        Process("z", "x", "G", "D", log_z),
        Process("x", "z", "E", "C", log_x),
    )
    return processes_game(setup, rounds, networks, both, draws)
