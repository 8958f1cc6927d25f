"""The figures of a run: what a page shows of them, and what the record keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bridgekit.book import displays, drawings, prose, records
from bridgekit.book.displays import Display, Html
from bridgekit.errors import BridgekitError

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass
class Figures:
    """That side of :class:`bridgekit.book.runs.Run`, which has its numbers and its reference run."""

    _figures: dict = field(default_factory=dict, init=False, repr=False)
    _files: dict = field(default_factory=dict, init=False, repr=False)
    _arrays: dict = field(default_factory=dict, init=False, repr=False)

    def figure(
        self,
        draw: Callable,
        name: str,
        *,
        alt: str,
        caption: str,
        arrays: dict | None = None,
        slider: str = "Frame",
    ) -> Html:
        """A figure for the page and the record; returns the displayable, the reference run's in front of it.

        ``draw`` is a function of a run's ``arrays`` and of what it said (its parameters, means of metrics
        and glued values, by name) that returns a matplotlib figure, or :class:`.Points` or a :class:`.Film`
        that move, under a ``slider``: the reference run's is drawn by the same function from its own arrays,
        and stands alone where this run has none.

        ``caption`` and ``alt`` are Markdown. The caption begins with a bold sentence that says what to see.
        Either may name what a run has, as ``{seeds}`` or ``{fall:.2f}``: each figure says its own run's.
        :meth:`finish` writes it as ``<name>.svg`` and ``.png``, and ``arrays`` as ``.npz``. Raises
        BridgekitError for another name than letters, an empty alt, a caption that begins otherwise, and a
        name that neither run has.
        """
        said = {"alt": alt, "caption": caption}
        own = there = None
        if arrays:
            mine = {key: records.as_array(values) for key, values in arrays.items()}
            known = self._known()
            made = drawings.drawn(draw, mine, prose.of(known) | known["parameters"])
            self._keep(name, made.images, said, mine, made.layout | {"slider": slider})
            own = made.display
        if name in self.reference.record["figures"]:
            known = prose.of(self.reference.record) | self.reference.record["parameters"]
            there = drawings.drawn(draw, self.reference.arrays(name), known, keep=False).display
        return self._shown(name, said, own, there, slider=slider)

    def film(
        self,
        frames: Iterable,
        name: str,
        *,
        labels: list[str],
        alt: str,
        caption: str,
        arrays: dict | None = None,
        slider: str = "Frame",
        start: float = 1.0,
    ) -> Html:
        """A :class:`.Film` of this run alone, under a ``slider``: the reference run's stands as it was kept.

        Texts and all else are as for a figure; each of ``frames`` is closed as soon as it is drawn.
        """
        said = {"alt": alt, "caption": caption}
        sprite, layout = displays.Film(frames, labels, start).drawn()
        self._keep(name, {".webp": sprite}, said, arrays, layout | {"slider": slider})
        return self._shown(name, said, partial(displays.film, sprite), start=start)

    def _keep(self, name, images, said, arrays, layout) -> None:
        if not _FILE_NAME.fullmatch(name):
            raise BridgekitError(f"the figure's name {name!r} must be letters, digits, - and _.")
        files = {f"{name}{suffix}": content for suffix, content in images.items()}
        self._arrays[name] = {key: records.as_array(values) for key, values in (arrays or {}).items()}
        self._files[name] = files | {f"{name}.npz": records.npz_bytes(self._arrays[name])}
        self._figures[name] = {
            "files": sorted(self._files[name]),
            "arrays": f"{name}.npz",
            **prose.texts(self._known(), name, **said),
            **layout,
        }

    def _shown(
        self, name: str, said: dict, own: Display | None = None, there: Display | None = None, **more
    ) -> Html:
        """The reference run's figure, this one folded under it; the one that there is."""
        if name not in self.reference.record["figures"]:
            return own(self._figures[name], name) if own else displays.markdown("")
        texts = prose.texts(self.reference.record, name, **said) | more
        shown = there(texts, name, "Reference run.") if there else self.reference.film(name, **texts)
        if own is None or self._alike(name):
            return shown
        here = self._figures[name]
        here = own(here | {"alt": f"This run: {here['alt']}"}, f"{name}-this-run")
        return displays.folded(shown, f"The same from this run (profile {self.profile})", here)

    def _alike(self, name: str) -> bool:
        """Whether this run drew what the reference run did, but for rounding: one picture is enough then."""
        mine, there = self._arrays[name], self.reference.arrays(name)
        alike = [key in there and mine[key].shape == there[key].shape for key in mine]
        close = {"rtol": 1e-6, "atol": 1e-9, "equal_nan": True}
        return bool(alike) and all(alike) and all(np.allclose(mine[k], there[k], **close) for k in mine)

    def _known(self) -> dict:
        """What the record holds so far that a text may name; its paths are nobody's own."""
        parameters = {key: records.portable(value, self.root) for key, value in self.parameters.items()}
        return {"parameters": parameters, "metrics": dict(self._metrics), "glued": dict(self._glued)}
