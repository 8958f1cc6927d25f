"""Paper A's two displays below eq 16, composed from their lines, term by term."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch

from bridgekit.games import arms, generalised
from bridgekit.theory import alpha as twins
from games import paper_a, tools
from games.harness import Move, Paper, Steps


def shapes(a: SimpleNamespace) -> dict[str, list]:
    """C is a perceptron of codes, H one of x and z together, or of z and what a convolutional body reads."""
    z, middle, found = a.setup.z, [a.hidden] * a.depth, paper_a.shapes(a, "GED")
    if paper_a.on_plane(a):
        d = a.setup.mixture.means.shape[1]
        return found | {"C": tools.mlp(z, *middle, 1), "H": tools.mlp(d + z, *middle, 1)}
    # One trial's perceptrons have an axis for it here.
    of_codes, of_pairs = ([(1, *s) for s in tools.mlp(n, *middle, 1)] for n in (z, 3 * z))
    return found | {"C": of_codes, "H": of_pairs + found["E"]}


def drawn(a: SimpleNamespace, *names: str) -> dict[str, tools.Kind]:
    seen = a.setup.mixture.means if paper_a.on_plane(a) else a.setup.dataset.x
    noise = tools.normal(a.setup.batch, *seen.shape[1:])
    return {n: noise if n == "noise" else kind for n, kind in paper_a.drawn(a, *names).items()}


ALL = ("x", "eps", "z", "noise")


def code(nets, batch) -> torch.Tensor:
    mu, log_sigma = nets.E(batch.x)
    return mu + torch.exp(log_sigma) * batch.eps


def noisy(a: SimpleNamespace, nets, batch) -> torch.Tensor:
    """Eq 13."""
    return nets.G(batch.z) + a.sigma * batch.noise


def shown(a: SimpleNamespace, nets, batch) -> torch.Tensor:
    """What H sees of the model."""
    return noisy(a, nets, batch) if a.sampled else nets.G(batch.z)


def log_likelihoods(a: SimpleNamespace, nets, batch) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(x|z) at data and a code of theirs, log q(z|x) at a code of the prior and what is made of it."""
    of_pixels = tools.log_normal(batch.x, nets.G(code(nets, batch)), a.sigma)
    log_p = (of_pixels if paper_a.on_plane(a) else of_pixels.flatten(1)).sum(-1)
    mu, log_sigma = nets.E(noisy(a, nets, batch))
    return log_p, tools.log_normal(batch.z, mu, torch.exp(log_sigma)).sum(-1)


def bounded(a: SimpleNamespace, f: torch.Tensor) -> torch.Tensor:
    return f.clamp(-a.clip, a.clip).detach()


def sleeping(a: SimpleNamespace) -> Move:
    """Both displays at alpha = 0."""

    def losses(nets, batch, now):
        log_p, log_q = log_likelihoods(a, nets, batch)
        return {"G": -log_p.mean(-1), "E": -log_q.mean(-1)}

    return Move(losses, drawn(a, *ALL))


def marginals_move(a: SimpleNamespace) -> Move:
    def losses(nets, batch, now):
        log_p, log_q = log_likelihoods(a, nets, batch)
        f, g = nets.D(batch.x), nets.C(batch.z)
        f_made, g_made = nets.D(nets.G(batch.z)), nets.C(code(nets, batch))
        share = (1 - now.gamma) / (1 - now.alpha)
        first = -share * torch.exp(-now.alpha * bounded(a, f)) * log_p
        second = -share * torch.exp(-now.alpha * bounded(a, g)) * log_q
        third = -now.gamma * torch.exp((1 - now.alpha) * bounded(a, f_made)) * f_made
        fourth = -now.gamma * torch.exp((1 - now.alpha) * bounded(a, g_made)) * g_made
        return {"G": (first + third).mean(-1), "E": (second + fourth).mean(-1)}

    return Move(losses, drawn(a, *ALL))


def joints_move(a: SimpleNamespace) -> Move:
    def losses(nets, batch, now):
        log_p, log_q = log_likelihoods(a, nets, batch)
        h_q, h_p = nets.H(batch.x, code(nets, batch)), nets.H(shown(a, nets, batch), batch.z)
        share = (1 - now.gamma) / (1 - now.alpha)
        first = -share * torch.exp(-now.alpha * bounded(a, h_q)) * log_p
        second = -share * torch.exp(now.alpha * bounded(a, h_p)) * log_q
        third = -now.gamma * torch.exp((1 - now.alpha) * bounded(a, h_p)) * h_p
        fourth = now.gamma * torch.exp(-(1 - now.alpha) * bounded(a, h_q)) * h_q
        return {"G": (first + third).mean(-1), "E": (second + fourth).mean(-1)}

    return Move(losses, drawn(a, *ALL))


def c_moves(a: SimpleNamespace) -> tuple[Move, ...]:
    """Eq 4 in the space of codes, whose data are the prior's."""

    def losses(nets, batch, now):
        return {"C": tools.tell(nets.C(batch.z), nets.C(code(nets, batch))).mean(-1)}

    before = tools.power_iterations("C") if getattr(a.setup, "spectral", False) else None
    return (Move(losses, drawn(a, "x", "eps", "z"), before),) * a.d_steps


def h_moves(a: SimpleNamespace) -> tuple[Move, ...]:
    """Eq 4 for pairs: q's are data with their codes, p's are codes with what is made of them."""

    def losses(nets, batch, now):
        of_q, of_p = nets.H(batch.x, code(nets, batch)), nets.H(shown(a, nets, batch), batch.z)
        return {"H": tools.tell(of_q, of_p).mean(-1)}

    before = tools.power_iterations("H") if getattr(a.setup, "spectral", False) else None
    return (Move(losses, drawn(a, *ALL), before),) * a.h_steps


def codes_move(a: SimpleNamespace) -> Move:
    """KL[q(z) || p(z)] through C."""

    def losses(nets, batch, now):
        return {"E": -nets.C(code(nets, batch)).mean(-1)}

    return Move(losses, drawn(a, "x", "eps"))


def pairs_move(a: SimpleNamespace) -> Move:
    """KL[p || q] of the joints for theta, KL[q || p] for phi."""

    def losses(nets, batch, now):
        theta = -nets.H(shown(a, nets, batch), batch.z)
        return {"G": theta.mean(-1), "E": nets.H(batch.x, code(nets, batch)).mean(-1)}

    return Move(losses, drawn(a, *ALL))


def paper(a: SimpleNamespace, names: str, one, two, three) -> Paper:
    """Algorithm 1's three steps and its schedule, with other turns."""
    phases = {
        "I": Steps(a.rounds[0], one),
        "II": Steps(a.rounds[1], two, paper_a.rising(a.gamma)),
        "III": Steps(a.rounds[2], three),
    }
    networks = shapes(a)
    return Paper(paper_a.owners(a, names), {n: networks[n] for n in names}, phases)


def marginals(a: SimpleNamespace) -> Paper:
    told = (*paper_a.d_moves(a), *c_moves(a))
    last = (*paper_a.d_moves(a), paper_a.g_move(a), *c_moves(a), codes_move(a))
    return paper(a, "GEDC", (*told, sleeping(a)), (*told, marginals_move(a)), last)


def joints(a: SimpleNamespace) -> Paper:
    told = h_moves(a)
    return paper(a, "GEH", (*told, sleeping(a)), (*told, joints_move(a)), (*told, pairs_move(a)))


def dream_move(a: SimpleNamespace) -> Move:
    """The codes of what is made of them, without the noise of eq 13."""

    def losses(nets, batch, now):
        mu, log_sigma = nets.E(nets.G(batch.z).detach())
        return {"E": -tools.log_normal(batch.z, mu, torch.exp(log_sigma)).sum(-1).mean(-1)}

    return Move(losses, drawn(a, "z"))


def afterwards(a: SimpleNamespace) -> Paper:
    """Algorithm 1, and two new encoders for the G that it leaves."""
    told = {"gamma": twins.sigmoid_gamma, "d_steps": 1, "penalty": 0.0}
    whole = paper_a.bridge_paper(SimpleNamespace(**vars(a), **told))
    later = {
        "dreams": Steps(a.afterwards, (dream_move(a),), fresh="E", cold="E"),
        "data": Steps(a.afterwards, (paper_a.ml_move(a, "E"),), fresh="E", cold="E"),
    }
    return replace(whole, phases=whole.phases | later)


def ali(a: SimpleNamespace) -> Paper:
    """Eqs 4 and 7 for pairs, which have no noise."""
    bare = SimpleNamespace(**vars(a), sampled=False)
    networks = shapes(a)
    turns = (*h_moves(bare), pairs_move(bare))
    # The sampled form draws noise, which is not added here.
    return Paper(paper_a.owners(a, "GEH"), {n: networks[n] for n in "GEH"}, {"train": Steps(a.rounds, turns)})


BODY = {"hidden": 4, "depth": 1}
OTHER_BODY = {"hidden": 6, "depth": 2}
SHARED = {name: paper_a.BRIDGE_CHANGES[name] for name in ("sigma", "rounds", "gamma", "clip")}
SHARED |= OTHER_BODY
GIVEN = {"rounds": (1, 2, 1)} | BODY
CASES = {
    "alpha_bridge_marginals": paper_a.plane_case(
        generalised.alpha_bridge_marginals,
        GIVEN,
        marginals,
        SHARED | {"d_steps": 2, "penalty": 0.7},
        apart=True,
    ),
    "alpha_bridge_joints": paper_a.plane_case(
        generalised.alpha_bridge_joints, GIVEN, joints, SHARED | {"h_steps": 2, "sampled": True}, apart=True
    ),
    "encoder_afterwards": paper_a.plane_case(
        arms.encoder_afterwards,
        {"rounds": (1, 2, 1), "afterwards": 1},
        afterwards,
        {name: paper_a.BRIDGE_CHANGES[name] for name in ("sigma", "rounds", "clip")} | {"afterwards": 2},
        apart=True,
    ),
    "adversarially_learned_inference": paper_a.plane_case(
        arms.adversarially_learned_inference,
        {"rounds": 2} | BODY,
        ali,
        {"rounds": 3, "h_steps": 2} | OTHER_BODY,
    ),
    "encoder_afterwards, images": paper_a.image_case(
        arms.encoder_afterwards, {"rounds": (1, 2, 1), "afterwards": 1}, afterwards, apart=True
    ),
    "adversarially_learned_inference, images": paper_a.image_case(
        arms.adversarially_learned_inference, {"rounds": 1} | BODY, ali
    ),
    "alpha_bridge_marginals, images": paper_a.image_case(
        generalised.alpha_bridge_marginals, GIVEN, marginals, apart=True
    ),
    "alpha_bridge_joints, images": paper_a.image_case(
        generalised.alpha_bridge_joints, GIVEN, joints, apart=True
    ),
}
