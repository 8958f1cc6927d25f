"""How fast the one loop is, as ratios measured side by side in one run.

    python tests/bench/plane.py [--methods I II RKL-GP RKL-SN] [--rounds 100] [--repeats 5] [--threads 1 2]
                                [--device cpu] [--compile]

Plays steps I and II of the alpha-Bridge on the plane (paper A, Algorithm 1) and two of its baselines several
ways, in turn, several times over:

    ten loops   ten hand-written PyTorch loops, one after the other: nn.Linear networks, the same sizes,
                batches, losses and fused Adam, PyTorch's own spectral norm
    ten trials  `fit` with ten trials side by side
    one loop    one of those hand-written loops
    one trial   `fit` with one trial

and prints, for each number of threads, the median ratio of times with its extremes over the repeats: above 1
means that `fit` is faster. Times on a shared machine drift; ratios of neighbours drift less. With --compile,
ten trials in `fit` are measured against the same with every turn's losses through torch.compile, the time of
compiling apart; what cannot be compiled is said and skipped.
"""

import argparse
import os
import statistics
import time
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from bridgekit import data
from bridgekit.games import arenas, baselines, bridge
from bridgekit.objectives import adversarial
from bridgekit.training import play, start

BATCH, SIGMA, CLIP = 256, 0.3, 5.0


def mlp(*sizes: int, spectral: bool = False) -> nn.Sequential:
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        linear = nn.Linear(n_in, n_out)
        layers += [spectral_norm(linear) if spectral else linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class PlainLoop:
    """One trial as one would write it by hand; calling it plays some rounds of ``method``."""

    def __init__(self, mixture, seed: int, device: str, method: str):
        self.generator, self.mixture = torch.Generator(device).manual_seed(seed), mixture
        self.method, self.device, hidden = method, device, [128] * 3
        self.g, self.e = (mlp(2, *hidden, n).to(device) for n in (2, 4))
        self.d = mlp(2, *hidden, 1, spectral=method == "RKL-SN").to(device)
        self.adams = [
            torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
            for net in (self.g, self.e, self.d)
        ]

    def normal(self) -> torch.Tensor:
        return torch.randn(BATCH, 2, generator=self.generator, device=self.device)

    def descend(self, loss: torch.Tensor, *movers: int) -> None:
        for adam in self.adams:
            adam.zero_grad(set_to_none=True)
        loss.backward()
        for i in movers:
            self.adams[i].step()

    def discriminator(self) -> None:
        x = self.mixture.sample(BATCH, self.generator)
        with torch.no_grad():
            fake = self.g(self.normal())
        loss = (F.softplus(-self.d(x)) + F.softplus(self.d(fake))).mean()
        if self.method == "RKL-GP":
            u = torch.rand(BATCH, 1, generator=self.generator, device=self.device)
            points = (u * x + (1 - u) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(self.d(points).sum(), points, create_graph=True)
            loss = loss + (slope.norm(dim=-1) - 1).square().mean()
        self.descend(loss, 2)

    def elbo(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.mixture.sample(BATCH, self.generator)
        mu, log_sigma = self.e(x).chunk(2, -1)
        kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)
        z = mu + log_sigma.exp() * self.normal()
        return x, (x - self.g(z)).square().sum(-1) / (2 * SIGMA**2), kl

    def step_two(self, alpha: float, gamma: float) -> None:
        x, nll, kl = self.elbo()
        with torch.no_grad():
            weight = torch.exp(-alpha * self.d(x).squeeze(-1).clamp(-CLIP, CLIP)) / (1 - alpha)
        f = self.d(self.g(self.normal())).squeeze(-1)
        reverse = -torch.exp((1 - alpha) * f.clamp(-CLIP, CLIP)).detach() * f
        g_loss = ((1 - gamma) * weight * nll + gamma * reverse).mean()
        for adam in self.adams:
            adam.zero_grad(set_to_none=True)
        g_loss.backward(inputs=list(self.g.parameters()), retain_graph=True)
        (nll + kl).mean().backward(inputs=list(self.e.parameters()))
        self.adams[0].step()
        self.adams[1].step()

    def __call__(self, n: int) -> None:
        for k in range(n):
            self.discriminator()
            if self.method == "I":
                _, nll, kl = self.elbo()
                self.descend((nll + kl).mean(), 0, 1)
            elif self.method == "II":
                self.step_two((k + 1) / (n + 1), (k + 1) / (n + 1))
            else:
                self.descend(-self.d(self.g(self.normal())).mean(), 0)


def built(mixture, method: str):
    """The same as a game, and the phase to play."""
    arena = arenas.plane(mixture, batch=BATCH, spectral=method == "RKL-SN")
    if method.startswith("RKL"):
        penalty = 1.0 if method == "RKL-GP" else 0.0
        return baselines.gan(arena, adversarial.reverse_kl, penalty=penalty), "train"
    return bridge.alpha_bridge(arena, sigma=SIGMA, clip=CLIP), method


def by_fit(mixture, trials: int, device: str, method: str, compiled: bool = False):
    """The same through `fit`; returns a function that plays some more rounds."""
    game, name = built(mixture, method)
    if compiled:
        turns = tuple(
            replace(t, losses=torch.compile(t.losses, dynamic=False)) for t in game.phase(name).turns
        )
        game = replace(game, phases=(replace(game.phase(name), turns=turns),))
    state = start(game, range(trials), device)
    return lambda n: play(game, state, name, state.played.get(name, 0) + n)


def seconds(device: str, work, n: int) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work(n)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def ratios(pairs: list[tuple[float, float]]) -> str:
    each = [plain / fitted for plain, fitted in pairs]
    return f"{statistics.median(each):5.2f}   ({min(each):.2f} … {max(each):.2f})"


def in_turn(options, works: tuple, scale: int = 1) -> list[tuple[float, ...]]:
    """Seconds of each piece of work, one after the other, several times over."""
    rounds = scale * options.rounds
    return [tuple(seconds(options.device, work, rounds) for work in works) for _ in range(options.repeats)]


def measure(options, mixture, method: str) -> None:
    loops = [PlainLoop(mixture, seed, options.device, method) for seed in range(10)]
    ten, one = (by_fit(mixture, trials, options.device, method) for trials in (10, 1))

    def all_loops(n: int) -> None:
        for loop in loops:
            loop(n)

    for work in (all_loops, ten, one):
        work(100)  # warm up, and end on a chunk's edge
    many, single = in_turn(options, (all_loops, ten)), in_turn(options, (loops[0], one), scale=5)
    speed = options.rounds / statistics.median(fitted for _, fitted in many)
    print(f"  {method:7s} ten plain loops / ten trials in one fit   {ratios(many)}   {speed:.1f} rounds/s")
    print(f"  {method:7s} one plain loop  / one trial in fit        {ratios(single)}", flush=True)
    if options.compile:
        print(f"  {method:7s} {measure_compiled(options, mixture, method, ten)}", flush=True)


def measure_compiled(options, mixture, method: str, eager) -> str:
    compiled = by_fit(mixture, 10, options.device, method, compiled=True)
    try:
        first = seconds(options.device, compiled, 100)
    except Exception as error:  # torch.compile raises whatever its backend does
        return f"compiled: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
    found = ratios(in_turn(options, (eager, compiled)))
    return f"ten trials eager / ten trials compiled    {found}   first 100 rounds {first:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    methods = ["I", "II", "RKL-GP", "RKL-SN"]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("BRIDGEKIT_PROGRESS", os.devnull)
    mixture = data.mixture("gaussians25").to(options.device)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"{options.device}, {threads} thread(s), {options.rounds} rounds, {options.repeats} repeats")
        for method in options.methods:
            measure(options, mixture, method)


if __name__ == "__main__":
    main()
