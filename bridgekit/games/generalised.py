r"""The two generalisations of the alpha-Bridge, paper A, section 3.3: with
the bridge for both marginals, or for both joint distributions.

Players: G (theta), E (phi, a Gaussian encoder with a noise of its own), D
(beta, of x), C (of codes z, the paper's g) and H (of pairs, its h). Both
are played on the plane, or on images. What E dreams in line 2 has the noise
of eq 13 on it, as the likelihoods have; D sees G(z), as in eq 16, and so
does H unless its pairs are ``sampled``, with the noise. The paper's
appendix, which has the algorithms, is lost: that step I is each display at
alpha = 0 and step III at 1, as Algorithm 1 is of eq 16, is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bridgekit.errors import BridgekitError
from bridgekit.games.bridge import alpha_bridge
from bridgekit.games.setups import Setup
from bridgekit.games.turns import repeated
from bridgekit.models.heads import Alone, Critic, PairCritic
from bridgekit.models.mlp import MLP, SpectralMLP
from bridgekit.play.draws import Draw
from bridgekit.play.game import Builder, Game, Turn, recorded
from bridgekit.theory import adversarial, generalised, likelihood
from bridgekit.theory import alpha as twins
from bridgekit.theory.densities import normal_log_prob, reparametrise


class Drawn(NamedTuple):
    """Codes of data and ``mean = G(z)``, with their gradients, ``made``,
    the same with noise; and the two likelihoods ``(..., B)``, which hold
    fixed what the other player drew: the boxes on phi and theta."""

    codes: Tensor
    mean: Tensor
    made: Tensor
    log_p: Tensor
    log_q: Tensor


def both_ways(
    setup: Setup,
    sigma: float,
    G: nn.Module,
    E: nn.Module,
    x: Tensor,
    eps: Tensor,
    z: Tensor,
    noise: Tensor,
) -> Drawn:
    r"""From data to codes and from codes to data: :math:`\log
    p_\theta(x|z)` at x ~ q, z ~ q(z|x), and :math:`\log q_\phi(z|x)` at z ~
    p, x ~ p(x|z)."""
    codes, mean = reparametrise(*E(x), eps), G(z)
    made = twins.semi_implicit_sample(mean, sigma, noise)
    reread = G(codes.detach())
    log_p = -likelihood.gaussian_nll(x, reread, sigma, setup.event_dims)
    log_q = normal_log_prob(z, *E(made.detach())).sum(-1)
    return Drawn(codes, mean, made, log_p, log_q)


def all_draws(setup: Setup) -> dict[str, Draw]:
    """What :func:`both_ways` needs of a round."""
    draws = {"x": setup.x, "eps": setup.z, "z": setup.z}
    return draws | {"noise": setup.noise}


def forward_turn(setup: Setup, sigma: float) -> Turn:
    """A.16a, A.16b: both displays at alpha = 0, which is wake-sleep
    (paper B, eq 20): G learns the ELBO, and E what G dreams."""

    def losses(G, E, x, eps, z, noise):
        drawn = both_ways(setup, sigma, G, E, x, eps, z, noise)
        nll = likelihood.negative_log_likelihood
        return {
            "G": nll(drawn.log_p).mean(-1),
            "E": nll(drawn.log_q).mean(-1),
        }

    return Turn(losses, ("G", "E"), all_draws(setup))


def marginals_turn(setup: Setup, sigma: float, clip: float) -> Turn:
    """A.16a: for G, lines 1 and 3, eq 15's; for E, lines 2 and 4."""

    def losses(G, E, D, C, x, eps, z, noise, alpha, gamma):
        drawn = both_ways(setup, sigma, G, E, x, eps, z, noise)
        with torch.no_grad():
            f_data, g_prior = D(x), C(z)
        f_made, g_codes = D(drawn.mean), C(drawn.codes)
        shares = alpha, gamma, clip
        theta = generalised.bridge(drawn.log_p, f_data, f_made, *shares)
        phi = generalised.bridge(drawn.log_q, g_prior, g_codes, *shares)
        return {"G": theta.mean(-1), "E": phi.mean(-1)}

    return Turn(losses, ("G", "E"), all_draws(setup))


def joints_turn(
    setup: Setup, sigma: float, clip: float, sampled: bool
) -> Turn:
    """A.16b: for G, lines 1 and 3; for E, lines 2 and 4, where h has the
    other sign."""

    def losses(G, E, H, x, eps, z, noise, alpha, gamma):
        drawn = both_ways(setup, sigma, G, E, x, eps, z, noise)
        h_data = H(x, drawn.codes)
        h_made = H(drawn.made if sampled else drawn.mean, z)
        shares = alpha, gamma, clip
        theta = generalised.bridge(drawn.log_p, h_data, h_made, *shares)
        phi = generalised.joint_encoder(
            drawn.log_q, h_made, h_data, *shares
        )
        return {"G": theta.mean(-1), "E": phi.mean(-1)}

    return Turn(losses, ("G", "E"), all_draws(setup))


def codes_turn(setup: Setup) -> Turn:
    """A.16a: line 4 at alpha = 1, for E: KL[q(z) || p(z)] by C."""

    def losses(E, C, x, eps):
        g = C(reparametrise(*E(x), eps))
        return {"E": adversarial.reverse_kl(g).mean(-1)}

    return Turn(losses, ("E",), {"x": setup.x, "eps": setup.z})


def pairs_turn(setup: Setup, own: float) -> Turn:
    """A.16b: lines 3 and 4 at alpha = 1, a reverse KL for each player."""

    def losses(G, E, H, x, eps, z, noise):
        made = twins.semi_implicit_sample(G(z), own, noise)
        h_data = H(x, reparametrise(*E(x), eps))
        return {
            "G": adversarial.reverse_kl(H(made, z)).mean(-1),
            "E": adversarial.reverse_kl(-h_data).mean(-1),
        }

    return Turn(losses, ("G", "E"), all_draws(setup))


def code_critic_turns(setup: Setup, steps: int) -> tuple[Turn, ...]:
    """C learns eq 4 on the prior's codes, which are its data, and E's."""

    def losses(E, C, x, eps, z):
        with torch.no_grad():
            codes = reparametrise(*E(x), eps)
        return {"C": adversarial.discriminator(C(z), C(codes)).mean(-1)}

    draws = {"x": setup.x, "eps": setup.z, "z": setup.z}
    return repeated(setup, losses, draws, steps, "C")


def pair_critic_turns(
    setup: Setup, own: float, steps: int
) -> tuple[Turn, ...]:
    """H learns eq 4 on data with E's codes, which are its data, and on
    codes with what G makes of them."""

    def losses(G, E, H, x, eps, z, noise):
        with torch.no_grad():
            codes = reparametrise(*E(x), eps)
            made = twins.semi_implicit_sample(G(z), own, noise)
        h_data, h_made = H(x, codes), H(made, z)
        return {"H": adversarial.discriminator(h_data, h_made).mean(-1)}

    return repeated(setup, losses, all_draws(setup), steps, "H")


def logits(setup: Setup, n_in: int, hidden: int, depth: int) -> Builder:
    """Rows to one number by ``depth`` hidden layers of ``hidden`` units,
    spectrally normalised where the setup's D is."""
    sizes = [n_in, *[hidden] * depth, 1]

    def build(g):
        net = (SpectralMLP if setup.spectral else MLP)(sizes, g)
        return net if setup.stacked else Alone(net)

    return build


def code_critic(setup: Setup, hidden: int, depth: int) -> Builder:
    """C, a critic of codes."""
    body = logits(setup, setup.z.shape[-1], hidden, depth)
    return lambda g: Critic(body(g))


def pair_critic(setup: Setup, hidden: int, depth: int) -> Builder:
    """H, a critic of pairs (x, z). An image is read by a body like E's, to
    as many numbers, as in ALI (Dumoulin et al. 2017)."""
    n_z = setup.z.shape[-1]
    if setup.event_dims == 1:
        n_in = setup.data.means.shape[-1] + n_z
        body = logits(setup, n_in, hidden, depth)
        return lambda g: PairCritic(body(g))
    encoder = setup.networks["E"]
    body = logits(setup, 3 * n_z, hidden, depth)
    return lambda g: PairCritic(body(g), encoder(g).body)


def check(setup: Setup) -> None:
    """BridgekitError unless the setup is a plane or images, whose
    observation noise is on the data themselves."""
    if not setup.networks or setup.observed:
        raise BridgekitError(
            "the generalised bridges are played on a plane or on images: "
            "setups.plane, setups.images"
        )


@recorded
def alpha_bridge_marginals(
    setup: Setup,
    *,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    gamma: Callable[[Tensor], Tensor] = twins.sigmoid_gamma,
    clip: float = 5.0,
    d_steps: int = 1,
    penalty: float = 0.0,
    hidden: int = 128,
    depth: int = 3,
) -> Game:
    """A.16a: the bridge for both marginals, as CycleGAN has two
    discriminators.

    The plain bridge's phases ``I``, ``II``, ``III`` and arguments; E leaves
    the ELBO for its own two lines, and C, with ``depth`` hidden layers of
    ``hidden`` units, learns after D, as often. With the plain ELBO for E
    this is :func:`bridgekit.games.bridge.alpha_bridge`, bit for bit. In
    step III nothing ties a code to its x any more. Raises BridgekitError
    off plane and images, and as the plain bridge does.
    """
    check(setup)
    told = {"gamma": gamma, "d_steps": d_steps, "penalty": penalty}
    plain = alpha_bridge(setup, rounds=rounds, **told)
    of_codes = code_critic_turns(setup, d_steps)
    turns = (
        forward_turn(setup, sigma),
        marginals_turn(setup, sigma, clip),
        codes_turn(setup),
    )
    phases = [
        replace(phase, turns=(*phase.turns[:-1], *of_codes, turn))
        for phase, turn in zip(plain.phases, turns, strict=True)
    ]
    C = code_critic(setup, hidden, depth)
    return setup.game(phases, networks={**plain.networks, "C": C})


@recorded
def alpha_bridge_joints(
    setup: Setup,
    *,
    sigma: float = 0.3,
    rounds: tuple[int, int, int] = (2000, 4000, 4000),
    gamma: Callable[[Tensor], Tensor] = twins.sigmoid_gamma,
    clip: float = 5.0,
    sampled: bool = False,
    h_steps: int = 1,
    hidden: int = 128,
    depth: int = 3,
) -> Game:
    """A.16b: the bridge for both joint distributions, as ALICE has one
    discriminator of pairs (x, z).

    The plain bridge's phases and arguments; H, with ``depth`` hidden layers
    of ``hidden`` units and ``h_steps`` a round, stands in D's place. Where
    h is a function of x alone and E learns the ELBO, G's gradient is eq
    16's. With ``sampled`` its pairs have the noise of eq 13. Raises
    BridgekitError off plane and images, and as the plain bridge does.
    """
    check(setup)
    plain = alpha_bridge(setup, rounds=rounds, gamma=gamma, d_steps=h_steps)
    own = sigma * sampled
    of_pairs = pair_critic_turns(setup, own, h_steps)
    turns = (
        forward_turn(setup, sigma),
        joints_turn(setup, sigma, clip, sampled),
        pairs_turn(setup, own),
    )
    phases = [
        replace(phase, turns=(*of_pairs, turn))
        for phase, turn in zip(plain.phases, turns, strict=True)
    ]
    networks = {
        "G": plain.networks["G"],
        "E": plain.networks["E"],
        "H": pair_critic(setup, hidden, depth),
    }
    return setup.game(phases, networks=networks)
