"""Point films: stored points on a canvas, moved by a slider or played, each coloured by where it once was.

Coordinates travel as bytes, one for each; a place on the canvas is that fine. Between two frames the points
move in straight lines, unless the reader asked for less motion. Without JavaScript a still picture stays.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from bridgekit.book import displays, roles
from bridgekit.errors import BridgekitError

MOST = 500  # points of a cloud that are shown
_STEPS = 127  # from the middle to the edge: what a signed byte tells apart


@dataclass(frozen=True)
class Points:
    """Clouds that move together: ``{name: (T, N, 2)}``, one label for each of the T frames.

    A third coordinate, (T, N, 3), is a point's weight: its area, in units of a point's without one.
    ``told`` says what happened, by cloud and frame, for those who do not see it. ``home`` is the frame whose
    places give the points their colours; a player opens on the last one. The window is ±``limit``;
    ``centres``, (K, 2), are circled. Raises BridgekitError where frames and texts do not match.
    """

    clouds: Mapping[str, np.ndarray]
    labels: list[str]
    limit: float
    told: Mapping[str, list[str]]
    home: int = -1
    centres: np.ndarray = ()

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (self.labels, *self.clouds.values(), *self.told.values())}
        if len(lengths) != 1 or self.clouds.keys() != self.told.keys():
            raise BridgekitError(f"a point film needs a label and a text for every frame, not {lengths}.")

    def data(self) -> str:
        """What the player reads, as JSON."""
        count = len(self.labels)
        clouds = [
            {"name": name, "told": list(self.told[name]), "xy": self._packed(cloud), "wide": cloud.shape[-1]}
            for name, cloud in self.clouds.items()
        ]
        centres = (np.asarray(self.centres, float).reshape(-1, 2) / self.limit).round(4).tolist()
        said = {"clouds": clouds, "labels": list(self.labels), "centres": centres}
        said |= {"home": self.home % count, "frames": count}
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))

    def _packed(self, cloud: np.ndarray) -> str:
        places = np.asarray(cloud, float)[:, :MOST] / self.limit * _STEPS
        places[..., 2:] = np.sqrt(cloud[:, :MOST, 2:]) * 16  # a side is at most eight times as long
        places = np.nan_to_num(places, nan=_STEPS).clip(-_STEPS, _STEPS)
        return base64.b64encode(places.round().astype(np.int8).tobytes()).decode()

    def still(self) -> bytes:
        """The frame that it opens on, as a PNG."""
        from matplotlib import pyplot

        count, edges = len(self.clouds), (-self.limit, self.limit)
        fig, axes = pyplot.subplots(1, count, figsize=(7.2, 7.2 / count + 0.3), squeeze=False)
        for ax, (name, cloud) in zip(axes.flat, self.clouds.items(), strict=True):
            x, y, *weight = np.asarray(cloud, float)[-1, :MOST].T
            ax.scatter(x, y, s=2 * weight[0] if weight else 2, color=roles.DAY["bridge"], linewidths=0)
            ax.set(title=name, xlim=edges, ylim=edges, aspect="equal", xticks=(), yticks=())
        return displays.picture(fig)

    def html(self, alt: str, slider: str) -> str:
        """Canvases under a labelled slider, with a button that plays it."""
        last, label = len(self.labels) - 1, escape(self.labels[-1])
        place = f'<input type="range" min="0" max="{last}" value="{last}" step="1">'
        control = (
            f"{_STYLE}"
            '<div class="bk-player-control" hidden><button type="button" aria-pressed="false">Play</button> '
            f"<label>{escape(slider)} {place}</label> "
            f'<output aria-live="off">{label}</output></div><p class="bk-told" aria-live="polite"></p>'
        )
        return displays.stage(self.still(), alt, control, self.data())

    @property
    def script(self) -> str:
        """What moves it."""
        return _SCRIPT


def over_modes(clouds: Mapping, labels: list[str], means, sigma: float, home: int = 0) -> Points:
    """Clouds over the ``means`` (K, 2) of modes that are ``sigma`` wide; the rest as for :class:`Points`.

    What is told is how many of the points lie within three standard deviations of a mode. (How many modes are
    covered, so few points cannot say.)
    """
    means = np.asarray(means, float)

    def told(cloud):
        away = np.linalg.norm(np.asarray(cloud, float)[:, :, None] - means, axis=-1)
        near = away < 3 * sigma  # (frame, point, mode)
        shares = near.any(2).mean(1)
        inside = (np.abs(np.asarray(cloud, float)) < limit).all(-1).any(1)  # not what is lost or far away
        pairs = zip(shares, inside, strict=True)
        return [
            f"{100 * s:.0f} % of the points on a mode" if here else "no point in view" for s, here in pairs
        ]

    limit = 1.375 * float(np.abs(means).max())
    return Points(clouds, labels, limit, {name: told(cloud) for name, cloud in clouds.items()}, home, means)


def walk_over_modes(clouds: Mapping, at: list[int], steps: list[int], means, sigma: float) -> Points:
    """The same at the iterations ``at`` of a walk in three ``steps``; colours: the first step's end."""
    ends = np.cumsum(steps)
    steps_of = [("I", "II", "III")[int(np.searchsorted(ends[:2], k))] for k in at]
    labels = [f"iteration {k:,}, step {step}" for k, step in zip(at, steps_of, strict=True)]
    return over_modes(clouds, labels, means, sigma, at.index(ends[0]))


_STYLE = """<style>
.bk-stage { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.4rem; }
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
    var wide = cloud.wide, n = xy.length / data.frames / wide;
    var colours = [], box = document.createElement("div");
    for (var i = 0; i < n; i++) {
      var home = wide * (data.home * n + i), x = xy[home], y = xy[home + 1];
      var hue = Math.atan2(y, x) * 180 / Math.PI, far = Math.min(1, Math.hypot(x, y) / 127);
      colours.push("hsl(" + hue.toFixed(0) + " " + (35 + 45 * far).toFixed(0) + "% 48%)");
    }
    box.innerHTML = "<b></b><canvas></canvas><small></small>";
    box.firstChild.textContent = cloud.name;
    stage.appendChild(box);
    return { xy: xy, n: n, wide: wide, colours: colours, canvas: box.children[1], says: box.lastChild,
      told: cloud.told };
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
      data.centres.forEach(function (c) {
        pen.beginPath();
        pen.arc(half + half * c[0], half - half * c[1], size / 45, 0, 7);
        pen.stroke();
      });
      for (var i = 0; i < cloud.n; i++) {
        var a = cloud.wide * (k * cloud.n + i), b = cloud.wide * (next * cloud.n + i);
        var x = cloud.xy[a] + part * (cloud.xy[b] - cloud.xy[a]);
        var y = cloud.xy[a + 1] + part * (cloud.xy[b + 1] - cloud.xy[a + 1]);
        var side = dot;
        if (cloud.wide > 2) side *= (cloud.xy[a + 2] + part * (cloud.xy[b + 2] - cloud.xy[a + 2])) / 16;
        pen.fillStyle = cloud.colours[i];
        pen.fillRect(half + half * x / 127 - side / 2, half - half * y / 127 - side / 2, side, side);
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
      at = from + (now - began) / (calm.matches ? 900 : 320);
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
