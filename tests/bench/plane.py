"""How fast the one loop is, as ratios measured side by side in one run.

    python tests/bench/plane.py [--rounds 100] [--repeats 5] [--threads 1 2] [--device cpu]

Plays step I of the alpha-Bridge on the plane (paper A, Algorithm 1) three ways, in turn, several times over:

    ten loops   ten hand-written PyTorch loops, one after the other: nn.Linear networks, the same sizes,
                batches, losses and fused Adam
    ten trials  `fit` with ten trials side by side
    one loop    one of those hand-written loops
    one trial   `fit` with one trial

and prints, for each number of threads, the median ratio of times with its extremes over the repeats: above 1
means that `fit` is faster. Times on a shared machine drift; ratios of neighbours drift less.
"""

import argparse
import os
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from bridgekit import data
from bridgekit.games import arenas, bridge
from bridgekit.training import play, start

BATCH, SIGMA = 256, 0.3


def mlp(*sizes: int) -> nn.Sequential:
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def adam(*nets: nn.Module) -> torch.optim.Adam:
    parameters = [p for net in nets for p in net.parameters()]
    return torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.999), fused=True)


def plain_loop(mixture, seed: int, device: str):
    """Step I as one would write it by hand; returns a function that plays some rounds."""
    generator = torch.Generator(device).manual_seed(seed)
    hidden = [128] * 3
    g, e, d = (mlp(2, *hidden, n).to(device) for n in (2, 4, 1))
    ml_step, d_step = adam(g, e), adam(d)

    def normal() -> torch.Tensor:
        return torch.randn(BATCH, 2, generator=generator, device=device)

    def rounds(n: int) -> None:
        for _ in range(n):
            x = mixture.sample(BATCH, generator)
            with torch.no_grad():
                fake = g(normal())
            loss = (F.softplus(-d(x)) + F.softplus(d(fake))).mean()
            d_step.zero_grad(set_to_none=True)
            loss.backward()
            d_step.step()
            x = mixture.sample(BATCH, generator)
            mu, log_sigma = e(x).chunk(2, -1)
            z = mu + log_sigma.exp() * normal()
            kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)
            loss = ((x - g(z)).square().sum(-1) / (2 * SIGMA**2) + kl).mean()
            ml_step.zero_grad(set_to_none=True)
            loss.backward()
            ml_step.step()

    return rounds


def by_fit(mixture, trials: int, device: str):
    """The same through `fit`; returns a function that plays some more rounds."""
    game = bridge.alpha_bridge(arenas.plane(mixture, batch=BATCH), sigma=SIGMA)
    state = start(game, range(trials), device)
    return lambda n: play(game, state, "I", state.played.get("I", 0) + n)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ.setdefault("BRIDGEKIT_PROGRESS", os.devnull)
    mixture = data.mixture("gaussians25").to(options.device)
    for threads in options.threads:
        torch.set_num_threads(threads)
        loops = [plain_loop(mixture, seed, options.device) for seed in range(10)]
        ten, one = by_fit(mixture, 10, options.device), by_fit(mixture, 1, options.device)

        def all_loops(n: int, loops=loops) -> None:
            for loop in loops:
                loop(n)

        for work in (all_loops, ten, one):
            work(100)  # warm up, and end on a chunk's edge
        many, single = [], []
        for _ in range(options.repeats):
            many.append(tuple(seconds(options.device, work, options.rounds) for work in (all_loops, ten)))
            single.append(
                tuple(seconds(options.device, work, 5 * options.rounds) for work in (loops[0], one))
            )
        speed = options.rounds / statistics.median(t for _, t in many)
        print(f"{options.device}, {threads} thread(s), {options.rounds} rounds, {options.repeats} repeats")
        print(f"  ten plain loops / ten trials in one fit   {ratios(many)}   {speed:.1f} rounds/s")
        print(f"  one plain loop  / one trial in fit        {ratios(single)}")


if __name__ == "__main__":
    main()
