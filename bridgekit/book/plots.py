"""Records and arrays -> Axes and tables. Nothing here trains or needs torch; tensors are accepted as arrays.

Numbers over seeds print as mean ± standard deviation (n - 1 in the denominator) with their count.
"""

from collections.abc import Iterable

import numpy as np

from bridgekit.book.displays import Html, markdown, number
from bridgekit.book.drawings import STYLE
from bridgekit.book.records import as_array, metric_values
from bridgekit.book.runs import Run

# Okabe and Ito's colours (Color Universal Design, 2008) without the yellow, which a white page swallows.
PALETTE = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "amber": "#e69f00",
    "sky": "#56b4e9",
    "ink": "#333333",
}
DASH = "—"


def style() -> None:
    """Set matplotlib's defaults for the book: 700 px wide, white, colour-blind safe, reproducible."""
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(STYLE | {"axes.prop_cycle": cycler(color=list(PALETTE.values()))})


def images(ax, x, columns: int = 8, interpolation: str = "nearest"):
    """Draw images x (N, C, H, W) with values in [-1, 1], C = 1 or 3, as a grid; a NaN pixel shows grey.

    Flat ones, (N, pixels), are square and have one channel.
    """
    x = np.nan_to_num((as_array(x).astype(float).clip(-1, 1) + 1) / 2, nan=0.5)
    x = x if x.ndim == 4 else x.reshape(len(x), 1, -1, round(x.shape[1] ** 0.5))
    count, channels, height, width = x.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for k, picture in enumerate(x):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        sheet[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    sheet = sheet.squeeze(-1) if channels == 1 else sheet
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation=interpolation)
    ax.set_axis_off()
    return ax


def spread(values) -> str:
    """``mean ± s.d. (n = …)`` of the finite values, (n,), failures counted; a bare number as itself."""
    single = np.ndim(values) == 0
    values = np.atleast_1d(as_array(values)).astype(float)
    finite = values[np.isfinite(values)]
    lost = f", {values.size - finite.size} failed" if finite.size < values.size else ""
    if finite.size == 0:
        return f"{DASH} (n = {values.size}{lost})"
    if single:
        return number(finite[0])
    deviation = f" ± {number(finite.std(ddof=1), 2)}" if finite.size > 1 else ""
    return f"{number(finite.mean())}{deviation} (n = {values.size}{lost})"


def table(rows: Iterable[dict], caption: str = "") -> Html:
    """Rows (the first one's keys are the header) as a Markdown table; arrays print as in :func:`spread`."""
    rows = list(rows)
    if not rows:
        return markdown("*With these parameters there is nothing to compare.*\n")
    header = list(rows[0])
    lines = [_line(header), _line(["---"] * len(header))]
    lines += [_line([_cell(row.get(key)) for key in header]) for row in rows]
    return markdown("\n".join(([f"*{caption}*", ""] if caption else []) + lines) + "\n")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value) -> str:
    if value is None:
        return DASH
    if isinstance(value, (str, bool, int)):
        return str(value).replace("|", "\\|").replace("\n", " ")
    return spread(value)


def reference_table(run: Run, caption: str = "") -> Html:
    """*paper · reference run · this run*: a row for each metric that has a label, in their order."""
    here, there = run.record(), run.reference.record
    return table((_beside(*each, here, there) for each in run.labelled.items()), caption)


def _beside(name: str, about: dict, here: dict, there: dict) -> dict:
    exact = about["exact"]  # which older records do not say
    paper, place = about.get("paper"), about.get("place")
    return {
        "quantity": f"{about['label']} ({about['unit']})" if about["unit"] else about["label"],
        "paper": f"{paper} ({place})" if paper and place else paper,
        "reference run": _values(there, name, exact),
        "this run": _values(here, name, exact),
    }


def _values(record: dict, metric: str, exact: bool):
    """A metric's values, (n,); the bare number if exact."""
    if metric not in record["metrics"]:
        return None
    values = metric_values(record, metric)
    return values[0] if exact and values.size == 1 else values
