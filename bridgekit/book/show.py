"""What stands in a chapter beside its figures: the library's functions, under the equations that they are."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from bridgekit.book import cards, displays, drawings, index, pages, prose, records, scoreboard
from bridgekit.book.displays import Html, markdown

if TYPE_CHECKING:
    from bridgekit.book.runs import Run


def code(*functions: Callable) -> Html:
    """Functions (or classes) of the library as they stand there, without their docstrings, and their place.

    What is shown is what runs: nothing is copied into a page. Raises TypeError for what has no source.
    """
    found = [index.of(inspect.unwrap(each)) for each in functions]  # a decorator may stand elsewhere
    return markdown("\n\n".join(f"```python\n{c.body}\n```\n`{c.name}`, in {c.place}" for c in found) + "\n")


def head(run: Run, needs: str) -> Html:
    """The line under a chapter's title: minutes, what a reader should know, places, claims and verdicts.

    The minutes are those that its text outside folded sections takes, at 200 words a minute. The places
    are put in where the book is built, with the index.
    """
    text = re.split(r"(?m)^## Details: ", pages.find(run.page).source)[0]
    words = len(re.sub(r"(?s)```.*?```|^---.*?---", "", text).split())
    chips = f" · claims {scoreboard.listed(scoreboard.decided(run)).html}" if run.claims else ""
    line = f"{math.ceil(words / 200)} min to read · you need: {escape(needs)}{cards.PLACES}{chips}"
    if not run.reference:
        line += f"<br><strong>Not the last word.</strong> {_ALONE.format(escape(run.profile))}"
    return Html(f'<p class="bk-head">{line}</p>', f"[{needs}]")


_ALONE = "The reference run of this page is not made yet: all its numbers are of a run at profile {}."


def borrowed(run: Run, page: str, name: str, draw: Callable, *, alt: str, caption: str, slider: str) -> Html:
    """A figure of another page's reference run, drawn here from its arrays; nothing where it has none."""
    there = records.committed(run.root, page)
    if name not in there.record["figures"]:
        return markdown("")
    made = drawings.drawn(draw, there.arrays(name), there.record["parameters"], keep=False)
    texts = prose.texts(there.record, name, alt=alt, caption=caption)
    return made.display(texts | {"slider": slider}, name, "Reference run.")


def check(ask: str, answer: float, *, hint: str, then: str, within: float = 0.05, unit: str = "") -> Html:
    """A question whose answer is a number: the page says whether it is right, or helps with a ``hint``.

    Right is what lies ``within`` that share of the ``answer``; ``then`` is said to who has it. Markdown.
    """
    said = {"hint": displays.rich(hint), "then": displays.rich(then)}
    data = f"data-answer='{answer:.6g}' data-within='{within:g}' data-said='{escape(json.dumps(said))}'"
    box = f'<input type="text" inputmode="decimal" size="8" autocomplete="off"> {escape(unit)}'
    label = f"<label>{displays.rich(ask)} {box}</label>"
    button = '<button type="button">Check</button> <output aria-live="polite"></output>'
    return Html(f'<div class="bk-check" {data}>{label} {button}</div>\n{_CHECK}', f"[question] {ask}")


_CHECK = """<script>
document.querySelectorAll(".bk-check:not([data-ready])").forEach(function (box) {
  box.dataset.ready = "";
  var input = box.querySelector("input"), output = box.querySelector("output");
  var said = JSON.parse(box.dataset.said), answer = +box.dataset.answer, within = +box.dataset.within;
  function check() {
    var given = parseFloat(input.value.replace(",", ".").replace("\\u2212", "-"));
    var right = Math.abs(given - answer) <= Math.max(within * Math.abs(answer), 1e-9);
    if (isNaN(given)) output.textContent = "A number, please.";
    else if (right) output.innerHTML = "Yes. " + said.then;
    else output.innerHTML = (given < answer ? "Too small. " : "Too large. ") + said.hint;
    if (window.MathJax && MathJax.typesetPromise) MathJax.typesetPromise([output]);
  }
  box.querySelector("button").addEventListener("click", check);
  input.addEventListener("keydown", function (event) { if (event.key === "Enter") check(); });
});
</script>"""
