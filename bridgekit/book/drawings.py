"""Figures that are drawn from arrays: one drawing, a wide and a narrow sheet of it, colours by their roles.

A drawing is a function of a run's arrays (and of what that run said), so that the reference run's is drawn
anew, in today's style, from what is stored of it. On the page both sheets are SVG with real text; the style
sheet of the book shows the one that fits and gives every role its colour by day and by night.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape

from bridgekit.book import displays
from bridgekit.book.displays import Display, Html
from bridgekit.book.players import Points
from bridgekit.book.roles import DAY as ROLES
from bridgekit.book.walks import Walk

WIDE, NARROW = 690, 340  # CSS pixels: the theme's column, and a phone's
STYLE = {
    "figure.figsize": (7.29, 4.2),  # 700 px at 96 px to the inch
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.bbox": None,
    "svg.hashsalt": "bridgekit",
    "svg.fonttype": "path",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "image.cmap": "cividis",
}
FONT = "'DejaVu Sans', Verdana, sans-serif"
_SHEET = {
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": ROLES["ink"],
    "axes.labelcolor": ROLES["ink"],
    "axes.titlecolor": ROLES["ink"],
    "axes.edgecolor": ROLES["muted"],
    "xtick.color": ROLES["muted"],
    "ytick.color": ROLES["muted"],
    "grid.color": ROLES["grid"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.8,  # 2.4 px
    "svg.fonttype": "none",
}
_SHEETS = (
    "<style>.bk-narrow { display: none } @media (max-width: 600px) { .bk-wide { display: none } "
    ".bk-narrow { display: inline } }</style>"
)
PROTAGONIST = 2.55  # points: 3.4 px


@contextmanager
def sheet(width: int) -> Iterator[None]:
    """matplotlib's defaults for a drawing of that many CSS pixels."""
    import matplotlib

    with matplotlib.rc_context(STYLE | _SHEET | {"figure.figsize": (width / 96, 4.2)}):
        yield


def panels(count: int = 1, height: float = 3.4, columns: int = 0, **options):
    """A figure and its axes in a list: ``columns`` side by side, all of them unless said, each ``height``
    inches; on a narrow sheet one under the other, none higher than a phone's width asks for."""
    from matplotlib import pyplot, rcParams

    width = rcParams["figure.figsize"][0]
    columns, height = (1, min(height, 2.8)) if 96 * width < 500 else (columns or count, height)
    rows = -(-count // columns)
    size = width, height * rows
    fig, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, **options)
    return fig, list(axes.flat)


def name(ax, x: float, y: float, text: str, role: str, where: str = "data") -> None:
    """A series' own name, beside it, in its colour."""
    style = {"color": ROLES[role], "fontweight": "bold", "va": "center", "annotation_clip": False}
    ax.annotate(text, (x, y), xycoords=where, xytext=(5, 0), textcoords="offset points", **style)


def powers(axis) -> None:
    """Name the ticks of a logarithmic axis 10⁻², say: matplotlib's exponents are too small to read."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axis.set_major_formatter(FuncFormatter(lambda value, _: displays.power_of_ten(round(math.log10(value)))))
    axis.set_minor_locator(NullLocator())


def names_at_right(ax, ends: Mapping[str, tuple[float, str]], gap: float = 0.075) -> None:
    """The names of series at the right edge, each near its end's height, none over another.

    ``ends``: ``{name: (its last value, its role)}``; ``gap`` is a share of the axes' height, whatever
    their scale.
    """
    x, place = ax.get_xlim()[0], (ax.transScale + ax.transLimits).transform
    wanted = sorted((min(max(place((x, y))[1], 0), 1), text) for text, (y, _) in ends.items())
    at = -1.0
    for k, (height, text) in enumerate(wanted):
        at = min(max(height, at + gap), 1 - gap * (len(wanted) - 1 - k))
        name(ax, 1.0, at, text, ends[text][1], "axes fraction")


@dataclass(frozen=True)
class Drawn:
    """What a function drew of a run's arrays: files, what their entry says, and how a page shows it."""

    images: dict[str, bytes]
    layout: dict
    display: Display


def drawn(draw: Callable, arrays: Mapping, said: Mapping, *, keep: bool = True) -> Drawn:
    """Draw a run's arrays, and what it said: a figure on both sheets, or something that moves.

    Without ``keep`` it has no files: another run's are stored already.
    """
    with sheet(WIDE):
        made = draw(arrays, said)
        if isinstance(made, Points | Walk):
            return Drawn({".png": made.still()} if keep else {}, {}, partial(_moving, made))
        if isinstance(made, displays.Film):
            sprite, layout = made.drawn()
            return Drawn(
                {".webp": sprite}, layout, lambda entry, *to: displays.film(sprite, layout | entry, *to)
            )
        size, wide = displays.css_size(made), displays.render(made, "svg")
        images = _on_white(made, wide) if keep else {}
        displays.close(made)
    with sheet(NARROW):
        other = draw(arrays, said)
        narrow = displays.render(other, "svg")
        displays.close(other)
    return Drawn(images, {"size": size}, partial(_figure, {"wide": wide, "narrow": narrow}))


def _on_white(fig, svg: bytes) -> dict[str, bytes]:
    """A figure's files: either may be opened in the dark, by a program that knows nothing of roles."""
    ground = b'<rect width="100%" height="100%" style="fill: white"/>'
    white = re.sub(rb"<svg [^>]*>", rb"\g<0>" + ground, svg, count=1)
    return {".svg": white, ".png": displays.raster(fig)}


def _figure(sheets: dict[str, bytes], entry: dict, mark: str, run: str = "") -> Html:
    alt = displays.plain(entry["alt"])
    inside = _SHEETS + "".join(inline(svg, mark, alt, kind) for kind, svg in sheets.items())
    return Html(displays.framed(inside, entry, mark, run, " bk-drawing"), f"[figure] {alt}")


def _moving(film: Points | Walk, entry: dict, mark: str, run: str = "") -> Html:
    alt, kind = displays.plain(entry["alt"]), " bk-player" if isinstance(film, Points) else " bk-walk"
    return Html(displays.framed(film.html(alt, entry["slider"]), entry, mark, run, kind), f"[film] {alt}")


def inline(svg: bytes, mark: str, alt: str, kind: str) -> str:
    """matplotlib's SVG for the middle of a page: its own names, no fonts and no style but its roles'."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    used = set(re.findall(r"#([\w.-]+)[\")]", text))
    own = f"{mark}-{kind}"
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{own}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(href=\"|url\()#([\w.-]+)", rf"\1#{own}-\2", text)
    for role, colour in ROLES.items():
        text = re.sub(rf"(: ?){colour}\b", rf"\1var(--bk-{role}, {colour})", text)
    view = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', text)
    style = (
        f"width: 100%; max-width: {float(view[1]) * 96 / 72:.0f}px; height: auto; font-family: {FONT}; "
        "stroke-linejoin: round; stroke-linecap: butt"
    )
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    opening = (
        f'<svg class="bk-{kind}" role="img" aria-label="{escape(alt)}" {view[0]} {names} style="{style}">'
    )
    text = re.sub(r"(\d\.\d\d)\d+(?=[^<>]*>)", r"\1", text)  # a hundredth of a point is a pixel's fortieth
    return re.sub(r"\s*\n\s*", " ", opening + text[text.index(">") + 1 :]).strip()
