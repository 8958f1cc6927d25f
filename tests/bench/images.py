"""How fast a DCGAN game is, by layout and precision: ratios measured by turns in one run.

    python tests/bench/images.py [--width 16] [--batch 128] [--dataset digits] [--rounds 20] [--repeats 5]
                                 [--threads 1] [--device cpu] [--cpu-time] [--compile] [--bridge I II III]

A round of the non-saturating GAN (a step of D, a step of G) is played by `fit`, in turn, several times over:

    fit              weights as PyTorch lays them out, channels first
    channels last    weights, and so what passes through them, with channels last
    fit, compiled    with --compile: every turn's losses through torch.compile; on a GPU, as CUDA graphs
    fit, TF32        on a GPU: matrix products and convolutions in TF32 (the others: float32 throughout)
    fit, bf16        on a GPU: losses under autocast to bfloat16

Each line: milliseconds a round, how many times as fast as the first (the median, with its extremes over the
repeats), and the mean losses of D and G over the rounds of one seed. That is the check that a faster way
still plays the same game: all ways start from the same weights and see the same noise.

Channels last are about 1.1 times as fast on a CPU, and still not the default there: with PyTorch 2.15 some
such convolutions corrupt memory (a residual classifier of width 4 on 16 x 16 images dies of it).

With --bridge, in their place, rounds of these steps of the alpha-Bridge, against a loop written by hand with
the same networks and Adam, and against that loop with channels last. Asked for: at most 1.05 times the loop's
time, and no more than with channels last where that is the faster layout.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from plane import compiled_losses
from torch.nn import functional as F

from bridgekit import data, spec
from bridgekit.book import kernels
from bridgekit.games import baselines, bridge, setups
from bridgekit.play.game import Game
from bridgekit.play.loop import play
from bridgekit.play.state import State, start
from bridgekit.theory import adversarial


def compiled(game: Game, device: str) -> Game:
    phase = game.phase("train")
    turns = tuple(replace(turn, losses=compiled_losses(turn.losses, device)) for turn in phase.turns)
    return replace(game, phases=(replace(phase, turns=turns),))


@contextlib.contextmanager
def tf32(allowed: bool):
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def bf16():
    return torch.autocast("cuda", torch.bfloat16)


def ways(options) -> dict[str, tuple[Game, State, Callable]]:
    """Name to the game, its state and the context in which it is played."""
    dataset = data.load(options.dataset, device=options.device)
    setup = setups.images(dataset, batch=options.batch, width=options.width)
    game = baselines.gan(setup, adversarial.non_saturating)
    names = ["fit", "channels last"] + ["fit, compiled"] * options.compile
    names += ["fit, TF32", "fit, bf16"] * (options.device == "cuda")
    found = {}
    for name in names:
        state = start(game, [0], options.device)
        if name == "channels last":
            for net in state.nets.values():
                net.to(memory_format=torch.channels_last)
        context = {"fit, TF32": lambda: tf32(True), "fit, bf16": bf16}.get(name, lambda: tf32(False))
        played = compiled(game, options.device) if name == "fit, compiled" else game
        found[name] = played, state, context
    return found


def seconds(options, game: Game, state: State, context: Callable, rounds: int) -> float:
    """For ``rounds`` more rounds; ``play`` ends by reading the losses, so a GPU is done as well."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    began = clock()
    with context():
        play(game, state, "train", state.played.get("train", 0) + rounds)
    return clock() - began


def prepared(options) -> dict[str, tuple[Game, State, Callable]]:
    """The ways that can be played here, after a first stretch that is not counted."""
    found = ways(options)
    for name in list(found):
        try:
            took = seconds(options, *found[name], options.rounds)
        except Exception as error:  # torch.compile raises whatever its backend does
            if name != "fit, compiled":
                raise
            said = next((line for line in str(error).splitlines() if line.strip()), "")
            print(f"  {name}: skipped: {type(error).__name__}: {said}", flush=True)
            del found[name]
            continue
        if name == "fit, compiled":
            print(f"  {name}: the first {options.rounds} rounds took {took:.1f} s", flush=True)
    return found


def mean_losses(state: State) -> str:
    """Of all stretches, per player."""
    means = {who: torch.stack(each).mean().item() for who, each in state.losses.items()}
    return ", ".join(f"{who.removeprefix('train/')} {mean:.3f}" for who, mean in means.items())


def measure(options) -> None:
    found = prepared(options)
    times = [
        {name: seconds(options, *way, options.rounds) for name, way in found.items()}
        for _ in range(options.repeats)
    ]
    for name, (_, state, _) in found.items():
        step = 1e3 * statistics.median(each[name] for each in times) / options.rounds
        ratios = [each["fit"] / each[name] for each in times]
        print(
            f"  {name:15s}{step:8.2f} ms a round{statistics.median(ratios):7.2f} times "
            f"({min(ratios):.2f} … {max(ratios):.2f})   losses {mean_losses(state)}",
            flush=True,
        )


class BridgeByHand:
    """One step of the alpha-Bridge, as one would write it for it alone; alpha in the middle of step II."""

    SIGMA, CLIP, ALPHA, GAMMA = 0.3, 5.0, 0.5, 0.5

    def __init__(self, step: str, setup: setups.Setup, device: str, layout=torch.contiguous_format):
        self.step, self.x, self.batch, self.z = step, setup.data.x, setup.batch, setup.z.shape[1]
        nets = start(bridge.alpha_bridge(setup), [0], device).nets
        self.G, self.E, self.D = (nets[name].to(memory_format=layout) for name in "GED")
        self.adam = {
            net: torch.optim.Adam(net.parameters(), lr=setup.lr, betas=(setup.beta1, 0.999), fused=True)
            for net in (self.G, self.E, self.D)
        }
        self.generator = torch.Generator(device).manual_seed(0)

    def data(self) -> torch.Tensor:
        at = torch.randint(len(self.x), (self.batch,), generator=self.generator, device=self.x.device)
        return self.x[at]

    def noise(self) -> torch.Tensor:
        return torch.randn(self.batch, self.z, generator=self.generator, device=self.x.device)

    def gradients(self, loss: torch.Tensor, *nets: torch.nn.Module, keep: bool = False) -> None:
        """Of a loss, for these networks alone; their steps are taken when all gradients are there."""
        for net in nets:
            self.adam[net].zero_grad()
        loss.backward(inputs=[p for net in nets for p in net.parameters()], retain_graph=keep)

    def likelihood(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.data()
        mu, log_sigma = self.E(x)
        error = (x - self.G(mu + log_sigma.exp() * self.noise())).square()
        nll = (error / (2 * self.SIGMA**2)).sum((1, 2, 3))
        return x, nll, 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)

    def discriminator(self) -> None:
        x = self.data()
        with torch.no_grad():
            fake = self.G(self.noise())
        loss = F.softplus(-self.D(x)).mean() + F.softplus(self.D(fake)).mean()
        self.gradients(loss, self.D)
        self.adam[self.D].step()

    def round(self) -> None:
        self.discriminator()
        if self.step == "III":
            self.gradients(-self.D(self.G(self.noise())).mean(), self.G)
            self.adam[self.G].step()
        x, nll, kl = self.likelihood()
        bound = (nll + kl).mean()
        if self.step == "II":
            self.gradients(self.mixture(x, nll), self.G, keep=True)
        self.gradients(bound, *((self.G, self.E) if self.step == "I" else (self.E,)))
        for net in (self.E,) if self.step == "III" else (self.G, self.E):
            self.adam[net].step()

    def mixture(self, x: torch.Tensor, nll: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            of_data = (-self.ALPHA * self.D(x).clamp(-self.CLIP, self.CLIP)).exp()
        f = self.D(self.G(self.noise()))
        of_fakes = ((1 - self.ALPHA) * f.detach().clamp(-self.CLIP, self.CLIP)).exp()
        forward = (of_data * nll).mean() / (1 - self.ALPHA)
        return (1 - self.GAMMA) * forward - self.GAMMA * (of_fakes * f).mean()

    def __call__(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round()


def by_fit(step: str, setup: setups.Setup, device: str) -> Callable[[int], None]:
    game = bridge.alpha_bridge(setup)
    state = start(game, [0], device)
    return lambda rounds: play(game, state, step, state.played.get(step, 0) + rounds)


def against_hand(options, step: str) -> None:
    """A step of the bridge by `fit` over the loop by hand, in both layouts, in turn."""
    setup = setups.images(
        data.load(options.dataset, device=options.device), batch=options.batch, width=options.width
    )
    works = {
        "fit": by_fit(step, setup, options.device),
        "by hand": BridgeByHand(step, setup, options.device),
        "by hand, channels last": BridgeByHand(step, setup, options.device, torch.channels_last),
    }
    clock = time.process_time if options.cpu_time else time.perf_counter
    times = []
    for k in range(options.repeats + 1):
        each = {}
        for name, work in reversed(works.items()) if k % 2 else works.items():
            began = clock()
            work(options.rounds)
            if options.device == "cuda":
                torch.cuda.synchronize()
            each[name] = (clock() - began) / options.rounds
        times.append(each)
    for name in list(works)[1:]:
        ratios = [each["fit"] / each[name] for each in times[1:]]  # the first stretch is not counted
        print(
            f"  step {step:4s}{1e3 * statistics.median(each['fit'] for each in times[1:]):8.2f} ms a round, "
            f"{statistics.median(ratios):5.3f} ({min(ratios):.3f} … {max(ratios):.3f}) times {name}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--rounds", type=int, default=20, help="in a stretch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="the processor's seconds, not the clock's")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bridge", nargs="+", choices=["I", "II", "III"], default=[])
    options = parser.parse_args()
    os.environ.update(spec.tell(Path(tempfile.gettempdir()) / "bridgekit-bench.json", progress=os.devnull))
    kernels.keep_memory()  # as where pages are run: else a layout that asks for less wins
    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.threads} thread(s), width {options.width}, batch {options.batch}")
    for step in options.bridge:
        against_hand(options, step)
    if not options.bridge:
        measure(options)


if __name__ == "__main__":
    main()
