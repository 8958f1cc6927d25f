"""Fitting a density by the divergence itself, by quadrature: the solvable twin of training."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from torch import Tensor, nn

from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory.densities import normal_log_prob
from bridgekit.theory.divergences import divergence


class Gaussians(nn.Module):
    """T univariate Gaussians side by side: ``log_prob(x)`` is ``(n,) -> (T, n)``."""

    def __init__(self, mu: Tensor, sigma: Tensor):
        super().__init__()
        self.mu, self.log_sigma = nn.Parameter(mu.clone()), nn.Parameter(sigma.log())

    def log_prob(self, x: Tensor) -> Tensor:
        return normal_log_prob(x, self.mu[:, None], self.log_sigma[:, None])


def gaussian_fit(
    integrand: Callable[[Tensor, Tensor], Tensor],
    log_q: Callable[[Tensor], Tensor],
    x: Tensor,
    mu: Tensor,
    sigma: Tensor,
    *,
    rounds: int = 600,
    lr: float = 0.05,
) -> Game:
    """Minimise ``D[p || q]`` over the mean and scale of a Gaussian p, exactly (quadrature on the grid ``x``).

    ``integrand(log_p, log_q)`` is one of ``bridgekit.theory.divergences`` (with one alpha per trial, say);
    ``mu`` and ``sigma`` ``(T,)`` are the starting points. Each trial is a fit of its own.
    """

    target = log_q(x)

    def loss(p: Gaussians) -> Tensor:
        return divergence(integrand, p.log_prob(x), target, x)

    def losses(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        return {"p": loss(nets.p)}

    phase = Phase("fit", rounds, (Turn(("p",), {}, losses),))
    settings = {"mu": mu, "sigma": sigma, "x": x, "target": target, "rounds": rounds, "lr": lr}
    settings["first loss"] = loss(Gaussians(mu, sigma)).detach()  # tells one integrand from another
    player = Player(("p",), lr, (0.9, 0.999))
    build = lambda generators: Gaussians(mu, sigma)  # noqa: E731  the start is given, nothing is drawn
    return Game("gaussian-fit", {"p": build}, {"p": player}, (phase,), settings)
