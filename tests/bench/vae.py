"""What activating the adversary costs and how fast the VAE game is: ratios measured by turns in one run.

    python tests/bench/vae.py [--part cost speed] [--images 10000] [--hidden 500] [--z 50]
                              [--rounds 100] [--repeats 5] [--threads 1] [--cpu-time]

``cost``: a round of the activated VAE against the sum of what it consists of, each played alone on the same
batch: a VAE step at twice the batch, generating one batch, and one step of D on both halves. At most 1.05 is
asked for; below 1 is possible, since D's forward pass serves both its own loss and the weights.

``speed``: epochs a second of the VAE game (two-layer perceptrons, batch 128, `fit` with one trial) on as many
binary images, against

    resident loop   the same written by hand: nn.Linear, the images one tensor in memory, fused Adam
    pythae          pythae's BaseTrainer with the same networks, data and Adam, otherwise as it comes, where
                    it is installed: it is no dependency, and is left out with a word where it is missing
    pythae, fused   the same with the fused Adam that ours has, which it does not choose by itself

At least 1.2 times pythae's speed is asked for, and not more than 5 % below the hand-written loop. The ways
take turns, several times over; each line is the median ratio with its extremes. Images are random bits with
MNIST's share of ones: what they show changes no time. ``--cpu-time`` counts the processor's seconds, not
the clock's, for a machine that others use too (one thread only).
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from bridgekit import spec
from bridgekit.data import binary
from bridgekit.games import aavae
from bridgekit.play.loop import play
from bridgekit.play.state import start
from bridgekit.theory import labelling

PIXELS, BATCH = 784, 128


def perceptron(*sizes: int) -> nn.Sequential:
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def random_images(n: int) -> binary.Pairs:
    bits = torch.rand(n, PIXELS, generator=torch.Generator().manual_seed(0)) < 0.13
    return binary.Pairs(bits.float(), PIXELS, f"random bits, {n}")


def game_of(data: binary.Pairs, options, **kept):
    rows = torch.arange(len(data.rows))[None]
    return aavae.autoencoder(data, rows, hidden=options.hidden, z=options.z, batch=BATCH, **kept)


def playing(game) -> Callable[[int], None]:
    """Plays some more rounds of a game."""
    state = start(game, [0])
    return lambda n: play(game, state, "train", state.played.get("train", 0) + n)


class Resident:
    """The VAE as one would write it by hand, data in memory."""

    def __init__(self, data: binary.Pairs, options, batch: int = BATCH):
        h, self.z, self.x, self.batch = options.hidden, options.z, data.rows, batch
        self.e, self.g = perceptron(PIXELS, h, h, 2 * self.z), perceptron(self.z, h, h, PIXELS)
        self.adam = torch.optim.Adam([*self.e.parameters(), *self.g.parameters()], lr=1e-3, fused=True)
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, n: int) -> None:
        for _ in range(n):
            x = self.x[torch.randint(len(self.x), (self.batch,), generator=self.generator)]
            mu, log_sigma = self.e(x).chunk(2, -1)
            eps = torch.randn(mu.shape, generator=self.generator)
            logits = self.g(mu + log_sigma.exp() * eps)
            nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
            kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(-1)
            self.adam.zero_grad()
            (nll + kl).mean().backward()
            self.adam.step()


def pieces(data: binary.Pairs, options) -> dict[str, Callable[[int], None]]:
    """What a round of the activated VAE consists of, and that round itself."""
    active = game_of(data, options, temperature=1.5)
    state = start(active, [0])
    nets, (turn,) = SimpleNamespace(**state.nets), active.phases[0].turns
    generator, adam = torch.Generator().manual_seed(0), state.optimisers["D"]

    def noise(name: str) -> torch.Tensor:
        draw = turn.draws[name]
        return draw.take(draw.chunk(1, generator)[0][None])

    def generate(n: int) -> None:
        for _ in range(n):
            aavae.generated(nets.G, noise("z"), torch.empty(1, BATCH, 0), noise("u"))

    def learn(n: int) -> None:
        real = aavae.is_real(BATCH, data.rows)
        for _ in range(n):
            loss = labelling.label_nll(nets.D(data.rows[None, : 2 * BATCH]), real).mean(-1).sum()
            grads = torch.autograd.grad(loss, list(nets.D.parameters()))
            for parameter, grad in zip(nets.D.parameters(), grads, strict=True):
                parameter.grad = grad
            adam.step()

    rows = torch.arange(len(data.rows))[None]
    twice = aavae.autoencoder(data, rows, hidden=options.hidden, z=options.z, batch=2 * BATCH)
    return {
        "activated": playing(active),
        "plain": playing(game_of(data, options)),
        "twice the batch": playing(twice),
        "generation": generate,
        "step of D": learn,
    }


def pythae_epochs(data: binary.Pairs, options, adam: dict) -> Callable[[int], None]:
    """Epochs of pythae's BaseTrainer with the same networks, and with these parameters for its Adam."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.INFO)
    h, z = options.hidden, options.z

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.body = perceptron(PIXELS, h, h, 2 * z)

        def forward(self, x):
            mu, log_var = self.body(x.flatten(1)).chunk(2, -1)
            return ModelOutput(embedding=mu, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.body = perceptron(z, h, h, PIXELS)

        def forward(self, code):
            return ModelOutput(reconstruction=self.body(code).sigmoid())

    folder = tempfile.mkdtemp(prefix="bridgekit-bench-")
    config = VAEConfig(input_dim=(PIXELS,), latent_dim=z, reconstruction_loss="bce")
    trainer = BaseTrainer(
        model=VAE(config, encoder=Encoder(), decoder=Decoder()),
        train_dataset=BaseDataset(data.rows, torch.zeros(len(data.rows))),
        training_config=BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            optimizer_cls="Adam",
            optimizer_params=adam,
            no_cuda=True,
        ),
    )
    trainer.prepare_training()

    def epochs(n: int) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            for k in range(n):
                trainer.train_step(k + 1)

    return epochs


def in_turn(
    works: dict[str, Callable], counts: dict[str, tuple[int, int]], options
) -> list[dict[str, float]]:
    """Seconds a round of each piece of work, one after the other, several times over; first once unmeasured.

    ``counts`` is (how often the work is asked for, rounds that this makes).
    """
    clock, found = time.process_time if options.cpu_time else time.perf_counter, []
    for _ in range(options.repeats + 1):
        times = {}
        for name, work in works.items():
            began = clock()
            work(counts[name][0])
            times[name] = (clock() - began) / counts[name][1]
        found.append(times)
    return found[1:]


def ratio(times: list[dict[str, float]], above: Callable, below: Callable) -> str:
    each = [above(one) / below(one) for one in times]
    return f"{statistics.median(each):5.2f} ({min(each):.2f} … {max(each):.2f})"


def cost(options, data: binary.Pairs) -> None:
    works = pieces(data, options)
    times = in_turn(works, dict.fromkeys(works, (options.rounds,) * 2), options)
    for name in works:
        middle = statistics.median(one[name] for one in times)
        print(f"  {name:16s} {1000 * middle:7.2f} ms a round")
    parts = ("twice the batch", "generation", "step of D")
    whole = ratio(times, lambda t: t["activated"], lambda t: sum(t[part] for part in parts))
    print(f"  activated over the sum of its parts {whole}   asked for: at most 1.05")
    bare = ratio(times, lambda t: t["activated"], lambda t: t["plain"])
    print(f"  activated over plain                {bare}")


def speed(options, data: binary.Pairs) -> None:
    batches = -(-len(data.rows) // BATCH)
    works = {"fit": playing(game_of(data, options)), "resident loop": Resident(data, options)}
    counts = dict.fromkeys(works, (options.rounds,) * 2)
    if importlib.util.find_spec("pythae") is None:
        print("  pythae is not installed: left out")
    else:
        for name, adam in {"pythae": {}, "pythae, fused": {"fused": True}}.items():
            works[name], counts[name] = pythae_epochs(data, options, adam), (1, batches)
    times = in_turn(works, counts, options)
    for name in works:
        print(f"  {name:16s} {1 / batches / statistics.median(one[name] for one in times):7.3f} epochs/s")
    asked = {"resident loop": "   asked for: at least 0.95", "pythae": "   asked for: at least 1.2"}
    for name in list(works)[1:]:
        found = ratio(times, lambda t, name=name: t[name], lambda t: t["fit"])
        print(f"  fit is {found} times as fast as {name:14s}{asked.get(name, '')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=["cost", "speed"], default=["cost", "speed"])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--hidden", type=int, default=500)
    parser.add_argument("--z", type=int, default=50)
    # Whole chunks of noise: `fit` draws a hundred rounds of it at a time.
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    os.environ.update(spec.tell(Path(tempfile.gettempdir()) / "bridgekit-bench.json", progress=os.devnull))
    torch.set_num_threads(options.threads)
    data = random_images(options.images)
    print(f"{options.images} images, hidden {options.hidden}, z {options.z}, {options.threads} thread(s)")
    for part in options.part:
        print(part)
        {"cost": cost, "speed": speed}[part](options, data)


if __name__ == "__main__":
    main()
