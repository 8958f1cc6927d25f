"""Run records: what a run writes, that it is whole or not there, that the same run gives the same bytes."""

import contextlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, damaged, git, rewrite
from matplotlib import pyplot
from matplotlib.axes import Axes
from PIL import Image

from bridgekit import closure
from bridgekit.book import displays, records, runs, sums
from bridgekit.errors import BridgekitError

CLAIMS = """
- {id: X1, paper: X, place: here, statement: it falls, page: demo,
   criterion: {text: it does, parts: [{metric: fall, above: 0}]}}
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "claims.yml").write_text(CLAIMS)
    return tmp_path


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    pyplot.close("all")


def make_run(root, profile="quick", **parameters):
    return runs.Run("demo", profile, parameters, root / "figures" / profile / "demo", root)


def drawing(points=5, size=(2, 1.5)):
    fig, ax = pyplot.subplots(figsize=size)
    ax.plot(np.arange(points), np.arange(points) ** 2, label="squares")
    ax.legend()
    ax.set_axis_off()  # ticks take most of the time of a drawing
    return fig


def curve(a, said):
    return drawing(len(a["x"]))


X = {"x": np.arange(5)}
CURVE = {"alt": "A rising curve", "caption": "**It rises.** By {fall:.1f}."}
GROWTH = {"alt": "It grows", "caption": "**It grows.**"}


def complete(run):
    run.metric("fall", [0.5, 1.5])
    run.figure(curve, "curve", **CURVE, arrays=X | {"b": torch.ones(2)})
    run.film((drawing(k) for k in (2, 3, 4)), "growth", labels=["2", "3", "4"], **GROWTH)
    run.finish()
    return run


def test_the_record_says_what_ran_and_holds_every_value(root):
    run = make_run(root, seed=3, device="cpu")
    run.metric("fall", torch.tensor([1.0, float("nan")], requires_grad=True), unit="nats", note="per point")
    run.metric("area", 2, exact=True)
    for split in ("train", "test"):
        run.uses(SimpleNamespace(name="digits", split=split, fingerprint=f"{split}123"))
    told = {"alt": "  A rising curve ", "caption": "**Rising.** Seed {seed}, by {fall:.2f}."}
    run.figure(curve, "curve", **told, arrays={"x": [1, 2]})
    run.finish()
    record = json.loads((run.out / "record.json").read_text())
    assert record["schema"] == 1 and record["page"] == "demo" and record["profile"] == "quick"
    assert record["parameters"] == {"seed": 3, "device": "cpu"}
    fall = {"values": [1.0, None], "kind": "mean", "unit": "nats", "note": "per point"}
    assert record["metrics"]["fall"] == fall
    assert record["metrics"]["area"] == {"values": [2.0], "kind": "exact", "unit": "", "note": ""}
    assert record["criteria"] == {"X1": run.claims[0].hash}
    kept = record["figures"]["curve"]
    assert kept["files"] == ["curve.npz", "curve.png", "curve.svg"] and kept["alt"] == "A rising curve"
    assert kept["caption"] == "**Rising.** Seed 3, by 1.00."
    made = record["provenance"]
    assert made["data"] == {"digits": {"train": "train123", "test": "test123"}}
    assert made["threads"] == torch.get_num_threads()
    assert made["packages"]["numpy"] == np.__version__ and made["device"] == "cpu"
    assert made["platform"].startswith(platform.system()) and platform.release() not in made["platform"]
    assert made["wall_seconds"] >= 0 and made["started"].endswith("+00:00")
    assert sorted(os.listdir(run.out)) == ["SHA256SUMS", "curve.npz", "curve.png", "curve.svg", "record.json"]
    assert not pyplot.get_fignums()


def test_a_metric_declares_its_kind(root):
    run = make_run(root)
    for kind in ("mean", "median", "share", "spread", "change", "identity"):
        run.metric(kind, [1.0, 0.0], kind=kind)
        assert run.record()["metrics"][kind]["kind"] == kind
    with pytest.raises(BridgekitError, match="'medium' is no kind: did you mean 'median'"):
        run.metric("fall", 1.0, kind="medium")
    for wrong in ({"kind": "exact"}, {"kind": "median", "exact": True}):
        with pytest.raises(BridgekitError, match="say exact=True alone, or a kind with seeds, not"):
            run.metric("fall", 1.0, **wrong)


def test_the_record_holds_criteria_and_analysis_as_they_stood_at_the_start(root, monkeypatch):
    run = make_run(root)
    stood = {claim.id: (claim.hash, claim.analysis) for claim in run.claims}
    (root / "claims.yml").write_text(CLAIMS.replace("it does", "it does so"))
    monkeypatch.setattr(runs.criteria, "RULE", runs.criteria.RULE + 1)
    assert stood and all((c.hash, c.analysis) != stood[c.id] for c in run.claims)
    record = run.record()
    assert {name: (record["criteria"][name], record["analysis"][name]) for name in stood} == stood


def test_the_same_run_gives_the_same_bytes(root):
    first, second = complete(make_run(root, "one")), complete(make_run(root, "two"))
    for name in ("curve.svg", "curve.png", "curve.npz", "growth.webp", "growth.npz"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name
    with zipfile.ZipFile(first.out / "curve.npz") as archive:
        assert [item.filename for item in archive.infolist()] == ["b.npy", "x.npy"]
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert b"<dc:date>" not in (first.out / "curve.svg").read_bytes()
    old, new = (json.loads((run.out / "record.json").read_text()) for run in (first, second))
    for key in ("parameters", "metrics", "figures", "criteria"):
        assert old[key] == new[key]


def test_json_is_sorted_and_strict():
    text = records.json_bytes({"b": [1.0, float("inf")], "a": (float("nan"), "ä")}).decode()
    assert json.loads(text) == {"a": [None, "ä"], "b": [1.0, None]}
    assert text.index('"a"') < text.index('"b"') and text.endswith("}\n") and "ä" in text


def test_nothing_is_written_before_finish_and_an_older_result_stays(root):
    complete(make_run(root))
    folder = root / "figures" / "quick" / "demo"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = make_run(root)
    again.metric("fall", 9)
    again.figure(curve, "curve", **CURVE, arrays={"x": np.arange(9)})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_finish_removes_what_the_earlier_run_drew_and_this_one_did_not(root):
    complete(make_run(root))
    run = make_run(root)
    run.figure(curve, "other", **GROWTH, arrays=X)
    run.finish()
    assert sorted(os.listdir(run.out)) == ["SHA256SUMS", "other.npz", "other.png", "other.svg", "record.json"]
    (run.out / "record.json").write_text("{damaged")
    run.finish()
    assert json.loads((run.out / "record.json").read_text())["page"] == "demo"


def test_an_unwritable_folder_is_an_error_before_the_first_number(root):
    (root / "file").write_text("in the way")
    with pytest.raises(BridgekitError, match="cannot write .*file.*BRIDGEKIT_SPEC"):
        runs.Run("demo", "quick", {}, root / "file" / "demo", root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "must be a record of schema 1"),
        ('{"schema": 2}', "schema: must be 1, not 2"),
        ('{"schema": 1, "page": "demo"}', "profile, parameters, metrics, .* missing"),
    ],
)
def test_a_damaged_record_is_one_error_with_the_way_out(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(BridgekitError, match=rf"record\.json.*{message}.*(git checkout|delete it)"):
        records.read_record(path)


def test_a_damaged_metric_is_found_when_the_record_is_read(root):
    run = complete(make_run(root))
    record = json.loads((run.out / "record.json").read_text())
    record["metrics"]["fall"]["values"] = ["many"]
    rewrite(run.out / "record.json", record)
    with pytest.raises(
        BridgekitError, match="metrics, fall, values, entry 1: must be a number or null, not 'many'"
    ):
        records.read_record(run.out / "record.json")


def test_damaged_arrays_are_one_error_with_the_way_out(root):
    run = complete(make_run(root))
    whole = (run.out / "curve.npz").read_bytes()
    for body in (whole[: len(whole) // 2], b"", b"not a zip"):
        (run.out / "curve.npz").write_bytes(body)
        with pytest.raises(BridgekitError, match=r"curve\.npz is damaged.*git checkout"):
            records.read_npz(run.out / "curve.npz")
    with pytest.raises(BridgekitError, match="cannot be read"):
        records.read_npz(run.out / "none.npz")


def test_a_second_run_is_shown_beside_the_reference_run_and_is_not_it(root):
    complete(make_run(root, "paper"))
    assert not make_run(root).repeated
    shutil.copytree(root / "figures/paper/demo", root / "figures/repeated/demo")
    record = json.loads((root / "figures/repeated/demo/record.json").read_text())
    record["metrics"]["fall"]["values"] = [7.0, 8.0]
    rewrite(root / "figures/repeated/demo/record.json", record)
    run = make_run(root)
    np.testing.assert_array_equal(run.repeated.metric("fall"), [7.0, 8.0])
    np.testing.assert_array_equal(run.reference.metric("fall"), [0.5, 1.5])
    assert not make_run(root, "paper").repeated


@pytest.mark.parametrize(
    ("profile", "folder", "role"),
    [
        ("paper", "figures/paper/demo", records.REFERENCE),
        ("paper", "figures/repeated/demo", records.REPEATED),
        ("paper", "figures/paper/other", records.TRIAL),
        ("paper", "elsewhere/paper/demo", records.TRIAL),
        ("quick", "figures/paper/demo", records.TRIAL),
        ("custom", "figures/custom/demo", records.TRIAL),
    ],
)
def test_the_role_of_a_run_is_where_its_results_go_at_the_profile_paper(root, profile, folder, role):
    run = runs.Run("demo", profile, {}, root / folder, root)
    assert run.record()["role"] == role == records.role(root, "demo", profile, root / folder)


def test_the_reference_gives_back_metrics_arrays_and_figures(root):
    reference_run = complete(make_run(root, "paper"))
    empty, reference = reference_run.reference, make_run(root).reference
    assert not empty and reference and not empty.has("fall")
    assert empty.arrays("curve") == {}
    assert reference.has("fall") and not reference.has("rise")
    np.testing.assert_array_equal(reference.metric("fall"), [0.5, 1.5])
    np.testing.assert_array_equal(reference.arrays("curve")["x"], np.arange(5))
    shown = reference.film("growth")._repr_mimebundle_()["text/html"]
    assert 'alt="It grows"' in shown and "<strong>It grows.</strong> <small" in shown
    assert 'id="fig-growth"' in shown and ">Reference run.</small></figcaption>" in shown
    assert 'type="range"' in shown
    with pytest.raises(BridgekitError, match="no metric 'fal': did you mean 'fall'"):
        reference.metric("fal")
    with pytest.raises(BridgekitError, match="no figure 'curves': did you mean 'curve'"):
        reference.arrays("curves")
    (reference.folder / "growth.webp").unlink()
    with pytest.raises(BridgekitError, match=r"growth\.webp cannot be read.*git checkout"):
        reference.film("growth")


def test_damaged_images_and_arrays_of_a_reference_are_not_shown(root):
    complete(make_run(root, "paper"))
    reference, noticed = make_run(root).reference, 0
    shown, drawn = reference.film("growth"), reference.arrays("curve")
    for file in ("curve.svg", "curve.png", "growth.webp", "curve.npz"):
        path = reference.folder / file
        whole = path.read_bytes()
        for body in damaged(whole, 15):
            path.write_bytes(body)
            try:
                assert reference.film("growth") == shown
                np.testing.assert_equal(reference.arrays("curve"), drawn)
            except BridgekitError as error:
                assert file in str(error) and "is damaged" in str(error) and "git checkout" in str(error)
                noticed += 1
            with contextlib.suppress(BridgekitError):
                sums.check(reference.folder)
                assert body == whole
        path.write_bytes(whole)
    assert noticed > 25


def test_a_reference_without_sums_is_one_clear_error(root):
    run = complete(make_run(root, "paper"))
    (run.out / "SHA256SUMS").unlink()
    with pytest.raises(BridgekitError, match="SHA256SUMS cannot be read.*git checkout"):
        make_run(root).reference.metric("fall")


def test_a_file_that_the_sums_forgot_or_that_is_gone_is_named(root):
    run = complete(make_run(root, "paper"))
    path = run.out / "SHA256SUMS"
    whole = path.read_bytes()
    path.write_bytes(b"".join(line for line in whole.splitlines(keepends=True) if b"growth" not in line))
    with pytest.raises(BridgekitError, match=r"growth\.webp is damaged: SHA256SUMS has .* for it, or none"):
        make_run(root).reference.film("growth")
    path.write_bytes(whole)
    (run.out / "growth.webp").unlink()
    with pytest.raises(BridgekitError, match=r"growth\.webp in .*: missing"):
        sums.check(run.out)


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="GNU's command")
def test_the_sums_are_checked_by_hand_too(root):
    run = complete(make_run(root))
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    said = subprocess.run(command, cwd=run.out, capture_output=True, text=True, check=True).stdout
    names = set(os.listdir(run.out)) - {"SHA256SUMS"}
    assert sorted(said.splitlines()) == sorted(f"{name}: OK" for name in names) and len(names) == 6
    (run.out / "record.json").write_text("{}")
    assert subprocess.run(command, cwd=run.out, capture_output=True).returncode == 1


def test_git_does_not_change_the_ends_of_lines_in_results(root, tmp_path_factory):
    run, clone = complete(make_run(root, "paper")), tmp_path_factory.mktemp("clone")
    shutil.copy(REPOSITORY / ".gitattributes", root)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        git(root, *arguments)
    git(clone, "clone", "-q", "-c", "core.autocrlf=true", str(root), "there")
    assert b"\r\n" in (clone / "there/claims.yml").read_bytes()
    sums.check(clone / "there" / run.out.relative_to(root))


def test_a_missing_value_comes_back_as_nan(root):
    run = make_run(root, "paper")
    run.metric("fall", [1.0, float("inf"), float("nan")])
    run.finish()
    np.testing.assert_array_equal(make_run(root).reference.metric("fall"), [1.0, np.nan, np.nan])


def test_a_run_gives_back_its_own_values(root):
    run = make_run(root)
    run.metric("fall", torch.tensor([1.0, float("nan")]))
    np.testing.assert_array_equal(run.values("fall"), [1.0, np.nan])
    with pytest.raises(BridgekitError, match="page demo recorded no metric 'fal': did you mean 'fall'"):
        run.values("fal")


def test_metrics_are_named_in_snake_case_and_have_one_value_per_seed(root):
    run = make_run(root)
    for name in ("Fall", "fall-2", "2nd", "fall_", ""):
        with pytest.raises(BridgekitError, match="not snake_case"):
            run.metric(name, 1)
    for values in ([], np.zeros((2, 2))):
        with pytest.raises(BridgekitError, match="one value per seed"):
            run.metric("fall", values)


def test_a_figure_without_its_texts_is_refused(root):
    run = make_run(root)
    with pytest.raises(TypeError, match="alt"):
        run.figure(curve, "curve", caption="**It rises.**", arrays=X)
    with pytest.raises(BridgekitError, match="alt is empty"):
        run.figure(curve, "curve", **CURVE | {"alt": "  "}, arrays=X)
    with pytest.raises(BridgekitError, match="must be letters"):
        run.figure(curve, "../curve", **CURVE, arrays=X)
    for caption in ("", "It rises.", "It **rises.**", "**It rises** slowly.", "**It rises.**Slowly.", "****"):
        with pytest.raises(BridgekitError, match="curve: its caption must begin with what to see"):
            run.figure(curve, "curve", **CURVE | {"caption": caption}, arrays=X)
    assert run.record()["figures"] == {}


def test_a_text_that_names_what_the_run_has_not_is_refused(root):
    run = make_run(root, seeds=2)
    run.metric("fall", 1.0)
    for caption, said in (
        ("**It falls.** {fal}", "curve: a text names fal, which the run has not: did you mean 'fall'"),
        ("**It falls.** {seeds:.2q}", "curve: a text cannot be filled in"),
        ("**It falls.** {", "curve: a text cannot be filled in"),
    ):
        with pytest.raises(BridgekitError, match=said):
            run.figure(curve, "curve", alt="It falls", caption=caption, arrays=X)
    texts = {"alt": "{seeds} fall", "caption": "**By {fall:.1f}.** $\\frac{{1}}{{2}}$"}
    run.figure(curve, "curve", **texts, arrays=X)
    kept = run.record()["figures"]["curve"]
    assert kept["alt"] == "2 fall" and kept["caption"] == r"**By 1.0.** $\frac{1}{2}$"


def test_no_text_and_no_drawing_names_a_folder_of_this_machine(root):
    run = make_run(root, dataset=f"folder:{root.parent}/elsewhere/pets", other=f"folder:{root}/data/cats")
    drawn = []
    run.figure(
        lambda a, said: drawn.append(said) or drawing(),
        "curve",
        alt="{dataset}, {other}",
        caption="**On {dataset}.**",
        arrays={"x": np.arange(2)},
    )
    assert (drawn[0]["dataset"], drawn[0]["other"]) == ("folder:pets", "folder:data/cats")
    kept = run.record()["figures"]["curve"]
    assert kept["alt"] == "folder:pets, folder:data/cats" and kept["caption"] == "**On folder:pets.**"


def test_a_figure_shows_itself_with_its_alternative_text(root):
    said = {"alt": 'Under "5" & <rising> at *$z$*', "caption": "**See `a < b`.** Then $x<1$ & <i>."}
    shown = make_run(root).figure(curve, "curve", **said, arrays=X)
    bundle = shown._repr_mimebundle_(include=None, exclude=None)
    assert list(bundle) == ["text/html"]
    html = bundle["text/html"]
    assert html.count('aria-label="Under &quot;5&quot; &amp; &lt;rising&gt; at z"') == 2
    assert 'id="fig-curve"' in html
    formula = '<span class="math inline">\\(x&lt;1\\)</span>'
    caption = f"<strong>See <code>a &lt; b</code>.</strong> Then {formula} &amp; &lt;i&gt;.</figcaption>"
    assert caption in html
    assert "<img" not in html, "a picture that cannot be recoloured by night"
    assert "max-width: 192px" in html and not re.search(r"https?://(?!www\.w3\.org)", html)
    assert repr(shown) == '[figure] Under "5" & <rising> at z'


def test_the_reference_run_is_shown_first_and_this_one_folded(root):
    complete(make_run(root, "paper"))
    run = make_run(root)
    run.metric("fall", 9.0)
    shown = run.figure(curve, "curve", **CURVE, arrays={"x": [0, 1, 4]})._repr_mimebundle_()["text/html"]
    there, own = shown.split("<details")
    assert 'id="fig-curve"' in there and "By 1.0." in there and "Reference run." in there
    assert "<summary>The same from this run (profile quick)</summary>" in own and "Reference run" not in own
    assert 'id="fig-curve-this-run"' in own and "By 9.0." in own
    assert 'aria-label="This run: A rising curve"' in own
    film = run.film((drawing(k) for k in (2, 3)), "growth", labels=["2", "3"], **GROWTH)
    there, own = film._repr_mimebundle_()["text/html"].split("<details")
    assert 'max="2"' in there and 'max="1"' in own and own.count("<script>") == there.count("<script>") == 1
    assert run.record()["figures"]["curve"]["alt"] == "A rising curve"


def test_a_figure_that_this_run_does_not_draw_is_the_reference_runs(root):
    assert make_run(root).figure(curve, "curve", **CURVE).html == ""
    complete(make_run(root, "paper"))
    run = make_run(root)
    shown = run.figure(curve, "curve", **CURVE).html
    assert "Reference run." in shown and "<details" not in shown and run.record()["figures"] == {}
    with pytest.raises(BridgekitError, match="a text names rise, which the run has not"):
        run.figure(curve, "curve", alt="It rises by {rise}", caption="**It rises.**")


def test_a_film_is_one_labelled_slider_over_one_sprite_without_outside_requests(root):
    run = make_run(root)
    frames = [drawing(k) for k in (2, 3, 4)]
    texts = {"alt": "A curve grows", "caption": "**It grows.**", "labels": ["α = 0", "α = ½", "α = 1"]}
    shown = run.film(frames, "growth", slider="α", start=0.4, **texts)
    html = shown._repr_mimebundle_()["text/html"]
    assert re.search(
        r"<label[^>]*>α\s*<input type=\"range\" min=\"0\" max=\"2\" value=\"1\"[^>]*></label>", html
    )
    assert html.count("<img") == 1 and 'alt="A curve grows"' in html
    assert 'src="data:image/webp;base64,' in html and 'aria-valuetext="α = ½"' in html
    assert re.search(r"<output[^>]*>α = ½</output>", html) and "transform: translate(-0%, -33.3333%)" in html
    assert not re.search(r"https?:|//cdn|@import", html)
    assert "focus-visible" in html and "aspect-ratio: 192 / 144" in html
    assert not pyplot.get_fignums() and repr(shown) == "[film, 3 frames] A curve grows"


def test_the_sprite_holds_every_frame_losslessly_in_order(monkeypatch):
    monkeypatch.setattr(displays, "_WEBP_SIDE", 350)  # two frames high: five frames need three columns
    content, layout = displays.sprite(drawing(k) for k in (2, 3, 4, 5, 6))
    assert layout == {"size": [192, 144], "frames": 5, "columns": 3, "rows": 2}
    sheet = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert sheet.shape == (300, 600, 3)
    for k in range(5):
        fig = drawing(k + 2)
        frame = Image.open(io.BytesIO(displays.render(fig, "png", displays.FILM_DPI))).convert("RGB")
        pyplot.close(fig)
        top, left = 150 * (k // 3), 200 * (k % 3)
        np.testing.assert_array_equal(sheet[top : top + 150, left : left + 200], np.asarray(frame))
    assert (sheet[150:, 400:] == 255).all()


def test_a_film_may_change_one_figure_instead_of_making_new_ones():
    def changing():
        fig = drawing(2)
        for k in (2, 3, 4):
            fig.axes[0].lines[0].set_data(np.arange(k), np.arange(k) ** 2)
            fig.axes[0].relim()
            fig.axes[0].autoscale()
            yield fig

    assert displays.sprite(changing()) == displays.sprite(drawing(k) for k in (2, 3, 4))
    assert not pyplot.get_fignums()


def test_a_figure_is_drawn_once_a_file_where_matplotlib_lays_it_out(monkeypatch):
    drawn, draw = [], Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda self, renderer: drawn.append(self) or draw(self, renderer))
    plain = io.BytesIO()
    with pyplot.rc_context({"figure.constrained_layout.use": True}):
        fig = drawing()
        files = [displays.render(fig, kind) for kind in ("svg", "png", "png")]
        assert len(drawn) == 3
        drawing().savefig(plain, format="png", dpi=displays.PNG_DPI, metadata={"Software": None})
        pyplot.close("all")
    assert files[1] == files[2] == plain.getvalue()


def test_a_film_wants_one_label_per_frame_and_one_size(root):
    run = make_run(root)
    with pytest.raises(BridgekitError, match="1 labels for 2 frames"):
        run.film([drawing(2), drawing(3)], "growth", labels=["2"], **GROWTH)
    with pytest.raises(BridgekitError, match="frames of one size"):
        run.film([drawing(2), drawing(3, size=(3, 1))], "growth", labels=["2", "3"], **GROWTH)
    with pytest.raises(BridgekitError, match="frames of one size"):
        run.film([], "growth", labels=[], **GROWTH)


def test_a_record_holds_no_absolute_path(root):
    outside = "/somewhere/else/faces"
    run = make_run(
        root, data=f"folder:{root}/data/faces", more=f"folder:{outside}", plain=str(root / "a"), name="b"
    )
    run.uses(SimpleNamespace(name=f"folder:{outside}", split="train", fingerprint="abc"))
    complete(run)
    text = (run.out / "record.json").read_text()
    assert str(root) not in text and "/somewhere" not in text
    record = json.loads(text)
    assert record["parameters"] == {
        "data": "folder:data/faces",
        "more": "folder:faces",
        "plain": "a",
        "name": "b",
    }
    assert record["provenance"]["data"] == {"folder:faces": {"train": "abc"}}


def test_checkpoints_are_found_again_and_gone_after_finish(root):
    first = make_run(root).checkpoint("plane.pt")
    first.write_bytes(b"state")
    assert first.is_relative_to(root / "_build" / "checkpoints" / "quick" / "demo")
    other = make_run(root, evaluations=3)
    assert not other.checkpoint("plane.pt").exists()
    other.finish()
    run = make_run(root, workers=2)  # which change no number
    assert run.checkpoint("plane.pt").read_bytes() == b"state"
    run.finish()
    assert not first.parent.exists()
    owned = runs.Run("demo", "quick", {}, root / "figures" / "quick" / "demo", root, root / "kept")
    owned.checkpoint("plane.pt").write_bytes(b"state")
    owned.finish()  # whoever asked for them there removes them, once the result is in place
    assert (root / "kept" / "plane.pt").read_bytes() == b"state"


def test_the_commit_is_recorded_and_figures_do_not_make_it_dirty(root, monkeypatch):
    monkeypatch.setattr(records, "git_state", partial(records.git_state, package=root / "bridgekit"))
    assert records.git_state(root) == (None, None)
    git(root, "init", "-q")
    assert records.git_state(root) == (None, None)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    commit = git(root, "rev-parse", "HEAD")
    assert records.git_state(root) == (commit, False)
    complete(make_run(root))
    assert records.git_state(root) == (commit, False)
    (root / "new.py").write_text("1\n")
    assert records.git_state(root) == (commit, True)
    (root / "inner").mkdir()
    assert records.git_state(root / "inner") == (None, None)


def test_another_clones_code_is_not_given_this_clones_commit(root):
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    assert records.git_state(root) == (None, None)  # the package that runs is this repository's
    assert "known to be the code that runs" in records.unclean(root)
    assert records.git_state(root, root / "bridgekit")[1] is False


def test_gits_own_variables_lead_to_no_other_repository(root, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    for folder in (root, other):
        (folder / "a.txt").write_text(str(folder))
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first")
    commit = git(root, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(root))
    assert records.git_state(root, root / "bridgekit") == (commit, False)


def test_the_record_tells_which_code_ran(root):
    def code(cell):
        (root / "book").mkdir(exist_ok=True)
        (root / "book" / "demo.md").write_text(f"# T\n\n```{{code-cell}} ipython3\n{cell}\n```\n")
        return records.code(root, "demo")

    one = code("from bridgekit.theory import divergences")
    assert one == make_run(root).record()["provenance"]["code"] == records.code(root, "demo")
    assert code("from bridgekit.theory import densities") != one
    assert records.code(root, "missing") not in (one, "")


def test_a_digest_of_code_follows_the_modules_that_a_page_reaches(root, monkeypatch, tmp_path):
    package = tmp_path / "bridgekit"
    for name in ("a", "b"):
        (package / f"{name}.py").parent.mkdir(exist_ok=True)
        (package / f"{name}.py").write_text("x = 1\n")
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(closure, "PACKAGE", package)
    monkeypatch.setattr(closure, "modules", partial(closure.modules, package=package))
    (root / "book").mkdir()
    (root / "book" / "demo.md").write_text("# T\n\n```{code-cell}\nfrom bridgekit import a\n```\n")
    first = records.code(root, "demo")
    (package / "b.py").write_text("x = 2\n")
    assert records.code(root, "demo") == first
    (package / "a.py").write_text("x = 2\n")
    assert records.code(root, "demo") != first


def test_a_lost_trial_has_no_value_whatever_was_measured_of_it(root):
    run = make_run(root)
    run.metric("fall", torch.tensor([1.0, 2.0, 3.0]), lost=[None, {"phase": "II", "round": 7}, None])
    np.testing.assert_array_equal(run.values("fall"), [1.0, np.nan, 3.0])
    run.metric("fall", [1.0, 2.0], lost=[None, None])
    assert run.values("fall").tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="broadcast"):
        run.metric("fall", [1.0, 2.0], lost=[None, None, None])


def test_an_exact_metric_is_one_number(root):
    with pytest.raises(BridgekitError, match="area: an exact metric is one number, not 2"):
        make_run(root).metric("area", [1.0, 2.0], exact=True)


def test_the_device_is_named():
    assert records.device_name("mps") == "mps"
    named = records.device_name("cuda")
    assert named.startswith("cuda: ") if torch.cuda.is_available() else named == "cuda"
    assert records.device_name("auto") == (named if torch.cuda.is_available() else "cpu")


def test_finish_glues_means_and_reference_means_inside_a_kernel(root, monkeypatch):
    import IPython
    import myst_nb

    complete(make_run(root, "paper"))
    glued = {}
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: glued.update({name: (value, display)}))
    run = make_run(root)
    run.metric("fall", [3.0, float("nan"), 5.0])
    run.metric("rise", float("nan"))
    run.finish()
    assert glued["fall"] == (4.0, False) and type(glued["fall"][0]) is float
    assert glued["fall_reference"] == (1.0, False) and "rise_reference" not in glued
    assert np.isnan(glued["rise"][0])


def test_the_prose_has_parameters_as_they_are_and_what_was_glued(root):
    there = make_run(root, "paper", seeds=5, steps=[2000, 30], data="digits", own=True)
    there.metric("trials", 5, exact=True)  # of an older record, now a parameter
    there.glue(lost=6, word="six")
    complete(there)
    run = make_run(root, seeds=2, steps=[], data="street", own=False, trials=2)
    assert run.words() == {
        **{"seeds": 2, "steps": "", "data": "street", "own": "False", "trials": 2},
        **{"seeds_reference": 5, "steps_reference": "2,000, 30", "data_reference": "digits"},
        **{"own_reference": "True", "trials_reference": 5.0, "lost_reference": 6.0, "word_reference": "six"},
        **{"fall_reference": 1.0},
    }
    for act in (lambda: run.glue(seeds=3), lambda: run.metric("seeds", 3, exact=True)):
        with pytest.raises(BridgekitError, match="seeds is a parameter, which the prose has as it is"):
            act()
    with pytest.raises(BridgekitError, match="glued value's name 'Lost' is not snake_case"):
        run.glue(Lost=3)


def test_a_reference_run_is_its_own(root):
    run = make_run(root, "paper", seeds=5)
    run.metric("fall", [1.0, 3.0])
    assert run.words() == {"seeds": 5, "fall": 2.0, "seeds_reference": 5, "fall_reference": 2.0}


def test_without_the_book_extra_a_run_finishes_all_the_same(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    assert (complete(make_run(root)).out / "record.json").exists()


def test_the_light_modules_import_nothing_heavy():
    code = "import sys; from bridgekit.book import claims, plots, runs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "matplotlib", "papermill", "scipy"} & set(loaded)
