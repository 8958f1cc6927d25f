r"""Importance-weighted GANs, paper B, section 4.1 and appendix E: plain and class-conditional.

What they are compared with: the plain GAN is ``baselines.gan(arena, adversarial.non_saturating)``, the
class-conditional one :func:`cgan`. D learns in the same way in all four; in G's turn alone the mean over the
minibatch becomes a weighted sum whose weights add up to one. For one seed networks start alike and draws fall
alike, so trials are pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Arena, Builder, square
from bridgekit.games.turns import discriminator_turns
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.heads import Conditional, Critic
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import Draw, FromTensor, Normal
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import adversarial, weighted
from bridgekit.theory.densities import normal_log_prob

ClassLoss = Callable[[Tensor, Tensor], Tensor]


def importance_turn(arena: Arena) -> Turn:
    r"""Eq 22 for G, ``k`` the arena's batch: :math:`-\sum_i\widetilde w_i\log D(x_i)`, **summed** over i."""

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        f = nets.D(nets.G(batch.z))
        return {"G": weighted.importance_weighted(f, weighted.importance_log_weight(f)).sum(-1)}

    return Turn(("G",), {"z": arena.z}, losses)


def iwgan(arena: Arena, *, rounds: int = 10_000, d_steps: int = 1) -> Game:
    """Paper B, eq 22 for G and eq 1 for D; a round is ``d_steps`` steps of D and one of G.

    The k samples of the bound are the minibatch; the weights are detached and cost one softmax.
    """
    networks = {name: arena.networks[name] for name in ("G", "D")}
    turns = (*discriminator_turns(arena, steps=d_steps), importance_turn(arena))
    settings = {"rounds": rounds, "d_steps": d_steps, "arena": arena.settings}
    players = {name: arena.player(name) for name in networks}
    return Game("iwgan", networks, players, (Phase("train", rounds, turns),), settings, arena.stacked)


def affine(arena: Arena) -> Arena:
    """A plane arena whose generator is x = zW + b: p_g is a Gaussian, :func:`affine_log_density`.

    Raises BridgekitError where codes and data differ in width: W has no inverse then.
    """
    width, d = arena.z.shape[-1], arena.x.mixture.means.shape[-1]
    if width != d:
        raise BridgekitError(f"an affine generator of {d} numbers wants codes of as many, not {width}: z={d}")
    networks: dict[str, Builder] = {**arena.networks, "G": lambda g: MLP([width, width], g)}
    return replace(arena, networks=networks, settings={**arena.settings, "generator": "affine"})


def affine_log_density(g: MLP, x: Tensor) -> Tensor:
    r"""Exact :math:`\log p_g(x)=\log\mathcal N((x-b)W^{-1};0,I)-\log|\det W|` of an affine generator.

    ``x``: ``(T, B, d) -> (T, B)``, in nats. Raises ``RuntimeError`` where W is singular, ``ValueError`` for a
    generator of more than one layer.
    """
    (w,), (b,) = g.weights, g.biases
    code = torch.linalg.solve(w, x - b, left=False)
    return normal_log_prob(code, 0.0, 0.0).sum(-1) - torch.linalg.slogdet(w).logabsdet[:, None]


@dataclass(frozen=True)
class ClassArena:
    """Labelled images for class-conditional games: G takes (z, y), D takes (x, y); one trial at a time.

    ``index`` draws rows of ``dataset``, so that an image comes with its own label.
    """

    networks: Mapping[str, Builder]
    dataset: Images
    index: Draw
    z: Normal
    lr: float
    betas: tuple[float, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def player(self, network: str) -> Player:
        """A player that moves one network with the arena's Adam."""
        return Player((network,), self.lr, self.betas)


def labelled_images(
    dataset: Images, *, batch: int = 128, width: int = 64, z: int = 100, lr: float = 2e-4, beta1: float = 0.5
) -> ClassArena:
    """``setups.images`` with labels: DCGAN networks whose first layers see the class too.

    Raises BridgekitError where the images are not square.
    """
    settings = dict(locals())
    classes, (channels, size) = len(dataset.classes), square(dataset)

    def generator(g: list[torch.Generator]) -> Conditional:
        return Conditional(DCGANGenerator(g, z + classes, width, channels, size), classes)

    def discriminator(g: list[torch.Generator]) -> Conditional:
        return Conditional(Critic(DCGANBody(g, 1, width, channels + classes, size)), classes)

    index = FromTensor(torch.arange(len(dataset), device=dataset.y.device), batch)
    networks: dict[str, Builder] = {"G": generator, "D": discriminator}
    return ClassArena(networks, dataset, index, Normal((batch, z)), lr, (beta1, 0.999), settings)


def _class_discriminator(arena: ClassArena) -> Turn:
    """D learns eq 1 on (x, y); each fake has the label of the real image beside it.

    So labels say nothing about real or fake, and D's ratio is that of the images given the class.
    """
    data = arena.dataset

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        x, y = data.x[batch.index], data.y[batch.index]
        with torch.no_grad():
            fake = nets.G(batch.z, y)
        return {"D": adversarial.discriminator(nets.D(x, y), nets.D(fake, y)).mean(-1)}

    return Turn(("D",), {"index": arena.index, "z": arena.z}, losses)


def _class_generator(arena: ClassArena, objective: ClassLoss) -> Turn:
    """G learns ``objective(f, y)``, reduced, on its own samples; the labels y are drawn from the data's."""
    labels = arena.dataset.y

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        y = labels[batch.index]
        return {"G": objective(nets.D(nets.G(batch.z, y), y), y)}

    return Turn(("G",), {"index": arena.index, "z": arena.z}, losses)


def _class_game(name: str, arena: ClassArena, objective: ClassLoss, rounds: int) -> Game:
    turns = (_class_discriminator(arena), _class_generator(arena, objective))
    players = {network: arena.player(network) for network in arena.networks}
    settings = {"rounds": rounds, "arena": arena.settings}
    return Game(name, arena.networks, players, (Phase("train", rounds, turns),), settings, False)


def cgan(arena: ClassArena, *, rounds: int = 10_000) -> Game:
    """The class-conditional GAN (Mirza and Osindero 2014) with the non-saturating loss, averaged."""

    def objective(f: Tensor, y: Tensor) -> Tensor:
        return adversarial.non_saturating(f).mean(-1)

    return _class_game("cgan", arena, objective, rounds)


def iwcgan(arena: ClassArena, *, rounds: int = 10_000) -> Game:
    """Paper B's extension: ``weighted.class_log_weight``, each class's weights apart, **summed**."""

    def objective(f: Tensor, y: Tensor) -> Tensor:
        return weighted.importance_weighted(f, weighted.class_log_weight(f, y)).sum(-1)

    return _class_game("iwcgan", arena, objective, rounds)
