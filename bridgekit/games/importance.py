r"""Importance-weighted GANs, paper B, section 4.1 and appendix E: plain and
class-conditional.

What they are compared with: the plain GAN is ``baselines.gan(setup,
adversarial.non_saturating)``, the class-conditional one :func:`cgan`. D
learns in the same way in all four; in G's turn alone the mean over the
minibatch becomes a weighted sum whose weights add up to one. For one seed
networks start alike and draws fall alike, so trials are pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bridgekit.errors import BridgekitError
from bridgekit.games.setups import Setup
from bridgekit.games.turns import discriminator_turns
from bridgekit.models.mlp import MLP
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import adversarial, weighted
from bridgekit.theory.densities import normal_log_prob

ClassLoss = Callable[[Tensor, Tensor], Tensor]


def importance_turn(setup: Setup) -> Turn:
    r"""B.22: for G, ``k`` the setup's batch: :math:`-\sum_i\widetilde
    w_i\log D(x_i)`, **summed** over i."""

    def losses(G, D, z):
        f = D(G(z))
        return {
            "G": weighted.importance_weighted(
                f, weighted.importance_log_weight(f)
            ).sum(-1)
        }

    return Turn(losses, ("G",), {"z": setup.z})


@recorded
def iwgan(setup: Setup, *, rounds: int = 10_000, d_steps: int = 1) -> Game:
    """B.22, B.47: for G, and eq 1 for D; a round is ``d_steps`` steps of
    D and one of G.

    The k samples of the bound are the minibatch; the weights are detached
    and cost one softmax.
    """
    return setup.train(
        rounds,
        (
            *discriminator_turns(setup, steps=d_steps),
            importance_turn(setup),
        ),
    )


@recorded
def affine(setup: Setup) -> Setup:
    """A plane setup whose generator is x = zW + b: p_g is a Gaussian,
    :func:`affine_log_density`.

    Raises BridgekitError where codes and data differ in width: W has no
    inverse then.
    """
    width, d = setup.z.shape[-1], setup.data.means.shape[-1]
    if width != d:
        raise BridgekitError(
            f"an affine generator of {d} numbers wants codes of as many, "
            f"not {width}: z={d}"
        )
    return replace(
        setup,
        networks={**setup.networks, "G": lambda g: MLP([width, width], g)},
    )


def affine_log_density(g: MLP, x: Tensor) -> Tensor:
    r"""Exact :math:`\log p_g(x)=\log\mathcal N((x-b)W^{-1};0,I)-\log|\det
    W|` of an affine generator.

    ``x``: ``(T, B, d) -> (T, B)``, in nats. Raises ``RuntimeError`` where W
    is singular, ``ValueError`` for a generator of more than one layer.
    """
    (w,), (b,) = g.weights, g.biases
    code = torch.linalg.solve(w, x - b, left=False)
    return (
        normal_log_prob(code, 0.0, 0.0).sum(-1)
        - torch.linalg.slogdet(w).logabsdet[:, None]
    )


def _class_discriminator(setup: Setup) -> Turn:
    """D learns eq 1 on (x, y); each fake has the label of the real image
    beside it.

    So labels say nothing about real or fake, and D's ratio is that of the
    images given the class.
    """
    data = setup.data

    def losses(G, D, index, z):
        x, y = data.x[index], data.y[index]
        with torch.no_grad():
            fake = G(z, y)
        return {
            "D": adversarial.discriminator(D(x, y), D(fake, y)).mean(-1)
        }

    return Turn(losses, ("D",), {"index": setup.x, "z": setup.z})


def _class_generator(setup: Setup, objective: ClassLoss) -> Turn:
    """G learns ``objective(f, y)``, reduced, on its own samples; the labels
    y are drawn from the data's."""
    labels = setup.data.y

    def losses(G, D, index, z):
        y = labels[index]
        return {"G": objective(D(G(z, y), y), y)}

    return Turn(losses, ("G",), {"index": setup.x, "z": setup.z})


def _class_game(setup: Setup, objective: ClassLoss, rounds: int) -> Game:
    if not setup.labelled:
        raise BridgekitError(
            "a class-conditional game wants labels: "
            "setups.images(..., labelled=True)"
        )
    return setup.train(
        rounds,
        (_class_discriminator(setup), _class_generator(setup, objective)),
    )


@recorded
def cgan(setup: Setup, *, rounds: int = 10_000) -> Game:
    """B Table 2: the class-conditional GAN (Mirza and Osindero 2014) with
    the non-saturating loss, averaged.

    ``setup`` has labelled images, as for :func:`iwcgan`.
    """

    def objective(f: Tensor, y: Tensor) -> Tensor:
        return adversarial.non_saturating(f).mean(-1)

    return _class_game(setup, objective, rounds)


@recorded
def iwcgan(setup: Setup, *, rounds: int = 10_000) -> Game:
    """B Table 2: the extension with ``weighted.class_log_weight``, each
    class's weights apart, **summed**."""

    def objective(f: Tensor, y: Tensor) -> Tensor:
        return weighted.importance_weighted(
            f, weighted.class_log_weight(f, y)
        ).sum(-1)

    return _class_game(setup, objective, rounds)
