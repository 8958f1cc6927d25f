"""A page's run: its metrics, figures and provenance, written as one record when the page is done.

Everything is kept in memory until :meth:`Run.finish`, which puts figures, record and the sums of them all in
place together: a page that fails or is killed leaves the earlier result as it was.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridgekit.book import criteria, kernels, keys, pages, placement, prose, records, sums
from bridgekit.book.cells import Store
from bridgekit.book.criteria import Claim
from bridgekit.book.figures import Figures
from bridgekit.book.parameters import injected
from bridgekit.book.records import Reference, portable
from bridgekit.errors import BridgekitError
from bridgekit.spec import told

if TYPE_CHECKING:
    import torch

    from bridgekit.book.sweeps import Share
    from bridgekit.play.sweep import Cell, Evaluate, Kept


@dataclass
class Run(Figures):
    """One run of one page: ``out`` takes the result, ``root`` is the repository.

    Raises BridgekitError at once if ``out`` cannot be written, or holds what is not this page's.
    """

    page: str
    profile: str
    parameters: dict
    out: Path
    root: Path
    checkpoints: Path | str | None = None  # where `make.run` wants them kept, which then also removes them
    cells: list[Path | str] | None = None  # likewise: the places of finished ones
    share: Share | None = None  # of the cells, the ones to be played: nothing else is wanted
    role: str = ""  # what the record will be, one of `records.COMMITTED` or a trial run; by `out` unless said
    labelled: dict = field(default_factory=dict, init=False, repr=False)  # metrics for the table of results
    _metrics: dict = field(default_factory=dict, init=False, repr=False)
    _glued: dict = field(default_factory=dict, init=False, repr=False)
    _data: dict = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.out, self.root = Path(self.out).resolve(), Path(self.root).resolve()
        self.role = self.role or records.role(self.root, self.page, self.profile, self.out)
        placement.Place(self.out, self.page, self.root).check()
        # The criteria as they stand before the first number is computed.
        self._criteria = {claim.id: claim.hash for claim in self.claims}
        self._analysis = {claim.id: claim.analysis for claim in self.claims}
        self._code = records.code(self.root, self.page)
        self._started, self._clock = datetime.now(UTC), time.monotonic()

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims that this page decides."""
        return criteria.of_page(self.root, self.page)

    @cached_property
    def reference(self) -> Reference:
        """The committed reference run of this page; empty if there is none, or if this run is to be it."""
        return self._committed("paper")

    @cached_property
    def repeated(self) -> Reference:
        """A committed second run with the reference run's settings and seeds, if any; it decides no claim."""
        return self._committed("repeated")

    def _committed(self, kind: str) -> Reference:
        mine = self.role == records.TRIAL
        return records.committed(self.root, self.page, kind) if mine else Reference(None)

    def metric(
        self,
        name: str,
        values,
        unit: str = "",
        note: str = "",
        *,
        exact: bool = False,
        kind: str = "",
        label: str = "",
        paper: str = "",
        place: str = "",
        lost: Sequence = (),
    ) -> None:
        """Record a metric: one value per seed (list, array or tensor, (n,)), or one exact number.

        ``exact`` says that no chance is in it: a quadrature, a closed form, a count. Any other metric says
        what it estimates by its ``kind``, one of :data:`bridgekit.measure.intervals.KINDS` (a mean unless
        said), or ``identity``: the rounding error of an equation, of which the worst trial counts. One value
        is one seed's, which decides nothing. With a ``label`` it is a row of :func:`plots.reference_table`,
        beside what the ``paper`` prints or says of it and the ``place`` there; None for values: not measured
        in this run, and the row has the reference run's alone. ``lost``, a state's ``failed``, says trial by
        trial which are lost: their values are NaN, whatever was given. The last call wins. Raises
        BridgekitError for a name that is not snake_case or is a parameter's, an unknown kind, an exact metric
        with another kind, values empty or not (n,), and several exact ones.
        """
        self._free(name, "metric")
        about = {"label": label, "paper": paper, "place": place}
        about = {"unit": unit} | {key: text for key, text in about.items() if text}
        if label:
            self.labelled[name] = about | {"exact": exact}
        if values is None:
            return
        array = np.atleast_1d(records.as_array(values)).astype(float)
        array = np.where([each is not None for each in lost] or False, np.nan, array)
        if array.ndim != 1 or array.size == 0:
            raise BridgekitError(f"metric {name}: one value per seed is wanted, not shape {array.shape}.")
        if exact and array.size > 1:
            raise BridgekitError(f"metric {name}: an exact metric is one number, not {array.size}.")
        said = kind or (criteria.EXACT if exact else "mean")
        criteria.check_kind(said, f"metric {name}")
        if (said == criteria.EXACT) != exact:
            raise BridgekitError(f"metric {name}: say exact=True alone, or a kind with seeds, not {said!r}.")
        self._metrics[name] = {"values": array.tolist(), "kind": said, "note": note} | about

    def glue(self, **values: float | str) -> None:
        """Numbers and words for the prose that are neither metrics nor parameters: counts, most of them.

        The record keeps them, so that the next run's prose has the reference run's as ``<name>_reference``.
        """
        for name, value in values.items():
            self._free(name, "glued value")
            self._glued[name] = value if isinstance(value, str) else float(value)

    def _free(self, name: str, what: str) -> None:
        if not criteria.SNAKE_CASE.fullmatch(name):
            raise BridgekitError(f"the {what}'s name {name!r} is not snake_case.")
        if name in self.parameters:
            raise BridgekitError(
                f"{name} is a parameter, which the prose has as it is: no {what} of that name."
            )

    def values(self, name: str) -> np.ndarray:
        """A metric recorded in this run, one value per seed: (n,); BridgekitError for an unknown name."""
        return records.metric_values({"page": self.page, "metrics": self._metrics}, name)

    def uses(self, *sets) -> None:
        """Note what the page used: each split of a data set (`data.Images`), each evaluation classifier."""
        for each in sets:
            name, split = portable(each.name, self.root), getattr(each, "split", "classifier")
            self._data.setdefault(name, {})[split] = each.fingerprint

    @cached_property
    def _checkpoints(self) -> Path:
        own = keys.checkpoints(self.root, self.profile, self.page, self.parameters)
        return own if self.checkpoints is None else Path(self.checkpoints)

    def checkpoint(self, name: str) -> Path:
        """Where training may keep its state until :meth:`finish`.

        The same path again after a kill, for the same parameters (but ``workers``, which change no number).
        The page's own cells are not compared, so that a figure can be repaired and the run goes on: who
        changes what is measured removes _build/checkpoints.
        """
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        return self._checkpoints / name

    @cached_property
    def _store(self) -> Store:
        """The finished cells, of earlier runs too if results go to the page's own place."""
        mine = keys.cells(self.root, self.profile, self.page, self.out, self._checkpoints)
        strict = self.role == records.REFERENCE
        return Store(*(self.cells or mine), root=self.root, criteria=self._criteria, strict=strict)

    def sweep(
        self,
        played: Iterable[Cell],
        evaluate: Evaluate,
        at: Iterable[int] = (),
        *,
        workers: int = 1,
        on: torch.device | str = "cpu",
    ) -> dict[Hashable, Kept]:
        """Play every cell, ``workers`` at a time: ``{its name: {what was evaluated: (evaluations, ...)}}``.

        ``evaluate(cell, state)`` returns numbers for the rounds ``at`` (or the cell's own). A finished cell
        is one file, whose name holds a hash of all that determines it: game, seeds, rounds, what ``evaluate``
        does and refers to, the library below the book. What is there is read, by any later run; what is
        missing is played, and goes on from its checkpoint after a kill. Raises BridgekitError for two cells
        of one name, TypeError where nobody can tell what ``evaluate`` refers to.
        """
        from bridgekit import random
        from bridgekit.book.sweeps import Sweeper

        rounds, code = list(at), records.measuring_code(self.root, self.page)
        sweeper = Sweeper(self._store, code, evaluate, random.device(str(on)), self.checkpoint, self.share)
        return sweeper.sweep([replace(cell, at=list(cell.at) or rounds) for cell in played], workers)

    def record(self) -> dict:
        """The run record as it stands."""
        device = str(self.parameters.get("device", "cpu"))
        made = {
            "started": self._started.isoformat(timespec="seconds"),
            "code": self._code,
            "wall_seconds": round(time.monotonic() - self._clock, 2),
            "data": dict(self._data),
        }
        if self._store.made:
            made["cells"] = dict(self._store.made)
        return self._known() | {
            "schema": records.SCHEMA,
            "page": self.page,
            "profile": self.profile,
            "role": self.role,
            "figures": dict(self._figures),
            "criteria": dict(self._criteria),
            "analysis": dict(self._analysis),
            "provenance": records.provenance(self.root, device) | made,
        }

    def finish(self) -> None:
        """Put figures, sums and record in place of the earlier run's; glue metrics; drop own checkpoints.

        Raises BridgekitError where they cannot be written, and where a foreign file is in the way.
        """
        new = {name: content for figure in self._files.values() for name, content in figure.items()}
        new["record.json"] = records.json_bytes(self.record())
        new[sums.NAME] = sums.body(new)
        placement.Place(self.out, self.page, self.root).put(new)
        prose.glue(self.words())
        if self.checkpoints is None:
            self._store.tidy(self._store.made)
            shutil.rmtree(self._checkpoints, ignore_errors=True)

    def words(self) -> dict[str, float | str]:
        """What the prose may name: parameters, glued values, metrics' means; the reference run's too.

        Those are ``<name>_reference``; a run that is to be the reference run is its own, and so is any run
        while there is none (:func:`bridgekit.book.show.head` says so).
        """
        here, alone = self.record(), self.role == records.REFERENCE or not self.reference
        return prose.words(here, here if alone else self.reference.record)


def begin(page: str, namespace: dict[str, object]) -> Run:
    """A page's first act: check its parameters, make torch repeatable, hand back the `Run` to fill.

    `namespace` is the page's `globals()`: the names that its parameters cell declares are read from it, and a
    whole number where a float is declared is made one there. Raises BridgekitError for a value that is
    ill-typed or out of range, and for a name that papermill injected and the page does not declare.
    """
    import torch

    from bridgekit.book import sweeps

    own = pages.find(page)
    names = [*own.parameters, *injected(namespace)]
    if lacking := [name for name in names if name not in namespace]:
        raise BridgekitError(f"page '{page}': the notebook lacks '{lacking[0]}': make it from the page again")
    parameters = own.fit({name: namespace[name] for name in names})
    namespace.update(parameters)
    torch.set_num_threads(kernels.threads())
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn")  # a GPU lacks a few: a warning, not a dead page
    home, profile = pages.root(), told("profile") or "custom"
    placement.recover(home)
    out = Path(told("out") or home / "figures" / "custom" / page)
    share, role = sweeps.Share(*told("share")) if told("share") else None, told("role") or ""
    return Run(page, profile, parameters, out, home, told("checkpoints"), told("cells"), share, role)
