"""Records and arrays -> Axes and tables. Nothing here trains or needs torch; tensors are accepted as arrays.

Numbers over seeds print as mean ± standard deviation (n - 1 in the denominator) with their count.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bridgekit.book import claims, verdicts
from bridgekit.book.displays import Html, markdown
from bridgekit.book.drawings import STYLE
from bridgekit.book.records import as_array, metric_values
from bridgekit.book.runs import Run
from bridgekit.book.verdicts import Measured, Verdict

# Okabe and Ito's colours (Color Universal Design, 2008) without the yellow, which a white page swallows.
PALETTE = {"blue": "#0072b2", "orange": "#d55e00", "green": "#009e73", "purple": "#cc79a7"}
PALETTE |= {"amber": "#e69f00", "sky": "#56b4e9", "ink": "#333333"}
GREY = "#767676"  # 4.5 : 1 on white
DASH = "—"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def style() -> None:
    """Set matplotlib's defaults for the book: 700 px wide, white, colour-blind safe, reproducible."""
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(STYLE | {"axes.prop_cycle": cycler(color=list(PALETTE.values()))})


def samples(ax, x, means=None, *, label=None, colour=None, limit=None, size=4.0):
    """Scatter samples x (N, 2) over a mixture's means (K, 2), drawn as crosses; equal axes of ± ``limit``."""
    x = as_array(x)
    style = {"color": colour or PALETTE["blue"], "alpha": 0.5, "linewidths": 0, "label": label}
    ax.scatter(x[:, 0], x[:, 1], s=size, rasterized=True, **style)  # thousands of paths would swell an SVG
    if means is not None:
        means = as_array(means)
        cross = {"marker": "x", "color": PALETTE["orange"], "linewidths": 1.1}
        ax.scatter(means[:, 0], means[:, 1], s=6.5 * size, **cross)
        limit = limit or 1.25 * float(np.abs(means).max())
    if limit:
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
    ax.set_aspect("equal")
    return ax


def images(ax, x, columns: int = 8):
    """Draw images x (N, C, H, W) with values in [-1, 1], C = 1 or 3, as a grid; a NaN pixel shows grey."""
    x = np.nan_to_num((as_array(x).astype(float).clip(-1, 1) + 1) / 2, nan=0.5)
    count, channels, height, width = x.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for k, picture in enumerate(x):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        sheet[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    sheet = sheet.squeeze(-1) if channels == 1 else sheet
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    return ax


def band(ax, x, values, label: str, colour=None):
    """Curves over seeds: values (T, n) at x (T,). Mean line, ± standard deviation band, thin single seeds.

    Seeds that failed (NaN) are left out of the mean from there on, and the legend counts them.
    """
    x, values = as_array(x), as_array(values).astype(float)
    values = values[:, None] if values.ndim == 1 else values
    mean, spread = _mean_and_spread(values)
    failed = int(np.isnan(values[-1]).sum())
    text = f"{label} ({failed} of {values.shape[1]} failed)" if failed else label
    colour = ax.plot(x, mean, label=text, **({"color": colour} if colour else {}))[0].get_color()
    if values.shape[1] > 1:
        ax.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)
        ax.plot(x, values, color=colour, alpha=0.35, linewidth=0.6)
    return ax


def overlay(ax, x, values, label: str = "reference run"):
    """The reference run's mean curve over this run's: dashed grey. values (T,) or (T, n)."""
    values = as_array(values).astype(float)
    mean = _mean_and_spread(values[:, None] if values.ndim == 1 else values)[0]
    ax.plot(as_array(x), mean, color=GREY, linestyle=(0, (4, 3)), linewidth=1.6, label=label, zorder=3)
    return ax


def _mean_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the finite entries of each row of (T, n): NaN for none, 0 for one."""
    kept = np.ma.masked_invalid(values)
    return kept.mean(1).filled(np.nan), kept.std(1, ddof=1).filled(0.0)


def number(value: float, digits: int = 3) -> str:
    """A number for a table: ``digits`` significant digits, powers of ten written out, a real minus sign."""
    if not math.isfinite(value):
        return "not finite"
    size = math.floor(math.log10(abs(value))) if value else 0
    if -4 < size < 6:
        return f"{value:.{max(0, digits - 1 - size)}f}".replace("-", "−")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(_SUPERSCRIPT)}".replace("-", "−")


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


def claims_table(run: Run) -> Html:
    """The claims that this page decides: the reference run's verdict, and beside it what this run says."""
    if not run.claims:
        return markdown("*This page decides no claim.*\n")
    record, rows = run.record(), []
    for claim in run.claims:
        row = {"claim": f"**{claim.id}** {claim.statement}", "reference run": verdicts.NOT_RUN}
        if run.reference:
            row["reference run"] = _outcome(claims.decided(run.root, claim))
        rows.append(row | {"this run (decides nothing)": _outcome(verdicts.judge(claim, record))})
    # Below the table, not in it: a column of sentences makes the rows too tall to compare.
    criteria = "\n".join(f"- **{claim.id}:** {claim.text.strip()}" for claim in run.claims)
    return markdown(f"{table(rows).text}\nThe criteria, fixed before the reference run:\n\n{criteria}\n")


def ledger_summary(ledger: list[Verdict]) -> Html:
    """How many claims of each paper have which verdict, and how many of them which mark."""
    letters = sorted({verdict.claim.paper for verdict in ledger})
    rows = []
    for kind in verdicts.VERDICTS:
        found = [verdict for verdict in ledger if verdict.verdict == kind]
        papers, marks = [each.claim.paper for each in found], [each.mark for each in found]
        row = {"verdict": f"**{kind}**"} | {f"paper {x}": papers.count(x) for x in letters}
        row |= {"all": len(found)} | {f"of them {mark}": marks.count(mark) for mark in verdicts.MARKS}
        rows.append(row | {"of them superseded": sum(each.superseded for each in found)})
    return table(rows)


def ledger_table(ledger: list[Verdict], paper: str, root: Path) -> Html:
    """Every claim of one paper: statement, place, deciding page, verdict with its values, criterion."""
    rows = [_ledger_row(verdict, root) for verdict in ledger if verdict.claim.paper == paper]
    return table(rows) if rows else markdown("*Not asked for in this run.*\n")


def _ledger_row(verdict: Verdict, root: Path) -> dict[str, str]:
    claim, page = verdict.claim, verdict.claim.page
    # Raw HTML, because a Markdown link to a page that is built from a notebook elsewhere cannot be checked.
    there = (Path(root) / "book" / f"{page}.md").exists()
    link = f'<a href="{page}.html">{page}</a>' if there else f"{page} (to come)"
    return {
        "claim": f"**{claim.id}** {claim.statement}<br>*Place:* {claim.place}.<br>*Page:* {link}",
        "verdict": _outcome(verdict),
        "criterion": f"{claim.text} *Hash:* `{claim.hash}`" if claim.parts else claim.text,
    }


def _outcome(verdict: Verdict) -> str:
    """The verdict in words, its reason, each measurement with its interval, and what was said before."""
    marks = ", ".join(filter(None, [verdict.mark, "superseded" if verdict.superseded else ""]))
    lines = [f"**{verdict.verdict}**" + (f" ({marks})" if marks else "") + f": {verdict.reason}"]
    lines += [_measured(item) for item in sorted(verdict.measured, key=lambda item: not item.part.primary)]
    if len({play.verdict for play in verdict.plays}) == 1:
        lines.append(f"Played twice with the same seeds: both times *{verdict.plays[0].verdict}*.")
    parts = sorted(verdict.claim.parts, key=lambda part: not part.primary)
    first = parts[0].metric if parts else None
    lines += [_before(then, first) for then in verdict.earlier]
    return "<br>".join(lines)


def _before(then: dict, metric: str | None) -> str:
    """What the ledger said at an earlier commit, with the number that it said most about."""
    said = f"Before: *{then['verdict']}* (`{then['commit']}`; {then['why']})"
    parts = then.get("parts") or []
    part = next((each for each in parts if each["metric"] == metric), parts[0] if parts else None)
    value = part and part.get("value", part.get("mean"))
    if value is None:
        return said
    low, high = part["interval"]
    inside = f" [{number(low)}, {number(high)}]" if None not in (low, high) and low != high else ""
    n = "" if part.get("exact") or part.get("kind") == "exact" else f", n = {part['n']}"
    return f"{said}: `{part['criterion']}`: {number(value)}{inside}{n}, {part['verdict']}"


def _measured(item: Measured) -> str:
    """One measurement in a line; beside what is undecided, what its trials would have seen."""
    part, value = item.part, number(item.value)
    if not part.certain:
        inside = f" [{number(item.low)}, {number(item.high)}]" if math.isfinite(item.high - item.low) else ""
        value = f"{part.kind} {value}{inside}, n = {item.n}" + (f" ({item.lost} lost)" if item.lost else "")
    said = [value, f"**{item.verdict}**" if part.primary else item.verdict]
    if item.effect is not None:
        said.append(f"would have seen {_seen(item)}")
    if item.needed:
        n, low, high = (f"{each:,}" for each in item.needed)
        said.append(f"the paper's {number(part.printed)} would take {n} trials [{low} to {high}]")
    return f"`{part}`: {'; '.join(said)}"


def _seen(item: Measured) -> str:
    """The smallest effect that the trials at hand would have seen."""
    if math.isfinite(item.effect):
        return f"an effect of {number(item.effect, 2)}"
    return f"none, n = {item.n} is too small" if item.too_small else "none, too many trials are lost"
