"""Paper C's games, written out from Algorithm 1 and eq 13."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.games import method as games
from bridgekit.theory import method
from games import tools
from games.harness import Move, Paper
from games.paper_a import drawn, image_case, on_plane, owners, plane_case, shapes
from games.paper_b import train

# What D's probability is turned into: eqs 20, 22 and 18, by the names of the functions that a builder takes.
OF_MODEL = {
    "jensen_shannon_f": lambda d: d + torch.log(1 - d),
    "identity": lambda d: torch.log((1 - d) / d),
    "zeros_like": lambda d: 0 * d,
}
OF_DATA = {
    "jensen_shannon_g": lambda d: 1 - d,
    "ones_like": lambda d: 1 + 0 * d,
    "zeros_like": lambda d: 0 * d,
}


def sample(a: SimpleNamespace, nets: SimpleNamespace, batch: SimpleNamespace) -> Tensor:
    """X_GEN of Algorithm 1."""
    return nets.G(batch.z) + (a.sigma * batch.noise if a.sampled else 0)


def minimise(a: SimpleNamespace) -> Paper:
    def telling(nets, batch, now):
        return {"D": tools.tell(nets.D(batch.x), nets.D(sample(a, nets, batch).detach())).mean(-1)}

    def learning(nets, batch, now):
        rec, prior = tools.bound(nets, batch.x, batch.eps, a.sigma)
        fake, real = (torch.sigmoid(nets.D(x)) for x in (sample(a, nets, batch), batch.x))
        of_model, of_data = OF_MODEL[a.f.__name__](fake), OF_DATA[a.g.__name__](real.detach())
        return {"G": (of_model + of_data * (rec + prior)).mean(-1), "E": (rec + prior).mean(-1)}

    setup = a.setup
    event = setup.mixture.means.shape[1:] if on_plane(a) else setup.dataset.x.shape[1:]
    noise = {"noise": tools.normal(setup.batch, *event)}
    d = Move(telling, drawn(a, "x", "z") | noise)
    both = Move(learning, drawn(a, "x", "eps", "z") | noise)
    return Paper(owners(a, "GED"), shapes(a, "GED"), train(a, [*[d] * a.d_steps, both]))


JSD = method.JENSEN_SHANNON._asdict() | {"rounds": 2, "d_steps": 2}
SDKL = method.SYMMETRISED_KL._asdict() | {"rounds": 2, "d_steps": 1}
CHANGES = SDKL | {"sigma": 0.6, "rounds": 3, "sampled": False}
CASES = {
    "minimise": plane_case(games.minimise, JSD, minimise, CHANGES),
    "minimise, SDKL": plane_case(games.minimise, SDKL, minimise, {"d_steps": 3}),
    "minimise, images": image_case(games.minimise, SDKL | {"sampled": False}, minimise),
}
