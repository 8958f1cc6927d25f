"""What a page shows: figures and films as self-contained HTML, tables as Markdown.

A figure carries its bytes as a data URI, so it shows with its alternative text in Jupyter Lab, nbviewer and
the built book alike, and nothing is looked up anywhere. A film is one sprite (all frames in one lossless
WebP) that a labelled slider moves under a window; without JavaScript the frame stays that tells most.

Captions and alternative texts are Markdown: a caption's first sentence, bold, says what to see.
"""

import base64
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from html import escape

from bridgekit.book import roles
from bridgekit.errors import BridgekitError

PNG_DPI, FILM_DPI = 150, 100
_WEBP_SIDE = 16_383  # pixels, the format's own limit

# One generic player for every film on the page: it looks for films not yet wired, so that it may run several
# times. The labels stand in a data attribute; nothing needs an id, so showing one film twice is harmless.
_PLAYER = """<script>
document.querySelectorAll("figure.bk-film:not([data-ready])").forEach(function (film) {
  film.dataset.ready = "";
  var labels = JSON.parse(film.dataset.labels), columns = +film.dataset.columns, rows = +film.dataset.rows;
  var input = film.querySelector("input"), output = film.querySelector("output");
  var image = film.querySelector("img");
  function show() {
    var k = +input.value, x = -100 * (k % columns) / columns, y = -100 * Math.floor(k / columns) / rows;
    image.style.transform = "translate(" + x + "%, " + y + "%)";
    output.textContent = labels[k];
    input.setAttribute("aria-valuetext", labels[k]);
  }
  input.addEventListener("input", show);
  film.querySelector(".bk-film-control").hidden = false;
  show();
});
</script>"""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_FOCUS = "<style>.bk-film input:focus-visible { outline: 3px solid #0072b2; outline-offset: 3px; }</style>"


@dataclass(frozen=True)
class Html:
    """A displayable that is HTML, or of another ``kind``; ``text`` is what a terminal prints."""

    html: str
    text: str
    kind: str = "text/html"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {self.kind: self.html}

    def __repr__(self) -> str:
        return self.text


Display = Callable[..., Html]  # of an entry of the record, the figure's id, and whose run it is


def number(value: float, digits: int = 3) -> str:
    """A number for a table: ``digits`` significant digits, powers of ten written out, a real minus sign."""
    if not math.isfinite(value):
        return "not finite"
    size = math.floor(math.log10(abs(value))) if value else 0
    if -4 < size < 6:
        return f"{value:.{max(0, digits - 1 - size)}f}".replace("-", "−")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × {power_of_ten(int(power))}".replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """10⁻², say."""
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"


def markdown(source: str) -> Html:
    """A displayable that is Markdown; a terminal prints its source."""
    return Html(source, source, "text/markdown")


def render(fig, kind: str, dpi: int = PNG_DPI) -> bytes:
    """A matplotlib figure as SVG or PNG; the same figure gives the same bytes (no date, a fixed salt)."""
    import matplotlib

    # A figure keeps its layout once it is drawn. With an engine, even the placeholder that "none" leaves,
    # matplotlib draws twice for every file, and drawing is most of a small page's time.
    settings = {"figure.autolayout": False, "figure.constrained_layout.use": False}
    settings |= {"svg.hashsalt": "bridgekit", "savefig.bbox": None}
    settings |= {"savefig.facecolor": "white"} if kind == "png" else {}  # a sheet has no ground of its own
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(settings):
        if (engine := fig.get_layout_engine()) is not None:
            engine.execute(fig)
            fig.set_layout_engine(None)
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def raster(fig, dpi: int = PNG_DPI) -> bytes:
    """A matplotlib figure as PNG: of 256 colours, a third of the bytes, where nobody would see more."""
    from PIL import Image, ImageChops, ImageStat

    every = Image.open(io.BytesIO(render(fig, "png", dpi))).convert("RGB")
    few = every.quantize(dither=Image.Dither.NONE)
    lost = ImageStat.Stat(ImageChops.difference(every, few.convert("RGB"))).mean  # of 255 levels, a channel
    buffer = io.BytesIO()
    (few if max(lost) < 1 else every).save(buffer, "PNG", dpi=(dpi, dpi))
    return buffer.getvalue()


def picture(fig) -> bytes:
    """A matplotlib figure, which is closed, as the still of a film."""
    png = raster(fig, FILM_DPI)
    close(fig)
    return png


def stage(still: bytes, alt: str, control: str, data: str) -> str:
    """What a script makes a film of: its ``data``, as JSON, a ``control``, and the still that it replaces.

    The script finds them by their classes. Without one, the still stays.
    """
    image = f'<img alt="{escape(alt)}" src="{_data_uri(still, "png")}" style="max-width: 100%">'
    data = data.replace("</", "<\\/")  # no text in it ends the script
    data = f'<script type="application/json">{data}</script>'
    return f'{roles.alone()}<div class="bk-stage">{image}</div>{control}{data}'


def css_size(fig) -> list[int]:
    """Width and height in CSS pixels, 96 to the inch."""
    return [round(float(inches) * 96) for inches in fig.get_size_inches()]


def close(fig) -> None:
    """Release a figure that pyplot holds."""
    from matplotlib import pyplot

    pyplot.close(fig)


@dataclass(frozen=True)
class Film:
    """Figures of one size, a label for each (``"α = 0.35"``). A generator of new figures, or of one that it
    changes, will do. It opens on the frame that tells most: ``start``, from 0 (the first one) to 1.

    One of ``curves`` is turned over by night, as it is a sheet of pixels on white; one of images is not."""

    frames: Iterable
    labels: list[str]
    start: float = 1.0
    curves: bool = False

    def drawn(self) -> tuple[bytes, dict]:
        """Its sprite, and what an entry says of it."""
        sheet, layout = sprite(self.frames)
        if len(self.labels) != layout["frames"]:
            raise BridgekitError(f"a film has {len(self.labels)} labels for {layout['frames']} frames.")
        return sheet, layout | {
            "labels": [str(label) for label in self.labels],
            "start": self.start,
            "curves": self.curves,
        }


def sprite(frames: Iterable) -> tuple[bytes, dict]:
    """Draw and close each figure; all of them row by row in one lossless WebP, and the layout of it.

    A frame may be the figure before it with other data in it, which saves building its axes again. As few
    columns as the format's 16,383 pixels of height allow. Raises BridgekitError if there is no frame or the
    frames differ in size.
    """
    from PIL import Image

    pictures, size = [], [0, 0]
    for fig in frames:
        size = css_size(fig)
        pictures.append(Image.open(io.BytesIO(render(fig, "png", FILM_DPI))).convert("RGB"))
        close(fig)
    if len({picture.size for picture in pictures}) != 1:
        raise BridgekitError(
            f"a film needs frames of one size, not {[picture.size for picture in pictures]}."
        )
    width, height = pictures[0].size
    columns = math.ceil(len(pictures) * height / _WEBP_SIDE)
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k % columns * width, k // columns * height))
    buffer = io.BytesIO()
    sheet.save(buffer, format="WEBP", lossless=True, quality=80, method=4)
    return buffer.getvalue(), {"size": size, "frames": len(pictures), "columns": columns, "rows": rows}


def film(sprite: bytes, entry: dict, mark: str = "", run: str = "") -> Html:
    """A film: the sprite under a window of one frame's shape, moved by a range input with a real label.

    It opens on the frame that tells most: its entry's ``start``, a share of its length, the end unless said.
    """
    width, height = entry["size"]
    columns, rows, labels = entry["columns"], entry["rows"], entry["labels"]
    k, alt = round(entry.get("start", 1.0) * (len(labels) - 1)), plain(entry["alt"])
    across, down = 100 * (k % columns) / columns, 100 * (k // columns) / rows
    image = (
        f'<img alt="{escape(alt)}" src="{_data_uri(sprite, "webp")}" '
        f'style="position: absolute; top: 0; left: 0; width: {100 * columns}%; height: {100 * rows}%; '
        # The theme's padding for images of a cell, in its dark mode, would shift the frames.
        "max-width: none; max-height: none; padding: 0; border-radius: 0; "
        f'transform: translate(-{across:g}%, -{down:g}%)">'
    )
    window = (
        f'<div class="bk-film-window" style="position: relative; overflow: hidden; width: 100%; '
        f'max-width: {width}px; aspect-ratio: {width} / {height}; background: #fff">{image}</div>'
    )
    control = (
        f'<div class="bk-film-control" hidden><label style="display: block">{escape(entry["slider"])} '
        f'<input type="range" min="0" max="{len(labels) - 1}" value="{k}" step="1" '
        f'aria-valuetext="{escape(labels[k])}" style="display: block; width: {width}px; max-width: 100%">'
        f'</label><output aria-live="off">{escape(labels[k])}</output></div>'
    )
    texts = escape(json.dumps(labels, ensure_ascii=False))
    data = f' data-columns="{columns}" data-rows="{rows}" data-labels="{texts}"'
    kind = " bk-film" + " bk-curves" * entry.get("curves", False)
    html = framed(f"{_FOCUS}{window}{control}", entry, mark, run, kind, data)
    return Html(f"{html}\n{_PLAYER}", f"[film, {len(labels)} frames] {alt}")


def framed(inside: str, entry: dict, mark: str, run: str, kind: str = "", data: str = "") -> str:
    """The figure with its caption, its id, and whose run it is."""
    whose = f' <small class="bk-run">{escape(run)}</small>' if run else ""
    # The theme's own colour for captions is hardly seen in its dark mode.
    caption = (
        f'<figcaption style="color: inherit; font-weight: 400">{rich(entry["caption"])}{whose}</figcaption>'
    )
    name = f' id="fig-{mark}"' if mark else ""
    return f'<figure class="bk-figure{kind}"{name} style="margin: 1em 0"{data}>{inside}{caption}</figure>'


def folded(shown: Html, summary: str, own: Html) -> Html:
    """A figure, and under it another one to unfold."""
    details = f'<details class="bk-own"><summary>{escape(summary)}</summary>{own.html}</details>'
    return Html(f"{shown.html}\n{details}", f"{shown.text}\n{summary}: {own.text}")


@cache
def _markdown():
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def math(content: str, options: dict) -> str:
        return f"\\({escape(content)}\\)"  # in a span of the class that MathJax looks into

    return MarkdownIt("commonmark", {"html": False}).use(dollarmath_plugin, renderer=math)


def rich(text: str) -> str:
    """A line of Markdown as HTML, formulas between dollars for MathJax."""
    return _markdown().renderInline(text.strip())


def plain(text: str) -> str:
    """A line of Markdown as what a screen reader says: its words, formulas as they are written."""
    tokens = _markdown().parseInline(text.strip())[0].children or []
    return "".join(token.content if token.content else " " * (token.type == "softbreak") for token in tokens)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
