"""Fitting a density by the divergence itself, by quadrature: the solvable
twin of training."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from bridgekit.play.game import Game, Phase, Player, Turn, adam, recorded
from bridgekit.theory.densities import normal_log_prob
from bridgekit.theory.divergences import divergence


class Gaussians(nn.Module):
    """A batch of T univariate Gaussians: ``log_prob(x)`` is ``(n,) -> (T,
    n)``."""

    def __init__(self, mu: Tensor, sigma: Tensor):
        super().__init__()
        self.mu, self.log_sigma = (
            nn.Parameter(mu.clone()),
            nn.Parameter(sigma.log()),
        )

    def log_prob(self, x: Tensor) -> Tensor:
        return normal_log_prob(x, self.mu[:, None], self.log_sigma[:, None])


@recorded
def gaussian_fit(
    integrand: Callable[[Tensor, Tensor], Tensor],
    log_q: Tensor,
    x: Tensor,
    mu: Tensor,
    sigma: Tensor,
    *,
    rounds: int = 600,
    lr: float = 0.05,
) -> Game:
    """Minimise ``D[p || q]`` over the mean and scale of a Gaussian p,
    exactly (quadrature on the grid ``x``).

    ``integrand(log_p, log_q)`` is one of ``bridgekit.theory.divergences``
    (with one alpha per trial, say); ``log_q`` is log q on the grid; ``mu``
    and ``sigma`` ``(T,)`` are the starting points. Each trial is a fit of
    its own.
    """

    def losses(p):
        return {"p": divergence(integrand, p.log_prob(x), log_q, x)}

    networks = {
        "p": lambda generators: Gaussians(mu, sigma)
    }  # the start is given, nothing is drawn
    players = {"p": Player(("p",), adam(lr, 0.9))}
    return Game(
        networks, players, (Phase("fit", rounds, (Turn(losses, ("p",)),)),)
    )
