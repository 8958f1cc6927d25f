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
        axes = zip((self.fits["separation"], self.fits["alpha"]), self.OPENS, strict=True)
        return tuple(int(np.abs(np.asarray(axis) - at).argmin()) for axis, at in axes)

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
            '<div class="bk-ends">'
            '<span class="bk-forward">α = 0 · maximum likelihood<br>KL[data ‖ model]</span>'
            '<span class="bk-reverse">α = 1 · adversarial<br>KL[model ‖ data]</span></div>'
        )
        rows = (
            (slider, len(self.fits["alpha"]), a),
            ("Distance of the two modes", len(self.fits["separation"]), s),
        )
        sliders = "".join(
            f'<label>{escape(text)}<input type="range" min="0" max="{end - 1}" value="{at}" step="1"></label>'
            for text, end, at in rows
        )
        says = '<p class="bk-says" aria-live="polite"></p>'
        control = f'{_STYLE}<div class="bk-walk-control" hidden>{sliders}</div>{says}'
        return ends + displays.stage(self.still(), alt, control, self.data()) + _SCRIPT


_STYLE = """<style>
.bk-ends { display: flex; justify-content: space-between; gap: 0.6rem; font-weight: 700; line-height: 1.3; }
.bk-ends { font-size: max(11px, min(1em, 3.1vw)); }
.bk-ends span + span { text-align: end; }
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
  var W = 560, H = 190, reach = 4.5, top = 0.84;
  function bell(x, mean, scale) {
    return Math.exp(-Math.pow((x - mean) / scale, 2) / 2) / scale / 2.5066;
  }
  function across(x) { return W * (x + reach) / (2 * reach); }
  function up(y) { return H - Math.min(y / top, 1) * (H - 12); }
  function path(height) {
    for (var i = 0, steps = 280, d = ""; i <= steps; i++) {
      var x = -reach + 2 * reach * i / steps;
      d += (i ? "L" : "M") + across(x).toFixed(1) + " " + up(height(x)).toFixed(1);
    }
    return d;
  }
  // The ends have their own colours, and the way between them the bridge's.
  function colour(alpha) {
    var half = Math.round(200 * Math.abs(alpha - 0.5)), end = alpha < 0.5 ? "forward" : "reverse";
    return "color-mix(in oklab, var(--bk-" + end + ") " + half + "%, var(--bk-bridge))";
  }
  function pier(end, x) {
    return '<path d="M' + x + " " + (H + 40) + 'v20" style="stroke: var(--bk-' + end
      + '); stroke-width: 5"/>';
  }
  function word(name, role, anchor) {
    return '<text class="' + name + '" text-anchor="' + anchor + '" style="fill: var(--bk-' + role
      + '); font: 700 15px sans-serif"></text>';
  }
  stage.innerHTML = '<svg role="img" viewBox="0 0 ' + W + " " + (H + 66) + '">'
    + '<path class="q" style="fill: var(--bk-data)"/>'
    + '<path d="M0 ' + H + "H" + W + '" style="stroke: var(--bk-muted)"/>'
    + '<path class="p" style="fill: none; stroke-width: 3.4"/>'
    + word("data", "muted", "middle") + word("gone", "lost", "middle") + word("model", "ink", "start")
    + '<path d="M20 ' + (H + 50) + " Q" + W / 2 + " " + (H - 2) + " " + (W - 20) + " " + (H + 50)
    + '" style="fill: none; stroke: var(--bk-bridge); stroke-width: 2.4"/>'
    + pier("forward", 20) + pier("reverse", W - 20)
    + '<path class="jump" style="stroke: var(--bk-lost); stroke-width: 3"/>' + word("lets", "lost", "middle")
    + '<circle r="8" style="stroke: var(--bk-paper); stroke-width: 2"/></svg>';
  var svg = stage.firstChild, q = svg.querySelector(".q"), p = svg.querySelector(".p");
  var jump = svg.querySelector(".jump"), dot = svg.querySelector("circle"), words = {};
  svg.querySelectorAll("text").forEach(function (text) { words[text.getAttribute("class")] = text; });
  words.data.textContent = "data";
  words.gone.textContent = "let go";
  words.model.textContent = "model";
  words.lets.textContent = "best fit jumps here";
  function put(name, x, y) {
    words[name].setAttribute("x", x);
    words[name].setAttribute("y", y);
  }
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
  function percent(x) { return Math.round(100 * x) + "\u00a0%"; }
  function show() {
    var a = +sliders[0].value, s = +sliders[1].value, half = data.separation[s] / 2;
    var mu = data.mu[s][a], sigma = data.sigma[s][a], small = data.small[s][a], large = data.large[s][a];
    // Words have 13 pixels on a small screen, and grow with a large one.
    var ours = colour(data.alpha[a]), size = Math.max(10.5, 13 * W / Math.max(svg.clientWidth, 200));
    function model(x) { return bell(x, mu, sigma); }
    function given(x) {
      return data.weight * bell(x, -half, data.width) + (1 - data.weight) * bell(x, half, data.width);
    }
    q.setAttribute("d", path(given) + "L" + W + " " + H + "L0 " + H + "Z");
    p.setAttribute("d", path(model));
    p.style.stroke = dot.style.fill = words.model.style.fill = ours;
    var here = on(data.alpha[a]), off = where(s), gone = off !== null && data.alpha[a] > off;
    dot.setAttribute("cx", here[0]);
    dot.setAttribute("cy", here[1]);
    Object.values(words).forEach(function (text) { text.style.fontSize = size + "px"; });
    // Over the smaller mode what it is, or that it is lost; the model's name right of all data.
    var over = up(Math.max(given(-half), model(-half), model(-half + 0.4), model(-half - 0.4))) - 8;
    var right = Math.max(mu + sigma, half + 2.2 * data.width);
    put("data", across(-half), over);
    put("gone", across(-half), over);
    put("model", Math.min(across(right) + 6, W - 3.4 * size), up(model(right)) - 8);
    words.data.style.display = gone ? "none" : "";
    words.gone.style.display = gone ? "" : "none";
    jump.style.display = words.lets.style.display = off === null ? "none" : "";
    if (off !== null) {
      var there = on(off);
      jump.setAttribute("d", "M" + there[0] + " " + (there[1] - 9) + "v18");
      put("lets", Math.min(there[0], W - 28 - 5.6 * size), Math.min(there[1] + 13 + size, H + 62));
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
  addEventListener("resize", show);
  show();
});
</script>"""
