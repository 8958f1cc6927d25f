"""How fast the one loop is: trials a second, and ratios measured by turns in one run.

    python tests/bench/plane.py [--methods I II RKL-GP RKL-SN] [--rounds 100] [--repeats 5] [--threads 1 2]
                                [--device cpu] [--compile]

Plays steps I and II of the alpha-Bridge on the plane (paper A, Algorithm 1) and two of its baselines several
ways, in turn, several times over:

    plain loops    hand-written PyTorch loops, one trial after the other: nn.Linear networks, the same sizes,
                   batches, losses and fused Adam, PyTorch's own spectral norm
    fit            the same trials batched, in one `fit`
    fit, compiled  with --compile: the same with every turn's losses through torch.compile; on a GPU with
                   mode="reduce-overhead", which replays them as CUDA graphs

once with ten trials and once, without compiling, with one. For each number of threads it prints the median of
trials a second (rounds of single trials: ten trials times rounds a second) and the median ratio of times to
the plain loops, with its extremes over the repeats: above 1 means faster than the loops. Times on a shared
machine drift; ratios of neighbours drift less. Compiling is timed apart, with empty caches, and set against
what it saves: after how many rounds it pays, or that it never does. What cannot be compiled (anything, where
there is no C++ compiler; a double backward) is said and skipped.
"""

import argparse
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from bridgekit import data, spec
from bridgekit.games import baselines, bridge, setups
from bridgekit.play.loop import play
from bridgekit.play.state import start
from bridgekit.theory import adversarial

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
    setup = setups.plane(mixture, batch=BATCH, spectral=method == "RKL-SN")
    if method.startswith("RKL"):
        penalty = 1.0 if method == "RKL-GP" else 0.0
        return baselines.gan(setup, adversarial.reverse_kl, penalty=penalty), "train"
    return bridge.alpha_bridge(setup, sigma=SIGMA, clip=CLIP), method


def compiled_losses(losses, device: str):
    """A turn's losses through torch.compile, and on a GPU through CUDA graphs."""
    if device == "cpu":
        return torch.compile(losses, dynamic=False)
    graphed = torch.compile(losses, dynamic=False, mode="reduce-overhead")

    @functools.wraps(losses)  # the turn sees which names it takes
    def replayed(**there):
        torch.compiler.cudagraph_mark_step_begin()  # what earlier replays put out may be overwritten now
        found = graphed(**there)
        kept = {id(loss): loss.clone() for loss in found.values()}  # `fit` reads losses after the next replay
        return {name: kept[id(loss)] for name, loss in found.items()}

    return replayed


def by_fit(mixture, trials: int, device: str, method: str, compiled: bool = False):
    """The same through `fit`; returns a function that plays some more rounds."""
    game, name = built(mixture, method)
    if compiled:
        turns = tuple(replace(t, losses=compiled_losses(t.losses, device)) for t in game.phase(name).turns)
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


def in_turn(options, works: dict[str, Callable], rounds: int) -> list[dict[str, float]]:
    """Seconds of each piece of work, one after the other, several times over."""
    return [
        {name: seconds(options.device, work, rounds) for name, work in works.items()}
        for _ in range(options.repeats)
    ]


def middle(times: list[dict[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in times)


def show(method: str, trials: int, times: list[dict[str, float]], rounds: int) -> None:
    """One line for each way to play."""
    for name in times[0]:
        speed = trials * rounds / middle(times, name)
        each = [one["plain loops"] / one[name] for one in times]
        ratio = f"{statistics.median(each):6.2f} times the loops ({min(each):.2f} … {max(each):.2f})"
        line = f"  {method:7s} {trials:3d} x {name:14s} {speed:9.0f} trials/s"
        print(line if name == "plain loops" else f"{line} {ratio}", flush=True)


def measure(options, mixture, method: str) -> None:
    loops = [PlainLoop(mixture, seed, options.device, method) for seed in range(10)]

    def all_loops(n: int) -> None:
        for loop in loops:
            loop(n)

    ten, one = (by_fit(mixture, trials, options.device, method) for trials in (10, 1))
    many, single = {"plain loops": all_loops, "fit": ten}, {"plain loops": loops[0], "fit": one}
    for work in (*many.values(), one):
        work(options.warm_up)  # the default ends on the edge of a chunk of noise
    took = prepare_compiled(options, mixture, method, many) if options.compile else None
    times = in_turn(options, many, options.rounds)
    show(method, 10, times, options.rounds)
    if took is not None:
        print(f"  {method:7s} {pays(took, times, options)}", flush=True)
    show(method, 1, in_turn(options, single, 5 * options.rounds), 5 * options.rounds)


def prepare_compiled(options, mixture, method: str, works: dict[str, Callable]) -> float | None:
    """Add ten compiled trials to ``works``; seconds of their first rounds, or None, with the reason said."""
    torch._dynamo.reset()
    compiled = by_fit(mixture, 10, options.device, method, compiled=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty  # compiling is to be timed, not finding the last result
        try:
            took = seconds(options.device, compiled, options.warm_up)
        except Exception as error:  # torch.compile raises whatever its backend does
            said = next((line for line in str(error).splitlines() if line.strip()), "")
            said = f"{type(error).__name__}: {said}"
            print(f"  {method:7s} not compiled, skipped: {said}", flush=True)
            return None
    works["fit, compiled"] = compiled
    return took


def pays(took: float, times: list[dict[str, float]], options) -> str:
    """What compiling cost beside the rounds played meanwhile, and after how many rounds it is earned back."""
    eager, compiled = (middle(times, name) / options.rounds for name in ("fit", "fit, compiled"))
    cost = max(took - options.warm_up * compiled, 0.0)
    after = f"pays after {cost / (eager - compiled):.0f} rounds" if compiled < eager else "never pays here"
    how = "" if options.device == "cpu" else " and capturing CUDA graphs"
    return f"compiling{how} took {cost:.1f} s: {after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    methods = ["I", "II", "RKL-GP", "RKL-SN"]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=100, metavar="ROUNDS")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    os.environ.update(spec.tell(Path(tempfile.gettempdir()) / "bridgekit-bench.json", progress=os.devnull))
    mixture = data.mixture("gaussians25").to(options.device)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"{options.device}, {threads} thread(s), {options.rounds} rounds, {options.repeats} repeats")
        if options.compile and options.device != "cpu":
            print('compiled with mode="reduce-overhead": CUDA graphs')
        for method in options.methods:
            measure(options, mixture, method)


if __name__ == "__main__":
    main()
