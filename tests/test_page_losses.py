"""The page *new_losses* with another divergence in its reader's cell: checked, trained, or refused first."""

import pytest
import test_page_classes
from test_page_classes import played

from bridgekit.book import runs
from bridgekit.errors import BridgekitError

process_as_it_was = test_page_classes.process_as_it_was
PHI, PAIR = "return (r.sqrt() - 1) ** 2", "mine = Pair.of(my_phi)"
ORACLE = "return ((log_p / 2).exp() - (log_q / 2).exp()) ** 2"
PEARSON = {
    'MINE = "squared Hellinger"': 'MINE = "Pearson"',
    f"def my_phi(r):\n    {PHI}": "def my_phi(r):\n    return (1 - r) ** 2 / r",
    ORACLE: "return divergences.pearson_chi2(log_p, log_q)",
}
WRITTEN = {PAIR: "mine = Pair(torch.zeros_like, lambda u: (u / 2).exp() - u.exp())"}
HALF = {ORACLE: f"{ORACLE} / 2"}


def edited(book, monkeypatch, changes, **settings):
    """The names that the page leaves when its reader's cell says something else, and nothing else does."""
    adopt = type(book).adopt

    def and_edit(self, page):
        adopt(self, page)
        for old, new in changes.items():
            assert (self.root / f"book/{page}.md").read_text().count(old) == 1
            self.edit(f"book/{page}.md", old, new)

    monkeypatch.setattr(type(book), "adopt", and_edit)
    return played(book, monkeypatch, "new_losses", trained=["mine"], seeds=1, samples=100, **settings)


@pytest.mark.parametrize(
    ("changes", "name", "own", "at_data"),
    [
        (PEARSON, "Pearson", "≥ 0", "**< 0** for r > 1.00"),
        (WRITTEN, "squared Hellinger", "**< 0** for r > 1.00", "**< 0** for r > 1.00"),
    ],
)
def test_a_readers_own_divergence_is_one_cell(toy_book, monkeypatch, changes, name, own, at_data):
    names = edited(toy_book, monkeypatch, changes, rounds=1)
    record = names["run"].record()
    assert record["glued"]["mine"] == name and record["metrics"]["mine_error"]["values"][0] < 1e-8
    assert record["metrics"]["on_modes_mine"]["label"] == f"share on a mode, mine: {name}"
    (row,) = (row for row in names["signs"] if row["divergence"] == f"mine: {name}")
    assert list(row.values())[1:] == [own, "≥ 0", at_data]
    settings = names["cells"][0].game.settings
    assert (settings["f"], settings["g"]) == (names["mine"].f, names["mine"].g)


def test_a_pair_that_fails_its_oracle_stops_the_page_before_anything_is_played(toy_book, monkeypatch):
    monkeypatch.setattr(runs.Run, "sweep", lambda *args, **options: pytest.fail("it was played"))
    with pytest.raises(BridgekitError, match="the pair of 'squared Hellinger' is not the gradient of its"):
        edited(toy_book, monkeypatch, HALF)
