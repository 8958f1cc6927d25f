"""Point films: stored points on a canvas, moved by a slider or played, each coloured by where it once was.

Coordinates travel as bytes, one for each; a place on the canvas is that fine. Between two frames the points
move in straight lines, unless the reader asked for less motion. Without JavaScript a still picture stays.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import numpy as np

from bridgekit.book import displays, roles
from bridgekit.errors import BridgekitError

MOST, ALL = 500, 1500  # points that are shown of one cloud, and of all together: 150 kB are enough for a film
_LOST = 1e6  # where a point that is nowhere is put: on no mode, and out of view
_STEPS = 127  # from the middle to the edge: what a signed byte tells apart


@dataclass(frozen=True)
class Points:
    """Clouds that move together: ``{name: (T, N, 2)}``, one label for each of the T frames.

    ``told`` says what happened, by cloud and frame, for those who do not see it. ``home`` is the frame whose
    places give the points their colours; a player opens on the last one. The window is ±``limit``;
    ``centres``, (K, 2), are circled, of all clouds or by cloud. ``weights``, ``{name: (T, N)}``, are the
    points' areas, 1 that of a point without. Raises BridgekitError where frames and texts do not match.
    """

    clouds: Mapping[str, np.ndarray]
    labels: list[str]
    limit: float
    told: Mapping[str, list[str]]
    home: int = -1
    centres: np.ndarray | Mapping[str, np.ndarray] = ()
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (self.labels, *self.clouds.values(), *self.told.values())}
        if len(lengths) != 1 or self.clouds.keys() != self.told.keys():
            raise BridgekitError(f"a point film needs a label and a text for every frame, not {lengths}.")

    def data(self) -> str:
        """What the player reads, as JSON."""
        clouds = [
            {"name": name, "told": list(self.told[name]), "xy": self._packed(name)}
            | {"size": self._sizes(name), "centres": self._circles(name)}
            for name in self.clouds
        ]
        said = {"clouds": clouds, "labels": list(self.labels), "frames": len(self.labels)} | {
            "home": self.home % len(self.labels)
        }
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))

    def _some(self, values) -> np.ndarray:
        """Of (T, N, ...) those that are shown: fewer of each cloud where there are many, and small."""
        return np.asarray(values, float)[:, : min(MOST, ALL // len(self.clouds))]

    def _packed(self, name: str) -> str:
        places = np.nan_to_num(self._some(self.clouds[name]) / self.limit, nan=1.0)
        return _bytes(_STEPS * places.clip(-1, 1), np.int8)

    def _sizes(self, name: str) -> str:
        """Diameters in thirty-seconds of a dot's; nothing where all are alike."""
        areas = self._some(self.weights.get(name, [[]])).clip(0, 64)
        return _bytes((32 * np.sqrt(areas)).clip(0, 255), np.uint8)

    def _circles(self, name: str) -> list[list[float]]:
        own = self.centres[name] if isinstance(self.centres, Mapping) else self.centres
        return (np.asarray(own, float).reshape(-1, 2) / self.limit).round(4).tolist()

    def still(self) -> bytes:
        """The frame that it opens on, as a PNG."""
        from matplotlib import pyplot

        count, edges = len(self.clouds), (-self.limit, self.limit)
        fig, axes = pyplot.subplots(1, count, figsize=(7.2, 7.2 / count + 0.3), squeeze=False)
        for ax, (name, cloud) in zip(axes.flat, self.clouds.items(), strict=True):
            at, areas = (self._some(v)[-1] for v in (cloud, self.weights.get(name, [[1]])))
            ax.scatter(*at.T, s=2 * areas, color=roles.DAY["bridge"], linewidths=0)
            ax.set(title=name, xlim=edges, ylim=edges, aspect="equal", xticks=(), yticks=())
        return displays.picture(fig)

    def html(self, alt: str, slider: str) -> str:
        """Canvases under a labelled slider, a button that plays it, and the script that moves it."""
        end, here = len(self.labels) - 1, escape(self.labels[-1])
        place = (
            f'<label>{escape(slider)} <input type="range" min="0" max="{end}" value="{end}" step="1"></label>'
        )
        control = (
            f"{_STYLE}"
            '<div class="bk-player-control" hidden><button type="button" aria-pressed="false">Play</button> '
            f'{place} <output aria-live="off">{here}</output></div>'
            '<p class="bk-told" aria-live="polite"></p>'
        )
        return displays.stage(self.still(), alt, control, self.data()) + _SCRIPT


def _bytes(values: np.ndarray, kind: type) -> str:
    return base64.b64encode(values.round().astype(kind).tobytes()).decode()


def over_modes(clouds: Mapping, labels: list[str], mixture, home: int = 0) -> Points:
    """Clouds over the modes of a :class:`.Mixture`; the rest as for :class:`Points`.

    What is told is how many modes are covered, and how many of the points lie on one, as
    :mod:`bridgekit.measure.on_plane` counts both. A point that is lost is on none.
    """
    means = mixture.means.cpu().numpy()
    limit = 1.375 * float(np.abs(means).max())

    def told(cloud):
        x = np.nan_to_num(np.asarray(cloud, np.float32), nan=_LOST, posinf=_LOST, neginf=-_LOST)
        inside = (np.abs(x) < limit).all(-1).any(1)
        texts = zip(_told(x, mixture), inside, strict=True)
        return [said if here else "no point in view" for said, here in texts]

    return Points(clouds, labels, limit, {k: told(v) for k, v in clouds.items()}, home=home, centres=means)


def _told(x: np.ndarray, mixture) -> list[str]:
    """Of each frame (T, N, 2) the modes covered and the share of points on one; of few points that alone."""
    import torch

    from bridgekit.measure import on_plane

    x = torch.as_tensor(x)
    shares = on_plane.high_quality_share(x, mixture)
    on_one = [f"{100 * share:.0f} % of the points on a mode" for share in shares]
    try:
        covered = on_plane.modes_covered(x, mixture)
    except BridgekitError:  # perfect samples would often miss a mode, too
        return on_one
    return [f"{n:.0f} of {len(mixture.means)} modes, {said}" for n, said in zip(covered, on_one, strict=True)]


def walk_over_modes(clouds: Mapping, at: list[int], steps: list[int], mixture) -> Points:
    """The same at the iterations ``at`` of a walk in three ``steps``; colours: the first step's end."""
    labels = [f"iteration {k:,}, step {'I' * (1 + (k > steps[0]) + (k > sum(steps[:2])))}" for k in at]
    return over_modes(clouds, labels, mixture, at.index(steps[0]))


_STYLE = """<style>
.bk-stage { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.4rem; }
.bk-stage > div { display: grid; grid-row: span 3; grid-template-rows: subgrid; row-gap: 0; }
.bk-stage > div > b { align-self: end; }
.bk-stage canvas { width: 100%; aspect-ratio: 1; border: 1px solid #8886; border-radius: 4px; }
.bk-stage b { display: block; text-align: center; font-size: 0.9em; }
.bk-player-control { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.8rem; }
.bk-player-control[hidden] { display: none; }
.bk-player-control label { flex: 1 1 12rem; display: flex; gap: 0.6rem; align-items: center; }
.bk-player-control input { flex: 1; min-width: 6rem; accent-color: var(--bk-bridge); }
.bk-player-control button { min-width: 4.5rem; padding: 0.25rem 0.7rem; border: 1px solid; border-radius: 6px;
  background: none; color: inherit; font: inherit; }
.bk-player-control output { min-width: 9em; }
.bk-stage small { display: block; text-align: center; line-height: 1.3; min-height: 2.6em; }
@media (max-width: 600px) {
  .bk-stage:has(> div:nth-child(3)) { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .bk-stage:has(> div:nth-child(4):last-child) { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .bk-stage small { font-size: 0.8rem; min-height: 5.2em; }
}
.bk-told { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.bk-player :focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
</style>"""

_SCRIPT = """<script>
document.querySelectorAll("figure.bk-player:not([data-ready])").forEach(function (figure) {
  figure.dataset.ready = "";
  var data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  var stage = figure.querySelector(".bk-stage"), still = stage.querySelector("img");
  var input = figure.querySelector("input"), output = figure.querySelector("output");
  var button = figure.querySelector("button"), told = figure.querySelector(".bk-told");
  var calm = matchMedia("(prefers-reduced-motion: reduce)"), playing = 0, at = data.frames - 1;
  var clouds = data.clouds.map(function (cloud) {
    var xy = Int8Array.from(atob(cloud.xy), function (c) { return c.charCodeAt(0); });
    var sizes = Uint8Array.from(atob(cloud.size), function (c) { return c.charCodeAt(0); });
    var n = xy.length / data.frames / 2, colours = [], box = document.createElement("div");
    for (var i = 0; i < n; i++) {
      var x = xy[2 * (data.home * n + i)], y = xy[2 * (data.home * n + i) + 1];
      var hue = Math.atan2(y, x) * 180 / Math.PI, far = Math.min(1, Math.hypot(x, y) / 127);
      colours.push("hsl(" + hue.toFixed(0) + " " + (35 + 45 * far).toFixed(0) + "% 48%)");
    }
    box.innerHTML = "<b></b><canvas></canvas><small></small>";
    box.firstChild.textContent = cloud.name;
    stage.appendChild(box);
    return { xy: xy, sizes: sizes, n: n, colours: colours, centres: cloud.centres, canvas: box.children[1],
      says: box.lastChild, told: cloud.told };
  });
  stage.setAttribute("role", "img");
  stage.setAttribute("aria-label", still.alt);
  still.remove();
  figure.querySelector(".bk-player-control").hidden = false;
  function draw() {
    var k = Math.min(Math.floor(at), data.frames - 1), next = Math.min(k + 1, data.frames - 1), part = at - k;
    clouds.forEach(function (cloud) {
      var canvas = cloud.canvas, size = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
      if (!size) return;
      if (canvas.width !== size) canvas.width = canvas.height = size;
      var pen = canvas.getContext("2d"), half = size / 2, dot = Math.max(2, size / 90);
      pen.clearRect(0, 0, size, size);
      pen.strokeStyle = "#8a929c";
      pen.lineWidth = Math.max(1, size / 250);
      cloud.centres.forEach(function (c) {
        pen.beginPath();
        pen.arc(half + half * c[0], half - half * c[1], size / 45, 0, 7);
        pen.stroke();
      });
      for (var i = 0; i < cloud.n; i++) {
        var a = 2 * (k * cloud.n + i), b = 2 * (next * cloud.n + i);
        var x = cloud.xy[a] + part * (cloud.xy[b] - cloud.xy[a]);
        var y = cloud.xy[a + 1] + part * (cloud.xy[b + 1] - cloud.xy[a + 1]);
        pen.fillStyle = cloud.colours[i];
        if (cloud.sizes.length) {
          var from = cloud.sizes[a / 2], across = from + part * (cloud.sizes[b / 2] - from);
          pen.beginPath();
          pen.arc(half + half * x / 127, half - half * y / 127, Math.max(0.5, dot * across / 64), 0, 7);
          pen.fill();
        } else pen.fillRect(half + half * x / 127 - dot / 2, half - half * y / 127 - dot / 2, dot, dot);
      }
    });
  }
  function happened(k) {
    return data.clouds.map(function (cloud) { return cloud.name + ": " + cloud.told[k]; }).join("; ");
  }
  function show(say) {
    var k = Math.round(at);
    input.value = k;
    output.textContent = data.labels[k];
    clouds.forEach(function (cloud) { cloud.says.textContent = cloud.told[k]; });
    input.setAttribute("aria-valuetext", data.labels[k] + ". " + happened(k));
    if (say) told.textContent = happened(k);
    draw();
  }
  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    button.textContent = "Play";
    button.setAttribute("aria-pressed", "false");
    at = Math.round(at);
    show(true);
  }
  button.addEventListener("click", function () {
    if (playing) return stop();
    if (at >= data.frames - 1) at = 0;
    var from = at, began = performance.now();
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    told.textContent = "";
    playing = requestAnimationFrame(function step(now) {
      at = from + Math.max(0, now - began) / (calm.matches ? 900 : 320);  // a frame begins before its click
      if (calm.matches) at = Math.floor(at);
      if (at >= data.frames - 1) { at = data.frames - 1; return stop(); }
      show(false);
      playing = requestAnimationFrame(step);
    });
  });
  input.addEventListener("input", function () {
    if (playing) stop();
    at = +input.value;
    show(true);
  });
  new ResizeObserver(draw).observe(stage);
  show(true);
});
</script>"""
