"""How fast paper C's five games are: a round of each against a loop written by hand, by turns in one run.

    python tests/bench/perceptual.py [--size 32] [--shrink 4] [--batch 32] [--rounds 1] [--repeats 15]
                                     [--threads 1] [--models GAN VAE ...] [--cpu-time]

A round is five steps of D and one of G (and E). The loop by hand has the same networks, data and Adam, and
what one would write for this model alone: one backward pass for each loss, no noise that nobody sees. At
most 1.05 times its time is asked for. Both play in turn, many times over; each line is milliseconds a round
of both and the ratio, its median with its quartiles. `fit` is timed from one evaluation to the next: it has
drawn codes a hundred rounds ahead (less than 1 ms a round). ``--cpu-time`` counts the processor's seconds,
not the clock's, for a machine that others use too (one thread only).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from bridgekit import data, spec
from bridgekit.games import perceptual, setups
from bridgekit.play.loop import fit
from bridgekit.play.state import start

HALF_LOG_2PI = 0.9189385332046727


def orthogonality(D) -> torch.Tensor:
    total = 0.0
    for weight in D.parameters():
        if weight.dim() > 1:
            rows = weight.flatten(1)
            total = total + (rows @ rows.T - torch.eye(len(rows), device=rows.device)).abs().sum()
    return total


class ByHand:
    """One model's loop, as one would write it for that model alone."""

    def __init__(self, name: str, setup: setups.Setup, x: torch.Tensor, device: str):
        self.name, self.x, self.batch, self.d_steps = name, x, setup.batch, 5
        self.z, self.weight = setup.z.shape[1], setup.orthogonal
        nets = start(perceptual.compared(setup)["SDKL"], [0], device).nets
        self.G, self.E, self.D = nets["G"], nets["E"], nets["D"]
        made = {"betas": (setup.beta1, setup.beta2), "fused": True}
        self.adam_d = torch.optim.Adam(self.D.parameters(), lr=setup.rates["D"], **made)
        self.adam = torch.optim.Adam([*self.G.parameters(), *self.E.parameters()], lr=setup.lr, **made)
        self.generator = torch.Generator(device).manual_seed(0)

    def data(self) -> torch.Tensor:
        at = torch.randint(len(self.x), (self.batch,), generator=self.generator, device=self.x.device)
        return self.x[at]

    def noise(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator, device=self.x.device)

    def seen(self, image: torch.Tensor) -> torch.Tensor:
        """What D's upper layers get of the decoder's output: a sample in SDKL, else its mean."""
        features = self.D.features(image)
        return features + self.noise(*features.shape) if self.name == "SDKL" else features

    def step_of_d(self) -> None:
        x = self.data()
        with torch.no_grad():
            code = self.noise(self.batch, self.z)
            if self.name == "VAEGAN":
                mu, log_sigma = self.E(x)
                code = mu + log_sigma.exp() * code
            fake = self.G(code)
        of_fakes = F.softplus(self.D.logit(self.seen(fake))).mean()
        loss = F.softplus(-self.D(x)).mean() + of_fakes + self.weight * orthogonality(self.D)
        self.adam_d.zero_grad()
        loss.backward()
        self.adam_d.step()

    def step_of_g(self) -> None:
        self.adam.zero_grad()
        if self.name != "GAN":
            x = self.data()
            mu, log_sigma = self.E(x)
            remade = self.D.features(self.G(mu + log_sigma.exp() * self.noise(*mu.shape)))
            with torch.no_grad():
                features = self.D.features(x)
            rec = (0.5 * (features - remade).square() + HALF_LOG_2PI).sum((1, 2, 3))
            prior = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)
            (rec + prior).mean().backward(retain_graph=self.name == "VAEGAN")
        if self.name == "VAEGAN":
            loss = F.softplus(-self.D.logit(remade)).mean()
        elif self.name != "VAE":
            loss = -self.D.logit(self.seen(self.G(self.noise(self.batch, self.z)))).mean()
        if self.name != "VAE":
            loss.backward(inputs=list(self.G.parameters()))
        self.adam.step()

    def __call__(self, rounds: int) -> None:
        for _ in range(rounds):
            for parameter in self.D.parameters():
                parameter.requires_grad_(True)
            for _ in range(self.d_steps):
                self.step_of_d()
            for parameter in self.D.parameters():
                parameter.requires_grad_(False)
            self.step_of_g()


def playing(game, device: str, rounds: int) -> Callable[[int], None]:
    evaluations = fit(game, start(game, [0], device), "train", at=range(0, game.phases[0].rounds, rounds))
    next(evaluations)
    return lambda n: next(evaluations)


def measure(options, name: str) -> None:
    images = data.load("street", size=options.size, device=options.device)
    setup = setups.perceptual(images, shrink=options.shrink, batch=options.batch)
    game = perceptual.compared(setup)[name]
    works = {
        "fit": playing(game, options.device, options.rounds),
        "by hand": ByHand(name, setup, images.x, options.device),
    }
    clock = time.process_time if options.cpu_time else time.perf_counter
    times: list[dict[str, float]] = []
    for k in range(options.repeats + 1):
        each = {}
        for way, work in reversed(works.items()) if k % 2 else works.items():
            began = clock()
            work(options.rounds)
            if options.device == "cuda":
                torch.cuda.synchronize()
            each[way] = (clock() - began) / options.rounds
        times.append(each)
    times = times[1:]
    ratios = statistics.quantiles((each["fit"] / each["by hand"] for each in times), n=4)
    fit, hand = (1e3 * statistics.median(each[way] for each in times) for way in works)
    print(
        f"  {name:22s}{fit:9.1f} ms{hand:9.1f} ms by hand   ratio {ratios[1]:5.3f} "
        f"({ratios[0]:.3f} … {ratios[2]:.3f})   asked for: at most 1.05",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--shrink", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1, help="in a stretch")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    names = ["GAN", "VAE", "VAEGAN", "SDKL", "SDKL without sampling"]
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    os.environ.update(spec.tell(Path(tempfile.gettempdir()) / "bridgekit-bench.json", progress=os.devnull))
    torch.set_num_threads(options.threads)
    print(
        f"{options.device}, {options.threads} thread(s), {options.size} pixels, shrink {options.shrink}, "
        f"batch {options.batch}"
    )
    for name in options.models:
        measure(options, name)


if __name__ == "__main__":
    main()
