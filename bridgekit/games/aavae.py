r"""Variational autoencoders of binary images, plain and with paper B's
adversary activated.

Paper B, sections 3.3 and 4.2, eqs 17-19, 23, 48-50 and appendix G.2.
Players: ``model`` (theta and eta: the decoder G and the encoder E) and
``D`` (phi). A plain game has no D. Everything carries a leading trials axis
T, and every trial has its own part of the data.

An image is a row of d pixels, 0 or 1, followed by its label as one of K
one-hot columns; with K = 0 there are no labels and the conditional
autoencoder is the ordinary one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bridgekit.data.binary import Pairs
from bridgekit.games.setups import square
from bridgekit.models.batch_norm import untracked
from bridgekit.models.heads import Critic, GaussianEncoder
from bridgekit.models.labelled import convolutions, perceptrons
from bridgekit.play.draws import FromParts, Normal, Uniform
from bridgekit.play.game import Game, Phase, Player, Turn, adam, recorded
from bridgekit.theory import labelling, likelihood, weighted
from bridgekit.theory.densities import kl_to_standard_normal, reparametrise


def coded(
    G: nn.Module, E: nn.Module, pairs: Tensor, eps: Tensor
) -> tuple[Tensor, ...]:
    """-log p(x|z, y) at one posterior sample of each pair, (T, B), with mu,
    log sigma and that z."""
    mu, log_sigma = E(pairs)
    z = reparametrise(mu, log_sigma, eps)
    x, y = pairs.tensor_split([G.outputs], -1)
    return likelihood.bernoulli_nll(x, G(_beside(z, y))), mu, log_sigma, z


def _beside(x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([x, y], -1) if y.shape[-1] else x


def negative_bound(
    G: nn.Module, E: nn.Module, pairs: Tensor, eps: Tensor
) -> Tensor:
    r"""B.17: :math:`-\mathrm{ELBO}` of :math:`\log p(x)`, or of
    :math:`\log p(x|y)` where K > 0.

    .. math:: \mathbb E_{q_\eta(z|x,y)}[-\log p_\theta(x|z,y)]
       + \mathrm{KL}(q_\eta(z|x,y)\,\|\,p(z))

    ``pairs`` (T, B, d + K), ``eps`` (T, B, z) standard normal; (T, B) in
    nats, one posterior sample each.
    """
    nll, mu, log_sigma, _ = coded(G, E, pairs, eps)
    return likelihood.negative_elbo(
        nll, kl_to_standard_normal(mu, log_sigma)
    )


def generated(G: nn.Module, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
    r"""B.18: for y = 0, :math:`x\sim\tilde p_\theta(x|z)`, Bernoulli
    *samples* beside their labels.

    Samples and not means: real images are binary, and D would tell grey
    pixels at a glance. ``u`` (T, B, d) is uniform on [0, 1). Detached: x is
    drawn at :math:`\theta_0`, and batch normalisation's averages, which are
    kept for codes of images, do not see it.
    """
    with torch.no_grad(), untracked(G):
        return _beside((u < G(_beside(z, y)).sigmoid()).to(z), y)


def is_real(n: int, like: Tensor) -> Tensor:
    """1 for the first half of a batch of 2n, 0 for the second."""
    return (torch.arange(2 * n, device=like.device) < n).to(like)


def _neighbours(f: Tensor) -> Tensor:
    """D's logits, (T, 2B), each handed to the next image of its half, real
    or generated."""
    return f.unflatten(-1, (2, -1)).roll(1, -1).flatten(-2)


@recorded
def autoencoder(
    data: Pairs,
    parts: Tensor,
    *,
    temperature: float | None = None,
    exchanged: bool = False,
    hidden: int = 500,
    width: int | None = None,
    z: int = 50,
    batch: int = 128,
    lr: float = 1e-3,
    rounds: int = 1000,
) -> Game:
    """B.17, B.23, B Table 3: the VAE (K = 0) and the class-conditional VAE;
    with a ``temperature``, adversary-activated.

    ``parts`` (T, n) are the rows that each trial learns from. Activated
    (eqs 23, 50), every real batch comes with as many generated images under
    the same labels. The model minimises the mean over both of D's weight
    (temperature in the weights only) times the negative bound; D learns to
    tell them apart (labels beside the images, where there are any). Both
    move at once, on one pass through D. Networks are perceptrons of
    ``hidden`` units, or with a ``width`` DCGANs, which are the paper's.

    ``exchanged`` is a control, not a method: an image has the weight of its
    neighbour in its half of the batch, another one at random. Weights are
    as uneven as before and generated images weigh as much in all; what D
    thinks of the single image is lost. An infinite temperature is another:
    every weight is one half. Raises ``ValueError`` where there are no
    weights to exchange.
    """
    pairs = FromParts(data.rows, parts, batch)
    networks = networks_of(
        data, data.pixels + data.classes, z, hidden, width
    )
    if temperature is not None:
        turn = _activated_turn(data, pairs, z, temperature, exchanged)
    elif exchanged:
        raise ValueError(
            "exchanged=True needs a temperature: "
            "a plain game has no weights to exchange"
        )
    else:
        turn = _plain_turn(pairs, z)
    return one_turn(networks, turn, lr, rounds)


def _plain_turn(pairs: FromParts, z: int) -> Turn:
    def losses(G, E, pairs, eps):
        return {"model": negative_bound(G, E, pairs, eps).mean(-1)}

    eps = Normal((pairs.batch, z))
    return Turn(losses, ("model",), {"pairs": pairs, "eps": eps})


def _activated_turn(
    data: Pairs,
    pairs: FromParts,
    z: int,
    temperature: float,
    exchanged: bool,
) -> Turn:
    """Real images and as many generated ones in one batch; each half has
    codes of its own."""
    n = pairs.batch

    def losses(G, E, D, pairs, eps, z, u):
        fake = generated(G, z, pairs[..., data.pixels :], u)
        both = torch.cat([pairs, fake], 1)
        f, loss = D(both), negative_bound(G, E, both, eps)
        believed = _neighbours(f) if exchanged else f
        return {
            "D": labelling.label_nll(f, is_real(n, f)).mean(-1),
            "model": weighted.adversary_activated(
                believed, loss, temperature
            ).mean(-1),
        }

    draws = {
        "pairs": pairs,
        "eps": Normal((2 * n, z)),
        "z": Normal((n, z)),
        "u": Uniform((n, data.pixels)),
    }
    return Turn(losses, ("D", "model"), draws)


def networks_of(
    data: Pairs,
    seen: int,
    z: int,
    hidden: int,
    width: int | None,
    classifier: bool = False,
) -> dict[str, Callable]:
    """C first, where there is one, and D last: a plain game starts from the
    activated one's weights. Raises BridgekitError for a DCGAN of images
    that are not square."""
    if width is not None and data.shape:
        square(data.shape)  # 8 x 32 pixels are as many as 16 x 16
    make = perceptrons if width is None else convolutions
    build = make(
        data.pixels,
        data.classes,
        seen,
        z,
        hidden if width is None else width,
    )
    networks = {"C": build["C"]} if classifier else {}
    return networks | {
        "G": build["G"],
        "E": lambda g: GaussianEncoder(build["E"](g)),
        "D": lambda g: Critic(build["D"](g)),
    }


def one_turn(networks: dict, turn: Turn, lr: float, rounds: int) -> Game:
    """A game of one phase, ``train``, of one turn; without a D in the turn
    there is no such network."""
    networks = {
        key: build
        for key, build in networks.items()
        if key != "D" or "D" in turn.moves
    }
    owned = {
        "model": tuple(key for key in networks if key != "D"),
        "D": ("D",),
    }
    players = {key: Player(owned[key], adam(lr, 0.9)) for key in turn.moves}
    return Game(networks, players, (Phase("train", rounds, (turn,)),))
