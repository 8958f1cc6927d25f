"""Axes and tables: what is drawn and printed is what was given."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from test_scoreboard import finished

from bridgekit.book import plots


@pytest.fixture
def ax():
    fig, ax = pyplot.subplots()
    yield ax
    pyplot.close(fig)


def test_images_are_laid_out_row_by_row_from_minus_one_to_one(ax):
    x = torch.linspace(-1, 1, 3)[:, None, None, None] * torch.ones(3, 1, 2, 2)
    x[1, 0, 0, 0] = math.nan
    plots.images(ax, x, columns=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (5, 5)
    np.testing.assert_allclose(sheet[:2, :2], 0)
    np.testing.assert_allclose(sheet[:2, 3:], 0.5)
    np.testing.assert_allclose(sheet[3:, :2], 1)
    np.testing.assert_allclose(sheet[3:, 3:], 1)  # the empty place is white
    assert ax.images[0].get_clim() == (0, 1) and not ax.axison
    plots.images(ax, x.flatten(1), columns=2, interpolation="none")
    np.testing.assert_array_equal(ax.images[1].get_array(), sheet)
    assert [each.get_interpolation() for each in ax.images] == ["nearest", "none"]


def test_colour_images_keep_their_channels(ax):
    x = np.stack([np.full((2, 2), v) for v in (-1.0, 0.0, 3.0)])[None]
    plots.images(ax, x)
    np.testing.assert_allclose(ax.images[0].get_array()[0, 0], [0, 0.5, 1])


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_style_is_700_pixels_wide_and_readable_on_white():
    with matplotlib.rc_context():
        plots.style()
        assert round(96 * matplotlib.rcParams["figure.figsize"][0]) == 700
        assert matplotlib.rcParams["svg.hashsalt"] and matplotlib.rcParams["savefig.bbox"] is None
        cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == list(plots.PALETTE.values()) and len(set(cycle)) == 7
    # WCAG: 4.5 to one for text, 2 to one is where a thick line on white stops to be seen well.
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in cycle)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.35, "0.350"),
        (-1.4, "−1.40"),
        (28.083, "28.1"),
        (784.2, "784"),
        (12345.6, "12346"),
        (0.00123, "0.00123"),
        (3.2e-7, "3.20 × 10⁻⁷"),
        (-1e9, "−1.00 × 10⁹"),
        (math.nan, "not finite"),
    ],
)
def test_numbers_are_printed_with_three_digits(value, text):
    assert plots.number(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (2.0, "2.00"),
        ([1.0, 2.0, 3.0], "2.00 ± 1.0 (n = 3)"),
        (torch.tensor([1.0, 3.0, math.nan]), "2.00 ± 1.4 (n = 3, 1 failed)"),
        ([1.0, math.inf], "1.00 (n = 2, 1 failed)"),
        ([math.nan, math.nan], "— (n = 2, 2 failed)"),
    ],
)
def test_values_over_seeds_are_printed_as_mean_and_spread(values, text):
    assert plots.spread(values) == text


def test_a_table_is_markdown_and_its_cells_cannot_break_it():
    shown = plots.table(
        [{"model": "p | q\nr", "modes": 25, "value": [1.0, 3.0]}, {"model": None}], "Two models"
    )
    assert list(shown._repr_mimebundle_()) == ["text/markdown"]
    lines = shown.text.splitlines()
    assert lines[:2] == ["*Two models*", ""]
    assert lines[2:4] == ["| model | modes | value |", "| --- | --- | --- |"]
    assert lines[4] == "| p \\| q r | 25 | 2.00 ± 1.4 (n = 2) |" and lines[5] == "| — | — | — |"
    assert repr(shown) == shown.text


def test_the_reference_table_sets_paper_reference_and_this_run_side_by_side(tmp_path):
    def table(caption=""):
        run = finished(tmp_path, "quick", [2.0, 4.0], 0.01)
        run.metric("rise", None, label="Other", paper="1.5", place="Table 3")
        run.metric("fall", [2.0, 4.0], unit="nats", label="Fall", paper="≈ 2")
        run.metric("error", 0.01, label="Error", exact=True)
        assert "rise" not in run.record()["metrics"] and run.record()["metrics"]["fall"]["label"] == "Fall"
        return plots.reference_table(run, caption).text.splitlines()

    assert "| Fall (nats) | ≈ 2 | — | 3.00 ± 1.4 (n = 2) |" in table()
    finished(tmp_path, "paper", [5.0, 5.5], 0.02)
    assert table("Falls") == [
        *("*Falls*", "", "| quantity | paper | reference run | this run |", "| --- | --- | --- | --- |"),
        "| Other | 1.5 (Table 3) | — | — |",
        "| Fall (nats) | ≈ 2 | 5.25 ± 0.35 (n = 2) | 3.00 ± 1.4 (n = 2) |",
        "| Error | — | 0.0200 | 0.0100 |",
    ]
