"""Graphs of models, drawn from one description each (paper B, Figures 1, 3, 4, 5 and 6).

A model is a tuple of :class:`Conditional`; two of paper B's models follow from InfoGAN's by an exchange,
which is the paper's point. What is latent, what each arrow is called and how it looks are derived, not
written twice.
"""

from dataclasses import dataclass, field, replace
from textwrap import fill

import numpy as np

from bridgekit.book import drawings
from bridgekit.book.roles import DAY as ROLES

GENERATIVE, INFERENCE = "generative", "inference"
_LETTERS = {"x": r"p_\theta", "z": r"q_\eta", "y": r"q_\phi^{(r)}"}
_CODES = {GENERATIVE: 1, INFERENCE: 2}
_MIDDLE = {"ha": "center", "va": "center"}
_BACKING = {"fc": ROLES["paper"], "ec": "none", "pad": 0.6}


@dataclass(frozen=True)
class Conditional:
    """One conditional distribution of a model, of ``target`` given the variables ``given``.

    ``through`` are inputs that a deterministic map encapsulates: the distribution is then implicit.
    ``adversarial``: it is used once as it is and once reversed.
    """

    target: str
    given: tuple[str, ...]
    process: str = GENERATIVE
    through: tuple[str, ...] = ()
    adversarial: bool = False

    def text(self, letters: dict[str, str] | None = None) -> str:
        """The distribution in mathtext, in paper B's letters: p for x, q for z and y."""
        name = {**_LETTERS, **(letters or {})}[self.target]
        return rf"${name}({self.target}\,|\,{','.join(self.given)})$"


Model = tuple[Conditional, ...]


def exchange_processes(model: Model) -> Model:
    """Generation and inference change places; what an implicit map hid is then conditioned on explicitly."""
    other = {GENERATIVE: INFERENCE, INFERENCE: GENERATIVE}
    return tuple(replace(c, process=other[c.process], given=c.through + c.given, through=()) for c in model)


def exchange_variables(model: Model, a: str, b: str) -> Model:
    """The variables a and b change places."""
    name = {a: b, b: a}

    def of(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.get(n, n) for n in names)

    return tuple(
        replace(c, target=of((c.target,))[0], given=of(c.given), through=of(c.through)) for c in model
    )


def latent(model: Model) -> set[str]:
    """The variables that are inferred."""
    return {c.target for c in model if c.process == INFERENCE}


GAN: Model = (
    Conditional("x", ("y",), INFERENCE, through=("z",)),
    Conditional("y", ("x",), GENERATIVE, adversarial=True),
)
INFOGAN: Model = (*GAN, Conditional("z", ("x", "y"), GENERATIVE))
VAE: Model = exchange_processes(INFOGAN)
AAE: Model = exchange_variables(INFOGAN, "x", "z")


@dataclass(frozen=True)
class Arrow:
    """An arrow of a drawn graph; ``bend`` curves it, ``at`` is where along it its text stands (0 to 1)."""

    source: str
    target: str
    text: str = ""
    process: str = GENERATIVE
    hollow: bool = False
    blue: bool = False
    bend: float = 0.0
    at: float = 0.5
    head: bool = True


@dataclass(frozen=True)
class Graph:
    """What is drawn: where the nodes are, what they say (else their name), which are grey; the arrows."""

    places: dict[str, tuple[float, float]]
    arrows: tuple[Arrow, ...]
    grey: frozenset[str] = frozenset()
    texts: dict[str, str] = field(default_factory=dict)
    boxes: bool = False

    def arrays(self) -> dict[str, np.ndarray]:
        """For a figure's record: places (n, 2), and arrows (m, 5) as from, to, process, hollow, blue."""
        index = {name: k for k, name in enumerate(self.places)}
        arrows = [
            (index[a.source], index[a.target], _CODES[a.process], a.hollow, a.blue) for a in self.arrows
        ]
        return {"places": np.array(list(self.places.values()), dtype=float), "arrows": np.array(arrows, int)}


def schematic(model: Model, places: dict[str, tuple[float, float]], letters: dict | None = None) -> Graph:
    """A model as paper B's schematic graph: inferred variables white, visible ones grey.

    Each conditional gives an arrow from everything it depends on; its name stands on the longest of them that
    is not shared with an arrow the other way.
    """
    pairs = {(source, c.target) for c in model for source in c.through + c.given}
    arrows = []
    for c in model:
        sources = c.through + c.given
        named = min(sources, key=lambda s: ((c.target, s) in pairs) != c.adversarial)
        for source in sources:
            bend = 0.22 if (c.target, source) in pairs else 0.0
            look = {"hollow": source in c.through, "blue": c.adversarial, "bend": bend}
            arrows.append(Arrow(source, c.target, c.text(letters) * (source == named), c.process, **look))
    return Graph(places, tuple(arrows), frozenset(places) - latent(model))


def draw(ax, graph: Graph, title: str = "", size: float = 11.0):
    """Draw a graph on bare axes: solid generative, dashed inference, hollow implicit, blue adversarial."""
    outlines = {}
    for name, place in graph.places.items():
        style = {
            "boxstyle": f"{'round' if graph.boxes else 'circle'},pad=0.35",
            "ec": ROLES["ink"],
            "fc": ROLES["data" if name in graph.grey else "paper"],
        }
        text = graph.texts.get(name, name if graph.boxes else f"${name}$")
        outlines[name] = ax.text(
            *place, text, fontsize=size, bbox=style, zorder=3, **_MIDDLE
        ).get_bbox_patch()
    for arrow in graph.arrows:
        _arrow(ax, graph, arrow, size, outlines)
    places = np.array(list(graph.places.values()), dtype=float)
    (left, low), (right, high) = places.min(0), places.max(0)
    ax.set(xlim=(left - 0.55, right + 0.55), ylim=(low - 0.45, high + 0.45), title=title)
    ax.set_axis_off()


def drawn(graphs: dict[str, Graph], a=None, said=None, *, height: float = 2.6, columns: int = 0, size=12.6):
    """Graphs by their titles, as a drawing of a run: side by side, or below one another on a narrow sheet."""
    fig, axes = drawings.panels(len(graphs), height, columns)
    for ax, (title, graph) in zip(axes, graphs.items(), strict=False):
        draw(ax, graph, title, size)
    for ax in axes[len(graphs) :]:
        ax.remove()
    return fig


def arrays(graphs: dict[str, Graph]) -> dict[str, np.ndarray]:
    """What their record holds: that of the first one as ``places_0`` and ``arrows_0``."""
    return {
        f"{key}_{k}": array
        for k, graph in enumerate(graphs.values())
        for key, array in graph.arrays().items()
    }


def _arrow(ax, graph: Graph, arrow: Arrow, size: float, outlines: dict) -> None:
    from matplotlib.patches import FancyArrowPatch

    colour = ROLES["forward" if arrow.blue else "ink"]
    start, end = (np.array(graph.places[name], dtype=float) for name in (arrow.source, arrow.target))
    look = {
        "linewidth": 1.4,
        "zorder": 4,  # after the nodes, whose outlines cut it off
        "edgecolor": colour,
        "facecolor": ROLES["paper"] if arrow.hollow else colour,
        "mutation_scale": 17 if arrow.hollow else 12,
        "linestyle": (0, (4, 3)) if arrow.process == INFERENCE else "solid",
        "arrowstyle": "-|>" if arrow.head else "-",
        "connectionstyle": f"arc3,rad={arrow.bend}",
        "patchA": outlines[arrow.source],
        "patchB": outlines[arrow.target],
        "shrinkA": 2,
        "shrinkB": 2,
    }
    ax.add_patch(FancyArrowPatch(start, end, **look))
    if arrow.text:
        along = end - start
        # A quadratic Bezier curve; its control point lies `bend` lengths to the right of the middle.
        place = start + arrow.at * (along + along[::-1] * (1, -1) * arrow.bend * 2 * (1 - arrow.at))
        style = {"color": colour, "fontsize": size, "bbox": _BACKING, "zorder": 5} | _MIDDLE
        ax.text(*place, arrow.text, **style)


def _flow(**domains: tuple[str, str]) -> Graph:
    """Two rows of x = G(z) into one discriminator; a domain whose ``z`` is empty is given as it is."""
    places, arrows, texts = {"D": (2.7, 0.5), "label": (4.0, 0.5)}, [], {"D": r"$D_\phi$", "label": "$y$"}
    for height, (name, (z, x)) in zip((1.0, 0.0), domains.items(), strict=True):
        places[f"x {name}"], texts[f"x {name}"] = (1.6, height), x
        if z:
            places[f"z {name}"], texts[f"z {name}"] = (0.0, height), z
            arrows.append(Arrow(f"z {name}", f"x {name}", r"$G_\theta$"))
        arrows.append(Arrow(f"x {name}", "D"))
    return Graph(places, (*arrows, Arrow("D", "label")), texts=texts)


ADA_FLOW = _flow(source=(r"$z_{src}$", r"$x_{src}$"), target=(r"$z_{tgt}$", r"$x_{tgt}$"))
GAN_FLOW = _flow(real=("", r"$x_{real}$"), fake=("$z$", r"$x_{fake}$"))

SYMMETRY = Graph(
    {"z prior": (0.0, 1.0), "x model": (2.0, 1.0), "z inferred": (0.0, 0.0), "x data": (2.0, 0.0)},
    (
        Arrow("z prior", "x model", r"generation, $G_\theta$", hollow=True),
        Arrow("x data", "z inferred", r"inference, $E_\eta$", INFERENCE, hollow=True),
    ),
    grey=frozenset({"x data", "z prior"}),
    texts={
        "z prior": r"$z \sim p(z)$",
        "x model": r"$x \sim p_\theta(x)$",
        "z inferred": r"$z \sim q_\eta(z)$",
        "x data": r"$x \sim p_{data}(x)$",
    },
    boxes=True,
)

RELATIONS = Graph(
    {
        "VAEs": (0.8, 2.0),
        "GANs": (3.6, 2.0),
        "wake-sleep": (2.2, 3.0),
        "implicit VI": (0.0, 3.0),
        "variational EM": (4.5, 3.0),
        "ADA": (5.6, 2.0),
        "VAE/GAN": (2.2, 1.5),
        "AA-VAE": (2.3, 0.98),
        "InfoGAN": (4.6, 0.9),
        "AAE, PM": (5.9, 0.9),
        "CycleGAN": (5.25, -0.2),
        "IWAE": (0.8, -0.2),
        "IW-GAN": (3.6, -0.2),
    },
    (
        Arrow("VAEs", "GANs", "opposite KLs", blue=True, head=False),
        Arrow("wake-sleep", "VAEs", "wake", blue=True),
        Arrow("wake-sleep", "GANs", "sleep", blue=True),
        Arrow("variational EM", "GANs", "x latent, y visible"),
        Arrow("ADA", "GANs", "special case"),
        Arrow("GANs", "InfoGAN", "+ code"),
        Arrow("InfoGAN", "VAEs", "exchange processes", bend=-0.42, at=0.3),
        Arrow("InfoGAN", "AAE, PM", "x↔z"),
        Arrow("InfoGAN", "CycleGAN"),
        Arrow("AAE, PM", "CycleGAN"),
        Arrow("VAEs", "VAE/GAN"),
        Arrow("GANs", "VAE/GAN"),
        Arrow("VAEs", "AA-VAE"),
        Arrow("GANs", "AA-VAE", "adversary"),
        Arrow("VAEs", "IWAE"),
        Arrow("IWAE", "IW-GAN", "importance weights"),
        Arrow("GANs", "IW-GAN"),
        Arrow("VAEs", "implicit VI"),
    ),
    boxes=True,
)
# The same on a phone: three columns in place of five, and the paths between the two hubs below each other.
RELATIONS_NARROW = replace(
    RELATIONS,
    places={
        "implicit VI": (0.0, 4.55),
        "IWAE": (0.78, 4.55),
        "IW-GAN": (2.6, 4.55),
        "wake-sleep": (1.05, 3.65),
        "ADA": (2.8, 3.7),
        "VAEs": (0.0, 2.85),
        "GANs": (1.75, 2.85),
        "variational EM": (2.5, 1.95),
        "VAE/GAN": (0.85, 2.4),
        "AA-VAE": (0.85, 1.4),
        "InfoGAN": (1.75, 0.6),
        "AAE, PM": (2.75, 1.2),
        "CycleGAN": (2.75, 0.0),
    },
    arrows=tuple(replace(arrow, text=fill(arrow.text, 10)) for arrow in RELATIONS.arrows),
)
