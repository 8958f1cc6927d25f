"""Paper A's two displays below eq 16: what they are a generalisation of, and what is right in print.

Term by term they have oracles (``tests/oracles/of_generalised.py``); the numbers here stand in the errata.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from games.harness import begun, draws_of, weights
from oracles import of_generalised as pair
from oracles.gaussians import M, S, log_normal
from oracles.of_generalised import ONE, OTHER, integral, line, moments, normals
from oracles.tools import gradient
from torch import Tensor

from bridgekit import data
from bridgekit.games import bridge, generalised, setups
from bridgekit.games.turns import elbo_terms
from bridgekit.play.game import Game, Turn
from bridgekit.play.loop import play
from bridgekit.play.state import start
from bridgekit.theory import divergences, likelihood
from bridgekit.theory.generalised import bridge as eq_16

SETUP = setups.plane(data.mixture("gaussians25"), batch=16, hidden=8, depth=2)
ROUNDS, BODY, SIGMA = (20, 40, 20), {"hidden": 8, "depth": 2}, 0.3
PLAIN = bridge.alpha_bridge(SETUP, sigma=SIGMA, rounds=ROUNDS)


def elbo_for_e(game: Game) -> Game:
    """The game without its latent terms: E learns the plain ELBO of the same batch, and C does not play."""

    def changed(turn: Turn) -> Turn:
        def losses(**there):
            terms = elbo_terms(SETUP, SIGMA, *(there[name] for name in ("G", "E", "x", "eps")))
            return {**turn(**there), "E": likelihood.negative_elbo(*terms).mean(-1)}

        return replace(turn, losses=losses) if "E" in turn.moves else turn

    def kept(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        return tuple(changed(turn) for turn in turns if "C" not in turn.moves)

    return replace(game, phases=tuple(replace(phase, turns=kept(phase.turns)) for phase in game.phases))


def drawing_as(game: Game, other: Game) -> Game:
    """The game with the draws of another one of as many turns; what nobody takes is left."""

    def turns(mine: tuple[Turn, ...], theirs: tuple[Turn, ...]) -> tuple[Turn, ...]:
        pairs = zip(mine, theirs, strict=True)
        return tuple(replace(a, losses=lambda a=a, **there: a(**there), draws=b.draws) for a, b in pairs)

    both = zip(game.phases, other.phases, strict=True)
    return replace(game, phases=tuple(replace(p, turns=turns(p.turns, q.turns)) for p, q in both))


def test_marginals_with_the_plain_elbo_for_e_are_the_plain_bridge_bit_for_bit():
    reduced = elbo_for_e(generalised.alpha_bridge_marginals(SETUP, sigma=SIGMA, rounds=ROUNDS, **BODY))
    ends = []
    for game in (reduced, drawing_as(PLAIN, reduced)):
        state = start(game, [0, 1])
        for phase in game.phases:
            play(game, state, phase.name)
        ends.append(weights(state))
    reduced_end, plain_end = ends
    assert plain_end.keys() < reduced_end.keys()
    assert all(torch.equal(reduced_end[key], value) for key, value in plain_end.items())


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_joints_with_an_h_of_x_alone_have_the_gradient_of_eq_16(alpha):
    """E's own line does not reach G."""
    game = generalised.alpha_bridge_joints(SETUP, sigma=SIGMA, **BODY)
    nets = begun(PLAIN, [0, 1]).nets
    (turn,) = (turn for turn in game.phase("II").turns if "G" in turn.moves)
    batch = {name: v[0].double() for name, v in draws_of(game, "II", 1, [0, 1], rounds=1).items()}
    there = {**nets, **batch, "H": lambda x, z: nets["D"](x)}
    there |= {"alpha": torch.tensor(alpha), "gamma": torch.tensor(0.3)}
    found = []
    for each in (turn, PLAIN.phase("II").turns[-1]):
        loss = each(**there)["G"].sum()
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, nets["G"].parameters())]))
    got, want = found
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)
    assert want.abs().max() > 0.1


# --- the linear-Gaussian pair ---------------------------------------------------------------------------

THETA, PHI = (0.9, -0.2, 0.7), (0.4, 0.1, 0.8)


def vector(value: Tensor, parameters: pair.Line) -> Tensor:
    return torch.stack(gradient(value, *parameters))


def off(got: Tensor, want: Tensor) -> float:
    """How far off, as a share of the right gradient's length."""
    return float((got - want).norm() / want.norm())


def marginal(maker: pair.Line, latent: tuple, target: tuple, alpha: float):
    """D_alpha of what ``maker`` makes of a latent variable, and its frozen log-ratio."""
    means, cov = moments(maker, *latent)
    center, spread = means[1], cov[1, 1].sqrt()

    def ratio(y: Tensor) -> Tensor:
        return log_normal(y, *target) - log_normal(y, center.detach(), spread.detach())

    return divergences.alpha_normal(center, spread, alpha, *target), ratio


def test_every_weight_of_lines_3_and_4_must_be_held_fixed():
    """Learned through at alpha = 1/2 each gradient is off: by these shares of its length."""
    alpha, theta, phi = 0.5, line(*THETA), line(*PHI)
    x, z = theta.sample(ONE, OTHER), phi.sample(M + S * ONE, OTHER)
    d_x, f = marginal(theta, (0.0, 1.0), (M, S), alpha)
    d_z, g = marginal(phi, (M, S), (0.0, 1.0), alpha)
    of_theta = pair.h(theta, phi, x, ONE.expand_as(x))
    of_phi = -pair.h(theta, phi, (M + S * ONE).expand_as(z), z)
    for ratio, divergence, maker, share in (
        (f(x), d_x, theta, 0.219),
        (g(z), d_z, phi, 0.165),
        (of_theta, pair.alpha_joint(theta, phi, alpha), theta, 0.403),
        (of_phi, pair.alpha_joint(theta, phi, 1 - alpha), phi, 0.392),
    ):
        want, zero = vector(divergence, maker), torch.zeros_like(ratio)
        through = integral(normals() * -torch.exp((1 - alpha) * ratio) * ratio)
        assert off(vector(through, maker), want) == pytest.approx(share, abs=5e-4)
        held = integral(normals() * eq_16(zero, zero, ratio, alpha, 1.0))
        assert off(vector(held, maker), want) < 1e-12


def test_the_boxes_on_the_left_of_the_second_display_are_needed():
    """Without them each player hears the other's divergence, too: at alpha = 1/2 the same once more."""
    theta, phi = line(*THETA), line(*PHI)
    for alpha, share in ((0.25, 1.420), (0.5, 1.0), (0.75, 0.704)):
        ours, theirs = (pair.alpha_joint(theta, phi, a) for a in (1 - alpha, alpha))
        assert off(vector(ours + theirs, phi), vector(ours, phi)) == pytest.approx(share, abs=5e-4)


def posterior_of(theta: pair.Line) -> pair.Line:
    """The encoder that is p_theta(z|x)."""
    means, cov = moments(theta.fixed(), 0.0, 1.0)
    slope = cov[0, 1] / cov[1, 1]
    return line(*(float(v) for v in (slope, -slope * means[1], (1 - slope * cov[0, 1]).sqrt())))


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
def test_line_2_of_the_first_display_runs_backwards_where_line_1_is_exact(alpha):
    """With the model's posterior for the encoder the offset's derivative is -alpha / (1 - alpha) times what
    line 2 stands for, and lines 2 and 4 together are (gamma - alpha) / (1 - alpha) times it."""
    theta = line(*THETA).fixed()
    phi = posterior_of(theta)
    divergence, g = marginal(phi, (M, S), (0.0, 1.0), alpha)
    made = (log_normal(OTHER, 0.0, 1.0) + theta.log_prob(ONE, OTHER)).exp()  # x down the rows, z along
    log_q = phi.log_prob(OTHER, ONE)
    zero = torch.zeros_like(log_q)
    second = integral(made * eq_16(log_q, g(OTHER).expand_as(zero), zero, alpha, 0.0))
    fourth = integral(normals() * eq_16(zero, zero, g(phi.sample(M + S * ONE, OTHER)), alpha, 1.0))
    got, also, want = (vector(value, phi) for value in (second, fourth, divergence))
    assert float(got @ want / got.norm() / want.norm()) == pytest.approx(-0.958, abs=5e-4)
    assert float(got[1] / want[1]) == pytest.approx(-alpha / (1 - alpha), rel=1e-9)
    for gamma in (0.2, alpha, 0.9):
        both = (1 - gamma) * got + gamma * also
        assert float(both[1] / want[1]) == pytest.approx((gamma - alpha) / (1 - alpha), abs=1e-9)
