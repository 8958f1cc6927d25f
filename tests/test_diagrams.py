"""Graphs of models: what is derived from a description, and that it is drawn."""

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from bridgekit.book import diagrams, drawings
from bridgekit.book.diagrams import AAE, GAN, GENERATIVE, INFERENCE, INFOGAN, VAE, Arrow, Conditional, Graph

CORNERS = {"z": (0.0, 1.0), "y": (2.0, 1.0), "x": (1.0, 0.0)}


def described(model):
    """Target, inputs and process of each conditional."""
    return {(c.target, c.through + c.given, c.process) for c in model}


def test_a_vae_is_infogan_with_the_processes_exchanged():
    assert described(VAE) == {
        ("x", ("z", "y"), GENERATIVE),
        ("y", ("x",), INFERENCE),
        ("z", ("x", "y"), INFERENCE),
    }
    assert all(not c.through for c in VAE)  # what is conditioned on is explicit
    assert described(diagrams.exchange_processes(VAE)) == described(INFOGAN)


def test_an_aae_is_infogan_with_data_and_code_exchanged():
    assert described(AAE) == {
        ("z", ("x", "y"), INFERENCE),
        ("y", ("z",), GENERATIVE),
        ("x", ("z", "y"), GENERATIVE),
    }
    assert diagrams.exchange_variables(AAE, "z", "x") == INFOGAN


@pytest.mark.parametrize(("model", "names"), [(GAN, "x"), (INFOGAN, "x"), (VAE, "yz"), (AAE, "z")])
def test_what_is_inferred_is_latent(model, names):
    assert diagrams.latent(model) == set(names)
    assert diagrams.schematic(model, CORNERS).grey == set(CORNERS) - set(names)


def test_conditionals_are_named_in_the_papers_letters():
    texts = {c.target: c.text() for c in INFOGAN}
    assert texts == {
        "x": r"$p_\theta(x\,|\,y)$",
        "y": r"$q_\phi^{(r)}(y\,|\,x)$",
        "z": r"$q_\eta(z\,|\,x,y)$",
    }
    assert VAE[1].text({"y": "q_*^{(r)}"}) == r"$q_*^{(r)}(y\,|\,x)$"


def test_a_schematic_graph_has_an_arrow_from_every_input_and_each_name_once():
    graph = diagrams.schematic(INFOGAN, CORNERS)
    pairs = {(a.source, a.target) for a in graph.arrows}
    assert pairs == {("z", "x"), ("y", "x"), ("x", "y"), ("x", "z"), ("y", "z")}
    assert sorted(a.text for a in graph.arrows if a.text) == sorted(c.text() for c in INFOGAN)
    assert [(a.source, a.target) for a in graph.arrows if a.hollow] == [("z", "x")]
    assert [(a.source, a.target) for a in graph.arrows if a.blue] == [("x", "y")]
    # Arrows that run both ways are curved, to either side; a lone one is straight.
    assert all((a.bend != 0) == ((a.target, a.source) in pairs) for a in graph.arrows)


def test_the_arrays_of_a_graph_say_what_is_drawn():
    arrows = (Arrow("a", "b", process=INFERENCE, hollow=True), Arrow("b", "a", blue=True))
    arrays = Graph({"a": (0.0, 0.0), "b": (1.0, 2.0)}, arrows).arrays()
    np.testing.assert_array_equal(arrays["places"], [[0, 0], [1, 2]])
    np.testing.assert_array_equal(arrays["arrows"], [[0, 1, 2, 1, 0], [1, 0, 1, 0, 1]])


def test_arrows_look_as_the_caption_of_figure_1_says():
    model = (
        Conditional("x", ("y",), INFERENCE, through=("z",)),
        Conditional("y", ("x",), GENERATIVE, adversarial=True),
    )
    graph = diagrams.schematic(model, CORNERS)
    with drawings.sheet(drawings.WIDE):
        fig = diagrams.drawn({"a GAN": graph})
        (ax,) = fig.axes
        drawn = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
        fig.draw_without_rendering()
        pyplot.close(fig)
    styles = {
        (a.source, a.target): (
            to_hex(p.get_facecolor()),
            to_hex(p.get_edgecolor()),
            p.get_linestyle() == "solid",
        )
        for a, p in zip(graph.arrows, drawn, strict=True)
    }
    ink, blue = drawings.ROLES["ink"], drawings.ROLES["forward"]
    assert styles == {
        ("z", "x"): (drawings.ROLES["paper"], ink, False),
        ("y", "x"): (ink, ink, False),
        ("x", "y"): (blue, blue, True),
    }
    assert ax.get_title() == "a GAN" and not ax.axison


@pytest.mark.parametrize(
    "graph", [diagrams.RELATIONS, diagrams.SYMMETRY, diagrams.ADA_FLOW, diagrams.GAN_FLOW]
)
def test_every_arrow_of_a_given_graph_joins_two_of_its_nodes(graph):
    assert {name for a in graph.arrows for name in (a.source, a.target)} == set(graph.places)
