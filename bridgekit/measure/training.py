"""What a page says of curves over the evaluations of a training, and which setting or evaluation it takes.

A curve is (evaluations, trials), in the order of the evaluations, NaN from where a trial failed; what is made
of it is (trials,). These choices decide claims: from where on, the first or the last, the most or the least,
held-out images or others. No tensors, but where it says so.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bridgekit.errors import BridgekitError
from bridgekit.measure import finite, paired


def trend(gains: Mapping[float, ArrayLike]) -> np.ndarray:
    """The gain at the smallest setting minus that at the largest, trial by trial: (trials,) each."""
    return paired.gain(gains[min(gains)], over=gains[max(gains)])


def wobble(curve: np.ndarray, at: ArrayLike, after: float) -> np.ndarray:
    """How much a trial fluctuates late: one standard deviation over the evaluations after round ``after``.

    ``at`` (evaluations,) are their rounds; n - 1 is in the denominator. NaN for a trial that is lost at one
    of them, and where there are fewer than two.
    """
    late = curve[np.asarray(at) > after]
    return late.std(0, ddof=1) if len(late) > 1 else np.full(late.shape[1:], np.nan)


def stable(modes: np.ndarray, at: ArrayLike, since: float, wanted: float) -> np.ndarray:
    """Whether a trial covers ``wanted`` modes or more at every evaluation from round ``since`` on: bool.

    A trial that is lost is not stable. Raises BridgekitError where there is no evaluation that late.
    """
    late = modes[np.asarray(at) >= since]
    if not len(late):
        raise BridgekitError(f"there is no evaluation from round {since:g} on: make more evaluations.")
    return (late >= wanted).all(0)


def after_a_fifth(curve: np.ndarray) -> np.ndarray:
    """The curve at the evaluations after the first fifth; of fewer than five evaluations the whole curve."""
    return curve[len(curve) // 5 :]


def at_rest(curve: np.ndarray, within: float = 0.1) -> np.ndarray:
    """The median over the last fifth of the evaluations, of a trial that has come to rest there; else NaN.

    At rest is a trial whose median there differs from that over the fifth before by less than the share
    ``within`` of the latter. NaN also for fewer than five evaluations, of which a fifth is none.
    """
    n = len(curve) // 5
    if n == 0:
        return np.full(curve.shape[1:], np.nan)
    before, last = np.median(curve[-2 * n : -n], 0), np.median(curve[-n:], 0)
    return np.where(np.abs(last - before) < within * np.abs(before), last, np.nan)


def late(curve: np.ndarray, share: float) -> np.ndarray:
    """The last ``share`` of the evaluations, one at least: (evaluations, trials)."""
    return curve[-max(1, round(share * len(curve))) :]


def late_median(curve: np.ndarray, share: float) -> np.ndarray:
    """The median over the last ``share`` of the evaluations; NaN for a trial that is lost at one of them."""
    return np.median(late(curve, share), 0)


def orders(curve: np.ndarray, other: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """How many powers of ten ``curve`` is above ``other`` late: the median over evaluations, and the least.

    Late is the last ``share`` of the evaluations. Both curves are above 0. NaN for a trial that is lost at
    one of them.
    """
    gap = np.log10(late(curve, share)) - np.log10(late(other, share))
    return np.median(gap, 0), gap.min(0)


def log_over(curve: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The logarithm of ``curve`` over ``other``, each where it has come to rest (:func:`at_rest`); else NaN.

    Both curves are above 0.
    """
    return np.log(at_rest(curve)) - np.log(at_rest(other))


def log_over_most(curve: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """:func:`log_over` the largest of the others; NaN where one of the curves has not come to rest."""
    return np.min([log_over(curve, other) for other in others], 0)


def log_over_least(curve: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """:func:`log_over` the smallest of the others; NaN where one of the curves has not come to rest."""
    return np.max([log_over(curve, other) for other in others], 0)


def lost(curves: Sequence[np.ndarray], modes: np.ndarray, few: float = 2) -> np.ndarray:
    """1.0 for a trial that is lost at its last evaluation, else 0.0.

    Lost is one of which some curve is not finite there, or which covers ``few`` modes or less, or an unknown
    number.
    """
    return 1.0 - (np.isfinite([curve[-1] for curve in curves]).all(0) & (modes[-1] > few))


def deepest_fall(curve: np.ndarray, start: int) -> np.ndarray:
    """How far the curve falls below evaluation ``start`` at the worst later one; below 0 where it only rises.

    NaN for a trial that is lost. Raises ValueError where there is no later evaluation.
    """
    return curve[start] - curve[start + 1 :].min(0)


def share_kept(curve: np.ndarray, start: int) -> np.ndarray:
    """What is left of the value at ``start`` at the worst later evaluation: 1 minus the share of the fall.

    NaN for a trial that is lost, and where there was nothing to keep: a value that is not above 0.
    """
    return 1 - deepest_fall(curve, start) / np.where(curve[start] > 0, curve[start], np.nan)


def fall(curve: ArrayLike, end: int = -1) -> ArrayLike:
    """How far the curve is below its first value at evaluation ``end``, trial by trial; arrays or tensors."""
    return curve[0] - curve[end]


def share_lost(curve: ArrayLike, floor: float = 0.0, end: int = -1) -> ArrayLike:
    """How far the curve has fallen at evaluation ``end``, over what its first value has above ``floor``.

    Arrays or tensors. It means something where the first value is above ``floor``: at it the share is not
    finite, and below it the sign is turned over.
    """
    return fall(curve, end) / (curve[0] - floor)


def kept(value: ArrayLike, floor: ArrayLike, whole: float) -> np.ndarray:
    """What is kept: 1 where ``value`` is the ``whole``, 0 where it is the ``floor``, which chance gives.

    Below 0 where less than that is left; the arguments broadcast. NaN where the floor is the whole.
    """
    room = whole - np.asarray(floor, dtype=float)
    return (value - np.asarray(floor)) / np.where(room == 0, np.nan, room)


def of_the_next(
    compare: Callable[[ArrayLike, ArrayLike], ArrayLike], before: Sequence, after: Sequence
) -> np.ndarray:
    """``compare(before, after)`` of each trial's beginning with the next trial's end, (trials, ...): a floor.

    The next of the last is the first. Raises BridgekitError for one trial alone, which would be its own.
    """
    if len(before) < 2:
        raise BridgekitError("a second trial is wanted, which the first is compared with: take more seeds.")
    return np.stack([compare(one, after[(k + 1) % len(after)]) for k, one in enumerate(before)])


def moved(curve: np.ndarray, default: np.ndarray) -> np.ndarray:
    """The distance between two curves at their last evaluation, trial by trial; NaN where either is lost."""
    return np.abs(curve[-1] - default[-1])


def over_settings(values: Sequence[ArrayLike], trials: int) -> np.ndarray:
    """The mean over settings, (settings, trials) -> (trials,); NaN where one is lost, or there is none."""
    return np.mean(values, axis=0) if len(values) else np.full(trials, np.nan)


def at_stop(curves: Mapping[str, ArrayLike], key: str, by: str) -> np.ndarray:
    """The curve ``key`` at each trial's best evaluation by the curve ``by``: (trials,).

    The best is the greatest, the first of equals; NaN where no value of ``by`` is finite. ``key`` may also be
    (evaluations,), the same for all trials. Raises BridgekitError unless the name ``by`` begins with "held":
    images that choose are no longer a test, and training images would never stop.
    """
    if not by.startswith("held"):
        raise BridgekitError(f"an evaluation is chosen by a curve of held-out images, not by {by!r}.")
    return finite.at_best(curves[by], curves[key])


def halfway(course: np.ndarray, at: ArrayLike) -> np.ndarray:
    """Where of ``at`` (evaluations,) half of the way is first done, trial by trial; NaN for one that is lost.

    ``course`` (evaluations, trials) is how far a trial has come, and its last value is the whole way.
    """
    done = course / course[-1] >= 0.5
    return np.where(np.isfinite(course).all(0), np.asarray(at, dtype=float)[done.argmax(0)], np.nan)


def quickest(course: np.ndarray) -> np.ndarray:
    """The largest share of the whole way that lies between two evaluations, (trials,)."""
    return np.diff(course / course[-1], axis=0).max(0)


def typical(values: ArrayLike) -> int:
    """The number of the trial in the middle by its value, or of the lower one of two; lost ones come last."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def best_setting(scores: Mapping[Hashable, ArrayLike]) -> Hashable | None:
    """The setting with the greatest mean score over its trials, (trials,); the first of equals.

    A setting of which a trial is lost is out; None where all are.
    """
    known = {setting: mean for setting, values in scores.items() if np.isfinite(mean := np.mean(values))}
    return max(known, key=known.get, default=None)
