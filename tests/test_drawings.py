"""Figures that are functions of arrays: the reference run's drawn anew, two sheets, roles, moving points."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from matplotlib import pyplot
from PIL import Image
from test_results import CLAIMS, make_run

from bridgekit.book import displays, drawings, pages, roles, runs, show
from bridgekit.book.players import ALL, MOST, Points, over_modes, walk_over_modes
from bridgekit.errors import BridgekitError
from bridgekit.theory.densities import Mixture


@pytest.fixture
def root(tmp_path):
    (tmp_path / "claims.yml").write_text(CLAIMS)
    return tmp_path


TEXTS = {"alt": "It falls to {end:.1f}", "caption": "**It falls.** To {end:.1f}."}


def falling(a, said):
    fig, axes = drawings.panels(2, 1.5, sharey=True)
    for ax in axes:
        ax.plot(a["x"], a["y"], color=drawings.ROLES["bridge"])
        drawings.name(ax, a["x"][-1], a["y"][-1], f"ends at {said['end']:g}", "bridge")
    return fig


def run_that_falls_to(end, root, profile="quick"):
    run = make_run(root, profile, end=end)
    arrays = {"x": [0.0, 1.0, 2.0], "y": [3.0, 2.0, end]}
    return run, run.figure(falling, "fall", **TEXTS, arrays=arrays)


def test_a_drawing_of_the_reference_run_is_made_of_its_arrays(root):
    run, _ = run_that_falls_to(1.0, root, "paper")
    run.finish()
    _, shown = run_that_falls_to(0.5003, root)
    there, own = shown.html.split("<details")
    assert "ends at 1<" in there and "ends at 0.5003<" in own, "coordinates may be rounded, words may not"
    assert 'aria-label="It falls to 1.0"' in there and 'aria-label="This run: It falls to 0.5"' in own
    _, shown = run_that_falls_to(1.0 + 1e-12, root)
    assert "<details" not in shown.html, "both runs drew the same"
    alone = make_run(root).figure(falling, "fall", **TEXTS)  # this run has no such arrays
    assert "ends at 1<" in alone.html and "<details" not in alone.html
    assert not pyplot.get_fignums()


def test_a_drawing_has_a_wide_and_a_narrow_sheet_with_text_of_a_fit_size(root):
    _, shown = run_that_falls_to(1.0, root)
    wide, narrow = re.findall(r"<svg.*?</svg>", shown.html, re.DOTALL)
    assert 'class="bk-wide"' in wide and 'class="bk-narrow"' in narrow
    for svg, width in ((wide, drawings.WIDE), (narrow, drawings.NARROW)):
        view = [float(x) for x in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]
        assert view[0] * 96 / 72 == pytest.approx(width, abs=1)
        sizes = [float(x) for x in re.findall(r"font(?:-size)?: (?:\S+ )?([\d.]+)px", svg)]
        assert sizes and min(sizes) * 96 / 72 >= 11, "text below 11 pixels"
        assert "font-family" not in svg.partition(">")[2] and "<style" not in svg
    assert wide.count("ends at 1") == narrow.count("ends at 1") == 2
    heights = [float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)[1]) for svg in (wide, narrow)]
    assert heights[1] == pytest.approx(2 * heights[0])


def test_a_drawings_files_have_a_white_ground_and_the_page_has_none(root):
    run, shown = run_that_falls_to(1.0, root)
    run.finish()
    pixel = Image.open(run.out / "fall.png").convert("RGBA").getpixel((1, 1))
    assert pixel == (255, 255, 255, 255)
    ground = '<rect width="100%" height="100%" style="fill: white"/>'
    assert (run.out / "fall.svg").read_text().count(ground) == 1 and ground not in shown.html
    arrays = {"x": np.arange(2.0), "y": np.arange(2.0)}
    assert drawings.drawn(falling, arrays, {"end": 1.0}, keep=False).images == {}, "of another run"


def test_a_raster_has_few_colours_where_they_are_enough_and_all_of_a_photograph():
    figures = {}
    for name in ("lines", "photograph"):
        figures[name], ax = pyplot.subplots(figsize=(3, 2))
        ax.plot(np.arange(9.0), np.arange(9.0) ** 2, color="#6639b6")
    ax.imshow(np.random.default_rng(0).random((40, 40, 3)), extent=(0, 8, 0, 64), aspect="auto")
    for name, mode in (("lines", "P"), ("photograph", "RGB")):
        made = Image.open(io.BytesIO(displays.raster(figures[name])))
        every = Image.open(io.BytesIO(displays.render(figures[name], "png"))).convert("RGB")
        assert made.mode == mode and made.size == every.size
        assert made.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert np.abs(np.asarray(made.convert("RGB"), float) - np.asarray(every)).mean() < 1
        assert made.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
        displays.close(figures[name])


def test_colours_are_roles_and_no_two_drawings_share_an_id(root):
    _, shown = run_that_falls_to(1.0, root)
    assert "var(--bk-bridge, #6639b6)" in shown.html and ": #6639b6" not in shown.html
    ids = re.findall(r' id="([^"]*)"', shown.html)
    assert len(ids) == len(set(ids)) > 3 and all(i.startswith(("fall-", "fig-fall")) for i in ids)
    named = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", shown.html))
    assert named and named <= set(ids)


def test_every_role_has_a_colour_by_day_and_by_night():
    assert roles.DAY.keys() == roles.NIGHT.keys()
    day, night = roles.css().splitlines()
    assert day.startswith("html {") and night.startswith('html[data-theme="dark"] {')
    for role in roles.DAY:
        assert f"--bk-{role}: {roles.DAY[role]};" in day and f"--bk-{role}: {roles.NIGHT[role]};" in night


def test_the_ticks_of_a_logarithmic_axis_are_whole_words():
    fig, ax = pyplot.subplots()
    ax.semilogy([1, 2], [0.01, 1000])
    drawings.powers(ax.yaxis)
    fig.canvas.draw()
    said = [tick.get_text() for tick in ax.get_yticklabels()]
    assert "10⁻²" in said and "10³" in said and not ax.yaxis.get_minorticklocs().size
    pyplot.close(fig)


def test_names_at_the_right_do_not_lie_over_one_another():
    fig, ax = pyplot.subplots()
    ax.set_ylim(0, 1)
    drawings.names_at_right(
        ax, {"a": (0.5, "ink"), "b": (0.51, "ink"), "c": (9.0, "ink"), "d": (-9.0, "ink")}
    )
    heights = {text.get_text(): text.xy[1] for text in ax.texts}
    assert heights["d"] == 0 and heights["c"] == 1
    assert min(np.diff(sorted(heights.values()))) > 0.07 and heights["a"] < heights["b"]
    ax.set(yscale="log", ylim=(0.01, 100))
    drawings.names_at_right(ax, {"e": (1.0, "ink")})
    assert ax.texts[-1].xy[1] == pytest.approx(0.5), "by the axis's scale"
    pyplot.close(fig)


def clouds():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(-2, 2, (3, 40, 2)) for name in ("one", "two")}


def points(**changed):
    told = {name: ["all", "some", "few"] for name in ("one", "two")}
    made = {"clouds": clouds(), "labels": ["k = 0", "k = 1", "k = 2"], "limit": 2.0, "told": told}
    return Points(**made | {"centres": [[1.0, -1.0]], "home": 1} | changed)


def test_points_travel_as_bytes_and_come_back():
    data = json.loads(points().data())
    assert [cloud["name"] for cloud in data["clouds"]] == ["one", "two"]
    assert data["labels"] == ["k = 0", "k = 1", "k = 2"] and data["home"] == 1
    first, second = data["clouds"]
    assert first["centres"] == second["centres"] == [[0.5, -0.5]] and first["told"] == ["all", "some", "few"]
    for cloud, sent in zip(clouds().values(), data["clouds"], strict=True):
        back = np.frombuffer(base64.b64decode(sent["xy"]), np.int8).reshape(3, 40, 2) / 127 * 2.0
        np.testing.assert_allclose(back, cloud, atol=0.51 * 2.0 / 127)


def test_a_point_film_keeps_to_its_window_and_to_its_size():
    far = {"one": np.array([[[9.0, -9.0], [np.nan, 0.0]]] * 3), "two": np.zeros((3, 2 * MOST, 2))}
    data = json.loads(points(clouds=far).data())
    sent = [np.frombuffer(base64.b64decode(each["xy"]), np.int8) for each in data["clouds"]]
    assert sent[0].reshape(3, 2, 2)[0].tolist() == [[127, -127], [127, 0]]
    assert sent[1].size == 3 * MOST * 2
    many = {name: np.zeros((3, 2 * MOST, 2)) for name in "abcdefgh"}
    texts = {name: ["all"] * 3 for name in many}
    data = json.loads(points(clouds=many, told=texts).data())
    sent = [np.frombuffer(base64.b64decode(each["xy"]), np.int8) for each in data["clouds"]]
    assert [each.size for each in sent] == 8 * [3 * (ALL // 8) * 2] and ALL // 8 < MOST


def test_points_of_a_film_may_have_weights_and_each_cloud_its_own_circles():
    weights, centres = np.ones((3, 40)), {"one": [[2.0, 0.0]], "two": []}
    weights[1, 0], weights[2, 1] = 4.0, 1000.0
    film = points(weights={"one": weights}, centres=centres)
    one, two = json.loads(film.data())["clouds"]
    sizes = np.frombuffer(base64.b64decode(one["size"]), np.uint8).reshape(3, 40)
    assert (sizes[0] == 32).all() and sizes[1, 0] == 64 and sizes[2, 1] == 255
    assert (two["size"], one["centres"], two["centres"]) == ("", [[1.0, 0.0]], [])
    assert film.still() != points().still()


def test_a_point_film_wants_a_text_for_every_frame():
    with pytest.raises(BridgekitError, match="a label and a text for every frame"):
        points(labels=["k = 0", "k = 1"])
    with pytest.raises(BridgekitError, match="a label and a text for every frame"):
        points(told={"one": ["all"] * 3})


def test_a_film_of_points_stays_a_picture_without_a_script(root):
    run = make_run(root)
    shown = run.figure(
        lambda a, said: points(),
        "film",
        alt="They move",
        caption="**They move.**",
        slider="Round",
        arrays=clouds(),
    )
    assert shown.html.count("<img") == 1 and 'alt="They move"' in shown.html
    assert re.search(r'<label>Round <input type="range" min="0" max="2" value="2"', shown.html)
    assert 'class="bk-player-control" hidden' in shown.html and not re.search(r"https?:|@import", shown.html)
    assert run.record()["figures"]["film"]["files"] == ["film.npz", "film.png"]
    assert repr(shown) == "[film] They move"


def test_a_film_of_the_reference_run_is_drawn_of_its_arrays(root):
    def draw(a, said):
        def frames():
            for height in a["heights"]:
                fig, ax = pyplot.subplots(figsize=(1, 1))
                ax.set_axis_off()
                ax.set_title(f"{height:g}")
                yield fig

        return displays.Film(frames(), [f"height {height:g}" for height in a["heights"]], start=0.0)

    texts = {"alt": "It grows", "caption": "**It grows.**", "slider": "Height"}
    run = make_run(root, "paper")
    run.figure(draw, "film", **texts, arrays={"heights": [1.0, 2.0, 3.0]})
    run.finish()
    kept = run.record()["figures"]["film"]
    assert kept["files"] == ["film.npz", "film.webp"] and kept["frames"] == 3
    stored = (run.out / "film.webp").read_bytes()
    shown = make_run(root).figure(draw, "film", **texts, arrays={"heights": [4.0, 5.0]})
    there, own = shown.html.split("<details")
    assert base64.b64encode(stored).decode() in there and "Reference run." in there
    assert 'max="2" value="0"' in there and "height 1<" in there
    assert 'max="1" value="0"' in own and "height 4<" in own
    sheet = Image.open(io.BytesIO(stored))
    assert sheet.mode == "RGB" and sheet.getpixel((1, 1)) == (255, 255, 255), "on white, whatever the sheet"
    alone = make_run(root).figure(draw, "film", **texts)
    assert alone.html.count("bk-film-window") == 1 and not pyplot.get_fignums()


@pytest.mark.parametrize("curves", [True, False])
def test_a_film_says_whether_it_shows_curves(root, curves):
    def draw(a, said):
        return displays.Film([pyplot.subplots(figsize=(1, 1))[0]], ["one"], curves=curves)

    run = make_run(root)
    shown = run.figure(draw, "film", alt="A", caption="**It is.**", slider="At", arrays={"x": [1.0]})
    assert ('class="bk-figure bk-film bk-curves"' in shown.html) is curves
    assert run.record()["figures"]["film"]["curves"] is curves


def smallest_words(code: str) -> float:
    """CSS pixels on a phone of the smallest words of the pictures that a cell makes: points, and inches wide.

    Of a picture as wide as there are data sets (``on``) two are taken.
    """
    widths = re.findall(r"figsize\W+([\d.]+)(?: \* (len\(on\)))?", code)
    sizes = [
        float(size)
        for size in re.findall(r"fontsize=([\d.]+)|\), ([\d.]+)\)$", code, re.M)
        for size in size
        if size
    ]
    wide = max(float(width) * (2 if many else 1) for width, many in widths)
    return min(sizes, default=drawings.STYLE["font.size"]) * 96 / 72 * min(1, drawings.NARROW / (96 * wide))


CELLS = {path.stem: pages.load(path).cells for path in sorted((REPOSITORY / "book").glob("*.md"))}
FILMED = [
    pytest.param(code, id=page)
    for page, cells in CELLS.items()
    for _, code in cells
    if re.search(r"run\.film\(|displays\.Film\(", code)
]


@pytest.mark.parametrize("code", FILMED)
def test_words_in_a_film_are_large_enough_on_a_phone(code):
    """A film is an image: no browser sees how small its words are. Their sizes are in its cell."""
    assert smallest_words(code) >= 11


def test_small_words_are_found():
    assert len(FILMED) >= 7
    cell = "fig, axes = plt.subplots(2, 1, figsize=(4.9, 4.2))\nax.set_title(name, fontsize=13, loc='left')"
    assert smallest_words(cell) == pytest.approx(13 * 96 / 72 * 340 / (4.9 * 96))
    assert smallest_words(cell.replace("4.9", "7.29")) < 11 and smallest_words(cell.replace("13", "9")) < 11
    assert smallest_words("fig, ax = plt.subplots(figsize=(7.29, 2.5))\nax.set_title(name)") < 11
    assert smallest_words('{"figsize": (3.3 * len(on), 4.9)}\nax.set_title(name, fontsize=10)') < 11


def test_the_front_page_has_one_sentence_before_its_centrepiece():
    before = pages.load(REPOSITORY / "book" / "welcome.md").source.partition("\n# ")[2].partition("```")[0]
    said = before.partition("\n")[2].strip()
    assert re.findall(r"[.?!](?=\s|$)", said) == ["."] and said.endswith(".")


def test_what_is_told_of_a_cloud_over_modes():
    mixture, cloud = Mixture(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.1), np.zeros((2, 100, 2))
    cloud[0, :50, 0], cloud[0, 50:, 0] = -1.0, 1.0  # both modes, every point
    cloud[1, :4, 0], cloud[1, 4:8, 1], cloud[1, 8, 0] = 1.0, np.nan, -np.inf
    cloud[1, 9, 0] = -1.0  # a mode wants two of a hundred points
    film = over_modes({"one": cloud}, ["a", "b"], mixture)
    both, one = "2 of 2 modes, 100 % of the points on a mode", "1 of 2 modes, 5 % of the points on a mode"
    assert film.told == {"one": [both, one]}
    few = over_modes({"one": cloud[:, ::25]}, ["a", "b"], mixture)  # perfect ones would miss a mode, too
    assert few.told == {"one": ["100 % of the points on a mode", "25 % of the points on a mode"]}
    cloud[1] = 99.0
    film = walk_over_modes({"one": cloud}, [0, 5], [5, 5, 5], mixture)
    assert film.told["one"][1] == "no point in view" and film.home == 1
    assert film.labels == ["iteration 0, step I", "iteration 5, step I"] and film.limit == 1.375


def test_panels_stand_side_by_side_or_in_columns_and_alone_on_a_narrow_sheet():
    for width, columns, shape in ((690, 0, (1, 4)), (690, 2, (2, 2)), (340, 2, (4, 1))):
        with drawings.sheet(width):
            fig, axes = drawings.panels(4, 1.0, columns)
        assert axes[0].get_gridspec().get_geometry() == shape and len(axes) == 4
        assert fig.get_size_inches()[1] == shape[0]
        pyplot.close(fig)


def test_another_pages_figure_is_drawn_from_its_reference_run(root):
    run, _ = run_that_falls_to(1.0, root, "paper")
    run.finish()
    here = runs.Run("front", "quick", {}, root / "figures" / "quick" / "front", root)
    shown = show.borrowed(here, "demo", "fall", falling, **TEXTS, slider="")
    assert "ends at 1<" in shown.html and "To 1.0." in shown.html and "Reference run." in shown.html
    assert here.record()["figures"] == {}
    assert show.borrowed(here, "demo", "rise", falling, **TEXTS, slider="").html == ""
    assert show.borrowed(here, "nowhere", "fall", falling, **TEXTS, slider="").html == ""


NO_FINDING = "", "It falls.", "It **falls.**", "**It falls** to {end:.1f}."
WAYS = {  # by which a reference run's figure reaches a page where this run makes none
    "no arrays": lambda here, **texts: here.figure(falling, "fall", **texts),
    "borrowed": lambda here, **texts: show.borrowed(here, "demo", "fall", falling, **texts, slider=""),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_whatever_shows_a_figure_its_caption_says_what_to_see(root, way):
    run, _ = run_that_falls_to(1.0, root, "paper")
    run.finish()
    here = make_run(root)
    assert "<strong>It falls.</strong>" in way(here, **TEXTS).html
    for caption in NO_FINDING:
        with pytest.raises(BridgekitError, match="fall: its caption must begin with what to see"):
            way(here, **TEXTS | {"caption": caption})
    with pytest.raises(BridgekitError, match="fall: alt is empty"):
        way(here, **TEXTS | {"alt": " "})
