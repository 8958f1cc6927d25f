"""What a page shows of the ledger: a bar a paper, claims as dots against their bounds, chips, the evidence.

Verdicts are symbol, word and colour (the colours stand in book/_static/scoreboard.css). Each part of a claim
is a dot in units of its own, right of its bound where it speaks for the claim; the numbers unfold below it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape, unescape
from pathlib import Path

from bridgekit.book import cards, claims, criteria, verdicts
from bridgekit.book.criteria import Claim
from bridgekit.book.displays import Html, markdown, number, rich
from bridgekit.book.dots import dots, ordered, said_in, value
from bridgekit.book.records import REFERENCE, REPEATED, committed
from bridgekit.book.runs import Run
from bridgekit.book.verdicts import NOT, NOT_RUN, PARTLY, REPRODUCED, UNDECIDED, VERDICTS, Measured, Verdict

SIGNS = {REPRODUCED: "✓", PARTLY: "◐", UNDECIDED: "?", NOT: "✗", NOT_RUN: "○"}
FIRST = (NOT, PARTLY, UNDECIDED, REPRODUCED, NOT_RUN)  # what failed stands first


def _html(source: str) -> Html:
    """A displayable whose text is what a browser shows of it."""
    return Html(source, " ".join(unescape(re.sub(r"<[^>]*>", " ", source)).split()))


def _said(verdict: str) -> str:
    """A verdict as symbol and word; the colour comes from the element that has it."""
    return f'<b class="bk-verdict" data-verdict="{verdict}">{_sign(verdict)} {verdict}</b>'


def _sign(verdict: str) -> str:
    return f'<i aria-hidden="true">{SIGNS[verdict]}</i>'


def chips(found: Iterable[Verdict], page: str = "scoreboard.html") -> dict[str, Html]:
    """For the prose: each claim's symbol and name, a link to its row, by the verdict: ``partly_2_of_3_a12``.

    So each sentence says what it takes the verdict to be, and no book is built where the ledger says another.
    """
    return {_said_of(each): _html(_chip(each, page)) for each in found}


def _said_of(found: Verdict) -> str:
    words = [item.verdict for item in found.measured] * (found.verdict == PARTLY)
    held = f"_{words.count(REPRODUCED)}_of_{len(words)}" * bool(words)
    return f"{found.verdict}{held}_{found.claim.id}".lower().replace(" ", "_")


def listed(found: Iterable[Verdict], page: str = "scoreboard.html") -> Html:
    """Chips in a row; nothing where there are none."""
    return _html(_one_stop([_chip(each, page) for each in found]))


def _chip(found: Verdict, page: str, words: str = "") -> str:
    claim, verdict = found.claim, found.verdict
    return (
        f'<a class="bk-chip" data-verdict="{verdict}" href="{page}#{claim.id}" '
        f'title="{verdict}: {escape(claim.statement)}">'
        f'{_sign(verdict)} {claim.id}<span class="visually-hidden"> {verdict}</span>{words}</a>'
    )


def tiles(ledger: Sequence[Verdict]) -> Html:
    """Every claim as a tile that says it, what failed first, and how many there are of each verdict."""
    tiles = [
        _chip(each, "scoreboard.html", f" <span>{_text(each.claim.statement)}</span>")
        for each in sorted(ledger, key=lambda each: FIRST.index(each.verdict))
    ]
    found = Counter(each.verdict for each in ledger)
    words = " · ".join(f"{_said(verdict)} {found[verdict]}" for verdict in VERDICTS)
    return _html(f'<p class="bk-tiles">{_one_stop(tiles)}</p><p class="bk-legend">{words}</p>')


def _one_stop(chips: list[str]) -> str:
    """Of links that another page has in rows the first one is a stop for the keyboard."""
    return " ".join(chips[:1] + [each.replace("<a ", '<a tabindex="-1" ') for each in chips[1:]])


def decided(run: Run) -> list[Verdict]:
    """What the page's reference run says of its claims; one that is to be it looks at none before."""
    return [
        claims.decided(run.root, claim) if run.reference else Verdict(claim, NOT_RUN, "no reference run")
        for claim in run.claims
    ]


def bars(ledger: Sequence[Verdict], papers: dict[str, str]) -> Html:
    """How many claims of each paper (letter: its name) have which verdict: one bar a paper."""
    rows = []
    for paper, name in papers.items():
        found = Counter(each.verdict for each in claims.of_paper(ledger, paper))
        parts = "".join(
            f'<a href="#claims" data-paper="{paper}" data-verdict="{verdict}" '
            f'style="flex-grow: {found[verdict]}">'
            f"{_sign(verdict)}&nbsp;{found[verdict]} <span>{verdict}</span></a>"
            for verdict in VERDICTS
            if found[verdict]
        )
        rows.append(
            f"<b>{paper} <span>{escape(name)}</span></b><div>{parts}</div><span>{found.total()}</span>"
        )
    words = " ".join(map(_said, VERDICTS))
    return _html(f'<div class="bk-bars">{"".join(rows)}</div><p class="bk-legend">{words}</p>')


def table(ledger: Sequence[Verdict], root: Path) -> Html:
    """Every claim in a row to unfold, what failed first, under buttons that choose among them."""
    rows = (_row(each, root) for each in sorted(ledger, key=lambda each: FIRST.index(each.verdict)))
    found = Counter(each.verdict for each in ledger)
    choices = {
        "paper": {each.claim.paper: f"paper {each.claim.paper}" for each in ledger},
        "verdict": {word: f"{_said(word)} {found[word]}" for word in FIRST if found[word]},
        "mark": {mark: mark for mark in verdicts.MARKS},
    }
    buttons = "".join(
        f'<span role="group" aria-label="{by}">'
        + "".join(
            f'<button type="button" data-{by}="{key}" aria-pressed="{str(not key).lower()}">{text}</button>'
            for key, text in ({"": f"all {by}s"} | texts).items()
        )
        + "</span>"
        for by, texts in choices.items()
    )
    return _html(
        f'<div class="bk-filters" hidden>{buttons}<output aria-live="polite"></output></div>'
        f'<ul class="bk-claims" id="claims">{"".join(rows)}</ul>'
    )


def claims_table(run: Run) -> Html:
    """The claims that this page decides: the reference run's dots, and hollow beneath them this run's."""
    if not run.claims:
        return markdown("*This page decides no claim.*\n")
    own = (verdicts.judge(claim, run.record()) for claim in run.claims)
    rows = (_row(found, run.root, ours, run) for found, ours in zip(decided(run), own, strict=True))
    return _html(
        "<p><small>Filled: the reference run, which decides. Hollow: this run. "
        f'Right of the line: for the claim.</small></p><ul class="bk-claims">{"".join(rows)}</ul>'
    )


def _row(found: Verdict, root: Path, own: Verdict | None = None, run: Run | None = None) -> str:
    claim, link = found.claim, f'<a href="scoreboard.html#{found.claim.id}">on the scoreboard</a>'
    mark, see = (f"claim-{claim.id}", link) if run else (claim.id, _see(found, Path(root)))
    about = _about(claim, root, run)
    marks = ", ".join(filter(None, [found.mark, "superseded" if found.superseded else ""]))
    row = (
        f'<li class="bk-claim" id="{mark}" data-paper="{claim.paper}" data-verdict="{found.verdict}" '
        f'data-mark="{found.mark}">'
        f"<details><summary><b>{claim.id}</b><span>{_said(found.verdict)} <small>{marks}</small></span>"
        f"<span>{_text(claim.statement)}</span>{dots(found, about, own)}</summary>"
        f"<div>{_evidence(found, root, about, own, run)}</div></details>"
        f"<p>{escape(claim.place)}<br><span>{see}</span></p></li>"
    )
    return cards.linked(row, claim.paper)


def _see(found: Verdict, root: Path) -> str:
    """A link to the figure of the deciding page that shows the numbers, else to the claim's row there."""
    claim, waits = found.claim, "not run yet: " * (found.verdict == NOT_RUN)
    if not claim.parts or not (root / "book" / f"{claim.page}.md").exists():
        return f"{waits}{claim.page} (to come)"
    place = f"fig-{claim.figure}" if claim.figure else f"claim-{claim.id}"
    what = "figure" if claim.figure else "row of its table"
    return f'{waits}<a href="{claim.page}.html#{place}">{claim.page}, {what}</a>'


def _about(claim: Claim, root: Path, run: Run | None) -> dict[str, dict]:
    """The words for a claim's metrics: its page's, as it is now where this is the page, else as judged."""
    words = {part.metric: {"label": part.label} for part in claim.parts} | (run.labelled if run else {})
    about = committed(root, claim.page).record["metrics"]
    return about | {name: about.get(name, {}) | said for name, said in words.items()}


def _evidence(found: Verdict, root: Path, about: dict, own: Verdict | None, run: Run | None) -> str:
    """What stands behind the verdict: reason, parts, both runs, criterion, what was said before."""
    claim = found.claim
    lines = [_found(found, about)]
    lines += [
        f"By the {which} run alone {_said(play.verdict)}: {_text(play.reason)}."
        for play, which in zip(found.plays, (REFERENCE, REPEATED), strict=False)
    ]
    if own:
        lines.append(f"This run (profile {escape(run.profile)}), which decides nothing: {_found(own, about)}")
    lines.append(f"<i>Criterion:</i> {_criterion(claim)}")
    if found.superseded:
        new = next(each for each in criteria.load(root) if each.id == claim.id)
        lines.append(f"<i>Superseded:</i> {new.page} is to decide it by a new criterion. {_criterion(new)}")
    first = next((item.part.metric for item in ordered(found.measured)), None)
    lines += [_before(then, first, about) for then in found.earlier]
    return "".join(f"<div>{line}</div>" for line in lines)


def _found(found: Verdict, about: Mapping[str, dict]) -> str:
    return f"{_said(found.verdict)}: {_text(found.reason)}.{_parts(found, about)}"


def _text(text: str) -> str:
    """Statements and criteria are Markdown, with a Greek letter below the line after an underscore."""
    return re.sub(r"_([α-ω]0?)", r"<sub>\1</sub>", rich(text))


def _criterion(claim: Claim) -> str:
    return _text(claim.text) + (f" <i>Hash:</i> <code>{claim.hash}</code>" if claim.parts else "")


def _condition(criterion: str, about: Mapping[str, dict]) -> str:
    """A criterion as the ledger writes it, in words; small beside it the name that its metric has there."""
    metric, bound = criterion.split(" ", 1)
    said = {"label": "", "note": ""} | about.get(metric, {})
    words = _text(said["label"] or metric.replace("_", " ")) + f" ({said['note']})" * bool(said["note"])
    return f"{words}{',' * (',' in words)} {bound} <small><code>{metric}</code></small>"


def _parts(found: Verdict, about: Mapping[str, dict]) -> str:
    """Each part in a line, the primary one first: criterion, value, and the value of each of two runs."""
    lines = []
    for item in ordered(found.measured):
        alone = [
            f"{which} run {value(each)}"
            for play, which in zip(found.plays, (REFERENCE, REPEATED), strict=False)
            for each in play.measured
            if each.part == item.part
        ]
        said = [_measured(item, said_in(item.part, about)), *alone]
        part = _condition(str(item.part), about) + " (says most)" * item.part.primary
        lines.append(f"<li>{_said(item.verdict)} {part}: {'; '.join(said)}</li>")
    return f"<ul>{''.join(lines)}</ul>" * bool(lines)


def _measured(item: Measured, unit: str) -> str:
    """One measurement in a line; beside what is undecided, what its trials would have seen."""
    said = [value(item, unit)]
    if item.verdict != item.alone:
        said.append(f"{item.alone} alone, but not as one of several")
    if item.effect is not None:
        said.append(f"would have seen {_seen(item)}")
    if item.needed:
        n, low, high = (f"{each:,}" for each in item.needed)
        said.append(f"the paper's {number(item.part.printed)} would take {n} trials [{low} to {high}]")
    return "; ".join(said)


def _seen(item: Measured) -> str:
    """The smallest effect that the trials at hand would have seen."""
    if math.isfinite(item.effect):
        return f"an effect of {number(item.effect, 2)}"
    return f"none, n = {item.n} is too small" if item.too_small else "none, too many values are missing"


def _before(then: dict, metric: str | None, about: Mapping[str, dict]) -> str:
    """What the ledger said at an earlier commit, with the number that it said most about."""
    why = f"<code>{then['commit']}</code>; {rich(then['why'])}"
    said = f"<i>Before:</i> {_said(then['verdict'])} ({why})"
    parts = then.get("parts") or []
    part = next((each for each in parts if each["metric"] == metric), parts[0] if parts else None)
    measured = part and part.get("value", part.get("mean"))
    if measured is None:
        return said
    low, high = part["interval"]
    inside = f" [{number(low)}, {number(high)}]" if None not in (low, high) and low != high else ""
    n = "" if part.get("exact") or part.get("kind") == "exact" else f", n = {part['n']}"
    return f"{said}: {_condition(part['criterion'], about)}: {number(measured)}{inside}{n}, {part['verdict']}"
