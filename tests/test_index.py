"""The papers' items: none is forgotten, each leads to its code and result, and the cards say so."""

import ast
import importlib
import inspect
import json
import re

import pytest
from conftest import REPOSITORY, ToyBook
from games import CASES
from oracles import ORACLES
from test_divergences import ORACLES as OF_DIVERGENCES
from test_game_laws import builders

from bridgekit.__main__ import main
from bridgekit.book import cards, cite, criteria, displays, index, pages, records, site

LAST = {
    "A": ["16", "Algorithm 1", "Figure 6", "Table 1", "footnote 5"],
    "B": ["50", "Lemma 2", "Figure 6", "Table 4", "footnote 1"],
    "C": ["22", "Algorithm 1", "Proposition 1", "Figure 7", "Table 1", "footnote 5"],
}
NAMES = [  # twenty of papers A and B
    *(f"A.{number}" for number in ("3a", 8, 10, 12, 15, 16, "16a")),
    *(f"A {rest}" for rest in ("footnote 1", "Algorithm 1", "Figure 2", "Figure 4", "Table 1")),
    *(f"B.{number}" for number in (5, 10, 22, 30, 49)),
    *(f"B {rest}" for rest in ("Lemma 2", "Table 2", "Figure 2")),
]
CODE = sorted({each for own in index.code().values() for each in own}, key=str)


@pytest.fixture(autouse=True)
def here(request, monkeypatch):
    """In the repository, unless the test is about the small book."""
    if "toy_book" not in request.fixturenames:
        monkeypatch.chdir(REPOSITORY)


def test_every_item_of_the_papers_leads_somewhere(here):
    assert index.gaps() == []
    wanted = {"A.16a", "A.16b"}
    for paper, last in ((paper, each) for paper, lasts in LAST.items() for each in lasts):
        kind, _, number = last.rpartition(" ")
        wanted |= {f"{paper} {kind} {n}" if kind else f"{paper}.{n}" for n in range(1, int(number) + 1)}
    assert wanted <= index.items().keys()
    known = {page for item in index.items().values() for page in item.get("pages", ())}
    assert known <= pages.executed().keys()
    keys = {"is", "tex", "pages", "why", "claims", "measured", "unmeasured"}
    assert {key for item in index.items().values() for key in item} == keys


def test_a_gap_and_a_tag_of_nothing_are_seen(monkeypatch):
    known, tags = index.items(), index.code()
    new = {"A.99": {"is": "Nothing."}, "A.98": {"is": "Something.", "why": "It is short.", "claims": ["A1"]}}
    named = {"A.97": {"is": "What a page shows.", "pages": ["plane"], "unmeasured": "A definition."}}
    monkeypatch.setattr(index, "items", lambda: {"A.15": known["A.15"]} | new | named)
    monkeypatch.setattr(index, "code", lambda: {"A.15": tags["A.15"], "B.77": tags["A.15"]})
    *lost, stray = index.gaps()
    assert lost == [
        "A.99 has neither a function nor a stated reason",
        "A.99 has neither a claim or a measured value nor a stated reason",
        "A.97 has neither a function nor a stated reason",
    ]
    assert stray.startswith("bridgekit/theory/alpha.py, line ")
    assert stray.endswith("B.77 is no item of a paper")


def test_what_is_measured_of_an_item_is_in_its_pages_record_and_a_reason_stands_alone():
    """A page's reference run may be to come; then the names are those of its smoke reference."""
    known = {each.id for each in criteria.load(REPOSITORY)}
    for name, item in index.items().items():
        assert set(item.get("claims", ())) <= known
        for page, told in item.get("measured", {}).items():
            run = records.committed(REPOSITORY, page)
            smoke = REPOSITORY / "tests" / "smoke" / page / "metrics.json"
            there = run.record["metrics"] if run else json.loads(smoke.read_text())
            assert set(told) <= there.keys(), f"{name}: {page} measures no {set(told) - there.keys()}"
        kinds = index.entry(name).keys()
        assert ("Not measured" in kinds) != bool(kinds & {"Claim", "Measured"}), name
        assert item.get("claims", ["one"]) and set(item.get("claims", ())).isdisjoint(placed(name)), name


def placed(name: str) -> set[str]:
    """The claims whose places name the item anyway."""
    own = [each for each in criteria.load(REPOSITORY) if each.paper == name[0]]
    return {each.id for each in own if index._key(name) in cite.named(each.place)}


def test_a_measured_value_is_the_records():
    told = index.entry("B.39")["Measured"]
    value = float(records.committed(REPOSITORY, "iwgan_bound").metric("bound_gap_k1").mean())
    assert told == [
        f"distance of the bound from log q(y), one sample, in nats: {displays.number(value)}; "
        '<a href="iwgan_bound.html">Does a tighter bound teach more?</a>'
    ]
    assert "(mean of 5 trials)" in index.entry("A.4")["Measured"][0]
    assert "is to come" in index._recorded("plane", "unheard_of", "words")


@pytest.mark.parametrize(
    ("page", "places"),
    [
        ("stop_gradients", "A eqs 9 to 12, 15, 16"),
        ("unified", "B eqs 4 to 14, 25 to 29, Lemma 1, Figures 1, 2"),
        ("generalised", "A eqs 16a, 16b"),
        ("table1", "A Table 1"),
        ("new_losses", "A eq 7; C eqs 4, 11 to 22, footnote 3"),
        ("settings", ""),
    ],
)
def test_the_places_of_a_page_stand_in_a_line_whose_ends_are_cards(page, places):
    assert index.places(page) == places
    linked = cards.linked(f"<p>you need: a · papers: {places} · claims</p>", None)
    ends = {
        f"{paper}{n}"
        for paper, own in re.findall(r"([ABC]) ([^;]*)", places)
        for n in re.findall(r"\d+", own)
    }
    found = re.findall(r'href="equations.html#[\w-]*?-(\d+)[a-z]?-([abc])"', linked)
    assert {f"{paper.upper()}{n}" for n, paper in found} == ends


def test_every_chapter_says_its_places():
    """But for those that show nothing with a number."""
    heads = [name for name, page in pages.executed().items() if "\nshow.head(" in page.code]
    none = {"settings", "cycle_gan", "symmetric_photographs"}
    assert {name for name in heads if not index.places(name)} == none and len(heads) > 30
    assert max(len(index.places(name)) for name in heads) < 80


@pytest.mark.parametrize("each", CODE, ids=lambda each: each.name)
def test_a_function_is_shown_as_it_stands(each):
    module, _, name = each.name.rpartition(".")
    function = inspect.unwrap(getattr(importlib.import_module(f"bridgekit.{module}"), name))
    (shown,), (own,) = ast.parse(each.body).body, ast.parse(inspect.getsource(function)).body
    own.body = own.body[1:]
    assert ast.dump(shown) == ast.dump(own)
    file, line = each.place.split(", line ")
    assert (REPOSITORY / file).read_text().splitlines()[int(line) - 1].startswith(f"def {name}(")


def of_library(function) -> index.Code:
    return index.Code(f"{function.__module__.partition('.')[2]}.{function.__name__}", "", "")


@pytest.mark.parametrize("function", [*ORACLES, *OF_DIVERGENCES], ids=lambda function: function.__name__)
def test_an_oracle_is_found(function):
    assert ": an oracle of value and gradient (tests/" in index._checked(of_library(function))


def test_the_games_of_the_papers_have_their_cases():
    played = {of_library(case.call.function).name for case in CASES.values()}
    assert len(played & {each.name for each in CODE}) > 12
    without = {each.name for each in CODE if "must fail" not in index._checked(each)}
    assert without & played <= {"games.adaptation.adversarial_domain_adaptation"}  # its case has a short name


def test_the_lines_are_those_of_the_checks():
    for each in CODE:
        for file, line in re.findall(r"\((tests/[\w/.]+), line (\d+)\)", index._checked(each)):
            text = (REPOSITORY / file).read_text().splitlines()[int(line) - 1]
            assert each.name.rpartition(".")[2] in text or text.startswith('    "'), f"{each.name}: {text}"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("A.15", "A.15"),
        ("eq 15 A", "A.15"),
        ("equation 8 of paper a", "A.8"),
        ("A Figure 4", "A Figure 4"),
        ("fig 4 B", "B Figure 4"),
        ("A Algorithm 1", "A Algorithm 1"),
        ("lemma 1", "B Lemma 1"),
        ("A.16a", "A.16a"),
        ("A footnote 1", "A footnote 1"),
    ],
)
def test_a_person_may_say_it_in_many_ways(said, name):
    assert index.find(said) == name


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("A.99", "'A.99' is no item of the papers: did you mean 'A.9'?"),
        ("Algorithm 1", "more than one item of the papers: say which paper: A Algorithm 1, C Algorithm 1"),
        ("figure", "no item"),
    ],
)
def test_what_is_no_item_is_one_message(capsys, said, hint):
    assert main(["where", *said.split()]) == 2
    assert hint in capsys.readouterr().err


def test_where(capsys):
    assert main(["where", "eq", "10", "A"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("A.10: The forward twin")
    for part in (
        "Code: theory.alpha.forward_twin (bridgekit/theory/alpha.py, line ",
        "Checked: theory.alpha.forward_twin: an oracle of value and gradient (tests/oracles/of_alpha.py, ",
        "Claim: A3 [scoreboard] reproduced: ",
        "(eq 10 against differences, μ, below 1e−06: ",
        "[twin_gradients]",
        "Erratum: below eq 10, below eq 11. Printed: ",
    ):
        assert part in said
    assert main(["where", "A.5"]) == 0
    assert "Why no function: Nothing to compute." in capsys.readouterr().out


CITED = '<a class="reference internal" href="notation.html#id4" title="x">{} <em>et al.</em>, 2014</a>'


@pytest.mark.parametrize(
    ("html", "paper", "found"),
    [
        ("<p>With eq 15 and Figures 4a and 4c.</p>", "A", ["eq-15-a", "figure-4-a", "figure-4-a"]),
        ("<p>Eqs 33–36, equations 1, 2</p>", "B", ["eq-33-b", "eq-36-b", "eq-1-b", "eq-2-b"]),
        ("<p>eq 15</p>", None, []),
        ("<p>eq 99 and Table 9</p>", "A", []),
        ("<p>appendix C, eq 1; A, eq 3 or C Lemma 9, B Lemma 1</p>", "B", ["eq-1-b", "eq-3-a", "lemma-1-b"]),
        ("<p>Paper A's eq 7. The next, eq 8.</p>", "B", ["eq-7-a", "eq-8-b"]),
        ("<p>Figure 2 of paper A, and eq 8</p>", "B", ["figure-2-a", "eq-8-b"]),
        ("<td>A §5.1, Algorithm 1, eq 15</td><td>eq 1</td>", None, ["algorithm-1-a", "eq-15-a"]),
        ("<h2>Paper B: x</h2><p>eq 1</p><h2>Paper C</h2><p>eq 1</p>", None, ["eq-1-b", "eq-1-c"]),
        (f"<p>{CITED.format('Kingma')}, eq 6. Then eq 3.</p>", "A", ["eq-3-a"]),
        (f"<p>{CITED.format('Hu')}, eq 6.</p>", None, ["eq-6-b"]),
        ("<p>their Table 2, but Figure 4</p>", "A", []),
        ("<pre>eq 1</pre><code>eq 2</code><a href='x'>eq 3</a><h3>eq 4</h3>", "A", []),
        ('<img alt="eq 1"><figcaption>eq 2</figcaption>', "A", ["eq-2-a"]),
        ('<div class="math x"><span class="eqno">(A.15)<a>#</a></span>\\[eq 3\\]</div>', None, ["eq-15-a"]),
    ],
)
def test_a_page_names_an_item_where_it_says_whose_it_is(html, paper, found):
    made = cards.linked(html, paper)
    assert re.findall(r'"bk-ref" href="equations.html#([\w-]+)"', made) == found
    assert re.sub(r'<a class="bk-ref"[^>]*>(.*?)</a>', r"\1", made) == html


def test_a_word_is_explained_where_it_is_first_used():
    html = "<h2>Trial</h2><p>Trials, a trial, and no trialist; <b>high-quality</b>.</p>"
    made = cards.linked(html, None, ["trial", "high-quality"])
    assert re.findall('href="(.*?)">(.*?)</a>', made) == [
        ("notation.html#term-trial", "Trials"),
        ("notation.html#term-high-quality", "high-quality"),
    ]


def test_the_page_is_made_anew_when_a_function_or_a_test_moves(toy_book, monkeypatch, tmp_path):
    monkeypatch.setattr(site.closure, "PACKAGE", tmp_path / "bridgekit")
    for name in ("bridgekit/theory/alpha.py", "tests/oracles/of_alpha.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
        before = site.key("quick")
        (tmp_path / name).write_text("x = 1\n")
        assert site.key("quick") != before


ROWS = [(title, row) for title, table in index.notation()["tables"].items() for row in table]
SYMBOLS = [row for _, row in ROWS if "symbol" in row]
NAMED = re.compile(r"`([\w.]+)[(`]")


def there(name: str):
    """What a dotted name is, ours or torch's; ImportError or AttributeError where it is nothing."""
    library, *parts = (name if name.partition(".")[0] == "torch" else f"bridgekit.{name}").split(".")
    found = importlib.import_module(library)
    for part in parts:
        known = not inspect.ismodule(found) or hasattr(found, part)
        found = getattr(found, part) if known else importlib.import_module(f"{found.__name__}.{part}")
    return found


def code_of(row) -> list[str]:
    """The names in a row's last column, an undotted one as what it belongs to has it; without networks."""
    named = [name for name in NAMED.findall(row[[*row][-1]]) if len(name) > 1]
    dotted = [name for name in named if "." in name]
    homes = [name if inspect.ismodule(there(name)) else name.rpartition(".")[0] for name in dotted]
    return dotted + [
        next((f"{home}.{name}" for home in homes if hasattr(there(home), name)), name)
        for name in named
        if "." not in name
    ]


@pytest.mark.parametrize("row", [row for _, row in ROWS], ids=lambda row: next(iter(row.values())))
def test_what_notation_names_is_there(row):
    found = {name: there(name) for name in code_of(row) if "." in name}
    ours = [each for name, each in found.items() if callable(each) and not name.startswith("torch.")]
    known = {parameter for each in ours for parameter in inspect.signature(each).parameters}
    assert {name for name in code_of(row) if "." not in name} <= known
    places = [place for place in row["paper"] if re.fullmatch(index.ITEM, place)]
    assert set(places) <= index.items().keys()
    tags = {tag for tag, own in index.code().items() for each in own if each.name in found}
    assert not tags or tags & set(places), f"its code is of {tags}"


def test_every_symbol_leads_to_its_card():
    known = index.items().keys()
    assert len(SYMBOLS) > 30
    without = [row["symbol"] for row in SYMBOLS if not known & set(row["paper"])]
    assert without == [r"$\chi^2[q\Vert p]$, $H^2$"], (
        "the f-GAN's, which no item of the three papers is about"
    )
    for row in SYMBOLS:
        for name in known & set(row["paper"]):
            (said,) = index.entry(name)["Symbols"]
            assert f"{row['symbol']}, {row['meaning']}" in said


def test_every_game_stands_in_notation():
    named = {name for _, row in ROWS for name in code_of(row)}
    games = {of_library(builder).name for builder in builders() if builder.__name__ != "affine"}
    assert len(games) > 25 and {name for name in games if "setups" not in name} - named == set()


def test_the_tables_of_notation_are_those_of_the_page():
    page = (REPOSITORY / "book" / "notation.md").read_text()
    holes = cards.HOLE.findall(page)
    assert [title for kind, title in holes if kind == "table"] == [*index.notation()["tables"]]
    assert ("words", "") in holes and not re.search(r"^\||glossary", page, re.MULTILINE)
    made = cards._table("Divergences and ratios").splitlines()
    assert made[0] == "| symbol | paper | meaning | code |"
    assert (
        made[2].startswith(r"| $f_{\beta^*}(x)=") and 'href="equations.html#eq-6-a">eq 6 (A)</a>' in made[2]
    )
    assert "\nlog-ratio\n  $f(x)=" in cards._glossary("")


# --- in a browser -----------------------------------------------------------------------------------------

rendered = pytest.mark.book
IN_SIGHT = "place => { const top = place.getBoundingClientRect().top; return 0 <= top && top < innerHeight }"
STOPS = "[...document.querySelectorAll('a.bk-ref')].filter(a => a.tabIndex === 0)"
GROUP = "'.bk-claim details, .bk-claim, section'"
UNFOLD = "document.querySelectorAll('details').forEach(each => (each.open = true))"


@rendered
def test_an_item_is_two_clicks_from_the_front_page(opened):
    tab, _, complaints = opened(pages.contents()[0])
    tab.locator(f'a[href="{index.PAGE}.html"]').first.click()
    for name in NAMES:
        tab.locator(f'.bk-jump a[href="#{index.mark(name)}"]').click()
        section = tab.locator(f"section#{index.mark(name)}")
        text = section.inner_text()
        assert section.evaluate(IN_SIGHT) and text.startswith(index.short(name))
        assert "Code: " in text or "Why no function: " in text or "Chapter: " in text
    assert complaints == []


@rendered
def test_the_search_box_leads_to_an_item_first(opened, book: ToyBook):
    tab, _, complaints = opened(index.PAGE)
    marks = {name: index.mark(name) for name in NAMES}
    inside = "mark => document.querySelector(`section#${mark} [id^=index-]`).id"  # where a term of it leads
    terms = {name: tab.evaluate(inside, mark) for name, mark in marks.items()}
    asked = {f"{index.short(name)[:-4]} {name[0]}": name for name in NAMES}
    for words, name in (asked | {"A.15": "A.15", "eq 15": "A.15", "Figure 4": "A Figure 4"}).items():
        tab.goto(f"file://{book.root}/_build/html/search.html?q={words.replace(' ', '+')}")
        first = tab.locator("ul.search li a").first
        first.wait_for()
        assert first.get_attribute("href").partition("#")[2] in (marks[name], terms[name]), words
    assert complaints == []


def mention(tab):
    """The first link to eq 15 on the page, out of whatever is folded."""
    tab.evaluate(UNFOLD)
    link = tab.locator('a.bk-ref[href$="#eq-15-a"]').first
    link.scroll_into_view_if_needed()
    return link


@rendered
def test_a_card_opens_on_hover_and_on_focus(opened):
    tab, outside, complaints = opened("plane")
    link, card = mention(tab), tab.locator(".bk-card")
    link.hover()
    card.locator("mjx-container").first.wait_for()
    text = card.inner_text()
    assert text.removeprefix("×").strip().startswith("eq 15 (A)")
    assert "def twin_combination(" in text and "tests/oracles/of_alpha.py" in text
    tab.mouse.move(2, 2)
    card.wait_for(state="detached")
    link.focus()
    card.wait_for()
    card.get_by_role("button", name="Close").click()
    card.wait_for(state="detached")
    assert link.evaluate("link => link === document.activeElement")
    link.blur()
    link.focus()
    card.wait_for()
    assert link.get_attribute("aria-expanded") == "true"
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.className") == "bk-card"
    tab.keyboard.press("Escape")
    card.wait_for(state="detached")
    assert link.evaluate("link => link === document.activeElement")
    assert (outside, complaints) == ([], [])


@rendered
def test_a_finger_moves_a_film_and_opens_a_card(browser, book: ToyBook):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    tab.goto(f"file://{book.root}/_build/html/plane.html")
    tab.evaluate("() => MathJax.startup.promise")
    film = tab.locator("figure.bk-player").first
    film.get_by_role("button", name="Play").tap()
    film.get_by_role("button", name="Pause").tap()
    film.locator("input").tap(position={"x": 2, "y": 8})
    assert "iteration 0" in film.locator("output").inner_text()
    link, card = mention(tab), tab.locator(".bk-card")
    link.tap()
    card.locator("mjx-container").first.wait_for()
    box = card.bounding_box()
    assert tab.url.endswith("plane.html") and box["x"] >= 0 and box["width"] <= 390 and box["height"] < 600
    tab.touchscreen.tap(5, 200)  # beside the text, over the card
    card.wait_for(state="detached")
    link.tap()
    card.locator(".bk-title a").tap()
    tab.wait_for_url("**/equations.html#eq-15-a")
    context.close()


@rendered
@pytest.mark.parametrize("page", ["plane", "twin_gradients", "welcome", "scoreboard"])
def test_the_mentions_of_a_section_are_one_stop(opened, page: str):
    tab, _, _ = opened(page)
    tab.evaluate(UNFOLD)
    stops, groups = tab.evaluate(f"[{STOPS}.length, new Set({STOPS}.map(a => a.closest({GROUP}))).size]")
    assert stops == groups > 0
    links = tab.locator("a.bk-ref")
    links.first.focus()
    tab.keyboard.press("ArrowRight")
    assert links.nth(1).evaluate("link => link === document.activeElement")


@rendered
def test_a_place_on_the_scoreboard_opens_its_card(opened):
    tab, outside, complaints = opened("scoreboard")
    card = tab.locator(".bk-card")
    link = tab.locator("#C7 > p a.bk-ref")
    link.focus()
    card.wait_for()
    assert card.inner_text().removeprefix("×").strip().startswith("Proposition 1 (C)")
    tab.keyboard.press("Escape")
    card.wait_for(state="detached")
    tab.keyboard.press("ArrowRight")  # past what is folded, to the next in sight
    here = "document.activeElement"
    assert tab.evaluate(
        f"{here}.matches('a.bk-ref') && {here}.checkVisibility() && {here}.closest('#C7') === null"
    )
    tab.keyboard.press("Escape")
    card.wait_for(state="detached")
    tab.evaluate("location.hash = 'C5'")  # unfolds it
    tab.locator("#C5 details > div a.bk-ref").first.hover()
    card.wait_for()
    assert card.inner_text().removeprefix("×").strip().startswith("eq")
    assert (outside, complaints) == ([], [])


@rendered
def test_what_the_scoreboard_links_to_is_there(book: ToyBook):
    html = book.root / "_build" / "html"
    texts = {page: (html / f"{page}.html").read_text() for page in pages.contents()}
    targets = set(re.findall(r'href="(\w+)\.html#([\w-]+)"', texts["scoreboard"]))
    assert [place for place in targets if f'id="{place[1]}"' not in texts[place[0]]] == []
    assert len({place for place in targets if place[1].startswith("fig-")}) > 20


@rendered
@pytest.mark.parametrize("page", ["unified", "generalised", "settings"])
def test_a_head_names_the_places_of_its_chapter(book: ToyBook, page: str):
    (head,) = re.findall(
        r'<p class="bk-head">.*?</p>', (book.root / "_build" / "html" / f"{page}.html").read_text()
    )
    places, words = index.places(page), re.sub(r"<[^>]*>", "", head)
    assert f" · papers: {places}" in words if places else "papers:" not in words
    assert head.count('class="bk-ref" href="equations') == len(re.findall(r"\d+[ab]?\b", places))


@rendered
def test_every_link_of_the_index_leads_to_what_is_there(book: ToyBook):
    html = book.root / "_build" / "html"
    texts = {page: (html / f"{page}.html").read_text() for page in pages.contents()}
    targets = set(re.findall(r'<a href="(\w+)\.html#([\w-]+)"', texts[index.PAGE]))
    assert len(targets) > 30
    assert [place for place in targets if f'id="{place[1]}"' not in texts[place[0]]] == []
    data = (html / "_static" / "cards-data.js").read_text()
    known = json.loads(data.partition("window.bkCards = ")[2])
    assert {index.mark(name) for name in index.items()} <= known.keys() and len(data) < 300_000
    linked = (re.findall(r'"bk-ref" href="\w+.html#([\w-]+)', text) for text in texts.values())
    named = {place for places in linked for place in places}
    assert len(named) > 60 and named <= known.keys()
