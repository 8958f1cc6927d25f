"""What the importance weights cost: a step of IWGAN over a step of GAN, measured by turns in one run.

    python tests/bench/importance.py [--setups plane images classes] [--repeats 20] [--threads 1]
                                     [--width 16] [--batch 128] [--dataset digits] [--device cpu]

A step is one round of the game: a step of D and a step of G. The two games of a pair have the same networks,
batch and seed, and are played in turn, a few rounds each, in an order that changes from one repetition to the
next. On a CPU the process's own CPU time is counted, so that other programs disturb less; on a GPU wall time.

    plane     MLPs of three hidden layers of 128, batch 256, one trial and ten
    images    DCGAN of ``--width`` channels
    classes   the class-conditional DCGAN: IWCGAN over CGAN

For each it prints milliseconds a round of the plain game, the median ratio with its extremes, and the mean
with its 95 % interval. The paper says that the cost is negligible; 1.05 is what the page `iwgan` allows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bridgekit import data, spec
from bridgekit.games import baselines, importance, setups
from bridgekit.measure.intervals import estimate
from bridgekit.play.game import Game
from bridgekit.play.loop import play
from bridgekit.play.state import State, start
from bridgekit.theory import adversarial


def plain(setup: setups.Setup) -> Game:
    return baselines.gan(setup, adversarial.non_saturating)


def pairs(options: argparse.Namespace) -> Iterator[tuple[str, Game, Game, int, int]]:
    """Name, the weighted and the plain game, trials, and rounds in a stretch."""
    if "plane" in options.setups:
        setup = setups.plane(data.mixture("gaussians25").to(options.device))
        for trials in (1, 10):
            yield f"plane x {trials}", importance.iwgan(setup), plain(setup), trials, 100
    dataset = data.load(options.dataset, device=options.device)
    settings = {"width": options.width, "batch": options.batch}
    if "images" in options.setups:
        setup = setups.images(dataset, **settings)
        yield "images", importance.iwgan(setup), plain(setup), 1, options.rounds
    if "classes" in options.setups:
        labelled = setups.images(dataset, labelled=True, **settings)
        yield "classes", importance.iwcgan(labelled), importance.cgan(labelled), 1, options.rounds


def seconds(game: Game, state: State, rounds: int) -> float:
    """For ``rounds`` more rounds; ``play`` ends by reading the losses, so a GPU is done as well."""
    clock = time.process_time if state.device.type == "cpu" else time.perf_counter
    began = clock()
    play(game, state, "train", state.played.get("train", 0) + rounds)
    return clock() - began


def measure(games: dict[str, Game], trials: int, rounds: int, options: argparse.Namespace) -> list[dict]:
    """Seconds of a stretch of each game, ``--repeats`` times."""
    states = {name: start(game, range(trials), options.device) for name, game in games.items()}
    for name, game in games.items():
        seconds(game, states[name], rounds)  # warms up
    orders = [list(games), list(games)[::-1]]
    return [
        {name: seconds(games[name], states[name], rounds) for name in orders[k % 2]}
        for k in range(options.repeats)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ["plane", "images", "classes"]
    parser.add_argument("--setups", nargs="+", choices=known, default=known)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10, help="in a stretch, on images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ.update(spec.tell(Path(tempfile.gettempdir()) / "bridgekit-bench.json", progress=os.devnull))
    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.threads} thread(s), {options.repeats} repeats")
    for name, weighted, unweighted, trials, rounds in pairs(options):
        times = measure({"weighted": weighted, "plain": unweighted}, trials, rounds, options)
        ratios = [each["weighted"] / each["plain"] for each in times]
        step = 1e3 * statistics.median(each["plain"] for each in times) / rounds
        middle, low, high = estimate("median", [np.array(ratios)])
        print(
            f"  {name:11s} {step:8.2f} ms a round; weighted over plain {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} … {max(ratios):.3f}); median {middle:.3f} [{low:.3f}, {high:.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main()
