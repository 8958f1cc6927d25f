"""The parts of a claim as dots with their intervals, each against its bound, its number beside it.

Right of the bound, or inside the band, a dot speaks for the claim. Parts have scales of their own, so that
each is drawn in units of its own: half its interval, or a quarter of its band. A number without an interval
is drawn in quarters of itself or of its bound, whichever is larger.
"""

import math
from collections.abc import Iterable, Mapping
from html import escape

from bridgekit.book.criteria import Part
from bridgekit.book.displays import number, plain, rich
from bridgekit.book.verdicts import UNDECIDED, Measured, Verdict

PITCH, UNIT, FAR = 9, 26, 4.2  # pixels a part and a unit; how many units there are on either side
_CIRCLE = "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z"
_SQUARE, _DIAMOND, _BEYOND = "M-3.2-3.2h6.4v6.4h-6.4z", "M0-4.4 4.4 0 0 4.4-4.4 0z", "M-4-4 4 0-4 4z"


def dots(found: Verdict, about: Mapping[str, dict], own: Verdict | None = None) -> str:
    """Each part as a dot against its bound, and hollow beneath it what ``own``, this run, says of it.

    Beside a dot stands its number, in the unit that the metric has by ``about``, and what was asked of it.
    """
    ours = {item.part: item for item in own.measured} if own else {}
    drawn = ordered(found.measured or ours.values())
    if not drawn:
        return f"<small>{rich(found.reason)}</small>"
    lanes = []
    for item in drawn:
        both = {"": item if found.measured else None, " bk-own-dot": ours.get(item.part)}
        scale, unit = _unit(item), said_in(item.part, about)
        lanes += [_lane(each, scale, unit, kind) for kind, each in both.items() if each]
    label = escape(plain(f"{found.reason}; this run: {own.reason}" if own else found.reason))
    return f'<span class="bk-parts" role="group" aria-label="{label}">{"".join(lanes)}</span>'


def said_in(part: Part, about: Mapping[str, dict]) -> str:
    """The unit of a part's metric, or of those that it is made of."""
    units = (about[name].get("unit") for name in (part.metric, *part.metrics) if name in about)
    return next(filter(None, units), "")


def _lane(item: Measured, scale: float, unit: str, kind: str) -> str:
    """A part's field with its bound and its dot, and in words the number and what was asked of it."""
    low, high = (-2, 2) if item.part.bound == "within" else (0, 4.4)
    start, end = 120 + UNIT * low, 120 + UNIT * high
    field = f'<path class="bk-against" d="M5.6 0h228.8v{PITCH}H5.6z"/>'
    field += f'<path class="bk-for" d="M{start:g} 0H{end:g}v{PITCH}H{start:g}z"/>'
    field += "".join(f'<path class="bk-bound" d="M{x:g} 0v{PITCH}"/>' for x in (start, end)[: 1 + bool(low)])
    field += _mark(item, scale, PITCH / 2, kind)
    said = f"{number(item.value)} {escape(unit)}".strip() + f" ({asked(item.part)})"
    return f'<svg viewBox="0 0 240 {PITCH}" aria-hidden="true">{field}</svg><small>{said}</small>'


def asked(part: Part) -> str:
    """What a part asks of its metric: `above 1`, `within [−0.5, 0.5]`."""
    return str(part).removeprefix(part.metric).strip().replace("-", "−")


def ordered(measured: Iterable[Measured]) -> list[Measured]:
    """The primary part first, which says most."""
    return sorted(measured, key=lambda item: not item.part.primary)


def value(item: Measured, unit: str = "") -> str:
    """A part's value in the metric's own unit, with kind, interval and n."""
    found = f"{number(item.value)} {escape(unit)}".strip()
    if item.part.certain:
        return f"{found} ({item.part.kind})"
    inside = f" [{number(item.low)}, {number(item.high)}]" if math.isfinite(item.high - item.low) else ""
    return f"{item.part.kind} {found}{inside}, n = {item.n}" + f" ({item.lost} missing)" * bool(item.lost)


def _unit(item: Measured) -> float:
    """What one unit of its dot is: half its interval; of a sharp number a quarter of it or of its bound."""
    low, high = item.part.target
    if item.part.bound == "within":
        return (high - low) / 4 or 1.0
    bound = low if item.part.bound == "above" else high
    if item.part.certain:
        return max(abs(item.value), abs(bound)) / 4 or 1.0
    ends = [abs(item.value - end) for end in (item.low, item.high) if math.isfinite(end)]
    return (sum(ends) / len(ends) if ends else abs(item.value - bound)) or 1.0


def _away(part: Part, value: float) -> float:
    """How far on the good side of its bound a value is, or above the middle of its band."""
    low, high = part.target
    return {"above": value - low, "below": high - value, "within": value - (low + high) / 2}[part.bound]


def _x(units: float) -> float:
    return 120 + UNIT * max(-FAR, min(FAR, units))


def _mark(item: Measured, unit: float, y: float, kind: str = "") -> str:
    """A part's interval and its dot: a diamond where it has none, a square where it decides nothing."""
    if math.isnan(item.value):
        return ""
    part, line = item.part, ""
    at, *ends = (_away(part, value) / unit for value in (item.value, item.low, item.high))
    shape = _DIAMOND if part.certain else _SQUARE if item.verdict == UNDECIDED else _CIRCLE
    shape = _BEYOND if abs(at) > FAR and not part.certain else shape
    if not part.certain:
        a, b = sorted(map(_x, ends))
        endless = "" if math.isfinite(item.high - item.low) else ' stroke-dasharray="2 3"'
        line = f'<path class="bk-interval" d="M{a:.1f} {y:g}H{b:.1f}"{endless}/>'
    turned = " scale(-1 1)" if at < 0 else ""
    path = f'<path d="{shape}" transform="translate({_x(at):.1f} {y:g}){turned}"/>'
    return f'<g class="bk-dot{kind}" data-verdict="{item.verdict}">{line}{path}</g>'
