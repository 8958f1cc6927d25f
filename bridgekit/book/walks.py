"""The walk from one KL to the other by two sliders: the best Gaussian for two modes, by α and distance.

Every fit is stored; nothing is fitted in the page. Two curves are drawn by the script from their parameters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from bridgekit.book import displays, roles


@dataclass(frozen=True)
class Walk:
    """Best fits: ``alpha`` (A,), ``separation`` (S,), and (S, A) each of ``mu``, ``sigma``, ``value`` (nats),
    ``small`` and ``large``, the shares of the fit's mass on either mode. ``width`` is the modes', ``weight``
    the smaller one's. It opens on the separation and the alpha that are nearest to OPENS.
    """

    fits: Mapping[str, np.ndarray]
    width: float
    weight: float

    OPENS = (4.0, 0.3)
    KEYS = ("alpha", "separation", "mu", "sigma", "value", "small", "large")

    @classmethod
    def of(cls, arrays: Mapping, said: Mapping) -> "Walk":
        """The walk of a run of *divergences*, from its arrays and parameters."""
        return cls(arrays, said["width"], said["weight"])

    @property
    def start(self) -> tuple[int, int]:
        """Where it opens, as indices."""
        axes = self.fits["separation"], self.fits["alpha"]
        s, a = (
            int(np.abs(np.asarray(axis) - at).argmin()) for axis, at in zip(axes, self.OPENS, strict=True)
        )
        return s, a

    def data(self) -> str:
        """What the script reads, as JSON."""
        said = {key: np.asarray(self.fits[key], float).round(4).tolist() for key in self.KEYS}
        return json.dumps(said | {"width": self.width, "weight": self.weight}, separators=(",", ":"))

    def still(self) -> bytes:
        """The fit that it opens on, as a PNG."""
        from matplotlib import pyplot

        s, a = self.start
        half = self.fits["separation"][s] / 2
        x = np.linspace(-4.5, 4.5, 400)

        def bell(mean, scale):
            return np.exp(-(((x - mean) / scale) ** 2) / 2) / scale / np.sqrt(2 * np.pi)

        fig, ax = pyplot.subplots(figsize=(6, 2.4))
        data = self.weight * bell(-half, self.width) + (1 - self.weight) * bell(half, self.width)
        ax.fill_between(x, data, color=roles.DAY["data"])
        ax.plot(x, bell(self.fits["mu"][s][a], self.fits["sigma"][s][a]), color=roles.DAY["bridge"], lw=2.5)
        ax.set_axis_off()
        return displays.picture(fig)

    def html(self, alt: str, slider: str) -> str:
        """Picture, two sliders, and a text that says what the fit does; the script finds them by class."""
        s, a = self.start
        ends = (
            '<div class="bk-ends"><span class="bk-forward">α = 0 · maximum likelihood</span>'
            '<span class="bk-reverse">α = 1 · adversarial</span></div>'
        )
        rows = [(slider, len(self.fits["alpha"]), a)]
        rows.append(("Distance of the two modes", len(self.fits["separation"]), s))
        sliders = "".join(
            f'<label>{escape(text)}<input type="range" min="0" max="{end - 1}" value="{at}" step="1"></label>'
            for text, end, at in rows
        )
        says = '<p class="bk-says" aria-live="polite"></p>'
        control = f'{_STYLE}<div class="bk-walk-control" hidden>{sliders}</div>{says}'
        return ends + displays.stage(self.still(), alt, control, self.data())

    @property
    def script(self) -> str:
        """What moves it."""
        return _SCRIPT


_STYLE = """<style>
.bk-ends { display: flex; justify-content: space-between; gap: 1rem; font-weight: 700; }
.bk-walk-control { display: grid; gap: 0.3rem; }
.bk-walk-control[hidden] { display: none; }
.bk-walk-control label { display: grid; }
.bk-walk-control input { accent-color: var(--bk-bridge); }
.bk-walk svg { width: 100%; height: auto; }
.bk-says { min-height: 3.2em; }
.bk-walk :focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
</style>"""

_SCRIPT = """<script>
document.querySelectorAll("figure.bk-walk:not([data-ready])").forEach(function (figure) {
  figure.dataset.ready = "";
  var data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  var stage = figure.querySelector(".bk-stage"), still = stage.querySelector("img");
  var sliders = figure.querySelectorAll("input"), says = figure.querySelector(".bk-says");
  var W = 560, H = 190, reach = 4.5, top = 0.62;
  function bell(x, mean, scale) {
    return Math.exp(-Math.pow((x - mean) / scale, 2) / 2) / scale / 2.5066;
  }
  function path(height) {
    for (var i = 0, steps = 280, d = ""; i <= steps; i++) {
      var x = -reach + 2 * reach * i / steps, y = Math.min(height(x) / top, 1);
      d += (i ? "L" : "M") + (W * i / steps).toFixed(1) + " " + (H - y * (H - 12)).toFixed(1);
    }
    return d;
  }
  stage.innerHTML = '<svg role="img" viewBox="0 0 ' + W + " " + (H + 62) + '">'
    + '<path class="q" style="fill: var(--bk-data)"/>'
    + '<path class="p" style="fill: none; stroke: var(--bk-bridge); stroke-width: 3.4"/>'
    + '<path d="M20 ' + (H + 50) + " Q" + W / 2 + " " + (H - 2) + " " + (W - 20) + " " + (H + 50)
    + '" style="fill: none; stroke: var(--bk-muted); stroke-width: 2.4"/>'
    + '<path class="jump" style="stroke: var(--bk-lost); stroke-width: 3"/>'
    + '<text class="lets" text-anchor="middle" '
    + 'style="fill: var(--bk-lost); font: 700 15px sans-serif"></text>'
    + '<circle r="8" style="fill: var(--bk-bridge)"/></svg>';
  var svg = stage.firstChild, q = svg.querySelector(".q"), p = svg.querySelector(".p");
  var jump = svg.querySelector(".jump"), lets = svg.querySelector(".lets"), dot = svg.querySelector("circle");
  svg.setAttribute("aria-label", still.alt);
  figure.querySelector(".bk-walk-control").hidden = false;
  function on(t) {
    return [20 + t * (W - 40), (1 - t) * (1 - t) * (H + 50) + 2 * t * (1 - t) * (H - 2) + t * t * (H + 50)];
  }
  function where(s) {
    for (var k = 1, best = 0, at = 0; k < data.alpha.length; k++) {
      var step = Math.abs(data.small[s][k] - data.small[s][k - 1]);
      if (step > best) { best = step; at = k; }
    }
    return best > 0.05 ? (data.alpha[at] + data.alpha[at - 1]) / 2 : null;
  }
  function percent(x) { return Math.round(100 * x) + " %"; }
  function show() {
    var a = +sliders[0].value, s = +sliders[1].value, half = data.separation[s] / 2;
    var mu = data.mu[s][a], sigma = data.sigma[s][a], small = data.small[s][a], large = data.large[s][a];
    q.setAttribute("d", path(function (x) {
      return data.weight * bell(x, -half, data.width) + (1 - data.weight) * bell(x, half, data.width);
    }) + "L" + W + " " + H + "L0 " + H + "Z");
    p.setAttribute("d", path(function (x) { return bell(x, mu, sigma); }));
    var here = on(data.alpha[a]), off = where(s), gone = off !== null && data.alpha[a] > off;
    dot.setAttribute("cx", here[0]);
    dot.setAttribute("cy", here[1]);
    jump.style.display = lets.style.display = off === null ? "none" : "";
    if (off !== null) {
      var there = on(off);
      jump.setAttribute("d", "M" + there[0] + " " + (there[1] - 9) + "v18");
      lets.setAttribute("x", there[0]);
      lets.setAttribute("y", there[1] + 24);
      // 13 on the screen, whatever its width.
      lets.style.fontSize = 13 * W / Math.max(svg.clientWidth, 200) + "px";
      lets.textContent = "best fit jumps here";
    }
    var does = gone ? "sits on the larger mode and lets the other go" : "covers both modes";
    var empty = Math.max(0, 1 - small - large);
    says.innerHTML = "<strong>α = " + data.alpha[a].toFixed(3).replace(/0$/, "")
      + ", modes " + data.separation[s] + " apart.</strong> "
      + "The best single Gaussian <strong>" + does + "</strong>: " + percent(small)
      + " of it on the smaller mode, " + percent(large) + " on the larger, " + percent(empty)
      + " where there are hardly any data. Its divergence is " + data.value[s][a].toFixed(2) + " nats.";
    sliders[0].setAttribute("aria-valuetext", "alpha " + data.alpha[a].toFixed(3));
    sliders[1].setAttribute("aria-valuetext", data.separation[s] + "; a mode is " + data.width + " wide");
  }
  sliders.forEach(function (slider) { slider.addEventListener("input", show); });
  show();
});
</script>"""
